//! Excluded sessions and files stay where they are and are named with the reason. Nothing
//! that the store already has is lost.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions};
use crate::project_repository::repository;

const THREE: &str = "33333333-0000-4000-8000-000000000003";

/// Writes sessions in `work/app` and `secret/app`, and one in a clone of
/// `github.com/acme/app`.
fn three_projects(machine: &Machine) {
    machine
        .session(ONE)
        .project("work/app")
        .turn("work")
        .write();
    machine
        .session(TWO)
        .project("secret/app")
        .turn("secret")
        .write();
    machine
        .session(THREE)
        .project("code/acme")
        .turn("acme")
        .write();
    let clone = machine.home.join("code/acme");
    git(machine, &clone, &["init", "--quiet"]);
    git(
        machine,
        &clone,
        &["remote", "add", "origin", "git@GitHub.com:acme/app.git"],
    );
}

fn git(machine: &Machine, directory: &Path, args: &[&str]) {
    machine
        .run(machine.program("git").arg("-C").arg(directory).args(args))
        .success();
}

/// Returns a session's row of the report.
#[track_caller]
fn outcome(run: &Run, session: &str) -> Value {
    let report = run.json();
    let sessions = report["sessions"].as_array().unwrap();
    sessions
        .iter()
        .find(|s| s["session"] == session)
        .unwrap_or_else(|| panic!("no {session}: {run}"))
        .clone()
}

/// Returns the sessions in the store.
fn stored(machine: &Machine) -> Vec<String> {
    let list = machine
        .ccsync(["list", "--remote", "--json"])
        .success()
        .json();
    let rows = list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["in_store"] == true);
    let mut ids: Vec<String> = rows
        .map(|row| row["session"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

fn set_age(machine: &Machine, session: &str, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * 86_400);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(machine.transcript_path(session))
        .unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn exclude_project_is_not_pushed_and_is_named() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    three_projects(&a);
    a.ccsync(["config", "exclude", "~/secret/**", "github.com/acme/*"])
        .success();
    // The number of bytes depends on the length of the home directory's path.
    insta::with_settings!({filters => [(r"[0-9.]+ kB", "$$SIZE")]}, {
        insta::assert_snapshot!(a.ccsync(["push"]).success());
    });
    let again = a.ccsync(["push", "--json"]).success();
    assert_eq!(again.json()["unchanged"], 1);
    let excluded = outcome(&again, TWO);
    assert_eq!(
        (&excluded["outcome"], &excluded["stored"]),
        (&json!("excluded"), &json!(false))
    );
    assert_eq!(excluded["project"], "{{HOME}}/secret/app");
    assert!(
        outcome(&again, THREE)["reason"]
            .as_str()
            .unwrap()
            .starts_with("`github.com/acme/*` is excluded")
    );
    assert_eq!(stored(&a), [ONE]);
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [ONE]);

    let status = a.ccsync(["status"]).success();
    assert!(
        status
            .stdout
            .contains("status: 2 sessions excluded; remote as of")
            && status.stdout.contains("excluded: session"),
        "{status}"
    );
    let list = a.ccsync(["list", "--json"]).success().json();
    let reasons: Vec<bool> = list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["excluded"].is_string())
        .collect();
    assert_eq!(
        reasons.iter().filter(|excluded| **excluded).count(),
        2,
        "{list}"
    );
    let verify = a.ccsync(["verify", "--full"]).success();
    assert!(
        verify
            .summary()
            .starts_with("verify: 3 sessions, all agree, 2 excluded"),
        "{verify}"
    );
}

#[test]
fn exclude_pushed_session_stays_in_store_unextended() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.ccsync(["config", "exclude", "work"]).success();
    a.append(ONE, "between us");
    let run = a.ccsync(["push"]).success();
    insta::assert_snapshot!(run, @r"
    excluded: session 11111111-0000-4000-8000-000000000001 (the store keeps what it has): `work` is excluded: ccsync config exclude --remove 'work'
    push: 1 session: 1 excluded; nothing to push
    --- exit 0
    ");
    let again = a.ccsync(["push"]).success();
    assert_eq!(again.stdout.trim_end(), run.summary());
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
    b.append(ONE, "elsewhere");
    b.ccsync(["push"]).success();
    let run = a.ccsync(["pull", "--json"]).success();
    assert_eq!(outcome(&run, ONE)["outcome"], "excluded");
    let run = a.ccsync(["pull", ONE]).code(3);
    assert!(
        run.stdout
            .contains("a fork would be pushed, but `work` is excluded"),
        "{run}"
    );
    assert_eq!(
        questions(&a.text(ONE)),
        ["hello", "between us"],
        "no fork is made, and nothing is written"
    );
    assert_eq!(stored(&a), [ONE]);
    a.ccsync(["verify"]).success();

    a.ccsync(["config", "exclude", "--remove", "work"])
        .success();
    a.ccsync(["sync"]).code(5);
    b.ccsync(["pull"]).success();
    assert_eq!(
        b.all_questions(),
        [["hello", "between us"], ["hello", "elsewhere"]]
    );
}

