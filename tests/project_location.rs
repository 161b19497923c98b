//! A pulled session is in the clone of its project, wherever that is, and is exact on its
//! origin.

use std::fs;
use std::path::Path;

use ccsync::handoff::path_notice::path_notice;
use ccsync::handoff::project_here::ProjectHere;
use proptest::prelude::*;
use serde_json::json;

use crate::harness::library::with_context;
use crate::harness::{Machine, ONE, TWO, TestEnv, chain_is_whole, questions};
use crate::project_repository::{commit, git, here, manifest, repository};

const SSH: &str = "git@github.com:al/app.git";
const HTTPS: &str = "https://GitHub.com/al/app";

/// Writes the client's own list of projects with these directories, relative to the home
/// directory.
fn write_client_projects(machine: &Machine, directories: &[&str]) {
    let names = directories
        .iter()
        .map(|directory| machine.home.join(directory).to_str().unwrap().to_owned());
    let projects: serde_json::Map<_, _> = names
        .map(|name| (name, json!({"allowedTools": []})))
        .collect();
    fs::write(
        machine.home.join(".claude.json"),
        json!({"projects": projects}).to_string(),
    )
    .unwrap();
}

/// Asserts that a session is in the client's directory of `project`.
#[track_caller]
pub(crate) fn assert_session_is_in(machine: &Machine, session: &str, project: &str) {
    let directory = machine
        .transcript_path(session)
        .parent()
        .unwrap()
        .to_owned();
    assert_eq!(
        directory,
        machine.project_dir(project),
        "{session} on {}",
        machine.name
    );
}

/// Removes everything that ccsync can discover again.
fn remove_caches(machine: &Machine) {
    for file in ["index.json", "checkouts.json"] {
        let _ = fs::remove_file(machine.home.join(".local/state/ccsync").join(file));
    }
}

/// Asserts that neither command has anything to do, with and without the cache, and that
/// no session was added.
#[track_caller]
pub(crate) fn assert_settled(machine: &Machine, sessions: &[&str]) {
    for _ in 0..2 {
        for command in ["push", "pull"] {
            let run = machine.ccsync([command]).success();
            let forks = machine.sessions();
            assert_eq!(forks, sessions, "{command} on {}\n{run}", machine.name);
            assert!(
                run.stdout.contains("up to date"),
                "{command} on {}\n{run}",
                machine.name
            );
        }
        remove_caches(machine);
    }
}

fn remove(machine: &Machine, session: &str) {
    fs::remove_file(machine.transcript_path(session)).unwrap();
}

/// A on `there`, B on `here`, each a clone of one remote; B has pulled the session.
fn pair_with_clones(env: &TestEnv, there: &str, here: &str) -> (Machine, Machine) {
    let (a, b) = env.pair();
    repository(&a, there, SSH);
    repository(&b, here, HTTPS);
    write_client_projects(&b, &[here]);
    a.session(ONE).project(there).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    (a, b)
}

#[test]
fn clone_unused_by_client_is_found_below_home() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", SSH);
    repository(&b, "src/github.com/al/app", HTTPS);
    a.session(ONE).project("work/app").turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "src/github.com/al/app");
    assert_settled(&b, &[ONE]);
}

#[test]
fn pull_session_into_local_clone_is_exact_at_origin() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/my app_2");
    assert_session_is_in(&b, ONE, "code/my app_2");
    assert_eq!(manifest(&a, ONE)["project"], "{{REPO}}");
    let text = b.text(ONE);
    assert!(!text.contains(a.home.to_str().unwrap()), "{text}");
    assert!(
        text.contains(b.home.join("code/my app_2/src/main.rs").to_str().unwrap()),
        "{text}"
    );

    let origin = a.text(ONE);
    b.append(ONE, "and there");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(
        a.text(ONE).starts_with(&origin),
        "what was written here stays"
    );
    assert!(
        !a.text(ONE).contains(b.home.to_str().unwrap()),
        "{}",
        a.text(ONE)
    );
    assert!(chain_is_whole(&a.text(ONE)));
    a.append(ONE, "and back");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "and there", "and back"]);
    assert_settled(&a, &[ONE]);
    assert_settled(&b, &[ONE]);
    for machine in [&a, &b] {
        machine.ccsync(["verify", "--full"]).success();
        machine.assert_in_order("settled");
        let before = machine.text(ONE);
        remove(machine, ONE);
        machine.ccsync(["pull", ONE]).success();
        assert_eq!(machine.text(ONE), before, "{}", machine.name);
    }
}

#[test]
fn list_shows_project_directory_or_name() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    let list = b.ccsync(["list"]).success().stdout;
    assert!(list.contains("~/code/app"), "{list}");
    for filter in ["code/app", "github.com/al"] {
        let list = b
            .ccsync(["list", "--project", filter, "--json"])
            .success()
            .json();
        assert_eq!(
            list["sessions"][0]["project"], "{{HOME}}/code/app",
            "{list}"
        );
    }
    assert_eq!(
        b.ccsync(["list", "--project", "work/app", "--json"])
            .success()
            .json()["sessions"],
        json!([])
    );
    a.append(ONE, "more");
    assert!(a.ccsync(["push"]).success().stdout.contains("~/work/app"));
    // This machine has no clone and no directory for the project.
    fs::remove_dir_all(b.home.join("code")).unwrap();
    let list = b.ccsync(["list"]).success().stdout;
    assert!(list.contains("github.com/al/app"), "{list}");
}

