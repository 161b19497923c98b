//! Changes to a user's files that must never happen.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;

use crate::harness::{ONE, TWO, TestEnv, questions};

#[test]
fn dry_run_changes_nothing() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    a.append(ONE, "more");
    a.session(TWO).turn("new").write();
    let (before_a, before_b) = (a.tree(), b.tree());
    let push = a.ccsync(["push", "--dry-run"]).success();
    assert_eq!(
        push.summary(),
        "push (dry run, nothing was done): 2 sessions: 1 added, 1 extended"
    );
    assert!(
        push.stdout.contains("would be added") && push.stdout.contains("would be extended"),
        "{push}"
    );
    let pull = b.ccsync(["pull", "--dry-run"]).success();
    assert!(
        pull.summary()
            .starts_with("pull (dry run, nothing was done)"),
        "{pull}"
    );
    for (what, before, after) in [
        ("push", before_a, a.client_tree()),
        ("pull", before_b, b.client_tree()),
    ] {
        for (path, file) in after {
            assert_eq!(
                before.get(&std::path::Path::new(".claude").join(&path)),
                Some(&file),
                "{what} {}",
                path.display()
            );
        }
    }
    assert!(b.sessions().is_empty());
    assert_eq!(
        a.ccsync(["push"]).success().summary(),
        "push: 2 sessions: 1 added, 1 extended; on the remote as $COMMIT"
    );
}

#[test]
fn push_dry_run_leaves_home_unchanged() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    a.ccsync(["status"]).success();
    let before = a.tree();
    a.ccsync(["push", "--dry-run"]).success();
    let after = a.tree();
    let state = std::path::Path::new(".local/state");
    let kept = |tree: &crate::harness::Tree| {
        tree.iter()
            .filter(|(p, _)| !p.starts_with(state))
            .map(|(p, f)| (p.clone(), f.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(&after), kept(&before), "only caches may change");
}

#[test]
fn push_deleted_session_stays_in_store() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    fs::remove_file(path).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
}

#[test]
fn undo_restores_what_pull_replaced() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let before = b.transcript(ONE);
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_ne!(b.transcript(ONE), before);
    b.ccsync(["undo"]).success();
    assert_eq!(b.transcript(ONE), before);
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "more"]);
}

#[test]
fn undo_keeps_files_changed_since() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    b.append(ONE, "mine");
    b.ccsync(["undo"]).code(3);
    assert_eq!(questions(&b.text(ONE)), ["hello", "more", "mine"]);
}

#[test]
fn undo_keeps_backup_it_cannot_restore() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.session(TWO).turn("two").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    a.append(ONE, "theirs");
    a.ccsync(["push"]).success();
    b.append(ONE, "mine");
    let mine = b.transcript(ONE);
    b.ccsync(["pull"]);
    assert_eq!(
        (questions(&b.text(ONE)), b.sessions().len()),
        (vec!["hello".to_owned(), "theirs".to_owned()], 3)
    );
    b.append(ONE, "later");

    let undone = b.ccsync(["undo", "--json"]).code(3).json();
    let reason = undone["skipped"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("it changed since that pull"), "{reason}");
    let original = std::path::Path::new(reason.split('`').nth(1).expect("where the original is"));
    assert_eq!(questions(&b.text(ONE)), ["hello", "theirs", "later"]);
    assert_eq!(b.sessions(), [ONE, TWO], "the fork goes");
    assert_eq!(fs::read(original).unwrap(), mine);

    let second = b.ccsync(["undo"]).success();
    assert!(
        second.stdout.contains(TWO),
        "the pull before that one\n{second}"
    );
    assert_eq!(b.sessions(), [ONE]);
    b.ccsync(["undo"]).code(3);
    assert_eq!(
        b.ccsync(["undo"]).success().summary(),
        "undo: nothing to undo"
    );
    b.ccsync(["pull"]);
    assert_eq!(fs::read(original).unwrap(), mine);
}

#[test]
fn undo_restores_time_and_continues_with_previous_pull() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").days_old(3).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let modified = || {
        fs::metadata(b.transcript_path(ONE))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = modified();
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_ne!(modified(), before);
    b.ccsync(["undo"]).success();
    assert_eq!(modified(), before, "the client sorts by it");
    b.ccsync(["undo"]).success();
    assert!(b.sessions().is_empty(), "the first pull made this file");
}

