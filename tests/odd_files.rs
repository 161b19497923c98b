//! Named pipes among the files, and records that are nested very deeply: nothing waits for them,
//! and the other sessions go on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Machine, ONE, TWO, TestEnv};

fn make_pipe(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn git(machine: &Machine, directory: &Path, args: &[&str]) {
    fs::create_dir_all(directory).unwrap();
    let mut git = machine.program("git");
    machine
        .run(git.arg("-C").arg(directory).args(args))
        .success();
}

#[test]
fn push_named_pipes_are_skipped_or_named() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).turn("hello").write();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    fs::create_dir_all(a.home.join(".claude/tasks/team")).unwrap();
    fs::write(a.home.join(".claude/tasks/team/1.json"), "{}").unwrap();
    for skipped in [
        "settings.json",
        "settings.local.json",
        "sessions/1.json",
        "teams/team/config.json",
        "projects/pipe",
        "todos/x.json",
    ] {
        make_pipe(&a.home.join(".claude").join(skipped));
    }
    let named = [
        path.with_file_name(format!("{TWO}.jsonl")),
        path.with_extension("").join("subagents/agent-a.jsonl"),
        path.with_file_name("memory/MEMORY.md"),
        a.home.join(format!(".claude/tasks/{ONE}/1.json")),
        a.home.join(".claude/plans/x.md"),
        a.home.join(".claude/CLAUDE.md"),
    ];
    named.iter().for_each(|path| make_pipe(path));
    let report = a.ccsync(["push", "--json"]).code(3).stdout;
    for path in &named {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(report.contains(name), "{name}: {report}");
    }
    for command in [&["pull"][..], &["status"], &["verify", "--full"]] {
        let run = a.ccsync(command);
        assert!(matches!(run.code, Some(0 | 3)), "{run}");
    }
    b.ccsync(["pull"]).success();
    assert_eq!(b.all_questions(), [["hello"]]);
}

#[test]
fn pull_repository_with_named_pipe_is_no_clone() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let url = "https://github.com/al/app.git";
    let clone = a.home.join("work/app");
    git(&a, &clone, &["init", "--quiet"]);
    git(&a, &clone, &["remote", "add", "origin", url]);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    make_pipe(&b.home.join("code/odd/.git/config"));
    fs::create_dir_all(b.home.join("code/odd/.git/refs")).unwrap();
    fs::create_dir_all(b.home.join("code/odd/.git/objects")).unwrap();
    fs::write(b.home.join("code/odd/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
    let there = b.home.join("src/app");
    git(&b, &there, &["init", "--quiet"]);
    git(&b, &there, &["remote", "add", "origin", url]);
    b.ccsync(["pull"]).success();
    assert!(
        b.project_dir("src/app")
            .join(format!("{ONE}.jsonl"))
            .exists()
    );

    a.append(ONE, "more");
    fs::remove_file(clone.join(".git/config")).unwrap();
    make_pipe(&clone.join(".git/config"));
    fs::remove_dir_all(a.home.join(".local/state/ccsync")).unwrap();
    a.ccsync(["push"]).success();
}

#[test]
fn push_deep_records_are_exact() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    let path = a.session(ONE).turn("hello").write();
    a.session(TWO).turn("other").write();
    let mut text = fs::read_to_string(&path).unwrap();
    let here = a.home.to_str().unwrap();
    for depth in [1_000, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            text += &format!("{{\"type\":\"user\",\"toolUseResult\":{open}\"{here}/x\"{close}}}\n");
        }
        text += &format!("{}\n", "[".repeat(depth));
    }
    fs::write(&path, &text).unwrap();
    a.ccsync(["push"]).success();
    a.ccsync(["verify", "--full"]).success();
    b.ccsync(["pull"]).success();
    let pulled =
        fs::read_to_string(b.project_dir("work/app").join(format!("{ONE}.jsonl"))).unwrap();
    assert_eq!(pulled, text.replace(here, b.home.to_str().unwrap()));
    for command in [&["show", ONE][..], &["search", "hello"], &["list"]] {
        b.ccsync(command).success();
    }
}