#[test]
fn clones_and_worktree_of_one_remote_stay_separate() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let three = "33333333-0000-4000-8000-000000000003";
    let places = [(ONE, "work/one"), (TWO, "work/two"), (three, "work/side")];
    repository(&a, "work/one", SSH);
    repository(&a, "work/two", HTTPS);
    git(
        &a,
        "work/one",
        &["worktree", "add", "--quiet", "-b", "side", "../side"],
    );
    places
        .iter()
        .for_each(|(id, place)| drop(a.session(id).project(place).turn(place).write()));
    a.ccsync(["push"]).success();
    assert_eq!(manifest(&a, three)["git"]["worktree"], "side");
    // B has the main checkout and a worktree of that name in another directory, and no
    // second clone.
    repository(&b, "code/main", SSH);
    git(
        &b,
        "code/main",
        &["worktree", "add", "--quiet", "-b", "side", "trees/side"],
    );
    write_client_projects(&b, &["code/main"]);
    b.ccsync(["pull"]).success();
    for (id, place) in [
        (ONE, "code/main"),
        (TWO, "code/main"),
        (three, "code/main/trees/side"),
    ] {
        assert_session_is_in(&b, id, place);
        b.append(id, "there");
    }
    b.ccsync(["push"]).success();
    let before: Vec<_> = places.iter().map(|(id, _)| a.text(id)).collect();
    a.ccsync(["pull"]).success();
    for ((id, place), before) in places.iter().zip(&before) {
        assert!(a.text(id).starts_with(before) && a.text(id).len() > before.len());
        let cwd = json!(a.home.join(place)).to_string();
        assert_eq!(
            a.text(id).matches(&format!("\"cwd\":{cwd}")).count(),
            8,
            "{id}"
        );
    }
    let all: Vec<_> = places.iter().map(|(id, _)| *id).collect();
    assert_settled(&a, &all);
    assert_settled(&b, &all);
    // Deleted and restored, each session is where it was.
    let before: Vec<_> = all
        .iter()
        .map(|id| (a.transcript_path(id), a.text(id)))
        .collect();
    all.iter().for_each(|id| remove(&a, id));
    a.ccsync([&["pull"], all.as_slice()].concat()).success();
    let after: Vec<_> = all
        .iter()
        .map(|id| (a.transcript_path(id), a.text(id)))
        .collect();
    assert_eq!(before, after);
}

#[test]
fn pull_worktree_session_falls_back_to_main_checkout() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", SSH);
    git(
        &a,
        "work/app",
        &[
            "worktree",
            "add",
            "--quiet",
            "-b",
            "side",
            ".claude/worktrees/side",
        ],
    );
    repository(&b, "code/app", SSH);
    git(
        &b,
        "code/app",
        &["worktree", "add", "--quiet", "-b", "other", "../aside"],
    );
    write_client_projects(&b, &["code/aside", "code/app"]);
    a.session(ONE)
        .project("work/app/.claude/worktrees/side")
        .turn("hello")
        .write();
    a.session(TWO).project("work/app/src").turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "code/app");
    assert_session_is_in(&b, TWO, "code/app/src");
    b.append(ONE, "there");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_session_is_in(&a, ONE, "work/app/.claude/worktrees/side");
    assert!(!a.text(ONE).contains(b.home.to_str().unwrap()));
    let cwd = a.home.join("work/app/.claude/worktrees/side");
    assert!(
        a.text(ONE)
            .lines()
            .all(|line| line.contains(cwd.to_str().unwrap()))
    );
}

#[test]
fn worktree_outside_checkout_path_is_not_reused() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", SSH);
    git(
        &a,
        "work/app",
        &["worktree", "add", "--quiet", "-b", "aside", "../aside"],
    );
    repository(&b, "code/app", SSH);
    let state = |session: &str, entered: bool| {
        let path = a.home.join("work/aside");
        let entered = entered.then(|| json!({"worktreePath": path, "worktreeName": "aside"}));
        let record =
            json!({"type": "worktree-state", "worktreeSession": entered, "sessionId": session});
        a.append_raw(session, format!("{record}\n").as_bytes());
    };
    let three = "33333333-0000-4000-8000-000000000003";
    for session in [ONE, TWO, three] {
        a.session(session)
            .project("work/aside")
            .turn("hello")
            .write();
    }
    state(ONE, true);
    // The second one has left the worktree again, and the third one began there.
    state(TWO, true);
    state(TWO, false);
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).success();
    assert_eq!(
        run.stdout
            .matches("its working tree `aside` is not here: ccsync resume 1111")
            .count(),
        1,
        "{run}"
    );
    assert_session_is_in(&b, ONE, "work/aside");
    assert!(!b.home.join("work").exists(), "nothing is created there");
    assert_session_is_in(&b, TWO, "code/app");
    assert_session_is_in(&b, three, "code/app");
    assert_settled(&b, &[ONE, TWO, three]);
    // It is continued in the checkout that is here.
    let ProjectHere::Present { directory, .. } = here(&b, ONE) else {
        panic!("the project is not here")
    };
    assert_eq!(directory, b.home.join("code/app"));
    let line = b
        .text(ONE)
        .lines()
        .next_back()
        .unwrap()
        .replace("work/aside", "code/app");
    assert!(line.contains("worktree-state"));
    b.append_raw(
        ONE,
        (line.replace("worktree-state", "mode") + "\n").as_bytes(),
    );
    b.ccsync(["push"]).success();
    assert_settled(&b, &[ONE, TWO, three]);
    let before = a.text(ONE);
    a.ccsync(["pull"]).success();
    assert!(a.text(ONE).starts_with(&before) && a.text(ONE).len() > before.len());
    assert_settled(&a, &[ONE, TWO, three]);
    // With such a worktree, a restored session is in it.
    git(
        &b,
        "code/app",
        &[
            "worktree",
            "add",
            "--quiet",
            "-b",
            "aside",
            "../trees/aside",
        ],
    );
    remove(&b, ONE);
    b.ccsync(["pull", ONE]).success();
    assert_session_is_in(&b, ONE, "code/trees/aside");
}

