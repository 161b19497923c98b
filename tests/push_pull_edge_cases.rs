//! Rare cases: interrupted merges, odd files, lost clones, hostile stores. In each one
//! every line must be accounted for at the end.

use std::fs;

use crate::harness::{Machine, ONE, TWO, TestEnv, questions};

/// Returns the questions in the stored copy of `id`, read by a new machine.
fn stored_questions(env: &TestEnv, name: &str, id: &str) -> Vec<String> {
    let reader = env.machine(name);
    reader.init(&env.remote_of_pair()).success();
    reader.ccsync(["pull"]).success();
    questions(&reader.text(id))
}

fn extras(machine: &Machine, id: &str, name: &str) -> std::path::PathBuf {
    machine.transcript_path(id).with_extension("").join(name)
}

fn write_extra_file(machine: &Machine, id: &str, name: &str, text: &str) {
    let path = extras(machine, id, name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn push_after_unmerged_fetch_does_not_overwrite_remote() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.session(TWO).turn("only on b").write();
    b.ccsync(["push"]).success();
    // A has its own commit and has fetched the newest commit of the remote, as after a
    // kill between fetch and merge.
    let remote = env.remote_of_pair();
    let away = env.root().join("away.git");
    a.append(ONE, "more on a");
    fs::rename(&remote, &away).unwrap();
    a.ccsync(["push"]).code(6);
    fs::rename(&away, &remote).unwrap();
    a.git(&[
        "fetch",
        "--quiet",
        remote.to_str().unwrap(),
        "+refs/heads/main:refs/remotes/origin/main",
    ]);
    a.ccsync(["push"]).success();
    assert_eq!(stored_questions(&env, "c", TWO), ["only on b"]);
}

#[test]
fn pull_after_push_of_new_files_still_extends_transcript() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.append(ONE, "asked on b");
    b.ccsync(["push"]).success();
    write_extra_file(&a, ONE, "tool-results/x.txt", "output");
    a.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(questions(&a.text(ONE)).contains(&"asked on b".to_owned()));
    a.append(ONE, "asked on a afterwards");
    a.ccsync(["push"]).success();
    let stored = stored_questions(&env, "c", ONE);
    assert_eq!(
        stored[stored.len() - 2..],
        ["asked on b", "asked on a afterwards"]
    );
}

#[test]
fn push_unterminated_complete_line_is_continued_elsewhere() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).turn("first").write();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.trim_end()).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    b.append(ONE, "second");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    for machine in [&a, &b] {
        assert!(
            machine
                .text(ONE)
                .lines()
                .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
        );
        assert_eq!(questions(&machine.text(ONE)), ["first", "second"]);
    }
    assert_eq!(stored_questions(&env, "c", ONE), ["first", "second"]);
}

