//! What a person reads when something is wrong, and the exit code that a script gets.

use std::fs;
use std::process::Stdio;

use crate::harness::{ONE, TestEnv};

#[test]
fn commands_before_init_say_what_to_type() {
    let env = TestEnv::new();
    let a = env.machine("a");
    for command in ["pull", "status", "list", "undo"] {
        let run = a.ccsync([command]);
        assert_eq!(run.to_string(), a.ccsync(["pull"]).to_string(), "{command}");
    }
    insta::assert_snapshot!(a.ccsync(["pull"]));
}

#[test]
fn wrong_usage_is_2() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    for args in [
        &["pusj"][..],
        &["push", "--fast"],
        &["pull", "../x"],
        &["pull", "--days", "0"],
        &["pull", "--force"],
        &["config", "set", "colour", "red"],
        &["config", "set", "days", "many"],
        &["config", "set", "paths", "both"],
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
fn a_remote_that_is_not_there() {
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
fn a_remote_that_runs_programs() {
    let env = TestEnv::new();
    insta::assert_snapshot!(env.machine("a").ccsync([
        "init",
        "--yes",
        "--remote",
        "ext::sh -c evil"
    ]));
}

#[test]
fn a_configuration_that_cannot_be_read() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let file = a.home.join(".config/ccsync/config.toml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("colour = \"red\"\n{good}")).unwrap();
    insta::assert_snapshot!("unknown_key", a.ccsync(["push"]));
    fs::write(&file, "days = \n").unwrap();
    insta::assert_snapshot!("not_toml", a.ccsync(["status"]));
    fs::write(&file, good.replace("days = 30", "days = 0")).unwrap();
    insta::assert_snapshot!("bad_value", a.ccsync(["pull"]));
}

#[test]
fn a_session_that_nobody_has() {
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
        "the other is brought all the same\n{both}"
    );
}

#[test]
fn a_setting_that_does_not_exist() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    insta::assert_snapshot!(a.ccsync(["config", "get", "colour"]));
}

#[test]
fn a_path_for_a_machine_that_is_unknown() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    insta::assert_snapshot!(a.ccsync(["config", "set-path", "WORK", "nobody", "/x"]));
}

#[test]
fn without_git() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    env.let_git_serve();
    let mut command = a.command(["pull"]);
    command.env("PATH", env.root());
    insta::assert_snapshot!(a.run(&mut command));
}

#[test]
fn without_a_home() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let mut command = a.command(["status"]);
    command.env_remove("HOME");
    insta::assert_snapshot!(a.run(&mut command));
}

#[test]
fn a_store_of_a_later_format_is_refused_and_left_alone() {
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
    fs::write(&format, text.replacen('1', "9999", 1)).unwrap();
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

/// The file at the top of the store that names its format.
fn format_file(clone: &std::path::Path) -> std::path::PathBuf {
    let files = fs::read_dir(clone).unwrap().map(|e| e.unwrap().path());
    let names_format = |path: &std::path::PathBuf| {
        path.is_file()
            && fs::read_to_string(path)
                .is_ok_and(|text| text.contains("format") && text.contains('1'))
    };
    let mut found: Vec<_> = files.filter(names_format).collect();
    found.sort();
    found.pop().expect("the store says its format")
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
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
fn a_full_disk_behind_standard_output_is_an_error() {
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
fn quiet_says_nothing_when_there_is_nothing_to_say() {
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
fn colors_are_for_terminals_and_those_who_ask() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    let has_colors = |args: &[&str]| a.ccsync(args).stdout.contains('\u{1b}');
    assert!(has_colors(&["push", "--dry-run", "--color", "always"]));
    assert!(!has_colors(&["push", "--dry-run"]));
    assert!(!has_colors(&["push", "--dry-run", "--color", "never"]));
}

#[test]
fn every_json_document_has_version_and_command() {
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
            (&1.into(), &command.into()),
            "{args:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_command_is_130() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    env.let_git_serve();
    a.session(ONE).turn("hello").write();
    // A `git` that never answers, so that the signal arrives in the middle of the work.
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
