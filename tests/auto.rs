//! `ccsync auto`: the hooks in the settings of Claude Code, and what the hooks answer.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Machine, ONE, Run, TestEnv};

const COMMENTED: &str = "{\n  // my theme\n  \"theme\": \"dark\",\n  \"hooks\": {\n    \"Stop\": [\n      \
    {\"hooks\": [{\"type\": \"command\", \"command\": \"say done\"}]}, /* mine */\n    ],\n  },\n}\n";

fn settings(machine: &Machine) -> PathBuf {
    machine.home.join(".claude/settings.json")
}

fn write_settings(machine: &Machine, text: &str) {
    fs::create_dir_all(machine.home.join(".claude")).unwrap();
    fs::write(settings(machine), text).unwrap();
}

fn machine_with_remote(env: &TestEnv) -> Machine {
    let a = env.machine("a");
    a.init(&env.bare_remote());
    a
}

fn hook(machine: &Machine, event: &str, json: &str, variables: &[(&str, &str)]) -> Run {
    let mut command = machine.command(["hook", event]);
    command.envs(variables.iter().copied());
    machine.run_with_input(command, json)
}

fn assert_silent(run: &Run) {
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("", ""),
        "{run}"
    );
}

#[test]
fn auto_off_restores_settings_byte_for_byte() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    for text in [
        "{}",
        "",
        "{\"theme\":\"dark\"}",
        COMMENTED,
        &COMMENTED.replace('\n', "\r\n"),
        &format!("\u{feff}{COMMENTED}"),
        "{\"statusLine\":1,\"hooks\":{\"Other\":1,\"Other\":2}}",
    ] {
        write_settings(&a, text);
        let run = a.ccsync(["auto", "on", "--statusline"]).success();
        assert!(run.stdout.contains("settings.json"), "{run}");
        let on = fs::read_to_string(settings(&a)).unwrap();
        assert!(
            on.contains("hook session-start") && on.to_lowercase().contains("statusline"),
            "{on}"
        );
        a.ccsync(["auto", "on"]).success();
        a.ccsync(["auto", "off"]).success();
        assert_eq!(fs::read_to_string(settings(&a)).unwrap(), text);
    }
}

#[cfg(unix)]
#[test]
fn auto_on_and_off_keep_rights_of_settings() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    write_settings(&a, COMMENTED);
    fs::set_permissions(settings(&a), fs::Permissions::from_mode(0o644)).unwrap();
    let mode = || fs::metadata(settings(&a)).unwrap().permissions().mode() & 0o777;
    a.ccsync(["auto", "on"]).success();
    assert_eq!(mode(), 0o644);
    a.ccsync(["auto", "off"]).success();
    assert_eq!(mode(), 0o644);
}

#[test]
fn auto_off_removes_hooks_that_the_user_edited() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    let others = r#"{"hooks":{"Stop":[{"matcher":"z","hooks":[]}]}}"#;
    write_settings(&a, others);
    a.ccsync(["auto", "on"]).success();
    let on = fs::read_to_string(settings(&a)).unwrap();
    write_settings(&a, &on.replace("hook stop\"", "hook stop || true\""));
    a.ccsync(["auto", "off"]).success();
    let off: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(settings(&a)).unwrap()).unwrap();
    assert_eq!(
        off,
        serde_json::from_str::<serde_json::Value>(others).unwrap()
    );
}

#[test]
fn auto_off_without_former_settings_leaves_no_trace() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    let before = a.tree();
    a.ccsync(["auto", "on"]).success();
    assert!(settings(&a).exists());
    a.ccsync(["auto", "off"]).success();
    assert_eq!(a.tree(), before);
}

#[test]
fn auto_off_keeps_what_changed_since() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    write_settings(&a, COMMENTED);
    a.ccsync(["auto", "on", "--statusline"]).success();
    let on = fs::read_to_string(settings(&a)).unwrap();
    write_settings(&a, &on.replace("\"dark\"", "\"light\""));
    a.ccsync(["auto", "off"]).success();
    let off = fs::read_to_string(settings(&a)).unwrap();
    assert!(
        off.contains("light") && off.contains("say done") && off.contains("/* mine */"),
        "{off}"
    );
    assert!(!off.contains("ccsync"), "{off}");
}

