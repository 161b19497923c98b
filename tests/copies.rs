//! Copies of transcripts, and files that other programs leave next to them: lines that are nowhere
//! else reach the remote, everything else is skipped.

use std::fs;

use crate::harness::{ONE, TWO, TestEnv, questions};

#[test]
fn push_second_copy_in_other_directory_becomes_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).turn("common").write();
    let common = fs::read(&path).unwrap();
    a.append(ONE, "only in the other copy");
    let other = a.project_dir("work/other");
    fs::create_dir_all(&other).unwrap();
    let copy = other.join(path.file_name().unwrap());
    fs::rename(&path, &copy).unwrap();
    fs::write(&path, common).unwrap();
    let longer = a.home.join("longer.jsonl");
    fs::rename(&copy, &longer).unwrap();
    a.append(ONE, "only in one, and longer than the other");
    fs::rename(&longer, &copy).unwrap();

    let run = a.ccsync(["push"]);
    assert!(matches!(run.code, Some(0 | 5)), "{run}");
    b.ccsync(["pull"]).success();
    assert_eq!(
        b.all_questions(),
        [
            ["common", "only in one, and longer than the other"],
            ["common", "only in the other copy"]
        ]
    );
    let again = a.ccsync(["push"]).success();
    assert!(again.stdout.contains("up to date (1 session)"), "{again}");
    a.ccsync(["verify"]).success();
}

#[test]
fn push_conflict_copies_become_forks() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).turn("common").write();
    let common = fs::read(&path).unwrap();
    let names = [
        format!("{ONE}.sync-conflict-20261101-101010-ABCDEFG.jsonl"),
        format!("{ONE} (al's conflicted copy 2026-11-01).jsonl"),
        format!("{ONE}.orphaned-1764000000-ab.jsonl"),
        format!("{ONE}.jsonl.kept-1764000000"),
        format!("{ONE}.jsonl~"),
        format!("Copy of {ONE}.jsonl"),
        format!("~${ONE} (1).jsonl.bak"),
    ];
    for name in &names {
        a.append(ONE, &format!("in {name}"));
        fs::rename(&path, path.with_file_name(name)).unwrap();
        fs::write(&path, &common).unwrap();
    }
    // A copy without anything of its own, and one that is cut.
    fs::write(path.with_file_name(format!("{ONE} 2.jsonl")), &common).unwrap();
    fs::write(
        path.with_file_name(format!("{ONE} 3.jsonl")),
        &common[..common.len() - 9],
    )
    .unwrap();
    a.append(ONE, "the other way");
    let run = a.ccsync(["push"]);
    assert!(matches!(run.code, Some(0 | 5)), "{run}");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let mut expected: Vec<_> = names
        .iter()
        .map(|name| vec!["common".to_owned(), format!("in {name}")])
        .collect();
    expected.push(vec!["common".to_owned(), "the other way".to_owned()]);
    expected.sort();
    assert_eq!(b.all_questions(), expected);
}

#[test]
fn push_set_aside_transcript_without_session_is_kept() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).turn("set aside").write();
    fs::rename(
        &path,
        path.with_file_name(format!("{ONE}.orphaned-1764000000-ab.jsonl")),
    )
    .unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.all_questions(), [["set aside"]]);
    a.ccsync(["sync"]).success();
}

#[test]
fn push_files_of_file_system_are_skipped() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    let path = a.session(ONE).turn("hello").write();
    fs::write(
        path.with_file_name(format!("._{ONE}.jsonl")),
        b"\0\x05\x16\x07Mac OS X",
    )
    .unwrap();
    fs::write(path.with_file_name("._notes.jsonl"), b"\0\x05\x16\x07").unwrap();
    fs::write(path.with_file_name(".DS_Store"), b"\0").unwrap();
    let beside = [
        format!("{ONE}/subagents"),
        "memory".to_owned(),
        format!("../../tasks/{ONE}"),
        "../../agent-memory/scribe".to_owned(),
    ];
    for directory in &beside {
        let directory = path.with_file_name(directory);
        fs::create_dir_all(&directory).unwrap();
        for name in [
            ".DS_Store",
            "._1.json",
            "desktop.ini",
            "Thumbs.db",
            "Icon\r",
        ] {
            fs::write(directory.join(name), "made by the system").unwrap();
        }
        fs::write(directory.join("1.json"), "{}").unwrap();
    }
    a.ccsync(["push"]).success();
    let again = a.ccsync(["push"]).success();
    assert_eq!(again.stdout.lines().count(), 1, "{again}");
    b.ccsync(["pull"]).success();
    let names = walkdir::WalkDir::new(b.home.join(".claude")).into_iter();
    let mut names: Vec<_> = names
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.retain(|name| name != ".claude.json");
    names.sort();
    let transcript = format!("{ONE}.jsonl");
    let expected = ["1.json", "1.json", "1.json", "1.json", transcript.as_str()];
    assert_eq!(names, expected);
    let list = a.ccsync(["list", "--json"]).success().json();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
}

