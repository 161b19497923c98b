//! `ccsync auto on --plugin`: the same hooks as a plugin of Claude Code.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Machine, TestEnv};

const SETTINGS: &str = "{\n    \"theme\": \"dark\"}";

fn plugin(machine: &Machine) -> PathBuf {
    machine.home.join(".claude/skills/ccsync")
}

fn settings(machine: &Machine) -> PathBuf {
    machine.home.join(".claude/settings.json")
}

fn machine_with_settings(env: &TestEnv) -> Machine {
    let a = env.machine("a");
    a.init(&env.bare_remote());
    fs::create_dir_all(a.home.join(".claude")).unwrap();
    fs::write(settings(&a), SETTINGS).unwrap();
    a
}

fn places(machine: &Machine) -> serde_json::Value {
    let status = machine.ccsync(["auto", "status", "--json"]).success();
    status.json()["places"].clone()
}

#[test]
fn plugin_on_and_off_leave_no_trace() {
    let env = TestEnv::new();
    let a = machine_with_settings(&env);
    let before = a.tree();
    let on = a.ccsync(["auto", "on", "--plugin"]).success();
    for name in ["plugin.json", "hooks.json", "status.md", "note.md"] {
        assert!(on.stdout.contains(name), "{on}");
    }
    let hooks = fs::read_to_string(plugin(&a).join("hooks/hooks.json")).unwrap();
    assert!(
        hooks.contains("hook session-start") && !hooks.contains("{{"),
        "{hooks}"
    );
    assert_eq!(places(&a), serde_json::json!(["plugin"]));
    let again = a.ccsync(["auto", "on", "--plugin"]).success();
    assert_eq!(again.stdout, "auto: on already\n");
    a.ccsync(["auto", "off"]).success();
    assert_eq!(a.tree(), before);
}

#[test]
fn plugin_and_settings_replace_each_other() {
    let env = TestEnv::new();
    let a = machine_with_settings(&env);
    a.ccsync(["auto", "on"]).success();
    assert_eq!(places(&a), serde_json::json!(["settings"]));
    a.ccsync(["auto", "on", "--plugin"]).success();
    assert_eq!(places(&a), serde_json::json!(["plugin"]));
    assert_eq!(fs::read_to_string(settings(&a)).unwrap(), SETTINGS);
    a.ccsync(["auto", "on", "--statusline"]).success();
    assert_eq!(places(&a), serde_json::json!(["settings"]));
    assert!(!a.home.join(".claude/skills").exists());
    a.ccsync(["auto", "on", "--plugin"]).success();
    // A plugin cannot have a status line.
    assert!(
        fs::read_to_string(settings(&a))
            .unwrap()
            .contains("statusline")
    );
    a.ccsync(["auto", "off"]).success();
    assert_eq!(places(&a), serde_json::json!([]));
    assert_eq!(fs::read_to_string(settings(&a)).unwrap(), SETTINGS);
}

#[test]
fn plugin_off_keeps_and_names_what_the_user_wrote() {
    let env = TestEnv::new();
    let a = machine_with_settings(&env);
    a.ccsync(["auto", "on", "--plugin"]).success();
    let hooks = plugin(&a).join("hooks/hooks.json");
    let text = fs::read_to_string(&hooks).unwrap();
    let mine = "{\"hooks\": [{\"type\": \"command\", \"command\": \"say done\"}]}";
    fs::write(
        &hooks,
        text.replace("\"Stop\": [", &format!("\"Stop\": [{mine},")),
    )
    .unwrap();
    fs::write(plugin(&a).join("README.md"), "mine").unwrap();
    fs::write(plugin(&a).join("commands/mine.md"), "mine").unwrap();
    let off = a.ccsync(["auto", "off"]).success();
    let mut left: Vec<String> = walkdir::WalkDir::new(plugin(&a))
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            entry
                .path()
                .strip_prefix(plugin(&a))
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    left.sort();
    assert_eq!(left, ["README.md", "commands/mine.md", "hooks/hooks.json"]);
    for name in &left {
        assert!(
            off.stdout.contains("kept, because it is yours") && off.stdout.contains(name),
            "{off}"
        );
    }
    let text = fs::read_to_string(&hooks).unwrap();
    assert!(
        text.contains("say done") && !text.contains("ccsync"),
        "{text}"
    );
}

