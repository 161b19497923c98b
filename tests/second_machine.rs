//! A machine that joins a store: it sees everything at once, and knows how old its view is.

use std::fs;

use crate::harness::{Machine, ONE, TWO, TestEnv, client::Client, questions};

const THREE: &str = "33333333-0000-4000-8000-000000000003";

/// Sets up `a` with sessions that it pushed: one recent, two old ones, of which one belongs to a
/// project that `b` does not have.
fn first_machine(env: &TestEnv) -> Machine {
    let a = env.machine("a");
    a.init(&env.bare_remote());
    a.session(ONE).turn("new").write();
    a.session(TWO).turn("old").days_old(400).write();
    a.session(THREE)
        .project("elsewhere")
        .turn("older")
        .days_old(500)
        .write();
    a.ccsync(["push"]).success();
    a
}

/// Returns a machine that was just set up for the remote of `first_machine`.
fn second_machine(env: &TestEnv) -> Machine {
    let b = env.machine("b");
    b.init(&env.root().join("remote-1.git"));
    b
}

fn listed(machine: &Machine, args: &[&str]) -> Vec<String> {
    let args = ["list", "--json"].iter().chain(args);
    let rows = machine.ccsync(args).success().json();
    let rows = rows["sessions"].as_array().unwrap().iter();
    rows.map(|row| row["session"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn list_after_init_shows_whole_store() {
    let env = TestEnv::new();
    let _a = first_machine(&env);
    let b = second_machine(&env);
    assert_eq!(listed(&b, &[]), [ONE, TWO, THREE]);
    assert_eq!(listed(&b, &["--here"]), [""; 0]);
    let run = b.ccsync(["list"]).success();
    assert!(run.stderr.contains("`ccsync resume SESSION`"), "{run}");
    let run = b.ccsync(["list", "--here"]).success();
    assert!(run.stderr.contains("the store has 3 sessions"), "{run}");
    b.ccsync(["pull", "--all"]).success();
    assert_eq!(listed(&b, &["--here"]), [ONE, TWO, THREE]);
}

#[test]
fn list_offline_shows_whole_store() {
    let env = TestEnv::new();
    let _a = first_machine(&env);
    let b = second_machine(&env);
    let remote = env.root().join("remote-1.git");
    fs::rename(&remote, remote.with_extension("away")).unwrap();
    assert_eq!(listed(&b, &["--from", "a"]), [ONE, TWO, THREE]);
}

#[test]
fn list_fetch_shows_new_session() {
    let env = TestEnv::new();
    let a = first_machine(&env);
    let b = second_machine(&env);
    let four = "44444444-0000-4000-8000-000000000004";
    a.session(four).turn("newest").write();
    a.ccsync(["push"]).success();
    assert_eq!(listed(&b, &[]).len(), 3);
    assert_eq!(listed(&b, &["--fetch"]).len(), 4);
}

#[test]
fn resume_brings_old_session_that_is_not_here() {
    let env = TestEnv::new();
    let _a = first_machine(&env);
    let b = second_machine(&env);
    let client = Client::install(&b);
    fs::create_dir_all(b.home.join("elsewhere")).unwrap();
    client.run(&["resume", THREE], "continued").success();
    assert_eq!(questions(&b.text(THREE)), ["older", "continued"]);
    assert_eq!(b.sessions(), [THREE]);
}

#[test]
fn resume_latest_takes_old_session() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.init(&env.bare_remote());
    a.session(TWO).turn("old").days_old(400).write();
    a.ccsync(["push"]).success();
    let b = second_machine(&env);
    let client = Client::install(&b);
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    client.run(&["resume", "--latest"], "continued").success();
    assert_eq!(questions(&b.text(TWO)), ["old", "continued"]);
}

#[test]
fn status_after_init_counts_what_store_has() {
    let env = TestEnv::new();
    let _a = first_machine(&env);
    let b = second_machine(&env);
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    let status = b.ccsync(["status", "--json"]).success().json();
    assert_eq!(
        (&status["sessions_here"], &status["sessions_not_here"]),
        (&0.into(), &3.into())
    );
    assert_eq!(status["to_pull"][0]["session"], ONE);
    assert_eq!(status["not_pulled"].as_array().unwrap().len(), 2);
    let run = b.ccsync(["status"]).success();
    assert!(
        run.stdout
            .contains("0 here, 3 in the store, 3 of them not here"),
        "{run}"
    );
    assert_eq!(
        run.summary(),
        "status: 1 session to pull, 2 sessions not pulled; remote as of $AGE"
    );
}

#[test]
fn status_fetch_asks_remote() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    let known = b.ccsync(["status"]).success();
    assert!(
        known.summary().contains("nothing to push or pull"),
        "{known}"
    );
    let asked = b.ccsync(["status", "--fetch"]).success();
    assert!(asked.summary().contains("1 session to pull"), "{asked}");
    assert_eq!(questions(&b.text(ONE)).len(), 1);
}

#[test]
fn status_fetch_says_that_remote_is_away() {
    let env = TestEnv::new();
    let (_, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    fs::rename(&remote, remote.with_extension("away")).unwrap();
    let run = b.ccsync(["status", "--fetch"]).code(1);
    assert!(run.stdout.contains("the remote was not reached: "), "{run}");
    assert!(run.summary().contains("remote as of $AGE"), "{run}");
    let status = b.ccsync(["status", "--fetch", "--json"]).code(1).json();
    assert!(status["unreached"].is_string() && status["fetched"].is_string());
    b.ccsync(["status"]).success();
}

#[test]
fn status_shows_lock_of_other_machine_and_lost_one() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let first = at_a.start(&["resume", ONE], "on a");
    let run = b.ccsync(["status", "--fetch"]).success();
    assert!(
        run.stdout.contains(&format!("{ONE} by a, heartbeat")),
        "{run}"
    );
    assert!(run.summary().contains("1 session locked"), "{run}");
    let own = a.ccsync(["status"]).success();
    assert!(
        own.stdout.contains(&format!("{ONE} by this machine")),
        "{own}"
    );

    let second = at_b.start(&["resume", ONE, "--take-over"], "on b");
    let run = a.ccsync(["status", "--fetch", "--json"]).success().json();
    assert_eq!(run["lost_locks"][0]["session"], ONE, "{run}");
    let run = a.ccsync(["status"]).success();
    assert!(run.stdout.contains("its lock was taken over by b"), "{run}");
    assert!(run.summary().contains("1 lock lost"), "{run}");
    for (client, child, machine) in [(at_b, second, &b), (at_a, first, &a)] {
        client.finish();
        machine.ended(child);
    }
}

#[test]
fn status_and_dry_run_name_waiting_copies() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let path = a.transcript_path(ONE);
    let common = fs::read(&path).unwrap();
    a.append(ONE, "only in the copy");
    fs::rename(&path, path.with_file_name(format!("{ONE} 2.jsonl"))).unwrap();
    fs::write(&path, common).unwrap();
    let run = a.ccsync(["status"]).success();
    assert!(run.stdout.contains("copies to push"), "{run}");
    assert!(run.summary().contains("1 copied session to push"), "{run}");
    let plan = a.ccsync(["push", "--dry-run"]);
    assert!(plan.stdout.contains("would be extended"), "{plan}");
    a.ccsync(["push"]);
    let run = a.ccsync(["status"]).success();
    assert!(!run.stdout.contains("copies"), "{run}");
}

#[test]
fn status_names_unread_note() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.ccsync(["note", "pull before you start"]).success();
    let run = b.ccsync(["status", "--fetch"]).success();
    assert!(run.summary().contains("1 note unread"), "{run}");
    b.ccsync(["pull"]).success();
    let run = b.ccsync(["status"]).success();
    assert!(run.summary().contains("nothing to push or pull"), "{run}");
}