#[test]
fn clone_with_directory_then_same_path_is_preferred() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", SSH);
    a.session(ONE)
        .project("work/app/crates/x")
        .turn("hello")
        .write();
    a.ccsync(["push"]).success();
    for clone in ["a/first", "work/app", "z/last"] {
        repository(&b, clone, HTTPS);
    }
    write_client_projects(&b, &["a/first", "z/last"]);
    let pulled = |expected: &str| {
        b.ccsync(["pull", ONE]).success();
        assert_session_is_in(&b, ONE, expected);
        remove(&b, ONE);
    };
    pulled("work/app/crates/x");
    fs::create_dir_all(b.home.join("z/last/crates/x")).unwrap();
    pulled("z/last/crates/x");
    fs::create_dir_all(b.home.join("work/app/crates/x")).unwrap();
    pulled("work/app/crates/x");
    fs::remove_dir_all(b.home.join("work")).unwrap();
    fs::remove_dir_all(b.home.join("z/last/crates")).unwrap();
    pulled("a/first/crates/x");
    fs::rename(b.home.join("z/last"), b.home.join("z/app")).unwrap();
    write_client_projects(&b, &["z/app"]);
    remove_caches(&b);
    pulled("z/app/crates/x");
}

#[test]
fn session_location_is_stable_when_clone_appears() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", SSH);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "work/app");
    let before = b.text(ONE);
    assert!(
        before.contains(b.home.join("work/app/src").to_str().unwrap()),
        "{before}"
    );
    assert!(!b.home.join("work/app").exists());

    repository(&b, "code/app", HTTPS);
    write_client_projects(&b, &["code/app"]);
    assert_settled(&b, &[ONE]);
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "work/app");
    assert!(b.text(ONE).starts_with(&before));
    assert_settled(&b, &[ONE]);
    // Resuming the session names the clone; a session that is new here is written there.
    let ProjectHere::Present { directory, .. } = here(&b, ONE) else {
        panic!()
    };
    assert_eq!(directory, b.home.join("code/app"));
    a.session(TWO).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, TWO, "code/app");
    // Continued in the clone, though the session's directory has another path as its
    // name.
    let place = |from: &str| b.home.join(from).to_str().unwrap().to_owned();
    let now = b.text(ONE).replace(&place("work/app"), &place("code/app"));
    let last = now
        .lines()
        .last()
        .unwrap()
        .replace("\"uuid\":\"", "\"uuid\":\"f");
    b.append_raw(ONE, format!("{last}\n").as_bytes());
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(
        !a.text(ONE).contains(b.home.to_str().unwrap()),
        "{}",
        a.text(ONE)
    );
    assert_settled(&b, &[ONE, TWO]);
    assert_settled(&a, &[ONE, TWO]);
}

#[test]
fn clone_moved_or_deleted_makes_no_fork() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    for (turn, place) in ["elsewhere/renamed", "gone"].iter().enumerate() {
        let from = if turn == 0 {
            "code/app"
        } else {
            "elsewhere/renamed"
        };
        fs::create_dir_all(b.home.join("elsewhere")).unwrap();
        fs::rename(b.home.join(from), b.home.join(place)).unwrap();
        if turn == 1 {
            fs::remove_dir_all(b.home.join(place)).unwrap();
        }
        write_client_projects(&b, &[place]);
        assert_settled(&b, &[ONE]);
        let before = b.text(ONE);
        a.append(ONE, &format!("turn {turn}"));
        a.ccsync(["push"]).success();
        b.ccsync(["pull"]).success();
        assert!(b.text(ONE).starts_with(&before) && b.text(ONE).len() > before.len());
        assert_session_is_in(&b, ONE, "code/app");
        assert_settled(&b, &[ONE]);
    }
    // New turns in the directory of a removed clone are stored as if the clone existed.
    b.append(ONE, "last");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(!a.text(ONE).contains(b.home.to_str().unwrap()));
    assert_settled(&a, &[ONE]);
}

