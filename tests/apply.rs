//! Settings, commands, agents and skills: pushed if configured, applied only after approval.

use std::fs;
use std::path::PathBuf;

#[cfg(unix)]
use crate::harness::Terminal;
use crate::harness::{Machine, TestEnv};

fn file(machine: &Machine, name: &str) -> PathBuf {
    machine.home.join(".claude").join(name)
}

fn write(machine: &Machine, name: &str, text: &str) {
    let path = file(machine, name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn read(machine: &Machine, name: &str) -> Option<String> {
    fs::read_to_string(file(machine, name)).ok()
}

/// Two machines that sync all kinds of extras.
fn pair(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    for machine in [&a, &b] {
        machine
            .ccsync([
                "config",
                "set",
                "extras",
                "memory,claude-md,settings,commands,agents,skills",
            ])
            .success();
    }
    (a, b)
}

/// Pushes on A and pulls on B.
fn send(a: &Machine, b: &Machine) {
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
}

/// Two machines: A has pushed these files, and B has pulled but not approved them.
fn offered(env: &TestEnv, files: &[(&str, &str)]) -> (Machine, Machine) {
    let (a, b) = pair(env);
    files.iter().for_each(|(name, text)| write(&a, name, text));
    send(&a, &b);
    (a, b)
}

/// Two machines that both have these files.
fn shared(env: &TestEnv, files: &[(&str, &str)]) -> (Machine, Machine) {
    let (a, b) = offered(env, files);
    b.ccsync(["apply", "--yes"]).success();
    (a, b)
}

#[test]
fn settings_are_pushed_only_when_enabled() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    write(&a, "settings.json", "{}\n");
    write(&a, "commands/go.md", "!`true`\n");
    let run = a.ccsync(["push"]).success();
    assert!(!run.stdout.contains("extras"), "{run}");
    a.ccsync([
        "config",
        "set",
        "extras",
        "memory,settings,commands,agents,skills",
    ])
    .success();
    for never in [
        "settings.local.json",
        ".credentials.json",
        "sessions/1.key",
        "plugins/p.json",
        "history.jsonl",
        "x.md",
    ] {
        write(&a, never, "secret words\n");
    }
    write(&a, "skills/s/.git/config", "secret words\n");
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout
            .contains("extras: pushed commands/go.md, settings.json"),
        "{run}"
    );
    let store = walkdir::WalkDir::new(a.store())
        .into_iter()
        .flatten()
        .filter(|e| e.file_type().is_file());
    let texts = store.filter_map(|e| fs::read_to_string(e.path()).ok());
    assert!(!texts.into_iter().any(|text| text.contains("secret words")));
    // The other machine does not sync settings.
    let run = b.ccsync(["pull"]).success();
    assert!(!run.stdout.contains("settings"), "{run}");
    assert_eq!(read(&b, "settings.json"), None);
}