#[test]
fn auto_on_invalid_settings_are_left_alone() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    for text in ["{", "[]", "{\"hooks\": 1}"] {
        write_settings(&a, text);
        let run = a.ccsync(["auto", "on"]).code(1);
        assert!(run.stderr.contains("settings.json"), "{run}");
        assert_eq!(fs::read_to_string(settings(&a)).unwrap(), text);
    }
}

#[test]
fn auto_on_refuses_keys_that_are_there_twice() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    for (text, key) in [
        ("{\"hooks\": {}, \"hooks\": {}}", "`hooks`"),
        ("{\"hooks\": {\"Stop\": [], \"Stop\": []}}", "`Stop`"),
    ] {
        write_settings(&a, text);
        let run = a.ccsync(["auto", "on"]).code(1);
        let message = format!("settings.json`: {key} is there twice");
        assert!(run.stderr.contains(&message), "{run}");
        assert_eq!(fs::read_to_string(settings(&a)).unwrap(), text);
    }
}

#[test]
fn auto_off_removes_hooks_of_keys_that_are_there_twice() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    a.ccsync(["auto", "on"]).success();
    let on = fs::read_to_string(settings(&a)).unwrap();
    write_settings(&a, &on.replacen('{', "{\"hooks\": {},", 1));
    a.ccsync(["auto", "off"]).success();
    let off = fs::read_to_string(settings(&a)).unwrap();
    assert!(!off.contains("ccsync"), "{off}");
}

#[cfg(unix)]
#[test]
fn auto_on_follows_link_of_settings() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    let real = a.home.join("dotfiles.json");
    fs::write(&real, COMMENTED).unwrap();
    fs::create_dir_all(a.home.join(".claude")).unwrap();
    std::os::unix::fs::symlink(&real, settings(&a)).unwrap();
    a.ccsync(["auto", "on"]).success();
    assert!(fs::read_to_string(&real).unwrap().contains("hook stop"));
    a.ccsync(["auto", "off"]).success();
    assert!(settings(&a).is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), COMMENTED);
}

#[test]
fn auto_status_and_doctor_name_file_that_turns_hooks_off() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    let project = a.home.join("work/app/.claude");
    fs::create_dir_all(&project).unwrap();
    let run_there = |args: &[&str]| {
        let mut command = a.command(args);
        a.run(command.current_dir(project.parent().unwrap()))
    };
    let status = || run_there(&["auto", "status", "--json"]).success().json();
    assert_eq!(status()["on"], false);
    a.ccsync(["auto", "on"]).success();
    let on = fs::read_to_string(settings(&a)).unwrap();
    assert_eq!(
        (&status()["on"], &status()["hooks_are_off"]),
        (&true.into(), &false.into())
    );
    for (file, text, reason) in [
        (
            settings(&a),
            on.replacen('{', "{\"disableAllHooks\": true,", 1),
            "`disableAllHooks` is set in",
        ),
        (
            settings(&a),
            on.replacen('{', "{ // mine\n", 1),
            "Claude Code ignores",
        ),
        (
            project.join("settings.json"),
            "{\"disableAllHooks\": true}".to_owned(),
            "`disableAllHooks` is set in",
        ),
    ] {
        write_settings(&a, &on);
        fs::write(&file, text).unwrap();
        assert_eq!(status()["hooks_are_off"], true);
        let file = file.to_str().unwrap();
        let text = run_there(&["auto", "status"]).success().stdout;
        assert!(
            text.starts_with("auto:   off: ") && text.contains(reason) && text.contains(file),
            "{text}"
        );
        let doctor = run_there(&["doctor"]);
        assert!(
            doctor.stdout.contains(reason) && doctor.stdout.contains(file),
            "{doctor}"
        );
    }
}

#[test]
fn auto_on_says_that_client_ignores_settings_with_comments() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    write_settings(&a, COMMENTED);
    let run = a.ccsync(["auto", "on"]).success();
    assert!(
        run.stderr
            .contains("Claude Code runs no hooks: Claude Code ignores"),
        "{run}"
    );
    // The plugin does not need the settings.
    let run = a.ccsync(["auto", "on", "--plugin"]).success();
    assert_eq!(run.stderr, "", "{run}");
    assert_eq!(fs::read_to_string(settings(&a)).unwrap(), COMMENTED);
}

