//! Remotes whose rules forbid what a lock needs, merges, or unknown authors: the data reaches
//! them all the same.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::client::Client;
use crate::harness::{Machine, ONE, TestEnv, questions};
use crate::resume::locked_sessions;

const TWO: &str = "22222222-0000-4000-8000-000000000002";

/// A hook that requires a linear history.
const NO_MERGES: &str = "case $new in 0000*) continue;; esac\n\
    [ -z \"$(git rev-list --merges $new --not --all)\" ] || { echo no merges >&2; exit 1; }";

/// Lets the remote run a script for each push. It gets `old new ref` lines.
fn set_hook(remote: &Path, script: &str) {
    let hook = remote.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = format!("#!/bin/sh\nwhile read old new ref; do\n{script}\ndone\nexit 0\n");
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

fn configure(remote: &Path, key: &str, value: &str) {
    let status = std::process::Command::new("git")
        .args(["config", "--file"])
        .arg(remote.join("config"))
        .args([key, value])
        .status();
    assert!(status.unwrap().success());
}

/// Returns the text of all sessions on the remote.
fn on_remote(env: &TestEnv, machine: &Machine) -> String {
    let mut git = machine.program("git");
    git.arg("--git-dir").arg(env.remote_of_pair());
    git.args(["grep", "-h", "-F", "", "main", "--", "sessions"]);
    machine.run(&mut git).success().stdout
}

#[test]
fn rules_against_deletion_cost_no_data() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    configure(&env.remote_of_pair(), "receive.denyDeletes", "true");
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let run = at_b.run(&["resume", ONE], "from b").success();
    assert!(
        run.stderr
            .contains("the remote keeps the branches of locks"),
        "{run}"
    );
    assert!(on_remote(&env, &b).contains("from b"));
    b.session(TWO).turn("another session").write();
    b.ccsync(["push"]).success();
    assert!(on_remote(&env, &b).contains("another session"));

    // The kept branch says that the lock is free, and is not shown as one.
    assert!(!locked_sessions(&env.remote_of_pair(), &b).is_empty());
    let shown = b.ccsync(["lock", "show"]).success();
    assert!(!shown.stdout.contains(&ONE[..8]), "{shown}");
    at_a.run(&["resume", ONE], "from a").success();
    let child = at_a.start(&["resume", ONE], "held by a");
    at_b.run(&["resume", ONE], "never said").code(4);
    at_a.finish();
    a.ended(child).success();
    let again = at_b.run(&["resume", ONE], "again").success();
    assert!(
        !again.stderr.contains("keeps the branches"),
        "said once: {again}"
    );
    assert!(on_remote(&env, &b).contains("again"));
    b.ccsync(["lock", "cleanup"]).success();
}

#[test]
fn rules_set_during_run_cost_no_data() {
    for (key, value) in [
        ("receive.denyDeletes", "true"),
        ("receive.denyNonFastForwards", "true"),
        ("receive.advertiseAtomic", "false"),
    ] {
        let env = TestEnv::new();
        let (_, b) = env.pair_with_session();
        let at_b = Client::install(&b);
        let child = at_b.start(&["resume", ONE], "from b");
        configure(&env.remote_of_pair(), key, value);
        b.ccsync(["push"]).success();
        at_b.finish();
        b.ended(child).success();
        assert!(on_remote(&env, &b).contains("from b"), "{key}");
        b.session(TWO).turn("another session").write();
        let run = b.ccsync(["push"]).success();
        assert!(
            on_remote(&env, &b).contains("another session"),
            "{key}: {run}"
        );
    }
}

#[test]
fn rules_against_locks_let_sessions_continue() {
    let scripts = [
        "case $ref in refs/heads/main) ;; *) echo no such names >&2; exit 1;; esac",
        "case $ref in refs/heads/main) ;; *) [ \"$old\" = 0000000000000000000000000000000000000000 ] || { echo no moves >&2; exit 1; };; esac",
    ];
    for script in scripts {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        set_hook(&env.remote_of_pair(), script);
        let (at_a, at_b) = (Client::install(&a), Client::install(&b));
        for text in ["from b", "more from b"] {
            let run = at_b.run(&["resume", ONE], text).success();
            assert!(run.stderr.contains("continuing without a lock"), "{run}");
            assert!(on_remote(&env, &b).contains(text), "{run}");
        }
        at_a.run(&["start"], "new on a").success();
        assert!(on_remote(&env, &b).contains("new on a"));
        at_a.run(&["resume", ONE, "--offline"], "offline").success();
        for machine in [&a, &b] {
            machine.ccsync(["sync"]);
        }
        let all: Vec<_> = b.sessions().iter().map(|id| b.text(id)).collect();
        assert!(all.iter().any(|text| text.contains("offline")));
    }
}