#[test]
fn clone_remote_renamed_or_removed_changes_nothing() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    git(
        &a,
        "work/app",
        &[
            "remote",
            "set-url",
            "origin",
            "https://example.org/new/name",
        ],
    );
    a.append(ONE, "under another name");
    a.ccsync(["push"]).success();
    assert_eq!(manifest(&a, ONE)["git"]["identity"], "example.org/new/name");
    remove_caches(&b);
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "code/app");
    assert!(!b.text(ONE).contains(a.home.to_str().unwrap()));
    git(&b, "code/app", &["remote", "remove", "origin"]);
    b.append(ONE, "without one");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(!a.text(ONE).contains(b.home.to_str().unwrap()));
    assert_settled(&a, &[ONE]);
    assert_settled(&b, &[ONE]);
}

#[test]
fn project_without_remote_matched_by_placeholder_or_home() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    fs::create_dir_all(a.home.join("lab/x")).unwrap();
    fs::create_dir_all(b.home.join("science/x")).unwrap();
    a.add_placeholder(&format!("LAB={}", a.home.join("lab").display()));
    b.add_placeholder(&format!("LAB={}", b.home.join("science").display()));
    git(&a, "lab/x", &["init", "--quiet"]);
    a.session(ONE).project("lab/x").turn("hello").write();
    a.session(TWO).project("other").turn("hello").write();
    a.ccsync(["push"]).success();
    assert_eq!(manifest(&a, ONE)["project"], "{{LAB}}/x");
    assert_eq!(manifest(&a, TWO)["project"], "{{HOME}}/other");
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "science/x");
    assert_session_is_in(&b, TWO, "other");
}

#[test]
fn project_subdirectories_of_one_repository_are_separate() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/mono", SSH);
    repository(&b, "src/mono", SSH);
    let inner = "33333333-0000-4000-8000-000000000003";
    repository(&a, "work/mono/inner", "https://example.org/al/inner");
    repository(&b, "inner", "https://example.org/al/inner");
    write_client_projects(&b, &["src/mono", "inner"]);
    for (id, place) in [
        (ONE, "work/mono/packages/a"),
        (TWO, "work/mono/packages/b"),
        (inner, "work/mono/inner/x"),
    ] {
        a.session(id).project(place).turn("hello").write();
    }
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    for (id, place) in [
        (ONE, "src/mono/packages/a"),
        (TWO, "src/mono/packages/b"),
        (inner, "inner/x"),
    ] {
        assert_session_is_in(&b, id, place);
        assert!(
            b.text(id)
                .contains(b.home.join(place).join("src/main.rs").to_str().unwrap())
        );
    }
}

#[test]
fn diverge_in_two_clones_keeps_both_versions_once() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    a.append(ONE, "at a");
    b.append(ONE, "at b");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["push"]);
    assert_eq!(run.code, Some(5), "{run}");
    b.ccsync(["pull"]);
    a.ccsync(["pull"]).success();
    assert_eq!(a.sessions(), b.sessions());
    let sessions = a.sessions();
    assert_eq!(sessions.len(), 2);
    // The fork's id is a hash, so either may come first.
    let fork = sessions.iter().find(|id| *id != ONE).unwrap().clone();
    for (machine, place) in [(&a, "work/app"), (&b, "code/app")] {
        assert_eq!(questions(&machine.text(ONE)), ["hello", "at a"]);
        assert_eq!(questions(&machine.text(&fork)), ["hello", "at b"]);
        assert_session_is_in(machine, &fork, place);
        let cwd = machine.home.join(place);
        assert!(
            machine
                .text(&fork)
                .lines()
                .all(|line| line.contains(cwd.to_str().unwrap()))
        );
        assert_settled(
            machine,
            &sessions.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
}

#[test]
fn undo_pull_into_clone_removes_session() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    b.ccsync(["undo"]).success();
    assert_eq!(b.sessions(), Vec::<String>::new());
    fs::rename(b.home.join("code/app"), b.home.join("code/other")).unwrap();
    write_client_projects(&b, &["code/other"]);
    b.ccsync(["pull", ONE]).success();
    assert_session_is_in(&b, ONE, "code/other");
    assert!(!b.text(ONE).contains("code/app"));
    let before = b.text(ONE);
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    b.ccsync(["undo"]).success();
    assert_eq!(b.text(ONE), before);
}

#[test]
fn pull_unplaced_session_names_needed_clone() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    fs::create_dir_all(a.home.join("lab")).unwrap();
    a.add_placeholder(&format!("LAB={}", a.home.join("lab").display()));
    repository(&a, "lab/app", SSH);
    a.session(ONE).project("lab/app").turn("hello").write();
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    for words in [
        "github.com/al/app",
        "clone git@github.com:al/app.git",
        "add-placeholder LAB=PATH",
    ] {
        assert!(said.contains(words), "{words}\n{run}");
    }
    assert_eq!(b.sessions(), Vec::<String>::new());
    // A pull in the clone finds it.
    repository(&b, "deep/down/app", HTTPS);
    b.run(
        b.command(["pull"])
            .current_dir(b.home.join("deep/down/app")),
    )
    .success();
    assert_session_is_in(&b, ONE, "deep/down/app");
}

#[test]
fn clones_found_below_placeholder_and_near_sessions() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", SSH);
    repository(&a, "work/tool", "https://example.org/tool");
    a.session(ONE).turn("hello").write();
    a.session(TWO).project("work/tool").turn("hello").write();
    a.ccsync(["push"]).success();
    repository(&b, "p/group/app", SSH);
    b.add_placeholder(&format!("P={}", b.home.join("p").display()));
    repository(&b, "x/y/tool", "https://example.org/tool.git");
    b.session("33333333-0000-4000-8000-000000000003")
        .project("x/y/tool/src")
        .turn("mine")
        .write();
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "p/group/app");
    assert_session_is_in(&b, TWO, "x/y/tool");
}

