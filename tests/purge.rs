//! `ccsync purge`: what was deleted leaves the history, on the remote and on every machine, and
//! does not return from those that still have it.

use std::fs;
use std::path::Path;

use crate::encrypted_store::Trio;
use crate::harness::{Machine, ONE, TWO, TestEnv, questions};

const THREE: &str = "33333333-0000-4000-8000-000000000003";
const SECRET: &str = "SECRETXYZ";

/// Returns true if any object of a repository has the text, reachable or not.
fn has_text(machine: &Machine, repository: &Path, text: &str) -> bool {
    let mut git = machine.program("git");
    git.arg("-C").arg(repository);
    git.args(["cat-file", "--batch", "--batch-all-objects", "--unordered"]);
    let out = git.output().unwrap();
    assert!(out.status.success());
    memchr::memmem::find(&out.stdout, text.as_bytes()).is_some()
}

#[track_caller]
fn assert_gone(env: &TestEnv, machines: &[&Machine]) {
    let remote = env.remote_of_pair();
    assert!(!has_text(machines[0], &remote, SECRET), "the remote has it");
    for machine in machines {
        let name = &machine.name;
        assert!(
            !has_text(machine, &machine.store(), SECRET),
            "{name} has it"
        );
    }
    let mut git = machines[0].program("git");
    git.arg("-C")
        .arg(&remote)
        .args(["fsck", "--full", "--strict"]);
    machines[0].run(&mut git).success();
}

/// Returns two machines with a session that has the secret, in several states, and another one.
fn pair_with_secret(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).turn("harmless").write();
    a.ccsync(["push"]).success();
    a.session(TWO).turn(SECRET).write();
    a.ccsync(["push"]).success();
    a.append(TWO, "more of it");
    a.append(ONE, "later");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    (a, b)
}

fn delete_and_purge(machine: &Machine, session: &str) {
    machine.ccsync(["delete", session, "--yes"]).success();
    let run = machine.ccsync(["purge", "--yes"]).success();
    assert!(run.stdout.contains("removed from the history"), "{run}");
    assert!(run.stderr.contains("Revoke every secret"), "{run}");
}

#[test]
fn purge_leaves_nothing_anywhere_and_nothing_returns() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    a.ccsync(["delete", TWO, "--yes"]).success();
    assert!(has_text(&a, &env.remote_of_pair(), SECRET));
    let head = a.git(&["rev-parse", "main"]);
    a.ccsync(["purge"]).code(2);
    let plan = a.ccsync(["purge", "--dry-run"]).success();
    assert!(plan.stdout.contains("1 deleted session"), "{plan}");
    assert_eq!(a.git(&["rev-parse", "main"]), head);
    let run = a.ccsync(["purge", "--yes"]).success();
    assert!(
        run.stdout.contains("the remote has dropped the objects"),
        "{run}"
    );
    assert_gone(&env, &[&a]);

    b.append(TWO, "unsent");
    b.append(ONE, "from b");
    let run = b.ccsync(["sync"]).success();
    assert!(run.stdout.contains("purged from the history"), "{run}");
    for machine in [&a, &b, &a, &b] {
        machine.ccsync(["sync"]).success();
        machine.ccsync(["push"]).success();
    }
    assert_gone(&env, &[&a, &b]);
    assert_eq!(questions(&a.text(ONE)), ["harmless", "later", "from b"]);
    assert_eq!(questions(&b.text(TWO)), [SECRET, "more of it", "unsent"]);
    let run = a.ccsync(["purge", "--yes"]).success();
    assert!(run.stdout.contains("nothing that was deleted"), "{run}");
    for machine in [&a, &b] {
        machine.ccsync(["verify", "--full"]).success();
        machine.assert_in_order("after the purge");
    }
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    c.ccsync(["pull", "--all"]).success();
    assert_eq!(c.sessions(), [ONE]);
}