#[test]
fn rules_against_atomic_pushes_cost_no_data() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    configure(&env.remote_of_pair(), "receive.advertiseAtomic", "false");
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    at_b.run(&["resume", ONE], "from b").success();
    at_a.run(&["resume", ONE], "from a").success();
    assert!(on_remote(&env, &b).contains("from a"));
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        Vec::<String>::new()
    );
    let child = at_a.start_late(&["resume", ONE], "held by a");
    at_b.run(&["resume", ONE, "--take-over"], "taken by b")
        .success();
    at_a.finish();
    let run = a.ended(child).success();
    assert!(run.stderr.contains("is now a fork"), "{run}");
}

#[test]
fn rules_against_merges_keep_history_linear() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (remote, away) = (env.remote_of_pair(), env.root().join("away.git"));
    set_hook(&remote, NO_MERGES);
    let merges = || a.git(&["log", "--merges", "--oneline", "origin/main"]);
    let before = merges();
    for round in 0..2 {
        let milestone = format!("m{round}");
        a.append(ONE, &format!("a{round}"));
        fs::rename(&remote, &away).unwrap();
        a.ccsync(["milestone", &milestone]);
        fs::rename(&away, &remote).unwrap();
        a.append(ONE, &format!("later{round}"));
        b.session(&format!("2222222{round}-0000-4000-8000-000000000002"))
            .turn(&format!("b{round}"))
            .write();
        b.ccsync(["push"]).success();
        a.ccsync(["push"]).success();
        b.ccsync(["sync"]).success();
        let restore = ["restore", "--milestone", &milestone, "--dry-run"];
        b.ccsync(restore).success();
    }
    let all = ["hello", "a0", "later0", "a1", "later1"];
    assert_eq!(questions(&b.text(ONE)), all);
    a.ccsync(["sync"]).success();
    assert_eq!(a.sessions().len(), 3);
    assert_eq!(merges(), before);
}

#[test]
fn rules_about_authors_are_met_by_a_setting() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    set_hook(
        &env.remote_of_pair(),
        "case $new in 0000*) continue;; esac\n\
         for e in $(git log --format='%ae %ce' $new --not --all); do\n\
         case $e in *@corp.example) ;; *) echo \"author address $e is unknown\" >&2; exit 1;; esac; done",
    );
    let mut git = b.program("git");
    git.args(["config", "--global", "user.email", "al@corp.example"]);
    b.run(&mut git).success();
    b.session(TWO).turn("another session").write();
    let run = b.ccsync(["push"]);
    assert_ne!(run.code, Some(0), "{run}");
    let advice = "ccsync config set author '";
    let begin = run.stdout.find(advice).unwrap_or_else(|| panic!("{run}")) + advice.len();
    let author = run.stdout[begin..].split('\'').next().unwrap();
    assert!(author.ends_with("<al@corp.example>"), "{run}");

    let doctor = b.ccsync(["doctor"]);
    assert!(
        doctor.stdout.contains(&format!("{advice}{author}'")),
        "{doctor}"
    );
    b.ccsync(["config", "set", "author", author]).success();
    b.ccsync(["push"]).success();
    assert!(on_remote(&env, &b).contains("another session"));
    let at_b = Client::install(&b);
    let run = at_b.run(&["resume", ONE], "from b").success();
    assert!(!run.stderr.contains("without a lock"), "{run}");
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(ONE)), ["hello", "from b"]);
    let log = a.ccsync(["log", ONE]).success();
    assert!(
        log.stdout.contains(" b"),
        "the machine is still known: {log}"
    );
}

#[test]
fn doctor_names_each_rule_of_remote() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let remote = env.remote_of_pair();
    let line = |name: &str| {
        let run = a.ccsync(["doctor"]);
        let lines = run.stdout.lines();
        let found = lines.filter(|line| line.contains(name)).map(str::to_owned);
        found.collect::<Vec<_>>().join("\n")
    };
    configure(&remote, "receive.advertiseAtomic", "false");
    assert!(line("atomic pushes").contains("one after the other"));
    set_hook(&remote, NO_MERGES);
    assert!(line("merge commits").contains("kept linear"));
    configure(&remote, "receive.denyNonFastForwards", "true");
    assert!(line("lock branches").contains("cannot move one"));
    for _ in 0..2 {
        configure(&remote, "receive.denyDeletes", "true");
        assert!(line("lock branches").contains("cannot move or delete one"));
    }
    assert_eq!(locked_sessions(&remote, &a).len(), 1, "the same each time");
}