#[test]
fn push_torn_line_stays_local_and_makes_no_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.append_raw(ONE, br#"{"type":"user","uuid":"torn"#);
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    b.append(ONE, "asked on b");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!((a.sessions().len(), b.sessions().len()), (1, 1));
    assert!(a.text(ONE).contains(r#""uuid":"torn"#) && !b.text(ONE).contains(r#""uuid":"torn"#));
    assert!(a.text(ONE).contains("asked on b"));
    assert!(a.ccsync(["sync"]).success().stdout.contains("up to date"));
}

#[test]
fn push_after_lost_store_only_fetches() {
    let env = TestEnv::new();
    let (_a, b) = env.pair_with_session();
    fs::remove_dir_all(b.store()).unwrap();
    assert!(b.ccsync(["push"]).success().stdout.contains("up to date"));
    b.append(ONE, "asked afterwards");
    b.ccsync(["push"]).success();
    assert_eq!(
        stored_questions(&env, "c", ONE).last().map(String::as_str),
        Some("asked afterwards")
    );
}

#[test]
fn push_title_changed_back_is_a_new_title() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    for title in ["X", "Y", "X"] {
        write_extra_file(
            &a,
            ONE,
            "custom-title.json",
            &format!(r#"{{"customTitle":"{title}"}}"#),
        );
        a.ccsync(["push"]).success();
        a.ccsync(["pull"]).success();
    }
    b.ccsync(["pull"]).success();
    for machine in [&a, &b] {
        assert_eq!(
            fs::read_to_string(extras(machine, ONE, "custom-title.json")).unwrap(),
            r#"{"customTitle":"X"}"#
        );
    }
}

#[test]
fn sync_older_title_is_replaced_by_newer() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    write_extra_file(&a, ONE, "custom-title.json", r#"{"customTitle":"old"}"#);
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    write_extra_file(&a, ONE, "custom-title.json", r#"{"customTitle":"new"}"#);
    a.ccsync(["push"]).success();
    b.ccsync(["sync"]).success();
    assert_eq!(
        fs::read_to_string(extras(&b, ONE, "custom-title.json")).unwrap(),
        r#"{"customTitle":"new"}"#
    );
}

#[test]
fn push_copied_sessions_of_other_machine_are_recognized() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.append(ONE, "asked on b");
    b.ccsync(["push"]).success();
    let c = env.machine("c");
    c.init(&env.remote_of_pair()).success();
    let directory = c.home.join(".claude/projects").join(&a.project_dirs()[0]);
    fs::create_dir_all(&directory).unwrap();
    fs::copy(
        b.transcript_path(ONE),
        directory.join(format!("{ONE}.jsonl")),
    )
    .unwrap();
    assert!(c.ccsync(["push"]).success().stdout.contains("up to date"));
    assert_eq!(c.sessions(), [ONE]);
}

#[cfg(unix)]
#[test]
fn push_symlink_or_invalid_name_is_skipped_and_named() {
    let env = TestEnv::new();
    let (a, _b) = env.pair_with_session();
    let secret = env.root().join("secret");
    fs::create_dir_all(&secret).unwrap();
    fs::write(secret.join("id_ed25519"), "PRIVATE").unwrap();
    std::os::unix::fs::symlink(&secret, a.transcript_path(ONE).with_extension("")).unwrap();
    fs::write(a.project_dir("work/app").join("odd name!.jsonl"), "{}\n").unwrap();
    let run = a.ccsync(["push"]).code(3);
    assert!(
        run.stdout.contains("odd name!") && run.stdout.contains("links are not followed"),
        "{run}"
    );
    let stored = a.git(&["log", "-p", "--all"]);
    assert!(!stored.contains("PRIVATE"));
}

#[cfg(unix)]
#[test]
fn pull_symlinked_session_directory_is_not_written() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    write_extra_file(&a, ONE, "subagents/agent-1.jsonl", "{}\n");
    a.ccsync(["push"]).success();
    let elsewhere = env.root().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    let extras = b.transcript_path(ONE).with_extension("");
    fs::create_dir_all(&extras).unwrap();
    std::os::unix::fs::symlink(&elsewhere, extras.join("subagents")).unwrap();
    let run = b.ccsync(["pull"]).code(3);
    assert!(run.stdout.contains("links are not followed"), "{run}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn pull_damaged_stored_session_does_not_block_others() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    // B, by hand or as an attacker, pushes a manifest with a wrong size.
    let store = b.store();
    let shard = store.join("sessions").join(&ONE[..2]).join(ONE);
    fs::write(shard.join("transcript/000000.jsonl"), "{}\n").unwrap();
    for args in [
        &["add", "-A"][..],
        &[
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@y",
            "commit",
            "-qm",
            "damage",
        ],
    ] {
        b.git(args);
    }
    let remote = env.remote_of_pair();
    b.git(&["push", "--quiet", remote.to_str().unwrap(), "HEAD:main"]);
    a.append(ONE, "asked on a");
    a.session(TWO).turn("another").write();
    let run = a.ccsync(["push"]).code(5);
    assert!(run.stdout.contains("forked"), "{run}");
    let c = env.machine("c");
    c.init(&remote).success();
    c.ccsync(["pull"]).code(3);
    let all: Vec<String> = c
        .sessions()
        .iter()
        .flat_map(|id| questions(&c.text(id)))
        .collect();
    assert!(
        all.contains(&"asked on a".to_owned()) && all.contains(&"another".to_owned()),
        "{all:?}"
    );
}

#[test]
fn pull_id_prefix_selects_session() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("long ago").days_old(400).write();
    a.session(TWO).turn("long ago too").days_old(400).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(b.sessions().is_empty());
    b.ccsync(["pull", &ONE[..8]]).success();
    assert_eq!(b.sessions(), [ONE]);
    b.ccsync(["pull", "3"]).code(1);
    b.ccsync(["pull", "3", &TWO[..8]]).code(3);
    assert_eq!(b.sessions(), [ONE, TWO]);
}

#[cfg(target_os = "linux")]
#[test]
fn push_unterminated_line_is_pushed_after_client_exits() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    a.append(ONE, "asked last");
    let whole = a.transcript(ONE);
    fs::write(a.transcript_path(ONE), &whole[..whole.len() - 1]).unwrap();
    a.mark_running(ONE, std::process::id());
    for command in ["pull", "status"] {
        a.ccsync([command]).success();
    }
    fs::remove_dir_all(a.home.join(".claude/sessions")).unwrap();
    a.ccsync(["push"]).success();
    a.ccsync(["verify", "--full"]).success();
    let lines = whole.iter().filter(|byte| **byte == b'\n').count();
    let rows = a.ccsync(["list", "--json"]).success().json();
    assert_eq!(rows["sessions"][0]["lines"], lines, "{rows}");
}