#[test]
fn purge_is_followed_by_machine_with_unsent_commits() {
    for (knows_deletion, purges) in [(false, 1), (true, 1), (false, 2)] {
        let env = TestEnv::new();
        let (a, b) = pair_with_secret(&env);
        if knows_deletion {
            a.ccsync(["delete", TWO, "--yes"]).success();
            b.ccsync(["pull"]).success();
        }
        // The other machine is away, and stores what it cannot send.
        let away = env.remote_of_pair().with_extension("away");
        fs::rename(env.remote_of_pair(), &away).unwrap();
        b.append(TWO, &format!("unsent {SECRET}"));
        b.append(ONE, "unsent");
        b.session(THREE).turn("new").write();
        b.ccsync(["push"]).code(6);
        b.ccsync(["milestone", "away"]).code(6);
        fs::rename(&away, env.remote_of_pair()).unwrap();
        delete_and_purge(&a, TWO);
        if purges > 1 {
            a.session("44444444-0000-4000-8000-000000000004")
                .turn(SECRET)
                .write();
            a.ccsync(["push"]).success();
            delete_and_purge(&a, "4444");
        }
        let run = b.ccsync(["sync"]).success();
        // Each machine names it once.
        let is_named = run.stdout.contains("deleted from the store by a");
        assert_eq!(is_named, !knows_deletion, "{run}");
        for machine in [&a, &b, &a] {
            machine.ccsync(["sync"]).success();
        }
        assert_gone(&env, &[&a, &b]);
        assert_eq!(questions(&a.text(ONE)), ["harmless", "later", "unsent"]);
        assert_eq!(questions(&a.text(THREE)), ["new"]);
        assert_eq!(
            questions(&b.text(TWO)),
            [SECRET, "more of it", &format!("unsent {SECRET}")]
        );
        a.ccsync(["restore", "--milestone", "away", "--dry-run"])
            .success();
        a.assert_in_order("after the purge");
        b.assert_in_order("after the purge");
    }
}

#[test]
fn purge_keeps_milestones_and_earlier_states() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    a.ccsync(["milestone", "before"]).success();
    a.append(ONE, "after the milestone");
    a.ccsync(["push"]).success();
    delete_and_purge(&a, TWO);
    b.ccsync(["sync"]).success();
    for machine in [&a, &b] {
        machine
            .ccsync(["restore", "--milestone", "before", "--yes"])
            .success();
        assert_eq!(questions(&machine.text(ONE)), ["harmless", "later"]);
        let log = machine.ccsync(["log", ONE]).success();
        assert!(log.stdout.contains("first state"), "{log}");
        machine.ccsync(["log", TWO]).code(1);
    }
}

#[test]
fn purge_then_undo_needs_machine_with_files() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    fs::remove_file(a.transcript_path(TWO)).unwrap();
    delete_and_purge(&a, TWO);
    let list = a.ccsync(["delete", "--list"]).success();
    assert!(list.stdout.contains("purged"), "{list}");
    let run = a.ccsync(["delete", "--undo", TWO]).code(1);
    assert!(run.stderr.contains("was purged"), "{run}");
    let run = b.ccsync(["delete", "--undo", TWO]).success();
    assert!(run.stdout.contains("only here"), "{run}");
    b.ccsync(["push"]).success();
    a.ccsync(["pull", TWO]).success();
    assert_eq!(questions(&a.text(TWO)), [SECRET, "more of it"]);
    delete_and_purge(&b, TWO);
    a.ccsync(["sync"]).success();
    assert_gone(&env, &[&a, &b]);
}

#[test]
fn purge_refused_by_remote_changes_nothing() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    a.ccsync(["delete", TWO, "--yes"]).success();
    let set = |value: &str| {
        let mut git = a.program("git");
        git.arg("-C").arg(env.remote_of_pair());
        git.args(["config", "receive.denyNonFastForwards", value]);
        a.run(&mut git).success();
    };
    set("true");
    let head = a.git(&["rev-parse", "main"]);
    let run = a.ccsync(["purge", "--yes"]).code(1);
    assert!(run.stderr.contains("allow force pushes"), "{run}");
    assert_eq!(a.git(&["rev-parse", "main"]), head);
    a.append(ONE, "goes on");
    a.ccsync(["push"]).success();
    b.ccsync(["sync"]).success();
    set("false");
    a.ccsync(["purge", "--yes"]).success();
    b.ccsync(["sync"]).success();
    assert_gone(&env, &[&a, &b]);
}