#[test]
fn exclude_session_is_pulled_only_on_request() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    three_projects(&a);
    a.ccsync(["push"]).success();
    b.ccsync(["config", "exclude", "~/secret", "acme/app"])
        .success();
    for _ in 0..2 {
        let run = b.ccsync(["pull", "--json"]).success();
        assert_eq!(
            run.json()["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|s| s["outcome"] == "excluded")
                .count(),
            2
        );
        assert_eq!(outcome(&run, TWO)["stored"], true);
        assert_eq!(b.sessions(), [ONE]);
    }
    let rows = b.ccsync(["list", "--remote", "--json"]).success().json();
    let row = rows["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["session"] == TWO)
        .unwrap();
    assert!(
        row["excluded"]
            .as_str()
            .unwrap()
            .starts_with("`~/secret` is excluded"),
        "{row}"
    );
    b.ccsync(["pull", TWO]).success();
    assert_eq!(b.sessions(), [ONE, TWO]);
    assert_eq!(
        outcome(&b.ccsync(["push", "--json"]).success(), TWO)["stored"],
        true
    );
}

#[test]
fn exclude_ends_when_clone_appears_outside_pattern() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "secret/app", "git@github.com:al/app.git");
    a.session(ONE).project("secret/app").turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["config", "exclude", "~/secret"]).success();
    for _ in 0..2 {
        assert_eq!(
            outcome(&b.ccsync(["pull", "--json"]).success(), ONE)["outcome"],
            "excluded"
        );
    }
    repository(&b, "work/app", "https://github.com/al/app");
    assert_eq!(
        outcome(&b.ccsync(["pull", "--json"]).success(), ONE)["outcome"],
        "added"
    );
    assert_eq!(
        b.transcript_path(ONE).parent().unwrap(),
        b.project_dir("work/app")
    );
}

#[test]
fn include_limits_push_and_exclude_wins() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    three_projects(&a);
    a.ccsync(["config", "include", "~/work", "~/secret", "code"])
        .success();
    a.ccsync(["config", "exclude", "**/secret/*"]).success();
    let run = a.ccsync(["push", "--json"]).success();
    assert!(
        outcome(&run, TWO)["reason"]
            .as_str()
            .unwrap()
            .contains("is excluded")
    );
    assert_eq!(stored(&a), [ONE, THREE]);
    a.ccsync(["config", "include", "--remove", "code"])
        .success();
    let run = a.ccsync(["push", "--json"]).success();
    assert_eq!(
        outcome(&run, THREE)["reason"],
        "its project is not included: ccsync config include PATTERN"
    );
    a.ccsync(["config", "include", "--remove", "code"]).code(1);
    a.ccsync(["config", "exclude", "["]).code(2);
    let shown = a.ccsync(["config", "show", "--json"]).success().json();
    assert_eq!(
        (&shown["include"], &shown["exclude"]),
        (&json!(["~/work", "~/secret"]), &json!(["**/secret/*"]))
    );
}

#[test]
fn exclude_sessions_by_size_and_age() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("small").write();
    a.session(TWO).turn(&"large ".repeat(20_000)).write();
    a.session(THREE).turn("old").write();
    set_age(&a, THREE, 50);
    a.ccsync(["config", "set", "max_size", "100kB"]).success();
    a.ccsync(["config", "set", "push_max_age", "40"]).success();
    let run = a.ccsync(["push", "--json"]).success();
    assert!(
        outcome(&run, TWO)["reason"]
            .as_str()
            .unwrap()
            .starts_with("larger than 100kB")
    );
    assert!(
        outcome(&run, THREE)["reason"]
            .as_str()
            .unwrap()
            .starts_with("not active for 40 days")
    );
    assert_eq!(stored(&a), [ONE]);
    a.append(THREE, "again");
    a.ccsync(["config", "set", "max_size", "none"]).success();
    a.ccsync(["push"]).success();
    assert_eq!(stored(&a), [ONE, TWO, THREE]);
    b.ccsync(["config", "set", "max_size", "100kB"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [ONE, THREE]);
    assert_eq!(
        a.ccsync(["config", "get", "push_max_age"]).success().stdout,
        "40\n"
    );
    a.ccsync(["config", "set", "max_size", "much"]).code(2);
}