#[test]
fn apply_without_terminal_lists_pending_changes() {
    let env = TestEnv::new();
    let (a, b) = offered(&env, &[("settings.json", "{\n  \"model\": \"opus\"\n}\n")]);
    let run = b.ccsync(["pull"]).success();
    insta::assert_snapshot!(run, @r"
    settings.json from a needs your approval (it can run programs): ccsync apply
    pull: no sessions found; on the remote as $COMMIT
    --- exit 0
    ");
    let run = b.ccsync(["apply"]).success();
    insta::assert_snapshot!(run, @r#"
    new file from a: settings.json
      + {
      +   "model": "opus"
      + }
    apply: 1 file needs approval: ccsync apply on a terminal, or ccsync apply --yes
    --- exit 0
    "#);
    assert_eq!(read(&b, "settings.json"), None);
    let json = b.ccsync(["apply", "--json"]).success().json();
    assert_eq!(json["pending"][0]["name"], "settings.json");
    assert_eq!(json["pending"][0]["here"], serde_json::Value::Null);

    b.ccsync(["apply", "--yes", "commands/other.md"]).success();
    assert_eq!(read(&b, "settings.json"), None);
    let run = b.ccsync(["apply", "--yes"]).success();
    assert!(run.stdout.contains("apply: 1 file applied"), "{run}");
    assert_eq!(read(&b, "settings.json"), read(&a, "settings.json"));
    assert_eq!(
        b.ccsync(["apply"]).success().stdout,
        "apply: nothing to approve\n"
    );
    b.ccsync(["undo"]).success();
    assert_eq!(read(&b, "settings.json"), None);
    let run = b.ccsync(["pull"]).success();
    assert!(
        run.stdout.contains("needs your approval"),
        "what was taken back is asked again: {run}"
    );
    b.ccsync(["push"]).success();
    assert!(read(&a, "settings.json").is_some());
}

#[test]
#[cfg(unix)]
fn apply_decision_holds_until_content_changes() {
    let env = TestEnv::new();
    let (a, b) = pair(&env);
    let answer = |key: &str, code: &str| {
        let terminal = Terminal::start(b.command(["apply"]), 100, 30);
        terminal.wait_for("Apply this change?");
        terminal.wait_for_raw();
        terminal.type_in(key);
        let ended = terminal.end().assert_restored().code(0);
        assert!(ended.text().contains(code), "{}", ended.text());
    };
    write(&a, "commands/go.md", "one\n");
    send(&a, &b);
    answer("y", "apply: 1 file applied");
    assert_eq!(read(&b, "commands/go.md").as_deref(), Some("one\n"));

    write(&a, "commands/go.md", "two\n");
    send(&a, &b);
    answer("n", "apply: 1 file rejected");
    assert_eq!(read(&b, "commands/go.md").as_deref(), Some("one\n"));
    for command in ["pull", "apply", "push"] {
        let run = b.ccsync([command]).success();
        assert!(!run.stdout.contains("go.md"), "{run}");
    }
    assert_eq!(
        a.ccsync(["pull"]).success().stdout.matches("go.md").count(),
        0,
        "a no changes nothing elsewhere"
    );

    // The user has approved this content before, so the pull writes it without a
    // question.
    write(&a, "commands/go.md", "one\n");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["sync"]).success();
    assert!(!run.stdout.contains("needs your approval"), "{run}");
    write(&a, "commands/go.md", "three\n");
    send(&a, &b);
    answer("y", "apply: 1 file applied");
    write(&a, "commands/go.md", "one\n");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).success();
    assert!(
        run.stdout.contains("extras: pulled commands/go.md"),
        "{run}"
    );
    assert_eq!(read(&b, "commands/go.md").as_deref(), Some("one\n"));
}

#[test]
#[cfg(unix)]
fn apply_difference_is_escaped_for_terminal() {
    let env = TestEnv::new();
    let (a, b) = pair(&env);
    write(
        &a,
        "agents/x.md",
        "harmless\r\u{1b}[1A\u{1b}[2Kevil\u{202e}txt\u{1b}]0;t\u{7}\n",
    );
    send(&a, &b);
    let run = b.ccsync(["apply", "--dry-run"]).success();
    assert!(
        !run.stdout.contains(['\u{1b}', '\r', '\u{202e}', '\u{7}']),
        "{run}"
    );
    let terminal = Terminal::start(b.command(["apply"]), 100, 30);
    terminal.wait_for("Apply this change?");
    let screen = terminal.screen();
    assert!(
        screen.contains("harmless") && screen.contains("evil\\u{202e}txt"),
        "{screen}"
    );
    terminal.wait_for_raw();
    terminal.type_in("n");
    terminal.end().assert_restored().code(0);
}

