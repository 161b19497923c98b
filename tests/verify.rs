//! `verify` compares this machine, the store and the remote, and names the differences.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Machine, ONE, TWO, TestEnv};

/// Runs a verification that must end with this code, and returns its document.
#[track_caller]
fn verify(machine: &Machine, args: &[&str], code: i32) -> Value {
    machine
        .ccsync(["verify", "--json"].iter().chain(args))
        .code(code)
        .json()
}

fn statuses(found: &Value) -> Vec<(String, String)> {
    let of = |session: &Value, side: &str| session[side]["status"].as_str().unwrap().to_owned();
    let sessions = found["sessions"].as_array().unwrap().iter();
    sessions
        .map(|s| (of(s, "here_to_store"), of(s, "store_to_remote")))
        .collect()
}

#[track_caller]
fn assert_status(found: &Value, here_to_store: &str, store_to_remote: &str) {
    assert_eq!(
        statuses(found),
        [(here_to_store.to_owned(), store_to_remote.to_owned())],
        "{found}"
    );
}

/// Returns the files of a git repository, by their content.
fn files_of(directory: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(directory)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    entries
        .filter(|e| e.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// Makes every object a file of its own, so that one can be damaged without the others.
fn unpack_objects(machine: &Machine) {
    let store = machine.store();
    for path in files_of(&store.join(".git/objects/pack")) {
        let aside = machine.home.join(path.file_name().unwrap());
        fs::rename(&path, &aside).unwrap();
        if aside.extension().is_some_and(|e| e == "pack") {
            let mut unpack = machine.program("git");
            unpack
                .arg("-C")
                .arg(&store)
                .args(["unpack-objects", "-q"])
                .stdin(fs::File::open(&aside).unwrap());
            machine.run(&mut unpack).success();
        }
    }
}

/// Damages one byte of every loose object and pack below `objects` that is longer than
/// `least`.
fn damage_objects(objects: &Path, least: usize) {
    for path in files_of(objects) {
        let mut bytes = fs::read(&path).unwrap();
        if bytes.len() > least && path.extension().is_none_or(|e| e == "pack") {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
            make_writable(&path);
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[cfg(unix)]
fn make_writable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn make_writable(path: &Path) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions).unwrap();
}

#[test]
fn verify_agreement_reports_counts_and_changes_nothing() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.session(TWO).turn("only at b").turn("twice").write();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    for machine in [&a, &b] {
        // The lock file names the last process that held it.
        let everything = || {
            machine
                .tree()
                .into_iter()
                .filter(|(path, _)| !path.ends_with("lock"))
                .collect::<Vec<_>>()
        };
        let before = everything();
        let remote_before = crate::harness::tree(&env.remote_of_pair());
        for args in [&[][..], &["--full"], &["1111", TWO]] {
            let found = verify(machine, args, 0);
            let text = [ONE, TWO].map(|id| machine.transcript(id));
            let bytes: usize = text.iter().map(Vec::len).sum();
            assert_eq!(
                (&found["here"]["sessions"], &found["here"]["lines"]),
                (&2.into(), &12.into()),
                "{found}"
            );
            assert_eq!(found["here"]["bytes"], bytes);
            assert_eq!(found["store"], found["remote_total"]);
            assert_eq!(found["store"]["lines"], 12);
            assert_eq!(found["objects"].is_null(), args != ["--full"]);
        }
        assert!(everything() == before, "{}", machine.name);
        assert_eq!(crate::harness::tree(&env.remote_of_pair()), remote_before);
    }
    assert!(
        verify(&a, &["--full"], 0)["objects"]["intact"]
            .as_u64()
            .unwrap()
            > 10
    );
    let summary = a.ccsync(["verify"]).success().summary();
    assert_eq!(
        summary,
        "verify: 2 sessions, all agree (--full reads every byte); on the remote as $COMMIT"
    );
    let quiet = a.ccsync(["verify", "--full", "--quiet"]).success();
    assert_eq!(quiet.stdout, "");
    insta::assert_snapshot!("nowhere", a.ccsync(["verify", "3333"]));
}

#[test]
fn verify_each_difference_has_status_and_exit_code() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    assert_status(&verify(&a, &[], 3), "ahead", "same");
    a.ccsync(["push"]).success();
    let found = verify(&b, &[], 3);
    assert_eq!(
        (&found["remote"]["state"], &found["store"]["sessions"]),
        (&"ahead".into(), &0.into()),
        "{found}"
    );
    b.ccsync(["pull"]).success();

    // First one machine has more, then the other.
    b.append(ONE, "at b");
    for full in [&[][..], &["--full"]] {
        assert_status(&verify(&b, full, 3), "ahead", "same");
    }
    let text = b.ccsync(["verify"]).code(3);
    assert!(
        text.stdout
            .contains("  11111111  hello  more here than in the store  ccsync push\n"),
        "{text}"
    );
    assert!(
        text.summary()
            .starts_with("verify: 1 of 1 session differs ("),
        "{text}"
    );
    b.ccsync(["push"]).success();
    let found = verify(&a, &[], 3);
    assert_eq!(
        found["remote"]["state"], "ahead",
        "what was not fetched is not known session by session\n{found}"
    );
    assert_status(&found, "same", "same");

    // The remote is unreachable, with and without queued commits.
    let remote = env.remote_of_pair();
    let away = remote.with_extension("away");
    fs::rename(&remote, &away).unwrap();
    let text = a.ccsync(["verify"]).code(3);
    assert!(
        text.stdout
            .contains("cannot reach the remote: repository not found"),
        "{text}"
    );
    assert!(
        text.stdout.contains("as last fetched")
            && text.summary().ends_with("the remote was not reached"),
        "{text}"
    );
    a.append(ONE, "at a");
    a.ccsync(["push"]).code(6);
    let found = verify(&a, &["--full"], 6);
    assert_eq!(
        (&found["remote"]["state"], &found["remote"]["commits"]),
        (&"not-reached".into(), &1.into())
    );
    assert_status(&found, "same", "ahead");
    fs::rename(&away, &remote).unwrap();

    // Both continued: known after a fetch, resolved by a sync.
    let found = verify(&a, &["--full"], 6);
    assert_eq!(
        (&found["remote"]["state"], &found["remote_damage"]),
        (&"ahead".into(), &Value::Null),
        "{found}"
    );
    a.ccsync(["sync"]);
    a.ccsync(["sync"]).success();
    verify(&a, &["--full"], 0);
    b.ccsync(["sync"]).success();
    verify(&b, &["--full"], 0);
}

#[test]
fn verify_diverged_files_are_diverged() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.append(ONE, "at b");
    b.ccsync(["push"]).success();
    a.append(ONE, "at a");
    // The sync stores the other tail on `a`, and changes no file of a running session.
    a.mark_running(ONE, std::process::id());
    a.ccsync(["pull"]).code(3);
    for full in [&[][..], &["--full"]] {
        assert_status(&verify(&a, full, 5), "diverged", "same");
    }
}