#[test]
fn push_options_limit_projects_and_age() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    three_projects(&a);
    set_age(&a, THREE, 5);
    let run = a
        .ccsync([
            "push",
            "--project",
            "~/work",
            "--project",
            "acme/*",
            "--days",
            "3",
        ])
        .success();
    assert_eq!(
        run.summary(),
        "push: 1 session: 1 added; on the remote as $COMMIT"
    );
    assert_eq!(stored(&a), [ONE]);
    a.ccsync(["push", "--project", "acme/*"]).success();
    assert_eq!(stored(&a), [ONE, THREE]);
    let run = a.ccsync(["push"]).success();
    assert_eq!(
        run.summary(),
        "push: 3 sessions: 1 added, 2 unchanged; on the remote as $COMMIT"
    );
}

#[test]
fn exclude_reads_project_of_session_once() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    three_projects(&a);
    a.ccsync(["config", "exclude", "~/secret", "~/nowhere"])
        .success();
    a.ccsync(["push"]).success();
    // A file with the same metadata and other content: if the program opened it, it would
    // find another project.
    let path = a.transcript_path(TWO);
    let before = fs::metadata(&path).unwrap();
    let text = a.text(TWO).replace("/secret/", "/nowher/");
    assert_eq!(text.len() as u64, before.len());
    fs::write(&path, text).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(before.modified().unwrap())
        .unwrap();
    let run = a.ccsync(["push", "--json"]).success();
    assert_eq!(outcome(&run, TWO)["project"], "{{HOME}}/secret/app");
    // A changed file is read again.
    a.append(TWO, "more");
    assert_eq!(
        outcome(&a.ccsync(["push", "--json"]).success(), TWO)["outcome"],
        "added"
    );
}

#[cfg(unix)]
#[test]
fn exclude_pattern_through_symlink_matches() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    three_projects(&a);
    std::os::unix::fs::symlink(a.home.join("secret"), a.home.join("link")).unwrap();
    a.ccsync(["config", "exclude", "~/link/*"]).success();
    a.ccsync(["push"]).success();
    assert_eq!(stored(&a), [ONE, THREE]);
}

#[test]
fn exclude_pattern_placeholder_is_local_directory() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    three_projects(&a);
    a.add_placeholder("SECRET=~/secret");
    a.ccsync(["config", "exclude", "{{SECRET}}", "{{HOME}}/code"])
        .success();
    a.ccsync(["push"]).success();
    assert_eq!(stored(&a), [ONE]);
}

#[cfg(target_os = "linux")]
#[test]
fn exclude_project_refuses_start_and_resume() {
    use crate::harness::client::Client;
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    a.ccsync(["config", "exclude", "~/work"]).success();
    let run = at_a.run(&["start"], "one").code(1);
    insta::assert_snapshot!(run);
    a.session(ONE).turn("one").write();
    let run = at_a.run(&["resume", ONE], "two").code(1);
    assert!(
        run.stderr
            .contains("is excluded by the settings: `~/work` is excluded"),
        "{run}"
    );
    assert!(
        at_a.run(&["resume", "--latest"], "two")
            .code(1)
            .stderr
            .contains("no session to continue")
    );
    assert_eq!(stored(&a), [""; 0]);
    b.session(TWO).turn("one").write();
    set_age(&b, TWO, 9);
    b.ccsync(["config", "set", "push_max_age", "3"]).success();
    at_b.run(&["resume", TWO], "two").success();
    assert_eq!(stored(&b), [TWO], "going on with it makes it new");
}