#[test]
fn apply_separate_changes_are_merged() {
    let env = TestEnv::new();
    let settings = |one: &str, two: &str| {
        format!("{{\n  \"a\": {one},\n  \"b\": 0,\n  \"c\": 0,\n  \"d\": {two}\n}}\n")
    };
    let (a, b) = shared(&env, &[("settings.json", &settings("0", "0"))]);
    write(&a, "settings.json", &settings("1", "0"));
    write(&b, "settings.json", &settings("0", "2"));
    a.ccsync(["push"]).success();
    b.ccsync(["sync"]).success();
    assert_eq!(
        read(&b, "settings.json"),
        Some(settings("0", "2")),
        "nothing changes without approval"
    );
    b.ccsync(["apply", "--yes"]).success();
    assert_eq!(read(&b, "settings.json"), Some(settings("1", "2")));
    send(&b, &a);
    a.ccsync(["apply", "--yes"]).success();
    assert_eq!(read(&a, "settings.json"), Some(settings("1", "2")));

    // If both changed the same lines, the user decides; a push does not.
    write(&a, "settings.json", &settings("3", "2"));
    write(&b, "settings.json", &settings("4", "2"));
    a.ccsync(["push"]).success();
    b.ccsync(["sync"]).success();
    let run = b.ccsync(["apply", "--dry-run"]).success();
    assert!(
        run.stdout
            .contains("this machine has changed the file, too"),
        "{run}"
    );
    assert_eq!(read(&b, "settings.json"), Some(settings("4", "2")));
    assert_eq!(read(&a, "settings.json"), Some(settings("3", "2")));
}

#[test]
fn settings_concurrent_pushes_need_approval_and_lose_nothing() {
    let env = TestEnv::new();
    let (a, b) = pair(&env);
    write(&a, "commands/go.md", "a\n");
    write(&b, "commands/go.md", "b\n");
    a.ccsync(["push"]).success();
    b.ccsync(["push"]).success();
    for machine in [&a, &b] {
        machine.ccsync(["sync"]).success();
    }
    assert_eq!(
        (
            read(&a, "commands/go.md").as_deref(),
            read(&b, "commands/go.md").as_deref()
        ),
        (Some("a\n"), Some("b\n"))
    );
    let run = b.ccsync(["apply", "--dry-run"]).success();
    assert!(
        run.stdout.contains("change from a: commands/go.md"),
        "{run}"
    );
}

#[test]
fn apply_removes_command_after_approval() {
    let env = TestEnv::new();
    let (a, b) = shared(
        &env,
        &[("commands/go.md", "a\n"), ("commands/other.md", "o\n")],
    );
    fs::remove_file(file(&a, "commands/go.md")).unwrap();
    send(&a, &b);
    assert_eq!(read(&b, "commands/go.md").as_deref(), Some("a\n"));
    let run = b.ccsync(["apply", "--yes"]).success();
    assert!(
        run.stdout.contains("removal from a: commands/go.md"),
        "{run}"
    );
    assert_eq!(read(&b, "commands/go.md"), None);
}

#[test]
fn settings_with_secret_are_not_pushed() {
    let env = TestEnv::new();
    let (a, _) = pair(&env);
    write(
        &a,
        "settings.json",
        "{\"env\": {\"ANTHROPIC_API_KEY\": \"sk-1\"}}\n",
    );
    for command in ["push", "status"] {
        let run = a.ccsync([command]).success();
        assert!(
            run.stdout
                .contains("stays here: settings.json: its `env` names ANTHROPIC_API_KEY"),
            "{run}"
        );
    }
    assert!(!a.store().join("user").exists());
    let key = format!("sk-ant-api03-{}", "a1".repeat(20));
    for (text, reason) in [
        (
            "{\"hooks\": {\"headers\": {\"Authorization\": \"Bearer x\"}}}\n",
            "its `headers` name Authorization",
        ),
        (
            &format!("{{\"statusLine\": {{\"command\": \"ask {key}\"}}}}\n"),
            "it holds what looks like an Anthropic key",
        ),
    ] {
        write(&a, "settings.json", text);
        let run = a.ccsync(["push"]).success();
        assert!(
            run.stdout
                .contains(&format!("stays here: settings.json: {reason}")),
            "{run}"
        );
        assert!(!run.to_string().contains(&key), "{run}");
    }
    assert!(!a.store().join("user").exists());
}