#[test]
fn auto_hooks_of_another_version_are_named_and_renewed() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    let plugin = a.home.join(".claude/skills/ccsync/commands/note.md");
    for (on, file, part) in [
        (vec!["auto", "on"], settings(&a), "\"timeout\": 10"),
        (vec!["auto", "on", "--plugin"], plugin, "note - 2>&1"),
    ] {
        a.ccsync(&on).success();
        let written = fs::read_to_string(&file).unwrap();
        let former = written.replace(part, &part.replace('1', "7"));
        assert_ne!(former, written);
        fs::write(&file, &former).unwrap();
        // As the other version has recorded it.
        let record = a.home.join(".local/state/ccsync/client-settings.json");
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let known = fs::read_to_string(&record).unwrap();
        fs::write(&record, known.replace(&json(&written), &json(&former))).unwrap();

        let status = a.ccsync(["auto", "status"]).success();
        let faulty = "auto:   faulty: another version of ccsync wrote the hooks in ";
        assert!(status.stdout.starts_with(faulty), "{status}");
        let command = format!("`ccsync {}`", on.join(" "));
        assert!(status.stdout.contains(&command), "{status}");
        let json = a.ccsync(["auto", "status", "--json"]).success().json();
        assert_eq!(json["hooks_are_outdated"], true);
        let doctor = a.ccsync(["doctor"]);
        assert!(
            doctor.stdout.contains("another version of ccsync"),
            "{doctor}"
        );
        a.ccsync(&on).success();
        assert_eq!(fs::read_to_string(&file).unwrap(), written);
        let status = a.ccsync(["auto", "status"]).success();
        assert!(status.stdout.starts_with("auto:   on: "), "{status}");
    }
    a.ccsync(["auto", "off"]).success();
    assert!(!settings(&a).exists() && !a.home.join(".claude/skills").exists());
}

#[test]
fn auto_hooks_stay_on_their_machine() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    for machine in [&a, &b] {
        machine
            .ccsync(["config", "set", "extras", "memory,settings"])
            .success();
    }
    write_settings(&a, "{\n  \"theme\": \"dark\"\n}\n");
    a.ccsync(["auto", "on"]).success();
    a.ccsync(["push"]).success();
    b.ccsync(["auto", "on"]).success();
    b.ccsync(["pull"]);
    b.ccsync(["apply", "--yes"]);
    let text = fs::read_to_string(settings(&b)).unwrap();
    assert!(text.contains("dark"), "{text}");
    assert_eq!(text.matches("hook session-start").count(), 1, "{text}");
    let again = b.ccsync(["push"]).success();
    assert!(!again.stdout.contains("settings.json"), "{again}");
}

#[test]
fn hook_answers_nothing_and_never_fails() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let json = format!("{{\"session_id\":\"{ONE}\",\"prompt\":\"hi\"}}");
    // Not set up; unknown events; no JSON; a machine of the cloud.
    assert_silent(&hook(&a, "stop", &json, &[]).success());
    a.init(&env.bare_remote());
    a.ccsync(["auto", "on"]).success();
    assert_silent(&hook(&a, "NewEvent", &json, &[]).success());
    assert_silent(&hook(&a, "user-prompt-submit", "{", &[]).success());
    let cloud = [("CLAUDE_CODE_REMOTE", "true")];
    assert_silent(&hook(&a, "session-start", &json, &cloud).success());
    assert_eq!(
        a.ccsync(["daemon", "--stop"]).success().stdout,
        "daemon: not running\n"
    );
}

