//! The history of the remote is rewritten to remove a secret: it does not come back from the
//! machines that still have it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Clone, Machine, ONE, Run, TWO, TestEnv, questions};

const THREE: &str = "33333333-0000-4000-8000-000000000003";
const SECRET: &str = "SECRETXYZ";
const NOTICE: &str = "the history of the remote was rewritten";

/// Rewrites every commit of the remote with a command for its files.
fn rewrite(env: &TestEnv, command: &str) {
    let other = env.machine("other");
    let clone = Clone::new(&env.remote_of_pair(), &other);
    let mut git = other.program("git");
    git.env("FILTER_BRANCH_SQUELCH_WARNING", "1");
    git.arg("-C").arg(&clone.path);
    git.args(["filter-branch", "--force", "--tree-filter", command, "main"]);
    other.run(&mut git).success();
    clone.git(&["push", "--quiet", "--force", "origin", "main"]);
}

fn git(machine: &Machine, remote: &Path, args: &[&str]) -> String {
    let mut command = machine.program("git");
    let run = machine.run(command.arg("-C").arg(remote).args(args));
    run.success().stdout
}

/// Returns the commits of the remote that have the secret.
fn leaks(env: &TestEnv, machine: &Machine) -> String {
    let remote = env.remote_of_pair();
    git(
        machine,
        &remote,
        &["log", "--all", "--format=%h %s", "-S", SECRET],
    )
}

/// Asserts that a machine asks before it follows or refills the remote, and lets it do so.
#[track_caller]
fn decide(machine: &Machine, command: &str, choice: &str) -> Run {
    let remote = machine.git(&["rev-parse", "origin/main"]);
    for _ in 0..2 {
        let run = machine.ccsync([command]).code(1);
        assert!(run.stderr.contains("another program has changed"), "{run}");
        assert!(run.stderr.contains("ccsync recover --follow"), "{run}");
        assert!(run.stderr.contains("ccsync recover --refill"), "{run}");
    }
    assert_eq!(machine.git(&["rev-parse", "origin/main"]), remote);
    machine.ccsync(["recover", choice]).success()
}

/// Returns two machines with a session that has the secret, and another one.
fn pair_with_secret(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).turn("harmless").write();
    a.session(TWO).turn(SECRET).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    (a, b)
}

#[test]
fn push_purged_session_does_not_return() {
    for is_here in [false, true] {
        let env = TestEnv::new();
        let (a, b) = pair_with_secret(&env);
        // Turns that were not sent yet survive.
        b.append(ONE, "more");
        b.session(THREE).turn("new").write();
        rewrite(&env, &format!("rm -rf sessions/*/{TWO}"));
        if !is_here {
            fs::remove_file(a.transcript_path(TWO)).unwrap();
            fs::remove_file(b.transcript_path(TWO)).unwrap();
        }
        for (machine, command) in [(&b, "push"), (&a, "sync")] {
            let run = decide(machine, command, "--follow");
            assert!(run.stdout.contains(NOTICE), "{run}");
            let hint = machine.ccsync(["push", "--dry-run"]).success();
            assert_eq!(
                hint.stdout.contains("ccsync push --again"),
                is_here,
                "{hint}"
            );
        }
        for machine in [&a, &b, &a] {
            machine.ccsync(["sync"]).success();
        }
        assert_eq!(leaks(&env, &a), "");
        assert_eq!(questions(&a.text(ONE)), ["harmless", "more"]);
        assert_eq!(questions(&a.text(THREE)), ["new"]);
        a.assert_in_order("after a purge");
    }
}

#[test]
fn push_again_sends_purged_session() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    rewrite(&env, &format!("rm -rf sessions/*/{TWO}"));
    a.append(TWO, "continued");
    decide(&a, "pull", "--follow");
    a.ccsync(["push"]).success();
    assert_eq!(leaks(&env, &a), "");
    a.ccsync(["push", "--again"]).success();
    decide(&b, "sync", "--follow");
    b.ccsync(["sync"]).success();
    assert_eq!(questions(&b.text(TWO)), [SECRET, "continued"]);
}

