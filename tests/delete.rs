//! `ccsync delete`: a session leaves the store and the lists of all machines and stays out, until
//! the deletion is undone.

use std::fs;

use crate::harness::{Clone, Machine, ONE, TWO, TestEnv, questions};

const THREE: &str = "33333333-0000-4000-8000-000000000003";

/// Returns two machines that both have two sessions.
fn pair_with_two(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).turn("stays").write();
    a.session(TWO).turn("goes").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [ONE, TWO]);
    (a, b)
}

/// Returns the sessions that `list` shows.
fn listed(machine: &Machine) -> Vec<String> {
    let run = machine.ccsync(["list", "--fetch", "--json"]).success();
    let rows = run.json()["sessions"].as_array().unwrap().clone();
    let mut ids: Vec<String> = rows
        .iter()
        .map(|row| row["session"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

/// Returns the files of a session at the head of the remote.
fn on_remote(env: &TestEnv, machine: &Machine, session: &str) -> String {
    let mut git = machine.program("git");
    git.arg("-C").arg(env.remote_of_pair());
    git.args(["ls-tree", "-r", "--name-only", "main"]);
    let files = machine.run(&mut git).success().stdout;
    let path = format!("/{session}/");
    let of_session = files.lines().filter(|line| line.contains(&path));
    of_session.collect::<Vec<_>>().join("\n")
}

#[test]
fn delete_session_leaves_lists_and_stays_out() {
    let env = TestEnv::new();
    let (a, b) = pair_with_two(&env);
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    let run = a.ccsync(["delete", "2222", "--yes"]).success();
    assert!(run.stdout.contains("delete: 1 session"), "{run}");
    assert!(run.stderr.contains("files stay on this machine"), "{run}");
    assert!(run.stderr.contains("ccsync delete --undo"), "{run}");
    assert_eq!(on_remote(&env, &a, TWO), "");
    assert_eq!(listed(&c), [ONE]);
    c.ccsync(["pull", "--all"]).success();
    assert_eq!(c.sessions(), [ONE]);
    c.ccsync(["search", "goes"]).code(1);

    // It grew on the other machine, which keeps it and does not send it.
    b.append(TWO, "more");
    for command in ["push", "status"] {
        let run = b.ccsync([command]).success();
        assert!(run.stdout.contains("deleted from the store by a"), "{run}");
        assert!(run.stdout.contains("ccsync delete --undo SESSION"), "{run}");
    }
    assert_eq!(questions(&b.text(TWO)), ["goes", "more"]);
    assert_eq!(on_remote(&env, &b, TWO), "");
    let run = b.ccsync(["status"]).success();
    assert!(run.stdout.contains("deleted from the store"), "{run}");
    b.ccsync(["verify"]).success();
    a.ccsync(["sync"]).success();
    assert_eq!(a.sessions(), [ONE, TWO], "the files here stay");
}

#[test]
fn delete_undo_brings_session_back_with_all_turns() {
    let env = TestEnv::new();
    let (a, b) = pair_with_two(&env);
    a.ccsync(["delete", TWO, "--yes"]).success();
    b.append(TWO, "more");
    b.ccsync(["sync"]).success();
    let run = b.ccsync(["delete", "--undo", "2222"]).success();
    assert!(run.stdout.contains("back in the store"), "{run}");
    b.ccsync(["push"]).success();
    a.ccsync(["sync"]).success();
    assert_eq!(questions(&a.text(TWO)), ["goes", "more"]);
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    c.ccsync(["pull", "--all"]).success();
    assert_eq!(c.sessions(), [ONE, TWO]);
    a.ccsync(["delete", "--undo", TWO]).code(1);
    for machine in [&a, &b, &c] {
        machine.assert_in_order("after the undo");
    }
}

#[test]
fn delete_meets_unsent_turns_and_wins() {
    for deletes_first in [true, false] {
        let env = TestEnv::new();
        let (a, b) = pair_with_two(&env);
        b.append(TWO, "unsent");
        b.append(ONE, "kept");
        let away = env.remote_of_pair().with_extension("away");
        if deletes_first {
            // The other machine has stored its turns, and not sent them.
            fs::rename(env.remote_of_pair(), &away).unwrap();
            b.ccsync(["push"]).code(6);
            fs::rename(&away, env.remote_of_pair()).unwrap();
            a.ccsync(["delete", TWO, "--yes"]).success();
        } else {
            // The deletion waits here, and the turns are sent meanwhile.
            fs::rename(env.remote_of_pair(), &away).unwrap();
            a.ccsync(["delete", TWO, "--yes"]).code(6);
            fs::rename(&away, env.remote_of_pair()).unwrap();
            b.ccsync(["push"]).success();
            a.ccsync(["push"]).success();
        }
        let run = b.ccsync(["sync"]).success();
        assert!(run.stdout.contains("deleted from the store by a"), "{run}");
        assert_eq!(on_remote(&env, &b, TWO), "");
        assert_eq!(questions(&b.text(TWO)), ["goes", "unsent"]);
        a.ccsync(["sync"]).success();
        assert_eq!(questions(&a.text(ONE)), ["stays", "kept"]);
        assert_eq!(on_remote(&env, &a, TWO), "");
        // Nothing is lost, even without the files.
        fs::remove_file(b.transcript_path(TWO)).unwrap();
        a.ccsync(["delete", "--undo", TWO]).success();
        b.ccsync(["pull", TWO]).success();
        assert_eq!(questions(&b.text(TWO)), ["goes", "unsent"]);
    }
}

#[test]
fn delete_of_unsent_session_never_sends_it() {
    let env = TestEnv::new();
    let (a, b) = pair_with_two(&env);
    let away = env.remote_of_pair().with_extension("away");
    fs::rename(env.remote_of_pair(), &away).unwrap();
    a.session(THREE).turn("SECRETXYZ").write();
    a.append(ONE, "other");
    a.ccsync(["push"]).code(6);
    a.ccsync(["milestone", "now"]).code(6);
    a.ccsync(["delete", THREE, "--yes"]).code(6);
    fs::rename(&away, env.remote_of_pair()).unwrap();
    a.ccsync(["sync"]).success();
    let mut git = a.program("git");
    git.arg("-C").arg(env.remote_of_pair());
    git.args(["log", "--all", "--format=%h", "-S", "SECRETXYZ"]);
    assert_eq!(a.run(&mut git).success().stdout, "");
    b.ccsync(["sync"]).success();
    assert_eq!(questions(&b.text(ONE)), ["stays", "other"]);
    b.ccsync(["restore", "--milestone", "now", "--dry-run"])
        .success();
    a.assert_in_order("after the deletion");
}

#[test]
fn delete_selects_by_project_and_time() {
    let env = TestEnv::new();
    let (a, _b) = env.pair();
    a.session(ONE)
        .project("work/app")
        .turn("new")
        .days_old(1)
        .write();
    a.session(TWO)
        .project("work/app")
        .turn("old")
        .days_old(90)
        .write();
    a.session(THREE)
        .project("work/other")
        .turn("old")
        .days_old(90)
        .write();
    a.ccsync(["push"]).success();
    let chosen = |args: &[&str]| {
        let all = [&["delete", "--dry-run", "--json"], args].concat();
        let run = a.ccsync(all).success();
        let rows = run.json()["sessions"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| row["session"].as_str().unwrap()[..1].to_owned())
            .collect::<String>()
    };
    assert_eq!(chosen(&["--project", "~/work/app"]), "12");
    assert_eq!(chosen(&["--project", "other"]), "3");
    assert_eq!(chosen(&["--before", "30d", "--project", "~/work/app"]), "2");
    assert_eq!(chosen(&["--before", "30d"]).len(), 2);
    assert_eq!(chosen(&["--before", "1y"]), "");
    assert_eq!(listed(&a).len(), 3, "a plan changes nothing");
    a.ccsync(["delete", "--before", "abcd", "--yes"]).code(2);
    a.ccsync(["delete"]).code(2);
    a.ccsync(["delete", "--before", "30d"]).code(2);
    a.ccsync(["delete", "--before", "30d", "--yes"]).success();
    assert_eq!(listed(&_b), [ONE]);
}

#[test]
fn delete_local_removes_files_and_undo_restores_them() {
    let env = TestEnv::new();
    let (a, _b) = pair_with_two(&env);
    let before = a.transcript(TWO);
    a.mark_running(TWO, std::process::id());
    let run = a.ccsync(["delete", TWO, "--local", "--yes"]).code(1);
    assert!(run.stderr.contains("running"), "{run}");
    assert_eq!(listed(&a), [ONE, TWO]);
    for entry in fs::read_dir(a.home.join(".claude/sessions"))
        .unwrap()
        .flatten()
    {
        fs::remove_file(entry.path()).unwrap();
    }
    a.ccsync(["delete", TWO, "--local", "--yes"]).success();
    assert_eq!(a.sessions(), [ONE]);
    a.ccsync(["sync"]).success();
    assert_eq!(a.sessions(), [ONE]);
    a.ccsync(["undo", "--yes"]).success();
    assert_eq!(a.transcript(TWO), before);
    a.ccsync(["sync"]).success();
    assert_eq!(on_remote(&env, &a, TWO), "");
}

#[test]
fn delete_takes_whole_conversation_and_leaves_forks() {
    let env = TestEnv::new();
    let (a, b) = pair_with_two(&env);
    a.append(ONE, "by a");
    b.append(ONE, "by b");
    a.ccsync(["push"]).success();
    b.ccsync(["sync"]).code(5);
    let fork = b
        .sessions()
        .into_iter()
        .find(|id| id != ONE && id != TWO)
        .unwrap();
    let continued = format!(
        "{{\"type\":\"continued-in\",\"sessionId\":\"{ONE}\",\"continuedInSessionId\":\"{TWO}\"}}\n"
    );
    a.append_raw(ONE, continued.as_bytes());
    a.ccsync(["push"]).success();
    let run = a.ccsync(["delete", TWO, "--yes"]).success();
    assert!(run.stdout.contains("delete: 2 sessions"), "{run}");
    assert!(
        run.stderr.contains(&format!(
            "1 fork with the same beginning stays: {}",
            &fork[..8]
        )),
        "{run}"
    );
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    assert_eq!(listed(&c), [fork]);
}

#[test]
fn delete_of_unknown_or_deleted_session_changes_nothing() {
    let env = TestEnv::new();
    let (a, _b) = pair_with_two(&env);
    let run = a.ccsync(["delete", "9999", "--yes"]).code(1);
    assert!(run.stderr.contains("no session 9999"), "{run}");
    a.session(THREE).turn("only here").write();
    a.ccsync(["delete", THREE, "--yes"]).code(1);
    a.ccsync(["delete", TWO, "--yes"]).success();
    let head = a.git(&["rev-parse", "main"]);
    let run = a.ccsync(["delete", TWO, "--yes"]).success();
    assert!(run.stdout.contains("deleted before"), "{run}");
    assert_eq!(a.git(&["rev-parse", "main"]), head);
    let run = a.ccsync(["delete", "--list"]).success();
    assert!(run.stdout.contains("22222222"), "{run}");
}

#[test]
fn delete_tombstone_from_outside_harms_nothing() {
    let env = TestEnv::new();
    let (a, b) = pair_with_two(&env);
    let clone = Clone::new(&env.remote_of_pair(), &a);
    let long = "x".repeat(200_000);
    for (path, text) in [
        ("deleted/22/nul.json", "{}"),
        (&*format!("deleted/11/{TWO}.json"), "{}"),
        (&*format!("deleted/22/{TWO}.json/x"), "{}"),
        (&*format!("deleted/{ONE}.json"), "{}"),
        (&*format!("deleted/33/{THREE}.json"), &*long),
    ] {
        clone.write(path, text);
    }
    clone.push();
    b.session(THREE).turn("mine").write();
    let run = b.ccsync(["sync"]).success();
    assert!(
        run.stdout
            .contains("deleted from the store by another machine"),
        "{run}"
    );
    assert_eq!(b.sessions(), [ONE, TWO, THREE]);
    assert_eq!(listed(&a), [ONE, TWO]);
    a.ccsync(["delete", "--list"]).success();
    b.ccsync(["delete", "--undo", THREE]).success();
    b.ccsync(["push"]).success();
    assert_eq!(listed(&a), [ONE, TWO, THREE]);
}

#[test]
#[cfg(target_os = "linux")]
fn delete_of_session_that_other_machine_holds_is_refused() {
    let env = TestEnv::new();
    let (a, b) = pair_with_two(&env);
    let at_b = crate::harness::client::Client::install(&b);
    let child = at_b.start_late(&["resume", TWO], "from the holder");
    let run = a.ccsync(["delete", TWO, "--yes"]).code(4);
    assert!(run.stderr.contains("b holds the lock of 2222"), "{run}");
    assert!(run.stderr.contains("--force"), "{run}");
    assert_eq!(listed(&a), [ONE, TWO]);
    a.ccsync(["delete", TWO, "--force", "--yes"]).success();
    at_b.finish();
    b.ended(child);
    let run = b.ccsync(["sync"]).success();
    assert!(run.stdout.contains("deleted from the store by a"), "{run}");
    assert_eq!(on_remote(&env, &b, TWO), "");
    assert_eq!(questions(&b.text(TWO)), ["goes", "from the holder"]);
    let locks = a.ccsync(["lock", "show", "--json"]).success();
    assert_eq!(
        locks.json()["locks"].as_array().unwrap().len(),
        0,
        "{locks}"
    );
    b.ccsync(["delete", "--undo", TWO]).success();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(TWO)), ["goes", "from the holder"]);
}