#[test]
fn push_session_gains_repository_later() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(manifest(&a, ONE)["project"], "{{HOME}}/work/app");
    repository(&a, "work/app", SSH);
    a.append(ONE, "in a repository");
    a.ccsync(["push"]).success();
    assert_eq!(manifest(&a, ONE)["project"], "{{REPO}}");
    repository(&b, "code/app", SSH);
    write_client_projects(&b, &["code/app"]);
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "work/app");
    assert_settled(&a, &[ONE]);
    assert_settled(&b, &[ONE]);
    remove(&b, ONE);
    b.ccsync(["pull", ONE]).success();
    assert_session_is_in(&b, ONE, "code/app");
    assert_settled(&b, &[ONE]);
}

#[test]
fn home_and_placeholder_directories_are_no_repository() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    repository(&a, "", "https://example.org/al/dotfiles");
    repository(&a, "lab", "https://example.org/al/lab");
    a.add_placeholder(&format!("LAB={}", a.home.join("lab").display()));
    a.session(ONE).project("notes").turn("hello").write();
    a.session(TWO).project("lab/x").turn("hello").write();
    a.ccsync(["push"]).success();
    assert_eq!(manifest(&a, ONE)["project"], "{{HOME}}/notes");
    assert_eq!(manifest(&a, TWO)["project"], "{{LAB}}/x");
    let text = fs::read_to_string(
        a.data()
            .join("store/sessions/11")
            .join(ONE)
            .join("manifest.json"),
    )
    .unwrap();
    assert!(!text.contains("REPO"), "{text}");
    let run = a.ccsync(["config", "add-placeholder", "REPO=/srv/x"]);
    assert!(run.code != Some(0) && run.stderr.contains("REPO"), "{run}");
}

/// Values that an attacker with write access to the store would choose.
#[test]
fn pull_hostile_repository_in_manifest_is_harmless() {
    use crate::harness::Clone;
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let attacker = env.machine("attacker");
    repository(&a, "work/app", SSH);
    repository(&b, "code/app", HTTPS);
    write_client_projects(&b, &["code/app"]);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let clone = Clone::new(&env.remote_of_pair(), &attacker);
    let path = format!("sessions/11/{ONE}/manifest.json");
    let good = manifest(&a, ONE);
    let key = good["placeholders"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    let outside = b.client_tree();
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        clone.pull();
        clone.write(&path, manifest.to_string());
        clone.push();
        remove_caches(&b);
        let run = b.ccsync(["pull", ONE]);
        let tree = b.client_tree();
        let new: Vec<_> = tree
            .keys()
            .filter(|path| !outside.contains_key(*path))
            .cloned()
            .collect();
        let _ = fs::remove_dir_all(b.home.join(".claude/projects"));
        fs::create_dir_all(b.home.join(".claude/projects")).unwrap();
        assert!(run.code != Some(70), "{run}");
        assert_eq!(
            fs::read_dir(b.home.join("code/app")).unwrap().count(),
            1,
            "only .git\n{run}"
        );
        let inside = |path: &Path| path.starts_with("projects") && path.components().count() <= 3;
        assert!(new.iter().all(|path| inside(path)), "{new:?}\n{run}");
        (run, new)
    };
    let (_, new) = with(&|manifest| manifest["project"] = json!("{{REPO}}//etc"));
    assert!(
        !new.iter()
            .any(|path| path.to_str().unwrap().ends_with("-etc-")),
        "{new:?}"
    );
    let (run, new) = with(&|manifest| manifest["project"] = json!("{{REPO}}/../../.ssh"));
    assert!(new.is_empty() && run.code == Some(3), "{new:?}\n{run}");
    let (run, new) = with(&|manifest| manifest["git"]["directory"] = json!("../../.ssh"));
    assert!(new.is_empty() && run.code == Some(3), "{new:?}\n{run}");
    let (run, new) = with(&|manifest| manifest["git"]["worktree"] = json!("../x"));
    assert!(new.is_empty() && run.code == Some(3), "{new:?}\n{run}");
    let (run, new) = with(&|manifest| manifest["git"]["remote"] = json!("ext::sh -c touch% x"));
    assert!(new.is_empty() && run.code == Some(3), "{new:?}\n{run}");
    // Its recorded location of the repository is only a name of the client's and text.
    for place in ["/etc", "/x/../../y"] {
        with(&|manifest| {
            let placeholders = manifest["placeholders"][&key]["placeholders"]
                .as_array_mut()
                .unwrap();
            let repo = placeholders
                .iter_mut()
                .find(|root| root["name"] == "REPO")
                .unwrap();
            repo["directory"] = json!(place);
            manifest["git"] = serde_json::Value::Null;
        });
    }
    let (run, new) = with(&|manifest| {
        let placeholders = manifest["placeholders"][&key]["placeholders"]
            .as_array_mut()
            .unwrap();
        let repo = placeholders
            .iter_mut()
            .find(|root| root["name"] == "REPO")
            .unwrap();
        repo["directory"] = json!("/");
    });
    assert!(new.is_empty() && run.code == Some(3), "{new:?}\n{run}");
    // Many placeholders, none of them used.
    with(&|manifest| {
        let set = manifest["placeholders"][&key].clone();
        for n in 0..5000 {
            let mut set = set.clone();
            let placeholders = set["placeholders"].as_array_mut().unwrap();
            placeholders
                .iter_mut()
                .find(|root| root["name"] == "REPO")
                .unwrap()["directory"] = json!(format!("/r{n}"));
            manifest["placeholders"][format!("{n:016x}")] = set;
        }
    });
}

