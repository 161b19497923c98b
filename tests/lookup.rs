//! Which session or machine the user means: one rule in every command.

use crate::harness::{Machine, ONE, Run, TestEnv};

/// The commands that take a machine, with `machine` in its place.
fn machine_commands(machine: &str) -> Vec<Vec<String>> {
    let commands: [&[&str]; 6] = [
        &["list", "--from", "M"],
        &["list", "--remote", "--from", "M"],
        &["search", "login", "--from", "M"],
        &["note", "hello", "--for", "M"],
        &["config", "set-path", "WORK", "M", "/srv"],
        &["machine", "forget", "M", "--yes", "--force"],
    ];
    let with_machine = |command: &[&str]| {
        let arguments = command.iter();
        arguments
            .map(|&argument| if argument == "M" { machine } else { argument }.to_owned())
            .collect()
    };
    commands.into_iter().map(with_machine).collect()
}

/// The commands that take a stored session.
fn session_commands(session: &str) -> Vec<Vec<String>> {
    let commands: [&[&str]; 5] = [
        &["show", session],
        &["log", session],
        &["verify", session],
        &["pull", session],
        &["repair", session],
    ];
    let owned = |command: &[&str]| command.iter().map(ToString::to_string).collect();
    commands.into_iter().map(owned).collect()
}

fn id_of(machine: &Machine) -> String {
    let shown = machine.ccsync(["config", "show", "--json"]).success();
    shown.json()["id"].as_str().unwrap().to_owned()
}

fn run(machine: &Machine, command: &[String]) -> Run {
    machine.ccsync(command.iter().map(String::as_str))
}

#[test]
fn lookup_machine_by_name_or_id_prefix_in_any_case() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    let id = id_of(&b);
    for name in ["b", "B", &id, &id[..8], &id[..4].to_uppercase()] {
        for command in &machine_commands(name)[..5] {
            let done = run(&a, command);
            assert!(!done.stderr.contains("no machine"), "{command:?}: {done}");
        }
    }
    let forgotten = run(&a, &machine_commands(&id[..8].to_uppercase())[5]);
    assert_eq!(forgotten.code, Some(0), "{forgotten}");
}

#[test]
fn lookup_unknown_machine_is_an_error_everywhere() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let too_short = &id_of(&b)[..3];
    for name in ["desk", too_short] {
        for command in machine_commands(name) {
            let done = run(&a, &command).code(1);
            let expected = format!("error: no machine named `{name}` in the store\n");
            assert!(done.stderr.starts_with(&expected), "{command:?}: {done}");
        }
    }
}

#[test]
fn lookup_ambiguous_machine_names_candidates() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    c.ccsync(["config", "set", "name", "b"]).success();
    c.ccsync(["push"]).success();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    for command in machine_commands("b") {
        let done = run(&a, &command).code(1);
        for id in [id_of(&b), id_of(&c)] {
            let candidate = format!("b ({})", &id[..8]);
            assert!(done.stderr.contains(&candidate), "{command:?}: {done}");
        }
    }
}

#[test]
fn lookup_session_by_id_prefix_in_any_case() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.ccsync(["pull"]).success();
    a.ccsync(["pull"]).success();
    for name in [
        ONE,
        &ONE[..6],
        &ONE.to_uppercase(),
        &ONE[..6].to_uppercase(),
    ] {
        for command in session_commands(name) {
            let done = run(&b, &command);
            assert!(!done.stderr.contains("no session"), "{command:?}: {done}");
        }
    }
}

#[test]
fn lookup_ambiguous_session_names_candidates() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let other = format!("{}-other", &ONE[..8]);
    a.session(&other).turn("another").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    for command in session_commands(&ONE[..8].to_uppercase()) {
        let done = run(&b, &command);
        let names_both = done.stderr.contains(ONE) && done.stderr.contains(&other);
        assert!(names_both, "{command:?}: {done}");
    }
}
