//! The messages and exit codes of errors.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{ONE, TestEnv};

#[test]
fn error_before_init_names_command() {
    let env = TestEnv::new();
    let a = env.machine("a");
    for command in ["pull", "status", "list", "undo"] {
        let run = a.ccsync([command]);
        assert_eq!(run.to_string(), a.ccsync(["pull"]).to_string(), "{command}");
    }
    insta::assert_snapshot!(a.ccsync(["pull"]));
}

#[test]
fn error_wrong_usage_exits_2() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    for args in [
        &["pusj"][..],
        &["push", "--fast"],
        &["pull", "../x"],
        &["pull", "--days", "0"],
        &["pull", "--force"],
        &["config", "set", "colour", "red"],
        &["config", "set", "pull_max_age", "many"],
        &["config", "set", "localize", "both"],
        &["config", "set", "name", ""],
        &["config", "set", "remote", "ext::sh -c x"],
        &["config", "add-placeholder", "work=/x"],
        &["config", "add-placeholder", "HOME=/x"],
        &["config", "add-placeholder", "WORK=/"],
        &["init", "--remote", "-oProxyCommand=x"],
        &["init", "--yes", "--remote", "ext::sh -c x"],
        &["completions", "tcsh-of-old"],
    ] {
        let run = a.ccsync(args);
        assert_eq!(run.code, Some(2), "{args:?}\n{run}");
        assert_eq!(run.stdout, "", "{args:?}");
    }
}

#[test]
fn error_init_with_missing_remote() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let gone = env.root().join("gone.git");
    insta::assert_snapshot!(a.ccsync([
        "init",
        "--yes",
        "--name",
        "a",
        "--remote",
        gone.to_str().unwrap()
    ]));
}

#[test]
fn error_init_with_remote_helper_is_refused() {
    let env = TestEnv::new();
    insta::assert_snapshot!(env.machine("a").ccsync([
        "init",
        "--yes",
        "--remote",
        "ext::sh -c evil"
    ]));
}

#[test]
fn error_invalid_config_names_line() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let file = a.home.join(".config/ccsync/config.toml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("colour = \"red\"\n{good}")).unwrap();
    insta::assert_snapshot!("unknown_key", a.ccsync(["push"]));
    fs::write(&file, "localize = \n").unwrap();
    insta::assert_snapshot!("not_toml", a.ccsync(["status"]));
    fs::write(&file, good.replace("pull_max_age = 30", "pull_max_age = 0")).unwrap();
    insta::assert_snapshot!("bad_value", a.ccsync(["pull"]));
}

#[test]
fn error_unknown_session_is_same_in_pull_and_log() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let pulled = a.ccsync(["pull", "9999"]);
    insta::assert_snapshot!(pulled);
    let logged = a.ccsync(["log", "9999"]);
    assert_eq!(
        (pulled.code, &pulled.stderr),
        (logged.code, &logged.stderr),
        "one message"
    );
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let both = a.ccsync(["pull", "9999", "1111"]).code(3);
    assert!(
        both.stdout.contains("no session 9999 in the store"),
        "the other session is pulled all the same\n{both}"
    );
}

#[test]
fn error_unknown_setting_lists_settings() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    insta::assert_snapshot!(a.ccsync(["config", "get", "colour"]));
}

#[test]
fn error_set_path_for_unknown_machine() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    insta::assert_snapshot!(a.ccsync(["config", "set-path", "WORK", "laptop", "/x"]));
}

#[test]
fn error_without_git_names_git() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let mut command = a.command(["pull"]);
    command.env("PATH", env.root());
    insta::assert_snapshot!(a.run(&mut command));
}

#[test]
fn error_without_home_names_variable() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let mut command = a.command(["status"]);
    command.env_remove("HOME");
    insta::assert_snapshot!(a.run(&mut command));
}

#[test]
fn error_newer_store_format_is_refused_and_unchanged() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, b) = (env.machine("a"), env.machine("b"));
    a.init(&remote);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let clone = env.root().join("clone");
    let git = |args: &[&str]| {
        a.run(a.program("git").arg("-C").arg(env.root()).args(args))
            .success()
    };
    git(&[
        "clone",
        "--quiet",
        remote.to_str().unwrap(),
        clone.to_str().unwrap(),
    ]);
    let format = format_file(&clone);
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replacen('2', "9999", 1)).unwrap();
    git(&[
        "-C",
        clone.to_str().unwrap(),
        "commit",
        "--quiet",
        "-am",
        "later",
    ]);
    git(&["-C", clone.to_str().unwrap(), "push", "--quiet"]);
    let head = a
        .run(
            a.program("git")
                .arg("-C")
                .arg(&remote)
                .args(["rev-parse", "main"]),
        )
        .success()
        .stdout;

    insta::assert_snapshot!("later_format_pull", a.ccsync(["pull"]));
    let init = b.ccsync([
        "init",
        "--yes",
        "--name",
        "b",
        "--remote",
        remote.to_str().unwrap(),
    ]);
    assert_eq!(init.code, Some(1), "{init}");
    a.append(ONE, "more");
    let push = a.ccsync(["push"]);
    assert_ne!(push.code, Some(0), "{push}");
    let after = a
        .run(
            a.program("git")
                .arg("-C")
                .arg(&remote)
                .args(["rev-parse", "main"]),
        )
        .success()
        .stdout;
    assert_eq!(after, head, "the remote is untouched");
}