/// A machine continued a fork and lost its store while the remote is unreachable: its
/// next push still stores that fork.
#[test]
fn push_fork_after_lost_store_makes_no_second_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.append(ONE, "asked on b");
    b.ccsync(["push"]).success();
    a.append(ONE, "asked on a");
    a.ccsync(["push"]).code(5);
    a.ccsync(["pull"]);
    let forks: Vec<String> = a.sessions().into_iter().filter(|id| id != ONE).collect();
    let [fork] = forks.as_slice() else {
        panic!("{forks:?}")
    };
    a.append(fork, "asked of the fork");
    fs::remove_dir_all(a.store()).unwrap();
    fs::remove_file(a.home.join(".local/state/ccsync/index.json")).unwrap();
    let (remote, away) = (env.remote_of_pair(), env.root().join("away.git"));
    fs::rename(&remote, &away).unwrap();
    a.ccsync(["push"]);
    fs::rename(&away, &remote).unwrap();
    for command in ["push", "pull", "push"] {
        a.ccsync([command]);
    }
    b.ccsync(["pull"]).success();
    for machine in [&a, &b] {
        assert_eq!(
            machine.sessions().len(),
            2,
            "{}: {:?}",
            machine.name,
            machine.sessions()
        );
        assert_eq!(questions(&machine.text(ONE)), ["hello", "asked on b"]);
        assert_eq!(
            questions(&machine.text(fork)),
            ["hello", "asked on a", "asked of the fork"]
        );
    }
}

/// One object of a remote on this disk is truncated. Init on a new machine names it at
/// once, and pulls everything once it is repaired.
#[test]
fn init_damaged_local_remote_is_named_and_not_copied() {
    let env = TestEnv::new();
    let _pair = env.pair_with_session();
    let objects = env.remote_of_pair().join("objects");
    let loose = walkdir::WalkDir::new(&objects)
        .min_depth(2)
        .into_iter()
        .map(|entry| entry.unwrap().into_path());
    let largest = loose
        .filter(|path| path.is_file())
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let whole = fs::read(&largest).unwrap();
    fs::remove_file(&largest).unwrap();
    fs::write(&largest, &whole[..whole.len() / 2]).unwrap();
    let c = env.machine("c");
    let remote = env.remote_of_pair();
    let init = [
        "init",
        "--yes",
        "--name",
        "c",
        "--remote",
        remote.to_str().unwrap(),
    ];
    let refused = c.ccsync(init);
    assert_ne!(refused.code, Some(0), "{refused}");
    fs::remove_file(&largest).unwrap();
    fs::write(&largest, &whole).unwrap();
    c.ccsync(init).success();
    c.ccsync(["pull"]).success();
    assert_eq!(questions(&c.text(ONE)), ["hello"]);
}
