//! A machine on which Claude Code keeps all projects in one directory
//! (`CLAUDE_CODE_PROJECT_DIR_NAME`).

use std::fs;

use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions};

/// Runs ccsync with the directory `name` for all projects.
fn with_name(machine: &Machine, name: &str, args: &[&str]) -> Run {
    let mut command = machine.command(args);
    command.env("CLAUDE_CODE_PROJECT_DIR_NAME", name);
    command.env("CLAUDE_CONFIG_DIR", machine.home.join(".claude"));
    machine.run(&mut command)
}

#[test]
fn pull_with_one_project_directory_lands_there() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).project("work/app").turn("one").write();
    a.session(TWO).project("work/lib").turn("two").write();
    a.ccsync(["push"]).success();
    let directories = a.project_dirs();
    with_name(&b, "shared_1", &["pull"]).success();
    assert_eq!(b.project_dirs(), ["shared_1"]);
    b.append(ONE, "from b");
    with_name(&b, "shared_1", &["sync"]).success();
    with_name(&b, "shared_1", &["verify"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(ONE)), ["one", "from b"]);
    assert_eq!(a.project_dirs(), directories);
}

#[test]
fn push_from_one_project_directory_names_each_project() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).project("work/app").turn("one").write();
    a.session(TWO).project("work/lib").turn("two").write();
    let shared = a.home.join(".claude/projects/shared");
    fs::create_dir_all(&shared).unwrap();
    for session in [ONE, TWO] {
        let path = a.transcript_path(session);
        fs::rename(&path, shared.join(path.file_name().unwrap())).unwrap();
    }
    fs::create_dir_all(shared.join("memory")).unwrap();
    fs::write(shared.join("memory/MEMORY.md"), "- fact\n").unwrap();
    let run = with_name(&a, "shared", &["push"]).success();
    // One memory for several projects belongs to none of them.
    assert!(run.stdout.contains("stays here: "), "{run}");
    assert!(run.stdout.contains("projects/shared/memory"), "{run}");
    b.ccsync(["pull"]).success();
    for (session, project) in [(ONE, "work/app"), (TWO, "work/lib")] {
        let directory = b.transcript_path(session).parent().unwrap().to_owned();
        assert_eq!(directory, b.project_dir(project));
    }
}

#[test]
fn pull_ignores_name_that_client_ignores() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).project("work/app").turn("one").write();
    a.ccsync(["push"]).success();
    with_name(&b, "../shared", &["pull"]).success();
    let directory = b.transcript_path(ONE).parent().unwrap().to_owned();
    assert_eq!(directory, b.project_dir("work/app"));
}