/// Returns the file at the top of the store that names its format.
fn format_file(clone: &std::path::Path) -> std::path::PathBuf {
    let files = fs::read_dir(clone).unwrap().map(|e| e.unwrap().path());
    let names_format = |path: &std::path::PathBuf| {
        path.is_file()
            && fs::read_to_string(path)
                .is_ok_and(|text| text.contains("format") && text.contains('2'))
    };
    let mut found: Vec<_> = files.filter(names_format).collect();
    found.sort();
    found.pop().expect("the store says its format")
}

#[test]
fn output_closed_pipe_is_no_error() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    for args in [
        &["push"][..],
        &["list"],
        &["status", "--json"],
        &["--help"],
        &["man"],
        &["completions", "bash"],
    ] {
        let mut child = a
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), stderr.as_ref()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_full_disk_is_error() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = a
        .command(["status"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .starts_with("error: cannot write to standard output")
    );
}

#[test]
fn output_quiet_without_problem_is_empty() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    for args in [["push", "--quiet"], ["pull", "-q"], ["sync", "-q"]] {
        let run = a.ccsync(args).success();
        assert_eq!(
            (run.stdout.as_str(), run.stderr.as_str()),
            ("", ""),
            "{args:?}"
        );
    }
}

#[test]
fn output_colors_need_terminal_or_flag() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    let has_colors = |args: &[&str]| a.ccsync(args).stdout.contains('\u{1b}');
    assert!(has_colors(&["push", "--dry-run", "--color", "always"]));
    assert!(!has_colors(&["push", "--dry-run"]));
    assert!(!has_colors(&["push", "--dry-run", "--color", "never"]));
}

#[test]
fn json_every_document_has_version_and_command() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    for (args, command) in [
        (&["init", "--yes", "--json"][..], "init"),
        (&["push", "--json"], "push"),
        (&["pull", "--json"], "pull"),
        (&["sync", "--json"], "sync"),
        (&["status", "--json"], "status"),
        (&["list", "--json"], "list"),
        (&["undo", "--json"], "undo"),
        (&["verify", "--json"], "verify"),
        (&["repair", ONE, "--json"], "repair"),
        (&["config", "show", "--json"], "config show"),
    ] {
        let run = a.ccsync(args).success();
        assert_eq!(run.stdout.lines().count(), 1, "{args:?}\n{run}");
        let document = run.json();
        assert_eq!(
            (&document["version"], &document["command"]),
            (&2.into(), &command.into()),
            "{args:?}"
        );
    }
}

#[test]
fn json_error_is_one_line_on_standard_error() {
    let env = TestEnv::new();
    let (new, (a, _)) = (env.machine("new"), env.pair());
    for (machine, args, kind) in [
        (&new, &["status", "--json"][..], "failed"),
        (&a, &["show", "9999", "--json"], "failed"),
        (&a, &["show", "9999", "--format", "json"], "failed"),
        (&a, &["machine", "forget", "b", "--json"], "usage"),
        (&a, &["search", "a(b", "--regex", "--json"], "usage"),
        (&a, &["pull", "--force", "--json"], "usage"),
        (&a, &["push", "--days=x", "--json"], "usage"),
        (&a, &["pusj", "--json"], "usage"),
        (&a, &["repair", "--json"], "usage"),
    ] {
        let run = machine.ccsync(args);
        assert_eq!(run.stdout, "", "{args:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run}");
        let document: Value = serde_json::from_str(&run.stderr).unwrap();
        let error = &document["error"];

        assert_eq!(error["kind"], kind, "{args:?}\n{run}");
        assert_eq!(error["exit_code"], run.code.unwrap(), "{args:?}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("error:"), "{run}");
        assert!(error["causes"].is_array(), "{run}");
        assert!(!error["hints"].as_array().unwrap().is_empty(), "{run}");
    }
}

#[test]
fn json_error_without_remote_has_kind_and_causes() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    fs::remove_dir_all(env.remote_of_pair()).unwrap();
    let run = a.ccsync(["pull", "--json"]).code(1);
    let last = run.stderr.lines().last().unwrap();
    let document: Value = serde_json::from_str(last).unwrap();
    assert_eq!(document["error"]["kind"], "remote", "{run}");
    assert_ne!(document["error"]["causes"], json!([]), "{run}");
}

#[cfg(unix)]
#[test]
fn error_interrupted_command_exits_130() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    // This `git` never answers, so that the signal arrives while the command runs.
    let bin = env.root().join("bin");
    fs::create_dir(&bin).unwrap();
    let git = bin.join("git");
    let started = env.root().join("started");
    fs::write(
        &git,
        format!("#!/bin/sh\n: > {}\nexec sleep 60\n", started.display()),
    )
    .unwrap();
    fs::set_permissions(&git, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let child = a
        .command(["push"])
        .env("PATH", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !started.exists() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.starts_with("error: interrupted"), "{stderr}");
    a.ccsync(["push"]).success();
}