#[test]
fn purge_offline_is_refused() {
    let env = TestEnv::new();
    let (a, _b) = pair_with_secret(&env);
    a.ccsync(["delete", TWO, "--yes"]).success();
    let away = env.remote_of_pair().with_extension("away");
    fs::rename(env.remote_of_pair(), &away).unwrap();
    a.ccsync(["purge", "--yes"]).code(1);
    a.ccsync(["purge", "--dry-run"]).code(1);
}

#[test]
fn purge_meets_pushes_of_other_machine() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    a.ccsync(["delete", TWO, "--yes"]).success();
    for n in 0..3 {
        b.append(ONE, &format!("from b {n}"));
        let push = b.command(["push"]).spawn().unwrap();
        a.append(TWO, SECRET);
        a.session(&format!("5555555{n}-0000-4000-8000-000000000005"))
            .turn(SECRET)
            .write();
        a.ccsync(["push"]).success();
        a.ccsync(["delete", &format!("5555555{n}"), "--yes"])
            .success();
        a.ccsync(["purge", "--yes"]).success();
        b.ended(push).success();
    }
    for machine in [&a, &b, &a, &b] {
        machine.ccsync(["sync"]).success();
    }
    assert_gone(&env, &[&a, &b]);
    assert_eq!(questions(&a.text(ONE)).len(), 5);
    a.assert_in_order("after the purges");
}

#[test]
fn purge_works_without_configured_remote() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.session(ONE).turn("harmless").write();
    a.session(TWO).turn(SECRET).write();
    a.ccsync(["push"]).success();
    delete_and_purge(&a, TWO);
    assert!(!has_text(&a, &a.store(), SECRET));
    for entry in fs::read_dir(a.data()).unwrap().flatten() {
        if entry.path().join("HEAD").exists() {
            assert!(
                !has_text(&a, &entry.path(), SECRET),
                "{}",
                entry.path().display()
            );
        }
    }
    a.ccsync(["sync"]).success();
    a.assert_in_order("after the purge");
}

#[test]
fn purge_leaves_turns_that_fork_shares() {
    let env = TestEnv::new();
    let (a, b) = pair_with_secret(&env);
    a.append(TWO, "by a");
    b.append(TWO, "by b");
    a.ccsync(["push"]).success();
    b.ccsync(["sync"]).code(5);
    let fork = b
        .sessions()
        .into_iter()
        .find(|id| id != ONE && id != TWO)
        .unwrap();
    a.ccsync(["sync"]).success();
    delete_and_purge(&a, TWO);
    b.ccsync(["sync"]).success();
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    c.ccsync(["pull", "--all"]).success();
    assert_eq!(c.sessions().len(), 2);
    assert_eq!(questions(&c.text(&fork)), [SECRET, "more of it", "by b"]);
    c.assert_in_order("after the purge");
}

/// Returns the objects of a repository, and those that a branch needs.
fn objects(machine: &Machine, repository: &Path) -> (usize, usize) {
    let count = |args: &[&str]| {
        let mut git = machine.program("git");
        git.arg("-C").arg(repository).args(args);
        machine.run(&mut git).success().stdout.lines().count()
    };
    (
        count(&["cat-file", "--batch-all-objects", "--batch-check"]),
        count(&["rev-list", "--objects", "--all"]),
    )
}

#[test]
fn purge_of_encrypted_store_leaves_no_sealed_object() {
    let Trio { env, a, b, .. } = Trio::new();
    a.session(ONE).turn("harmless").write();
    a.session(TWO).turn(SECRET).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull", "--all"]).success();
    b.append(ONE, "by b");

    delete_and_purge(&a, TWO);
    b.ccsync(["sync"]).success();

    assert_gone(&env, &[&a, &b]);
    let remote = env.remote_of_pair();
    let (all, needed) = objects(&a, &remote);
    assert_eq!(all, needed, "the remote has objects that nothing needs");
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(ONE)), ["harmless", "by b"]);
    for machine in [&a, &b] {
        let (all, needed) = objects(machine, &machine.data().join("sealed.git"));
        assert_eq!(all, needed, "{} keeps former objects", machine.name);
        machine.assert_in_order("after the purge");
    }
}
