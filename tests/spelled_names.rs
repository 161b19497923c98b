//! Directories whose names have composed characters on one machine and decomposed ones on the
//! other, as macOS may write them, are one project.

// macOS keeps no two spellings of one name apart.
#![cfg(not(target_os = "macos"))]

use std::fs;
use std::path::PathBuf;

use crate::harness::{Machine, ONE, TWO, TestEnv, questions};
use crate::project_location::{assert_session_is_in, assert_settled};
use crate::project_repository::{here, manifest, repository};
use ccsync::handoff::project_here::ProjectHere;

const COMPOSED: &str = "travail/caf\u{e9} \u{fc}";
const DECOMPOSED: &str = "travail/cafe\u{301} u\u{308}";

/// Creates a directory below the home directory.
fn create(machine: &Machine, directory: &str) -> PathBuf {
    let path = machine.home.join(directory);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A session of A in the one spelling, pulled by B, whose directory has the other.
fn pair_with_spellings(env: &TestEnv, there: &str, here: &str) -> (Machine, Machine) {
    let (a, b) = env.pair();
    create(&b, here);
    a.session(ONE).project(there).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    (a, b)
}

#[test]
fn pull_project_in_other_spelling_lands_in_existing_directory() {
    for (there, here) in [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)] {
        let env = TestEnv::new();
        let (a, b) = pair_with_spellings(&env, there, here);
        assert_session_is_in(&b, ONE, here);
        assert_settled(&b, &[ONE]);
        assert_settled(&a, &[ONE]);
    }
}

#[test]
fn resume_project_in_other_spelling_runs_in_existing_directory() {
    let env = TestEnv::new();
    let (_, b) = pair_with_spellings(&env, COMPOSED, DECOMPOSED);
    let ProjectHere::Present { directory, .. } = here(&b, ONE) else {
        panic!("missing")
    };
    assert_eq!(directory, b.home.join(DECOMPOSED));
}

#[test]
fn pull_continued_in_other_spelling_is_exact_on_both_machines() {
    let env = TestEnv::new();
    let (a, b) = pair_with_spellings(&env, COMPOSED, DECOMPOSED);
    let origin = a.text(ONE);
    let written_there = b
        .session(TWO)
        .project(DECOMPOSED)
        .turn("from there")
        .write();
    let added = fs::read_to_string(&written_there)
        .unwrap()
        .replace(TWO, ONE);
    fs::remove_file(written_there).unwrap();
    b.append_raw(ONE, added.as_bytes());
    let there = b.text(ONE);
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(a.text(ONE).starts_with(&origin));
    assert_eq!(questions(&a.text(ONE)), ["hello", "from there"]);
    a.append(ONE, "and here");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(b.text(ONE).starts_with(&there));
    assert_session_is_in(&a, ONE, COMPOSED);
    assert_session_is_in(&b, ONE, DECOMPOSED);
    for machine in [&a, &b] {
        assert_settled(machine, &[ONE]);
        machine.ccsync(["verify", "--full"]).success();
    }
}

#[test]
fn clone_directory_in_other_spelling_is_found() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let below = |top: &str, directory: &str| format!("{top}/{directory}");
    for (machine, top, address) in [
        (&a, COMPOSED, "git@git.example.org:al/caf\u{e9}.git"),
        (&b, DECOMPOSED, "https://git.example.org/al/cafe%CC%81"),
    ] {
        repository(machine, top, address);
    }
    let (there, here) = (below(COMPOSED, "\u{f1}"), below(DECOMPOSED, "n\u{303}"));
    create(&b, &here);
    a.session(ONE).project(&there).turn("hello").write();
    a.ccsync(["push"]).success();
    assert_eq!(manifest(&a, ONE)["project"], "{{REPO}}/\u{f1}");
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, &here);
    assert!(b.text(ONE).contains(DECOMPOSED));
    assert_settled(&b, &[ONE]);
}