#[test]
#[cfg(unix)]
fn apply_declined_new_file_stays_in_store() {
    let env = TestEnv::new();
    let (a, b) = offered(&env, &[("commands/go.md", "one\n")]);
    let terminal = Terminal::start(b.command(["apply"]), 100, 30);
    terminal.wait_for("Apply this change?");
    terminal.wait_for_raw();
    terminal.type_in("n");
    terminal.end().assert_restored().code(0);
    for command in ["push", "sync"] {
        let run = b.ccsync([command]).success();
        assert!(!run.stdout.contains("go.md"), "{run}");
    }
    let run = a.ccsync(["sync"]).success();
    assert!(!run.stdout.contains("go.md"), "{run}");
    assert!(b.store().join("user/files/commands/go.md").exists());
}

#[test]
fn push_unsent_settings_are_named_and_apply_merges() {
    let env = TestEnv::new();
    let text = |one: &str, two: &str| format!("{one}\n\n- same\n- same again\n\n{two}\n");
    let (a, b) = shared(&env, &[("commands/go.md", &text("0", "0"))]);
    write(&a, "commands/go.md", &text("a", "0"));
    write(&b, "commands/go.md", &text("0", "b"));
    a.ccsync(["push"]).success();
    let run = b.ccsync(["push"]).success();
    assert!(
        run.stdout.contains("go.md from a needs your approval") && !run.stdout.contains("pushed "),
        "{run}"
    );
    b.ccsync(["sync"]).success();
    b.ccsync(["apply", "--yes"]).success();
    assert_eq!(read(&b, "commands/go.md"), Some(text("a", "b")));
    send(&b, &a);
    a.ccsync(["apply", "--yes"]).success();
    assert_eq!(read(&a, "commands/go.md"), Some(text("a", "b")));

    // If both changed the same lines, the message names the loss.
    write(&a, "commands/go.md", &text("3", "b"));
    write(&b, "commands/go.md", &text("4", "b"));
    a.ccsync(["push"]).success();
    b.ccsync(["push"]).success();
    let run = b.ccsync(["apply", "--dry-run"]).success();
    assert!(
        run.stdout
            .contains("this machine has changed the file, too"),
        "{run}"
    );
}

#[test]
fn apply_earlier_approval_does_not_replace_local_change() {
    let env = TestEnv::new();
    let (a, b) = pair(&env);
    write(&a, "commands/go.md", "one\n");
    for text in ["one\n", "two\n"] {
        write(&a, "commands/go.md", text);
        send(&a, &b);
        b.ccsync(["apply", "--yes"]).success();
    }
    write(&a, "commands/go.md", "one\n");
    a.ccsync(["push"]).success();
    write(&b, "commands/go.md", "mine\n");
    let run = b.ccsync(["pull"]).success();
    assert!(run.stdout.contains("needs your approval"), "{run}");
    assert_eq!(read(&b, "commands/go.md").as_deref(), Some("mine\n"));
}

#[test]
fn apply_after_undo_of_merge_asks_again() {
    let env = TestEnv::new();
    let text = |one: &str, two: &str| format!("{one}\n\n- same\n- same again\n\n{two}\n");
    let (a, b) = shared(&env, &[("commands/go.md", &text("0", "0"))]);
    write(&a, "commands/go.md", &text("a", "0"));
    a.ccsync(["push"]).success();
    write(&b, "commands/go.md", &text("0", "b"));
    b.ccsync(["pull"]).success();
    b.ccsync(["apply", "--yes"]).success();
    assert_eq!(read(&b, "commands/go.md"), Some(text("a", "b")));
    b.ccsync(["undo"]).success();
    let run = b.ccsync(["pull"]).success();
    assert!(run.stdout.contains("needs your approval"), "{run}");
    assert_eq!(read(&b, "commands/go.md"), Some(text("0", "b")));
}