#[test]
fn verify_remote_behind_or_empty_is_fixed_by_push() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let git = |args: &[&str]| {
        a.run(a.program("git").arg("--git-dir").arg(&remote).args(args))
            .success()
            .stdout
    };
    let before = git(&["rev-parse", "main"]);
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    for reset in [
        &["update-ref", "refs/heads/main", before.trim()][..],
        &["update-ref", "-d", "refs/heads/main"],
    ] {
        git(reset);
        let found = verify(&a, &[], 1);
        assert_eq!(found["remote"]["state"], "lost", "{found}");
        assert_status(&found, "same", "ahead");
        a.append(ONE, "and more");
        if reset.len() == 3 && reset[1] != "-d" {
            a.ccsync(["push"]).code(1);
            a.ccsync(["recover", "--refill"]).success();
        }
        a.ccsync(["push"]).success();
        verify(&a, &["--full"], 0);
    }
    b.ccsync(["pull"]).success();
    verify(&b, &["--full"], 0);
}

#[test]
fn verify_full_finds_damaged_local_objects() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    unpack_objects(&a);
    damage_objects(&a.store().join(".git/objects"), 400);
    let found = verify(&a, &["--full"], 1);
    assert!(
        !found["objects"]["damaged"].as_array().unwrap().is_empty(),
        "{found}"
    );
    assert_eq!(found["sessions"][0]["session"], ONE);
    assert!(
        !found["sessions"][0]["damage"]
            .as_array()
            .unwrap()
            .is_empty(),
        "{found}"
    );
    let text = a.ccsync(["verify", "--full"]).code(1);
    assert!(
        text.stdout.contains("damaged in the store") && text.stdout.contains("then ccsync sync"),
        "{text}"
    );
    // The command of the hint.
    fs::remove_dir_all(a.store()).unwrap();
    a.ccsync(["sync"]).success();
    verify(&a, &["--full"], 0);
}

#[test]
fn verify_full_checks_local_remote() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    verify(&a, &["--full"], 0);
    damage_objects(&env.remote_of_pair().join("objects"), 400);
    verify(&a, &[], 0);
    let found = verify(&a, &["--full"], 1);
    assert!(
        found["remote_damage"].is_string()
            && found["objects"]["damaged"].as_array().unwrap().is_empty(),
        "{found}"
    );
    let text = a.ccsync(["verify", "--full"]).code(1);
    assert!(text.stdout.contains("the remote is damaged: "), "{text}");
}