#[cfg(target_os = "linux")]
#[test]
fn exclude_running_session_releases_lock_with_note() {
    use crate::harness::client::Client;
    use crate::resume::locked_sessions;
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let child = at_a.start_late(&["resume", ONE], "between us");
    a.ccsync(["config", "exclude", "~/work"]).success();
    at_a.finish();
    let run = a.ended(child).success();
    insta::assert_snapshot!(run);
    assert_eq!(locked_sessions(&env.remote_of_pair(), &a), [""; 0]);
    at_b.run(&["resume", ONE], "from b").success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "from b"]);
    a.ccsync(["config", "exclude", "--remove", "~/work"])
        .success();
    a.ccsync(["sync"]).code(5);
    assert_eq!(
        a.all_questions(),
        [["hello", "between us"], ["hello", "from b"]]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn crash_excluded_session_releases_lock_with_note() {
    use crate::harness::client::Client;
    use crate::resume::locked_sessions;
    use rustix::process::{Pid, Signal, kill_process_group};
    for pushed in [false, true] {
        let env = TestEnv::new();
        let (a, _) = env.pair_with_session();
        let child = Client::install(&a).start_late(&["resume", ONE], "never said");
        if pushed {
            a.append(ONE, "between us");
            a.ccsync(["push"]).success();
        }
        kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
        a.ended(child);
        if !pushed {
            a.append(ONE, "between us");
        }
        a.ccsync(["config", "exclude", "~/work"]).success();
        let run = a.ccsync(["push"]).success();
        assert_eq!(
            run.stdout.contains("note: its lock is released"),
            !pushed,
            "{run}"
        );
        assert_eq!(locked_sessions(&env.remote_of_pair(), &a), [""; 0]);
        assert!(!a.ccsync(["push"]).success().stdout.contains("its lock"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn push_unreleased_lock_omits_release_note() {
    use crate::harness::client::Client;
    use crate::resume::locked_sessions;
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let (remote, at_a) = (env.remote_of_pair(), Client::install(&a));
    let child = at_a.start_late(&["resume", ONE], "between us");
    a.ccsync(["config", "exclude", "~/work"]).success();
    let away = remote.with_extension("away");
    fs::rename(&remote, &away).unwrap();
    at_a.finish();
    let run = a.ended(child).success();
    assert!(
        run.stderr.contains(
            "its lock is released with the next push, and what was not pushed before stays"
        ),
        "{run}"
    );
    fs::rename(&away, &remote).unwrap();
    assert_eq!(locked_sessions(&remote, &a), [ONE]);
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout
            .contains("its lock is released, and what was not pushed before stays here"),
        "{run}"
    );
    assert_eq!(locked_sessions(&remote, &a), [""; 0]);
}

#[test]
fn import_copy_of_excluded_session_is_excluded() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    three_projects(&a);
    let copy = env.root().join("copy");
    fs::rename(a.home.join(".claude"), &copy).unwrap();
    fs::create_dir_all(a.home.join(".claude/projects")).unwrap();
    a.ccsync(["config", "exclude", "~/secret/**", "github.com/acme/*"])
        .success();
    let run = a
        .ccsync(["import", copy.to_str().unwrap(), "--json"])
        .success();
    for (session, outcome_of_it) in [(ONE, "added"), (TWO, "excluded"), (THREE, "excluded")] {
        assert_eq!(outcome(&run, session)["outcome"], outcome_of_it, "{run}");
    }
    assert_eq!(stored(&a), [ONE]);
    a.ccsync(["import", copy.to_str().unwrap()]).success();
    assert_eq!(stored(&a), [ONE]);
}

#[test]
fn push_unchanged_exclusion_is_printed_once() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("work").write();
    a.session(TWO).project("secret/app").turn("secret").write();
    a.ccsync(["config", "exclude", "~/secret/**"]).success();
    let line = "excluded: session";
    let first = a.ccsync(["push"]).success();
    assert!(first.stdout.contains(line), "{first}");
    for args in [&["push"][..], &["sync"], &["push"]] {
        let run = a.ccsync(args).success();
        assert!(!run.stdout.contains(line), "{run}");
        assert!(run.stdout.contains("1 excluded"), "{run}");
    }
    // It is there for who asks.
    for args in [&["status"][..], &["push", "--dry-run"]] {
        let run = a.ccsync(args).success();
        assert!(run.stdout.contains(line), "{args:?}\n{run}");
    }
    let json = a.ccsync(["push", "--json"]).success().json();
    assert_eq!(json["sessions"][0]["outcome"], "excluded");
    // Another session, and another reason.
    a.session(THREE).project("secret/lib").turn("more").write();
    let more = a.ccsync(["push"]).success();
    assert!(more.stdout.contains("excluded: 2 sessions"), "{more}");
    a.ccsync(["config", "exclude", "--remove", "~/secret/**"])
        .success();
    a.ccsync(["config", "exclude", "~/secret"]).success();
    let other = a.ccsync(["push"]).success();
    assert!(other.stdout.contains("excluded: 2 sessions"), "{other}");
}

#[test]
fn pull_unchanged_reason_is_printed_once() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("old").days_old(90).write();
    a.ccsync(["push"]).success();
    let line = "not pulled: session";
    assert!(b.ccsync(["pull"]).success().stdout.contains(line));
    let again = b.ccsync(["pull"]).success();
    assert!(!again.stdout.contains(line), "{again}");
    assert!(again.stdout.contains("1 not pulled"), "{again}");
    assert!(b.ccsync(["status"]).success().stdout.contains(line));
    a.session(TWO).turn("older").days_old(90).write();
    a.ccsync(["push"]).success();
    let more = b.ccsync(["pull"]).success();
    assert!(more.stdout.contains("not pulled: 2 sessions"), "{more}");
}