#[test]
fn exclude_pattern_matches_other_spelling() {
    for (pattern, project) in [
        ("~/travail/caf\u{e9}*", DECOMPOSED),
        ("cafe\u{301} u\u{308}", COMPOSED),
        ("~/travail/caf? [\u{fb}-\u{fd}]", COMPOSED),
        ("CAF\u{c9} ?", DECOMPOSED),
        ("{{HOME}}/travail/{the,caf\u{e9}} \u{fc}", DECOMPOSED),
    ] {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        a.session(ONE).project(project).turn("secret").write();
        a.session(TWO).turn("hello").write();
        let only = a
            .ccsync(["push", "--dry-run", "--project", pattern])
            .success();
        assert!(only.stdout.contains("1 session"), "{only}");
        a.ccsync(["config", "exclude", pattern]).success();
        a.ccsync(["push"]).success();
        b.ccsync(["pull"]).success();
        assert_eq!(b.sessions(), [TWO], "{pattern}");
    }
}

#[test]
fn pull_excluded_other_spelling_stays_in_store() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).project(COMPOSED).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["config", "exclude", &format!("~/{DECOMPOSED}")])
        .success();
    b.ccsync(["pull"]).success();
    assert!(b.sessions().is_empty());
}

#[test]
fn memory_of_project_in_other_spelling_is_one() {
    let env = TestEnv::new();
    let (a, b) = pair_with_spellings(&env, COMPOSED, DECOMPOSED);
    let memory = |machine: &Machine, project: &str| machine.project_dir(project).join("memory");
    for (machine, project, file) in [(&a, COMPOSED, "a.md"), (&b, DECOMPOSED, "b.md")] {
        fs::create_dir_all(memory(machine, project)).unwrap();
        fs::write(memory(machine, project).join(file), "fact\n").unwrap();
        machine.ccsync(["sync"]).success();
    }
    a.ccsync(["sync"]).success();
    for (machine, project) in [(&a, COMPOSED), (&b, DECOMPOSED)] {
        for file in ["a.md", "b.md"] {
            let path = memory(machine, project).join(file);
            assert!(path.is_file(), "{}", path.display());
        }
    }
}

#[test]
fn placeholder_directory_in_other_spelling_is_recognised() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let placeholder = format!("WORK=~/{COMPOSED}");
    create(&a, DECOMPOSED);
    a.add_placeholder(&placeholder);
    b.add_placeholder("WORK=~/arbeit");
    let project = format!("{DECOMPOSED}/app");
    a.session(ONE).project(&project).turn("hello").write();
    let origin = a.text(ONE);
    a.ccsync(["push"]).success();
    assert_eq!(manifest(&a, ONE)["project"], "{{WORK}}/app");
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "arbeit/app");
    assert!(!b.text(ONE).contains(DECOMPOSED));
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    a.ccsync(["pull", ONE]).success();
    assert_session_is_in(&a, ONE, &project);
    assert_eq!(a.text(ONE), origin);
}

#[test]
fn push_from_other_spelling_with_remote_pattern_is_sent() {
    let env = TestEnv::new();
    let (_, b) = pair_with_spellings(&env, COMPOSED, DECOMPOSED);
    b.ccsync(["config", "exclude", "github.com/acme/*"])
        .success();
    b.append(ONE, "more");
    let run = b.ccsync(["push"]).success();
    assert!(!run.stdout.contains("excluded"), "{run}");
}

#[test]
fn list_and_search_projects_in_other_spelling_are_found() {
    let env = TestEnv::new();
    let (a, _) = pair_with_spellings(&env, COMPOSED, DECOMPOSED);
    let list = a.ccsync(["list", "--json", "--project", DECOMPOSED]);
    assert_eq!(list.success().json()["sessions"][0]["session"], ONE);
    let found = a.ccsync(["search", "hello", "--project", "cafe\u{301}"]);
    assert!(found.success().stdout.contains("hello"));
}