#[test]
#[cfg(unix)]
fn apply_file_changed_while_asking_is_skipped() {
    let env = TestEnv::new();
    let (a, b) = pair(&env);
    write(&a, "commands/go.md", "theirs\n");
    write(&b, "commands/go.md", "mine\n");
    send(&a, &b);
    let terminal = Terminal::start(b.command(["apply"]), 100, 30);
    terminal.wait_for("Apply this change?");
    terminal.wait_for_raw();
    write(&b, "commands/go.md", "mine, and more\n");
    terminal.type_in("y");
    let ended = terminal.end().assert_restored().code(3);
    assert!(
        ended.text().contains("it changed after it was shown"),
        "{}",
        ended.text()
    );
    assert_eq!(
        read(&b, "commands/go.md").as_deref(),
        Some("mine, and more\n")
    );
}

#[test]
#[cfg(unix)]
fn settings_directory_replaced_by_symlink_is_not_a_removal() {
    let env = TestEnv::new();
    let (a, b) = shared(
        &env,
        &[("skills/s/SKILL.md", "s\n"), ("skills/s/run.sh", "true\n")],
    );
    fs::rename(file(&a, "skills"), a.home.join("skills")).unwrap();
    std::os::unix::fs::symlink(a.home.join("skills"), file(&a, "skills")).unwrap();
    fs::write(a.home.join("skills/secret.md"), "secret words\n").unwrap();
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout.contains("stays here") && !run.stdout.contains("removed"),
        "{run}"
    );
    let run = b.ccsync(["pull"]).success();
    assert!(!run.stdout.contains("waits"), "{run}");
    let store = walkdir::WalkDir::new(b.store()).into_iter().flatten();
    assert!(
        !store
            .into_iter()
            .any(|entry| entry.file_name() == "secret.md")
    );
}

#[test]
fn settings_invalid_json_is_not_pushed() {
    let env = TestEnv::new();
    let (a, _) = pair(&env);
    write(
        &a,
        "settings.json",
        "{\"env\": {\"ANTHROPIC_API_KEY\": \"sk-1\",}}\n",
    );
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout
            .contains("stays here: settings.json: it is not JSON"),
        "{run}"
    );
}

#[cfg(unix)]
mod programs {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::harness::Clone;

    const RUN: &str = "skills/s/run.sh";