#[test]
fn clone_with_foreign_git_file_is_ignored() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", SSH);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    // The manifest names another directory as its working tree; the git directory of
    // another one does not exist.
    repository(&b, "real", HTTPS);
    fs::create_dir_all(b.home.join("secret")).unwrap();
    git(
        &b,
        "real",
        &[
            "config",
            "core.worktree",
            b.home.join("secret").to_str().unwrap(),
        ],
    );
    fs::create_dir_all(b.home.join("false")).unwrap();
    fs::write(b.home.join("false/.git"), "gitdir: /nowhere\n").unwrap();
    fs::create_dir_all(b.home.join("loop")).unwrap();
    fs::write(
        b.home.join("loop/.git"),
        format!("gitdir: {}\n", b.home.join("loop/.git").display()),
    )
    .unwrap();
    write_client_projects(&b, &["real", "false", "loop", "nowhere"]);
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "work/app");
}

#[test]
fn path_notice_names_local_repository() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", SSH);
    let signed =
        br#"{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"x","signature":"c2ln"}]}}"#;
    a.session(ONE)
        .project("work/app/src")
        .turn("hello")
        .raw(signed)
        .raw(b"\n")
        .write();
    a.ccsync(["push"]).success();
    let notice = |directory: &str| {
        let directory = b.home.join(directory);
        let session = ONE.parse().unwrap();
        with_context(&b, |ctx| path_notice(ctx, &session, &directory))
            .unwrap()
            .unwrap()
    };
    let line = |to: &str| {
        format!(
            "- `{}` is now `{}`",
            a.home.join("work/app").display(),
            b.home.join(to).display()
        )
    };
    b.ccsync(["pull"]).success();
    let home = format!("- `{}` is now `{}`", a.home.display(), b.home.display());
    let text = notice("work/app/src");
    assert!(
        text.contains(&home) && !text.contains("work/app` is now"),
        "{text}"
    );
    // A clone in another directory, in which the client is to run.
    repository(&b, "code/app", HTTPS);
    fs::create_dir_all(b.home.join("code/app/src")).unwrap();
    let text = notice("code/app/src");
    assert!(
        text.contains(&home) && text.contains(&line("code/app")),
        "{text}"
    );
    assert!(
        b.text(ONE)
            .contains(a.home.join("work/app/src/src/main.rs").to_str().unwrap()),
        "the past is untouched"
    );
    assert!(
        b.text(ONE)
            .contains(&format!("\"cwd\":{}", json!(b.home.join("work/app/src"))))
    );
    assert_settled(&b, &[ONE]);
}

#[test]
fn clone_commits_change_no_session() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    let head = a.git(&["rev-parse", "HEAD"]);
    commit(&a, "work/app", "more");
    commit(&b, "code/app", "more");
    assert_settled(&a, &[ONE]);
    assert_settled(&b, &[ONE]);
    assert_eq!(a.git(&["rev-parse", "HEAD"]), head);
}

/// One turn on one machine.
#[derive(Debug, Clone)]
struct Step {
    at_b: bool,
    /// The machine's clone moves to the directory of this index; past the end of the
    /// list: no clone.
    moves_to: Option<usize>,
    loses_caches: bool,
    /// The session is deleted before it is pulled.
    is_deleted: bool,
}

const PLACES: [&str; 6] = [
    "work/app",
    "code/my app_2",
    "deep/er/日本 x",
    "app",
    "work/app-two",
    "work/app/nested",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let moves = proptest::option::weighted(0.5, 0..PLACES.len() + 2);
    let step = (
        any::<bool>(),
        moves,
        any::<bool>(),
        proptest::bool::weighted(0.3),
    );
    let step = step.prop_map(|(at_b, moves_to, loses_caches, is_deleted)| Step {
        at_b,
        moves_to,
        loses_caches,
        is_deleted,
    });
    proptest::collection::vec(step, 1..6)
}

/// Moves a clone from `from` to `to`.
fn move_clone(machine: &Machine, from: &mut Option<usize>, to: usize) {
    if let Some(from) = from.take() {
        fs::rename(machine.home.join(PLACES[from]), machine.home.join("moving")).unwrap();
    } else {
        repository(machine, "moving", HTTPS);
    }
    match PLACES.get(to) {
        None => fs::remove_dir_all(machine.home.join("moving")).unwrap(),
        Some(place) => {
            let place = machine.home.join(place);
            let _ = fs::remove_dir_all(&place);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::rename(machine.home.join("moving"), place).unwrap();
            write_client_projects(machine, &[PLACES[to]]);
            *from = Some(to);
        }
    }
}