#[test]
fn push_copy_of_excluded_session_stays() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).project("secret/app").turn("common").write();
    let copy = a.project_dir("work/app");
    fs::create_dir_all(&copy).unwrap();
    let common = fs::read(&path).unwrap();
    a.append(ONE, "longer");
    fs::write(copy.join(path.file_name().unwrap()), common).unwrap();
    fs::rename(&path, path.with_file_name(format!("{ONE} 2.jsonl"))).unwrap();
    a.ccsync(["config", "exclude", "~/secret"]).success();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), Vec::<String>::new());
}

#[cfg(unix)]
#[test]
fn push_linked_project_directory_is_one_directory() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    let directory = a.project_dir("work/app");
    std::os::unix::fs::symlink(&directory, directory.with_file_name("-a-second-name")).unwrap();
    fs::create_dir_all(directory.join("memory")).unwrap();
    fs::write(directory.join("memory/MEMORY.md"), "note\n").unwrap();
    let run = a.ccsync(["push"]).success();
    assert!(!run.stdout.contains("second-name"), "{run}");
    fs::remove_file(directory.with_file_name("-a-second-name")).unwrap();
    a.append(ONE, "more");
    std::os::unix::fs::symlink(&directory, directory.with_file_name("-z-second-name")).unwrap();
    a.ccsync(["push"]).success();
    b.session(TWO).turn("to have the project").write();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "more"]);
    assert!(b.project_dir("work/app").join("memory/MEMORY.md").exists());
}

#[test]
fn push_empty_transcript_with_sub_agent_is_sent() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).write();
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    a.ccsync(["push"]).success();
    let agents = path.with_extension("").join("subagents");
    fs::create_dir_all(&agents).unwrap();
    let cwd = a.home.join("work/app");
    let record = serde_json::json!({"type": "user", "isSidechain": true, "cwd": cwd, "sessionId": ONE, "uuid": "u1",
        "message": {"role": "user", "content": "SUBAGENT"}, "timestamp": "2026-11-29T20:00:00.000Z"});
    fs::write(agents.join("agent-1.jsonl"), format!("{record}\n")).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull", ONE]).success();
    let agent = b
        .project_dir("work/app")
        .join(ONE)
        .join("subagents/agent-1.jsonl");
    assert!(fs::read_to_string(agent).unwrap().contains("SUBAGENT"));
    assert!(a.ccsync(["push"]).success().stdout.contains("up to date"));
}

#[test]
fn push_directory_with_dots_is_readable() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).project("work/x/../app").turn("one").write();
    a.session(TWO)
        .project("../../../../../../work/./app/..")
        .turn("two")
        .write();
    a.ccsync(["push"]).success();
    a.ccsync(["verify", "--full"]).success();
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    b.ccsync(["pull", ONE, TWO]).success();
    assert_eq!(questions(&b.text(ONE)), ["one", "more"]);
    assert_eq!(questions(&b.text(TWO)), ["two"]);
}

#[test]
fn list_omits_flat_sub_agents_which_travel() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    a.session("agent-0a1b2c3d").turn("warm-up").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(
        b.project_dir("work/app")
            .join("agent-0a1b2c3d.jsonl")
            .exists()
    );
    for machine in [&a, &b] {
        let list = machine
            .ccsync(["list", "--remote", "--json"])
            .success()
            .json();
        assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
        let status = machine.ccsync(["status", "--json"]).success().json();
        assert_eq!(status["sessions_here"], 1);
    }
}

#[cfg(unix)]
#[test]
fn push_linked_memory_is_named() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    let vault = a.home.join("vault");
    fs::create_dir_all(&vault).unwrap();
    fs::write(vault.join("MEMORY.md"), "note\n").unwrap();
    std::os::unix::fs::symlink(&vault, a.project_dir("work/app").join("memory")).unwrap();
    for command in ["push", "status"] {
        let run = a.ccsync([command]).success();
        assert!(
            run.stdout.contains("memory: not a plain file or directory"),
            "{run}"
        );
    }
}