#[cfg(target_os = "linux")]
#[test]
fn undo_running_session_is_unchanged() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let extras = a
        .transcript_path(ONE)
        .with_extension("")
        .join("tool-results");
    fs::create_dir_all(&extras).unwrap();
    fs::write(extras.join("toolu_1.txt"), "x").unwrap();
    a.append(ONE, "more");
    a.session(TWO).turn("two").write();
    a.ccsync(["push"]).success();
    let before = b.transcript(ONE);
    b.ccsync(["pull"]).success();
    let pulled = b.client_tree();
    b.mark_running(ONE, std::process::id());

    let undone = b.ccsync(["undo", "--json"]).code(3).json();
    let reasons: Vec<&str> = undone["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k["reason"].as_str().unwrap())
        .collect();
    let running = format!("running here (process {})", std::process::id());
    assert_eq!(
        reasons,
        [running.as_str(); 2],
        "the transcript and the file beside it"
    );
    assert_eq!(b.sessions(), [ONE], "the other session goes");
    for (path, file) in pulled
        .iter()
        .filter(|(path, _)| path.to_string_lossy().contains(ONE))
    {
        assert_eq!(b.client_tree().get(path), Some(file));
    }

    // The pull before that one made the transcript, so that nothing can be undone until
    // the client has ended.
    for _ in 0..2 {
        let again = b.ccsync(["undo"]).code(3);
        assert!(again.stdout.contains("running here"), "{again}");
    }
    fs::remove_dir_all(b.home.join(".claude/sessions")).unwrap();
    b.ccsync(["undo"]).success();
    assert_eq!(b.transcript(ONE), before);
    assert!(
        !b.transcript_path(ONE)
            .with_extension("")
            .join("tool-results/toolu_1.txt")
            .exists()
    );
}

#[test]
fn undo_without_pull_says_so() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    insta::assert_snapshot!(a.ccsync(["undo"]), @r"
    undo: nothing to undo
    --- exit 0
    ");
}

#[test]
fn push_torn_last_line_stays_local() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE)
        .turn("hello")
        .raw(b"{\"type\":\"user\",\"uuid\":\"to")
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(
        b.text(ONE).ends_with('\n'),
        "a pulled transcript ends at a line end"
    );
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
    a.append_raw(ONE, b"rn\",\"message\":{\"content\":\"repaired\"}}\n");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "repaired"]);
}

#[cfg(target_os = "linux")]
#[test]
fn pull_running_session_is_never_written() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    let before = b.transcript(ONE);
    b.mark_running(ONE, std::process::id());
    let pulled = b.ccsync(["pull"]).code(3);
    assert!(pulled.stdout.contains("running"), "{pulled}");
    assert_eq!(b.transcript(ONE), before);
    assert_eq!(
        b.ccsync(["status", "--json"]).success().json()["running"],
        serde_json::json!([ONE])
    );
}

#[cfg(target_os = "linux")]
#[test]
fn pull_stale_client_session_file_is_ignored() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    b.mark_running(ONE, std::process::id());
    let record = b
        .home
        .join(format!(".claude/sessions/{}.json", std::process::id()));
    let another_start = fs::read_to_string(&record)
        .unwrap()
        .replace("\"procStart\":\"", "\"procStart\":\"9");
    fs::write(record, another_start).unwrap();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "more"]);
}

#[test]
fn store_is_clean_after_every_command() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    for args in [
        &["push"][..],
        &["status"],
        &["list"],
        &["pull"],
        &["undo"],
        &["sync"],
        &["push", "--dry-run"],
    ] {
        let run = a.ccsync(args);
        assert_eq!(
            a.git(&["status", "--porcelain"]),
            "",
            "after {args:?}\n{run}"
        );
    }
    b.ccsync(["pull"]).success();
    assert_eq!(b.git(&["status", "--porcelain"]), "");
    assert_eq!(b.git(&["fsck", "--strict"]), "");
}

#[cfg(unix)]
#[test]
fn files_are_private_with_any_umask() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let extras = a.session(ONE).turn("hello").write().with_extension("");
    fs::create_dir_all(extras.join("tool-results")).unwrap();
    fs::write(extras.join("tool-results/toolu_1.txt"), "x").unwrap();
    let open = |machine: &crate::harness::Machine, command: &str| {
        let program = env!("CARGO_BIN_EXE_ccsync");
        machine
            .run(machine.program("sh").args([
                "-c",
                "umask 000; exec \"$0\" \"$1\"",
                program,
                command,
            ]))
            .success();
    };
    open(&a, "push");
    open(&b, "pull");
    for machine in [&a, &b] {
        for base in [".local", ".config", ".claude/projects"] {
            if machine.name == "a" && base == ".claude/projects" {
                continue; // written by the test, not by the program
            }
            for entry in walkdir::WalkDir::new(machine.home.join(base))
                .min_depth(2)
                .into_iter()
                .map(Result::unwrap)
            {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                assert_eq!(mode & 0o077, 0, "{mode:o} {}", entry.path().display());
            }
        }
    }
}