fn run_steps(first: usize, below: &str, steps: &[Step]) {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let mut clones = [None, None];
    move_clone(&a, &mut clones[0], first);
    a.session(ONE)
        .project(&format!("{}{below}", PLACES[first]))
        .turn("begin")
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let mut asked = vec!["begin".to_owned()];
    for (turn, step) in steps.iter().enumerate() {
        let (machine, clone) = if step.at_b {
            (&b, &mut clones[1])
        } else {
            (&a, &mut clones[0])
        };
        if let Some(to) = step.moves_to {
            move_clone(machine, clone, to);
        }
        if step.loses_caches {
            remove_caches(machine);
        }
        let before = machine.text(ONE);
        if step.is_deleted {
            remove(machine, ONE);
            machine.ccsync(["pull", ONE]).success();
        }
        machine.ccsync(["pull"]).success();
        assert!(
            step.is_deleted || machine.text(ONE).starts_with(&before),
            "step {turn} of {steps:#?}"
        );
        asked.push(format!("turn {turn}"));
        machine.append(ONE, asked.last().unwrap());
        machine.ccsync(["push"]).success();
    }
    for machine in [&a, &b] {
        machine.ccsync(["pull"]).success();
        assert_eq!(
            questions(&machine.text(ONE)),
            asked,
            "{} after {steps:#?}",
            machine.name
        );
        assert_eq!(
            machine.sessions(),
            [ONE],
            "{} after {steps:#?}",
            machine.name
        );
        assert!(chain_is_whole(&machine.text(ONE)));
    }
    for (machine, other) in [(&a, &b), (&b, &a)] {
        assert!(
            !machine.text(ONE).contains(other.home.to_str().unwrap()),
            "{} after {steps:#?}",
            machine.name
        );
        assert_settled(machine, &[ONE]);
        machine.ccsync(["verify", "--full"]).success();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 12, ..ProptestConfig::default() })]

    #[test]
    fn session_stays_single_while_clones_move(first in 0..PLACES.len(), below in 0..2_usize, steps in steps()) {
        run_steps(first, ["", "/crates/x_y"][below], &steps);
    }
}

fn cases() -> u32 {
    std::env::var("CCSYNC_PROJECTS_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(4)
}

#[test]
fn restore_session_into_local_clone() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    a.append(ONE, "later");
    a.ccsync(["push"]).success();
    let whole = {
        b.ccsync(["pull"]).success();
        b.text(ONE)
    };
    remove(&b, ONE);
    let log = b.ccsync(["log", ONE, "--json"]).success().json();
    let first = log["entries"][1]["commit"].as_str().unwrap().to_owned();
    b.ccsync(["restore", ONE, "--at", &first]).success();
    assert_session_is_in(&b, ONE, "code/app");
    assert!(whole.starts_with(&b.text(ONE)));
    b.ccsync(["sync"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"], "it stays so");
    // Next to the project, and where nothing of it exists.
    for gone in [false, true] {
        if gone {
            b.sessions().iter().for_each(|id| remove(&b, id));
            remove_caches(&b);
        }
        let report = b
            .ccsync(["restore", ONE, "--at", &first, "--as-fork", "--json"])
            .success()
            .json();
        let fork = report["sessions"][0]["fork"].as_str().unwrap().to_owned();
        assert_session_is_in(&b, &fork, "code/app");
        assert!(
            b.text(&fork)
                .contains(b.home.join("code/app/src/main.rs").to_str().unwrap()),
            "{}",
            b.text(&fork)
        );
        assert!(!b.text(&fork).contains("/work/app"), "{}", b.text(&fork));
    }
}

#[test]
fn restore_as_fork_uses_directory_of_session() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    a.append(ONE, "later");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    // Another clone, in which any new session would be written.
    repository(&b, "work/app", SSH);
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "code/app");
    let log = b.ccsync(["log", ONE, "--json"]).success().json();
    let first = log["entries"][1]["commit"].as_str().unwrap().to_owned();
    let report = b
        .ccsync(["restore", ONE, "--at", &first, "--as-fork", "--json"])
        .success()
        .json();
    let fork = report["sessions"][0]["fork"].as_str().unwrap().to_owned();
    assert_session_is_in(&b, &fork, "code/app");
    assert!(
        b.text(&fork)
            .contains(b.home.join("code/app/src/main.rs").to_str().unwrap()),
        "{}",
        b.text(&fork)
    );
    let mut both = [ONE, &fork];
    both.sort();
    assert_settled(&b, &both);
    b.append(&fork, "on");
    b.ccsync(["sync"]).success();
    a.ccsync(["sync"]).success();
    assert_session_is_in(&a, &fork, "work/app");
    assert_settled(&a, &both);
    assert_settled(&b, &both);
}