#[test]
fn plugin_off_without_state_removes_what_was_written() {
    let env = TestEnv::new();
    let a = machine_with_settings(&env);
    a.ccsync(["auto", "on", "--plugin"]).success();
    fs::remove_file(a.home.join(".local/state/ccsync/client-settings.json")).unwrap();
    a.ccsync(["auto", "off"]).success();
    assert!(!plugin(&a).exists());
}

#[test]
fn plugin_leaves_skill_of_the_same_name_alone() {
    let env = TestEnv::new();
    let a = machine_with_settings(&env);
    fs::create_dir_all(plugin(&a)).unwrap();
    fs::write(plugin(&a).join("SKILL.md"), "mine").unwrap();
    let before = a.tree();
    let refused = a.ccsync(["auto", "on", "--plugin"]).code(1);
    assert!(
        refused.stderr.contains("skills/ccsync` is not from ccsync"),
        "{refused}"
    );
    a.ccsync(["auto", "off"]).success();
    assert_eq!(a.tree(), before);
}

#[test]
fn plugin_stays_on_its_machine() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    for machine in [&a, &b] {
        machine
            .ccsync(["config", "set", "extras", "memory,skills,settings"])
            .success();
    }
    a.ccsync(["auto", "on", "--plugin"]).success();
    let skill = a.home.join(".claude/skills/mine");
    fs::create_dir_all(&skill).unwrap();
    fs::write(skill.join("SKILL.md"), "mine").unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]);
    b.ccsync(["apply", "--yes"]);
    assert!(b.home.join(".claude/skills/mine/SKILL.md").exists());
    assert!(!plugin(&b).exists());
    b.ccsync(["auto", "on", "--plugin"]).success();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(plugin(&b).exists());
}

#[test]
fn plugin_faults_are_named_by_status_and_doctor() {
    let env = TestEnv::new();
    let a = machine_with_settings(&env);
    a.ccsync(["auto", "on"]).success();
    let with_hooks = fs::read_to_string(settings(&a)).unwrap();
    a.ccsync(["auto", "on", "--plugin"]).success();
    let assert_named = |words: &str| {
        for run in [a.ccsync(["auto", "status"]).success(), a.ccsync(["doctor"])] {
            assert!(run.stdout.contains(words), "{words}: {run}");
        }
    };
    let disabled = "{\"enabledPlugins\": {\"ccsync@skills-dir\": false}}";
    fs::write(settings(&a), disabled).unwrap();
    assert_named("`enabledPlugins` turns the plugin off");
    fs::write(settings(&a), with_hooks).unwrap();
    assert_named("hooks are in ");
    a.ccsync(["auto", "on", "--plugin"]).success();
    let hooks = plugin(&a).join("hooks/hooks.json");
    let text = fs::read_to_string(&hooks).unwrap();
    fs::write(&hooks, text.replace("hook stop", "")).unwrap();
    assert_named("some hooks are missing");
    a.ccsync(["auto", "on", "--plugin"]).success();
    assert_named("on");
    assert_eq!(places(&a), serde_json::json!(["plugin"]));
}

#[test]
fn plugin_of_each_client_directory_is_its_own() {
    let env = TestEnv::new();
    let a = machine_with_settings(&env);
    let remote = env.bare_remote();
    let other = a.home.join("other");
    let ccsync = |args: &[&str]| {
        let mut command = a.command(args);
        command.env("CLAUDE_CONFIG_DIR", &other);
        command.env("CCSYNC_HOME", a.home.join("other-ccsync"));
        a.run(&mut command).success()
    };
    ccsync(&[
        "init",
        "--remote",
        remote.to_str().unwrap(),
        "--name",
        "o",
        "--yes",
    ]);
    a.ccsync(["auto", "on", "--plugin"]).success();
    ccsync(&["auto", "on", "--plugin"]);
    a.ccsync(["auto", "off"]).success();
    assert!(!plugin(&a).exists());
    assert!(other.join("skills/ccsync/hooks/hooks.json").exists());
    ccsync(&["auto", "off"]);
    assert!(!other.join("skills").exists());
}