#[test]
fn sync_redacted_session_does_not_return_as_fork() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    rewrite(
        &env,
        &format!("find . -type f -exec sed -i s/{SECRET}/xxxxxxxxx/ {{}} +"),
    );
    for machine in [&a, &b] {
        decide(machine, "pull", "--follow");
    }
    for machine in [&a, &b, &a, &b] {
        machine.ccsync(["push"]).success();
        machine.ccsync(["pull"]);
        machine.ccsync(["push"]).success();
    }
    assert_eq!(leaks(&env, &a), "");
    assert_eq!(a.sessions(), [ONE, TWO]);
    assert_eq!(questions(&a.text(ONE)), ["harmless"]);
}

#[test]
fn push_purged_memory_does_not_return() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let memory =
        |machine: &Machine| -> PathBuf { machine.project_dir("work/app").join("memory/secret.md") };
    a.session(ONE).turn("harmless").write();
    fs::create_dir_all(memory(&a).parent().unwrap()).unwrap();
    fs::write(memory(&a), format!("- {SECRET}\n")).unwrap();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(memory(&b).exists());
    rewrite(
        &env,
        "rm -f memory/*/files/secret.md; for f in memory/*/bundle.json; do \
         python3 -c 'import json,sys; p=sys.argv[1]; d=json.load(open(p)); \
         d[\"files\"].pop(\"secret.md\",None); json.dump(d,open(p,\"w\"))' $f; done; true",
    );
    for machine in [&a, &b] {
        decide(machine, "sync", "--follow");
    }
    for machine in [&a, &b, &a] {
        machine.ccsync(["sync"]).success();
    }
    assert_eq!(leaks(&env, &a), "");
    assert!(memory(&a).exists(), "it stays on this machine");
}

#[test]
fn push_to_recreated_remote_sends_everything() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    let (remote, fresh) = (env.remote_of_pair(), env.bare_remote());
    fs::remove_dir_all(&remote).unwrap();
    fs::rename(&fresh, &remote).unwrap();
    // A third machine begins a store there.
    let c = env.machine("c");
    c.init(&remote);
    c.session(THREE).turn("third").write();
    c.ccsync(["push"]).success();
    decide(&a, "sync", "--refill");
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    c.ccsync(["pull"]).success();
    assert_eq!(c.sessions(), [ONE, TWO, THREE]);
}

#[test]
fn sync_with_remote_that_went_back_says_so() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    let remote = env.remote_of_pair();
    git(&a, &remote, &["update-ref", "refs/heads/main", "main~1"]);
    let run = decide(&b, "sync", "--refill");
    assert!(
        run.stdout.contains("has gone back to an earlier state"),
        "{run}"
    );
    a.ccsync(["sync"]).success();
    assert_eq!(a.sessions(), [ONE, TWO]);
    assert!(!leaks(&env, &a).is_empty());
}

#[test]
fn sync_with_remote_that_went_back_can_follow_it() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    b.append(ONE, "unsent");
    let remote = env.remote_of_pair();
    a.session(THREE).turn(SECRET).write();
    a.ccsync(["push"]).success();
    git(&a, &remote, &["update-ref", "refs/heads/main", "main~1"]);
    decide(&a, "sync", "--follow");
    for machine in [&b, &a, &b] {
        machine.ccsync(["sync"]).success();
    }
    assert_eq!(questions(&a.text(ONE)), ["harmless", "unsent"]);
    assert_eq!(questions(&a.text(THREE)), [SECRET], "it stays here");
    assert_eq!(b.sessions(), [ONE, TWO]);
    let run = a.ccsync(["list", "--json"]).success();
    assert!(run.stdout.contains("\"in_store\":false"), "{run}");
}