#[test]
fn exclude_and_include_match_local_clone_path() {
    for (args, comes) in [
        (["config", "include", "~/code/**"], true),
        (["config", "include", "~/work/**"], false),
        (["config", "exclude", "~/code"], false),
        (["config", "exclude", "~/work"], true),
    ] {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        repository(&a, "work/app", SSH);
        repository(&b, "code/app", HTTPS);
        write_client_projects(&b, &["code/app"]);
        a.session(ONE).project("work/app").turn("hello").write();
        a.ccsync(["push"]).success();
        b.ccsync(args).success();
        for _ in 0..2 {
            let run = b.ccsync(["pull"]).success();
            assert_eq!(b.sessions().len(), usize::from(comes), "{args:?}\n{run}");
        }
        let rows = b.ccsync(["list", "--remote", "--json"]).success().json();
        assert_eq!(
            rows["sessions"][0]["excluded"].is_null(),
            comes,
            "{args:?} {rows}"
        );
        if comes {
            b.append(ONE, "more");
            let run = b.ccsync(["push"]).success();
            assert!(run.summary().contains("1 extended"), "{args:?}\n{run}");
        }
    }
}

#[test]
fn project_name_is_same_in_every_command() {
    let env = TestEnv::new();
    let (_, b) = pair_with_clones(&env, "work/app", "code/app");
    let list = b.ccsync(["list", "--json"]).success().json();
    let verify = b.ccsync(["verify", "--json"]).success().json();
    let log = b.ccsync(["log", "--json"]).success().json();
    let name = json!("{{HOME}}/code/app");
    assert_eq!(list["sessions"][0]["project"], name);
    assert_eq!(verify["sessions"][0]["project"], name, "{verify}");
    assert_eq!(log["entries"][0]["sessions"][0]["project"], name, "{log}");
}

#[test]
fn push_after_lost_store_without_clone_makes_no_fork() {
    for (clone_at_a, clone_at_b) in [(true, false), (false, true)] {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        if clone_at_a {
            repository(&a, "work/app", SSH);
        }
        a.session(ONE).project("work/app").turn("hello").write();
        a.ccsync(["push"]).success();
        b.ccsync(["pull"]).success();
        if clone_at_b {
            repository(&b, "work/app", SSH);
        }
        remove_caches(&b);
        fs::remove_dir_all(b.data().join("store")).unwrap();
        b.append(ONE, "there");
        let (remote, away) = (env.remote_of_pair(), env.root().join("away"));
        fs::rename(&remote, &away).unwrap();
        b.ccsync(["push"]).code(6);
        fs::rename(&away, &remote).unwrap();
        b.ccsync(["push"]).success();
        a.ccsync(["pull"]).success();
        for machine in [&a, &b] {
            assert_eq!(machine.sessions(), [ONE], "{} {clone_at_a}", machine.name);
            assert_eq!(questions(&machine.text(ONE)), ["hello", "there"]);
            assert_settled(machine, &[ONE]);
        }
    }
}

#[test]
fn import_copy_from_other_clone_is_recognized() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    b.append(ONE, "there");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    let before = b.text(ONE);
    let import = || b.ccsync(["import", a.home.join(".claude").to_str().unwrap(), "--json"]);
    let used = || {
        let known = fs::read(b.home.join(".local/state/ccsync/checkouts.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&known).unwrap()["used"][ONE].clone()
    };
    let here = used();
    let run = import().success();
    assert_eq!(run.json()["sessions"], json!([]), "{run}");
    assert_eq!(
        (used(), here.is_string()),
        (here, true),
        "where the copy was at home is not where the session is"
    );
    // The session continued there before it was copied.
    a.append(ONE, "never pushed");
    import().success();
    b.ccsync(["pull"]).success();
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    assert!(b.text(ONE).starts_with(&before));
    for machine in [&a, &b] {
        assert_eq!(
            questions(&machine.text(ONE)),
            ["hello", "there", "never pushed"]
        );
        assert_settled(machine, &[ONE]);
    }
    assert_session_is_in(&b, ONE, "code/app");
}

#[test]
fn show_uses_paths_of_local_clone() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    a.append(
        ONE,
        &format!("look at {}", a.home.join("work/app/x").display()),
    );
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    for (machine, directory) in [(&a, "work/app"), (&b, "code/app")] {
        let shown = machine
            .ccsync(["show", ONE, "--format", "json"])
            .success()
            .stdout;
        assert!(
            shown.contains(machine.home.join(directory).to_str().unwrap()),
            "{}\n{shown}",
            machine.name
        );
    }
    assert!(
        !b.ccsync(["show", ONE, "--format", "json"])
            .success()
            .stdout
            .contains("work/app")
    );
}

#[test]
fn machine_forgotten_repositories_stay_readable() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env, "work/app", "code/app");
    b.append(ONE, "there");
    b.ccsync(["push"]).success();
    b.ccsync(["machine", "forget", "a", "--yes"]).success();
    assert_settled(&b, &[ONE]);
    // A raw copy of that machine's sessions, without any recorded state.
    a.ccsync(["pull"]).success();
    let copy = a.text(ONE);
    remove(&b, ONE);
    let place = b
        .home
        .join(".claude/projects")
        .join(a.project_dir("work/app").file_name().unwrap());
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join(format!("{ONE}.jsonl")), copy).unwrap();
    assert_settled(&b, &[ONE]);
    b.append(ONE, "in the copy");
    b.ccsync(["sync"]).success();
    a.append(ONE, "on a");
    a.ccsync(["push"]);
    a.ccsync(["sync"]);
    b.ccsync(["sync"]).success();
    let (at_a, at_b) = (a.all_questions(), b.all_questions());
    assert_eq!(
        (at_a.len(), &at_a),
        (2, &at_b),
        "one continued here, one there, and both are kept once"
    );
}
