//! `init` and `config`: one machine after another, again and again.

use std::fs;

use crate::harness::{ONE, TestEnv, questions};

#[test]
fn init_without_a_terminal_asks_nothing() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let run = a.ccsync(["init"]).success();
    assert!(run.stdout.ends_with("init: this machine is set up\n"), "{run}");
    assert!(run.stderr.contains("ccsync init --remote URL"), "{run}");
}

#[test]
fn init_names_what_it_set_up() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, b) = (env.machine("a"), env.machine("b"));
    insta::assert_snapshot!(a.init(&remote), @r"
      machine  a
      remote   $ROOT/remote-1.git
      HOME     $ROOT/a/home/al
    init: this machine is set up
    --- stderr
    hint: next: ccsync push
    --- exit 0
    ");
    a.ccsync(["config", "add-placeholder", "WORK=~/work"]).success();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    insta::assert_snapshot!(b.init(&remote), @r"
      machine  b
      remote   $ROOT/remote-1.git
      others   a
      HOME     $ROOT/b/Users/alex/deep.er
    init: this machine is set up
    --- stderr
    hint: other machines have a placeholder WORK; to give it a directory here: ccsync config add-placeholder WORK=PATH
    hint: next: ccsync push
    --- exit 0
    ");
}

#[test]
fn init_again_changes_only_what_is_given() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let show = || a.ccsync(["config", "show", "--json"]).success().json();
    let before = show();
    a.ccsync(["init", "--yes", "--name", "renamed"]).success();
    let after = show();
    assert_eq!((&after["id"], &after["remote"]), (&before["id"], &before["remote"]));
    assert_eq!(after["name"], "renamed");
}

#[test]
fn a_push_before_init_keeps_sessions_on_this_disk() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.session(ONE).turn("hello").write();
    let push = a.ccsync(["push"]).success();
    assert_eq!(push.summary(), "push: 1 session: 1 added; on the remote as $COMMIT");
    assert_eq!(push.stderr.lines().count(), 2, "{push}");
    assert!(push.stderr.contains("ccsync init --remote URL"), "{push}");
}

#[test]
fn a_remote_named_later_takes_over_what_was_kept_here() {
    let env = TestEnv::new();
    let (a, b) = (env.machine("a"), env.machine("b"));
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let remote = env.bare_remote();
    let report = a.ccsync(["init", "--yes", "--json", "--remote", remote.to_str().unwrap()]).success().json();
    assert_eq!((&report["carried_over"], &report["embedded"]), (&1.into(), &false.into()));
    b.init(&remote);
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
}

#[test]
fn a_dry_run_does_not_set_up() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let before = a.tree();
    a.ccsync(["push", "--dry-run"]).code(1);
    assert_eq!(a.tree(), before);
}

#[test]
fn settings_are_got_and_set() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    assert_eq!(a.ccsync(["config", "get", "days"]).success().stdout, "30\n");
    a.ccsync(["config", "set", "days", "7"]).success();
    assert_eq!(a.ccsync(["config", "get", "days"]).success().stdout, "7\n");
    a.ccsync(["config", "set", "name", "my laptop"]).success();
    a.ccsync(["config", "set", "paths", "original"]).success();
    insta::assert_snapshot!(a.ccsync(["config", "show"]).success(), @r"
    file    $ROOT/a/home/al/.config/ccsync/config.toml
    id      $MACHINE
    name    my laptop
    remote  $ROOT/remote-1.git
    paths   original
    days    7
    beside  memory,claude-md
    --- exit 0
    ");
}

#[test]
fn the_secret_of_a_remote_is_never_shown() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.ccsync(["init", "--yes"]).success();
    let file = a.home.join(".config/ccsync/config.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("remote = \"https://al:hunter2@127.0.0.1:1/s.git\"\n{text}")).unwrap();
    for args in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["config", "get", "remote"],
        &["status"],
        &["status", "--json"],
        &["pull"],
        &["push"],
    ] {
        let run = a.ccsync(args);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("hunter2"), "{args:?}\n{run}");
    }
}