    fn mode(machine: &Machine, name: &str) -> u32 {
        fs::metadata(file(machine, name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    }

    fn set_mode(machine: &Machine, name: &str, mode: u32) {
        fs::set_permissions(file(machine, name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn assert_silent(machine: &Machine) {
        for command in ["push", "pull", "apply"] {
            let run = machine.ccsync([command]).success();
            assert!(!run.stdout.contains("skills"), "{}: {run}", machine.name);
        }
    }

    /// Two machines with an executable script.
    fn with_script(env: &TestEnv) -> (Machine, Machine) {
        let (a, b) = pair(env);
        write(&a, "skills/s/SKILL.md", "s\n");
        write(&a, RUN, "#!/bin/sh\n\none\n\ntwo\n");
        set_mode(&a, RUN, 0o755);
        send(&a, &b);
        let run = b.ccsync(["apply", "--yes"]).success();
        assert_eq!(run.stdout.matches("becomes executable").count(), 1, "{run}");
        (a, b)
    }

    #[test]
    fn apply_skill_script_is_executable_after_approval() {
        let env = TestEnv::new();
        let (a, b) = with_script(&env);
        assert_eq!(
            (mode(&b, RUN), mode(&b, "skills/s/SKILL.md")),
            (0o700, 0o600)
        );
        [&a, &b].into_iter().for_each(assert_silent);
        assert_eq!(mode(&a, RUN), 0o755, "the rest of the mode stays");

        // A change of the executable bit alone needs approval, too.
        for (from, to, program, what) in [
            (&a, &b, false, "is no longer executable"),
            (&b, &a, true, "becomes executable"),
        ] {
            set_mode(from, RUN, if program { 0o755 } else { 0o644 });
            let run = from.ccsync(["push"]).success();
            assert!(run.stdout.contains("pushed skills/s/run.sh"), "{run}");
            let before = mode(to, RUN);
            let run = to.ccsync(["pull"]).success();
            assert!(
                run.stdout.contains("skills/s/run.sh from")
                    && run.stdout.contains("needs your approval"),
                "{run}"
            );
            assert_eq!(mode(to, RUN), before);
            let json = to.ccsync(["apply", "--json"]).success().json();
            let shown = (
                &json["pending"][0]["executable_here"],
                &json["pending"][0]["executable"],
            );
            assert_eq!(shown, (&(!program).into(), &program.into()));
            let run = to.ccsync(["apply", "--yes"]).success();
            assert!(
                run.stdout.contains(what) && !run.stdout.contains("  +"),
                "{run}"
            );
            assert_eq!(mode(to, RUN) & 0o100 != 0, program);
            [&a, &b].into_iter().for_each(assert_silent);
        }
        a.ccsync(["undo"]).success();
        assert_eq!(mode(&a, RUN), 0o644);
        let run = a.ccsync(["pull"]).success();
        assert!(
            run.stdout.contains("needs your approval"),
            "what was taken back is asked again: {run}"
        );
    }

    #[test]
    fn apply_executable_bit_and_text_changes_are_merged() {
        let env = TestEnv::new();
        let (a, b) = with_script(&env);
        write(&a, RUN, "#!/bin/sh\n\none\n\nTWO\n");
        set_mode(&b, RUN, 0o644);
        a.ccsync(["push"]).success();
        b.ccsync(["sync"]).success();
        let run = b.ccsync(["apply", "--yes"]).success();
        assert!(!run.stdout.contains("executable"), "{run}");
        assert_eq!(
            (read(&b, RUN).unwrap().contains("TWO"), mode(&b, RUN)),
            (true, 0o600)
        );
        send(&b, &a);
        a.ccsync(["apply", "--yes"]).success();
        assert_eq!((read(&a, RUN), mode(&a, RUN)), (read(&b, RUN), 0o600));
        [&a, &b].into_iter().for_each(assert_silent);
    }

    #[test]
    fn apply_declined_executable_bit_stays_in_store() {
        let env = TestEnv::new();
        let (a, b) = shared(&env, &[(RUN, "true\n")]);
        set_mode(&a, RUN, 0o755);
        send(&a, &b);
        let terminal = Terminal::start(b.command(["apply"]), 100, 30);
        terminal.wait_for("Apply this change?");
        terminal.wait_for_raw();
        terminal.type_in("n");
        terminal.end().assert_restored().code(0);
        assert_eq!(mode(&b, RUN), 0o600);
        [&b, &a].into_iter().for_each(assert_silent);
        assert_eq!(mode(&a, RUN), 0o755);
    }

    #[test]
    fn settings_older_version_keeps_executable_bit() {
        let env = TestEnv::new();
        let (a, b) = with_script(&env);
        let clone = Clone::new(&env.remote_of_pair(), &a);
        let bundle = fs::read_to_string(clone.path.join("user/bundle.json")).unwrap();
        assert!(bundle.contains("\"executable\": true,\n"), "{bundle}");
        clone.write(
            "user/bundle.json",
            bundle.replace("      \"executable\": true,\n", ""),
        );
        clone.push();
        let run = b.ccsync(["pull"]).success();
        assert!(!run.stdout.contains("skills"), "{run}");
        assert_eq!(mode(&b, RUN), 0o700);
        // A machine that has the script pushes its executable bit again.
        b.ccsync(["push"]).success();
        [&a, &b].into_iter().for_each(assert_silent);
        let c = env.machine("c");
        c.init(&env.remote_of_pair());
        c.ccsync(["config", "set", "extras", "skills"]).success();
        c.ccsync(["pull"]).success();
        c.ccsync(["apply", "--yes"]).success();
        assert_eq!((mode(&c, RUN), mode(&a, RUN)), (0o700, 0o755));
    }
}