#[test]
fn verify_full_compares_lines_with_manifest() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    // Another program replaces a word in the repository by one of the same length; git
    // reports no fault.
    let clone = env.root().join("clone");
    let git = |args: &[&str]| {
        a.run(a.program("git").current_dir(env.root()).args(args))
            .success()
    };
    git(&[
        "clone",
        "--quiet",
        env.remote_of_pair().to_str().unwrap(),
        clone.to_str().unwrap(),
    ]);
    let files = files_of(&clone);
    let segment = files
        .iter()
        .find(|path| path.ends_with("transcript/000000.jsonl"))
        .unwrap();
    fs::write(
        segment,
        fs::read_to_string(segment)
            .unwrap()
            .replace("hello", "jello"),
    )
    .unwrap();
    let at = clone.to_str().unwrap();
    git(&["-C", at, "commit", "--quiet", "-am", "jello"]);
    git(&["-C", at, "push", "--quiet"]);
    let third = env.machine("c");
    third.init(&env.remote_of_pair());
    third.ccsync(["pull"]).success();
    verify(&third, &[], 0);
    let found = verify(&third, &["--full"], 1);
    assert_eq!(found["sessions"][0]["damage"][0]["segment"], 0, "{found}");
    assert!(found["objects"]["damaged"].as_array().unwrap().is_empty());
    verify(&b, &[], 3);
}

#[test]
fn verify_full_compares_files_with_index() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let path = a.transcript_path(ONE);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let text = a
        .text(ONE)
        .replacen("Answer to: hello", "Answer to: jello", 1);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
    file.set_modified(modified).unwrap();
    verify(&a, &[], 0);
    assert_status(&verify(&a, &["--full"], 5), "diverged", "same");
}

#[test]
fn verify_full_damaged_transcript_names_repair() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE)
        .turn("hello")
        .raw(b"{\"type\":\"us\n")
        .write();
    a.ccsync(["push"]).success();
    assert_eq!(
        verify(&a, &["--full"], 0)["sessions"][0]["damaged_lines"],
        1
    );
    let text = a.ccsync(["verify", "--full"]).success();
    assert!(
        text.stdout.contains("1 invalid line here")
            && text.stdout.contains("ccsync repair 11111111"),
        "{text}"
    );
}

/// The index takes a grown transcript for appended to; only reading shows the edit.
#[test]
fn verify_full_advice_brings_edit_in_place_to_remote() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    for n in 0..40 {
        a.append(ONE, &format!("{n} {}", "x".repeat(1000)));
    }
    a.ccsync(["push"]).success();
    let path = a.transcript_path(ONE);
    let text = fs::read_to_string(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, text.replace("hello", "EDITS").as_bytes(), 0)
        .unwrap();
    a.append(ONE, "after");
    a.ccsync(["push"]).success();
    let found = a.ccsync(["verify", "--full"]);
    assert!(found.stdout.contains("ccsync sync"), "{found}");
    a.ccsync(["sync"]);
    let mut git = a.program("git");
    git.arg("--git-dir").arg(env.remote_of_pair());
    git.args(["grep", "-c", "EDITS", "main"]);
    a.run(&mut git).success();
    let again = a.ccsync(["verify", "--full"]).success();
    assert!(again.stdout.contains("agree"), "{again}");
}

/// Both lines stay on their machines, in whichever order they were pushed.
#[test]
fn verify_full_agrees_with_pull_about_unfinished_lines() {
    for (at_a, at_b) in [
        (r#"{"type":"us"#, r#"{"type":"user","uuid":"1"#),
        (r#"{"type":"user","uuid":"1"#, r#"{"type":"us"#),
        (r#"{"type":"us"#, r#"{"type":"us"#),
    ] {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        b.append_raw(ONE, at_b.as_bytes());
        b.ccsync(["push"]).success();
        a.ccsync(["pull"]).success();
        a.append_raw(ONE, at_a.as_bytes());
        for _ in 0..3 {
            a.ccsync(["sync"]).success();
            b.ccsync(["sync"]).success();
        }
        for machine in [&a, &b] {
            let run = machine.ccsync(["verify", "--full"]);
            assert!(!run.stdout.contains("more in the store"), "{run}");
            assert!(!run.stdout.contains("diverged"), "{run}");
        }
    }
}

/// Files that Claude Code removed itself are not missing.
#[test]
fn verify_full_agrees_with_pull_about_removed_files() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let history = a.home.join(".claude/file-history").join(ONE);
    fs::create_dir_all(&history).unwrap();
    fs::write(history.join("0123456789abcdef@v1"), "before").unwrap();
    a.ccsync(["push"]).success();
    fs::remove_dir_all(&history).unwrap();
    a.ccsync(["sync"]).success();
    let run = a.ccsync(["verify", "--full"]).success();
    assert!(run.stdout.contains("agree"), "{run}");
}