#[test]
fn hook_of_client_that_was_open_at_auto_off_does_nothing() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    let json = format!("{{\"session_id\":\"{ONE}\",\"source\":\"clear\"}}");
    let mut client = std::process::Command::new("sleep")
        .arg("300")
        .spawn()
        .unwrap();
    a.mark_running(ONE, client.id());
    let pid = client.id().to_string();
    for on in [vec!["auto", "on"], vec!["auto", "on", "--plugin"]] {
        a.ccsync(on).success();
        a.ccsync(["auto", "off"]).success();
        let before = a.tree();
        for event in ["session-start", "user-prompt-submit", "stop", "session-end"] {
            assert_silent(&hook(&a, event, &json, &[("CLAUDE_PID", &pid)]).success());
        }
        assert_eq!(a.tree(), before);
    }
    client.kill().unwrap();
    client.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn hook_survives_faults_of_this_machine() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    a.ccsync(["auto", "on"]).success();
    let json = format!("{{\"session_id\":\"{ONE}\",\"source\":\"resume\",\"cwd\":\"/\"}}");
    let state = a.home.join(".local/state/ccsync");
    let daemon = state.join("daemon");
    // A file where a directory belongs is refused for root, too.
    fs::create_dir_all(&state).unwrap();
    fs::write(&daemon, "").unwrap();
    for event in ["SessionStart", "UserPromptSubmit", "Stop", "SessionEnd"] {
        assert_silent(&hook(&a, event, &json, &[]).success());
    }
    fs::remove_file(&daemon).unwrap();
    let config = a.home.join(".config/ccsync/config.toml");
    fs::write(&config, "= broken").unwrap();
    assert_silent(&hook(&a, "Stop", &json, &[]).success());
    let shown = hook(&a, "SessionStart", &json, &[]).success();
    assert!(
        shown.json()["systemMessage"]
            .as_str()
            .unwrap()
            .contains("nothing is synced"),
        "{shown}"
    );
    fs::set_permissions(&config, fs::Permissions::from_mode(0o000)).unwrap();
    assert_silent(&hook(&a, "Stop", &json, &[]).success());
}

/// Puts stand-ins of both programs on the PATH, which is returned.
#[cfg(unix)]
fn install_stand_ins(machine: &Machine) -> String {
    let bin = machine.home.join(".bin");
    fs::create_dir_all(&bin).unwrap();
    for (name, text) in [
        ("claude", "echo client \"$@\"; exit 7"),
        (
            "ccsync",
            "echo pull >&2; echo \"$@\" >>\"$HOME/ran\"; exit 3",
        ),
    ] {
        let program = bin.join(name);
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, rights).unwrap();
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

/// Checks the function of a shell. Its aliases must be known when a line is read.
#[cfg(unix)]
#[allow(clippy::print_stderr)]
fn check_shell_function(shell: &str, options: &[&str]) {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    let script = a.ccsync(["shell-init", shell]).success().stdout;
    let path = install_stand_ins(&a);
    let lines =
        format!("alias claude='claude --model opus'\n{script}\nclaude --resume 'a b' '' '*'\n");
    let file = a.home.join("lines");
    fs::write(&file, lines).unwrap();
    if let Err(e) = a.program(shell).arg("--version").output() {
        eprintln!("skipped: {shell}: {e}");
        return;
    }
    let mut command = a.program(shell);
    command.env("PATH", path).args(options).arg(&file);
    let run = a.run(&mut command).code(7);
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("client --resume a b  *\n", "")
    );
    assert_eq!(
        fs::read_to_string(a.home.join("ran")).unwrap(),
        "catch-up\n"
    );
}

#[cfg(unix)]
#[test]
fn shell_init_function_of_bash_runs_client_after_pull() {
    check_shell_function("bash", &["--norc", "-O", "expand_aliases"]);
}

#[cfg(unix)]
#[test]
fn shell_init_function_of_zsh_runs_client_after_pull() {
    check_shell_function("zsh", &["--no-rcs", "-o", "aliases"]);
}

#[cfg(unix)]
#[test]
fn shell_init_function_of_fish_runs_client_after_pull() {
    check_shell_function("fish", &["--no-config"]);
}

/// PowerShell is on no test machine.
#[test]
fn shell_init_function_of_powershell_is_as_checked_by_hand() {
    let env = TestEnv::new();
    let a = machine_with_remote(&env);
    let script = a.ccsync(["shell-init", "powershell"]).success().stdout;
    insta::assert_snapshot!(script);
}