#[test]
fn push_broken_session_does_not_stop_others() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("good").write();
    let dir = a.project_dir("work/app");
    fs::create_dir_all(dir.join(format!("{TWO}.jsonl"))).unwrap();
    fs::write(dir.join("not a session id.jsonl"), "{}\n").unwrap();
    let push = a.ccsync(["push"]);
    assert!(matches!(push.code, Some(0 | 3)), "{push}");
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["good"]);
}

#[test]
fn output_title_is_escaped_for_terminal() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("evil \u{1b}[2J\u{202e}title").write();
    for run in [
        a.ccsync(["push"]),
        b.ccsync(["pull"]),
        b.ccsync(["list"]),
        b.ccsync(["list", "--json"]),
    ] {
        assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']), "{run}");
        assert_eq!(run.code, Some(0), "{run}");
    }
}

#[cfg(unix)]
#[test]
fn push_symlinked_session_directory_is_not_read() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let extras = a.session(ONE).turn("hello").write().with_extension("");
    fs::create_dir(a.home.join(".ssh")).unwrap();
    fs::write(a.home.join(".ssh/id_ed25519"), "secret").unwrap();
    std::os::unix::fs::symlink(a.home.join(".ssh"), extras).unwrap();
    let push = a.ccsync(["push"]).code(3);
    assert!(push.stdout.contains("links are not followed"), "{push}");
    assert!(
        !a.git(&["ls-tree", "-r", "--name-only", "HEAD"])
            .contains("id_ed25519")
    );
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
    assert!(
        !b.client_tree()
            .keys()
            .any(|path| path.ends_with("id_ed25519"))
    );
}

#[test]
fn push_temporary_files_of_killed_pull_are_ignored() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let extras = a
        .session(ONE)
        .turn("hello")
        .write()
        .with_extension("")
        .join("tool-results");
    fs::create_dir_all(&extras).unwrap();
    fs::write(extras.join(".ccsync-Ab12.tmp"), "half").unwrap();
    fs::write(extras.join("toolu_1.txt"), "x").unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let results = b
        .transcript_path(ONE)
        .with_extension("")
        .join("tool-results");
    let names: Vec<_> = fs::read_dir(results)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["toolu_1.txt"]);
}

#[test]
fn pull_missing_transcript_with_files_is_completed_or_skipped() {
    for (there, code) in [("x", 0), ("something else", 3)] {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        let extras = a
            .session(ONE)
            .turn("hello")
            .write()
            .with_extension("")
            .join("tool-results");
        fs::create_dir_all(&extras).unwrap();
        fs::write(extras.join("toolu_1.txt"), "x").unwrap();
        fs::write(extras.join("toolu_2.txt"), "y").unwrap();
        a.ccsync(["push"]).success();
        let here = b.project_dir("work/app").join(ONE).join("tool-results");
        fs::create_dir_all(&here).unwrap();
        fs::write(here.join("toolu_1.txt"), there).unwrap();
        let pull = b.ccsync(["pull"]).code(code);
        assert_eq!(
            fs::read_to_string(here.join("toolu_1.txt")).unwrap(),
            there,
            "{pull}"
        );
        if code == 0 {
            assert_eq!(fs::read_to_string(here.join("toolu_2.txt")).unwrap(), "y");
            assert_eq!(questions(&b.text(ONE)), ["hello"]);
        } else {
            assert!(
                pull.stdout.contains("move it to another directory"),
                "{pull}"
            );
        }
    }
}

#[test]
fn undo_session_with_newer_sub_agents_is_kept() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let agents = a
        .session(ONE)
        .turn("hello")
        .write()
        .with_extension("")
        .join("subagents");
    fs::create_dir_all(&agents).unwrap();
    fs::write(agents.join("agent-1.jsonl"), "{\"uuid\":\"1\"}\n").unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let agent = b
        .transcript_path(ONE)
        .with_extension("")
        .join("subagents/agent-1.jsonl");
    fs::write(&agent, "{\"uuid\":\"1\"}\n{\"uuid\":\"2\"}\n").unwrap();
    let undone = b.ccsync(["undo"]).code(3);
    assert!(
        undone
            .stdout
            .contains("other files of the session have changed"),
        "{undone}"
    );
    assert_eq!(b.sessions(), [ONE]);
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(
        fs::read_to_string(agents.join("agent-1.jsonl"))
            .unwrap()
            .lines()
            .count(),
        2
    );
}
