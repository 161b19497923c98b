//! Files that the client keeps for a session outside its project directory are synced
//! with it: the file history to which it rewinds, byte for byte, and the task list.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Clone, Machine, ONE, TestEnv};

const BACKUP: &str = "@file-history/0123456789abcdef@v1";

/// Returns the directory where the client keeps such files of the session `ONE`.
fn external_dir(machine: &Machine, what: &str) -> PathBuf {
    external_dir_of(machine, what, ONE)
}

fn external_dir_of(machine: &Machine, what: &str, session: &str) -> PathBuf {
    machine.home.join(".claude").join(what).join(session)
}

fn write_file(machine: &Machine, what: &str, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = external_dir(machine, what).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

/// Returns a file of the user's in which a path and a placeholder must stay as they are,
/// with bytes that are not UTF-8.
fn code(machine: &Machine) -> Vec<u8> {
    let home = machine.home.display();
    [
        format!("HOME = \"{home}/work/app\"\r\n{{{{HOME}}}} {{{{~X}}}}\n").as_bytes(),
        b"\xff\xfe\0 no line end",
    ]
    .concat()
}

fn task(machine: &Machine, status: &str) -> String {
    let home = machine.home.display();
    format!(
        "{{\n  \"id\": \"1\",\n  \"subject\": \"look at {home}/work/app\",\n  \"status\": \"{status}\"\n}}"
    )
}

/// Writes a session, a backup of a file, and a task.
fn write_session_with_external_files(a: &Machine) -> Vec<u8> {
    a.session(ONE).turn("hello").write();
    let code = code(a);
    write_file(a, "file-history", "0123456789abcdef@v1", &code);
    write_file(a, "tasks", "1.json", task(a, "pending"));
    code
}

#[test]
fn external_files_are_pulled_to_client_directories() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let code = write_session_with_external_files(&a);
    for (what, name) in [
        ("tasks", ".lock"),
        ("tasks", "1.json.lock"),
        ("file-history", ".hidden"),
        ("tasks", "x.tmp"),
    ] {
        write_file(&a, what, name, "skipped file");
    }
    write_file(&a, "tasks", "below/2.json", "skipped file");
    assert_eq!(
        a.ccsync(["push"]).success().summary(),
        "push: 1 session: 1 added; on the remote as $COMMIT"
    );
    assert_eq!(
        b.ccsync(["pull"]).success().summary(),
        "pull: 1 session: 1 added; on the remote as $COMMIT"
    );

    assert_eq!(
        fs::read(external_dir(&b, "file-history").join("0123456789abcdef@v1")).unwrap(),
        code
    );
    assert_eq!(
        fs::read_to_string(external_dir(&b, "tasks").join("1.json")).unwrap(),
        task(&b, "pending")
    );
    for what in ["file-history", "tasks"] {
        assert_eq!(
            fs::read_dir(external_dir(&b, what)).unwrap().count(),
            1,
            "{what}"
        );
    }
    assert!(
        !b.transcript_path(ONE).with_extension("").exists(),
        "no such file is next to the transcript"
    );
    for machine in [&a, &b] {
        machine.ccsync(["verify", "--full"]).success();
        assert_eq!(
            machine
                .ccsync(["push"])
                .success()
                .summary()
                .split(';')
                .next(),
            Some("push: up to date (1 session)")
        );
        assert_eq!(
            machine
                .ccsync(["pull"])
                .success()
                .summary()
                .split(';')
                .next(),
            Some("pull: up to date (1 session)")
        );
    }
}

#[test]
fn external_files_task_change_is_synced() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    write_session_with_external_files(&a);
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    write_file(&b, "tasks", "1.json", task(&b, "completed"));
    write_file(&b, "file-history", "0123456789abcdef@v2", "more\n");
    assert_eq!(
        b.ccsync(["push"]).success().summary(),
        "push: 1 session: 1 extended; on the remote as $COMMIT"
    );
    a.ccsync(["pull"]).success();
    assert_eq!(
        fs::read_to_string(external_dir(&a, "tasks").join("1.json")).unwrap(),
        task(&a, "completed")
    );
    assert_eq!(
        fs::read(external_dir(&a, "file-history").join("0123456789abcdef@v2")).unwrap(),
        b"more\n"
    );
    a.ccsync(["undo"]).success();
    assert_eq!(
        fs::read_to_string(external_dir(&a, "tasks").join("1.json")).unwrap(),
        task(&a, "pending")
    );
    assert!(
        !external_dir(&a, "file-history")
            .join("0123456789abcdef@v2")
            .exists()
    );
}

#[test]
fn external_files_cleaned_up_stay_in_store_until_pulled() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let code = write_session_with_external_files(&a);
    a.ccsync(["push"]).success();
    fs::remove_dir_all(a.home.join(".claude/file-history")).unwrap();
    for command in ["push", "push", "pull", "status", "verify"] {
        let run = a.ccsync([command]).success();
        assert!(
            !run.stdout.contains("behind") && !run.stdout.contains("differ"),
            "{command}: {run}"
        );
    }
    a.append(ONE, "more");
    assert_eq!(
        a.ccsync(["push"]).success().summary(),
        "push: 1 session: 1 extended; on the remote as $COMMIT"
    );
    let again = a.ccsync(["push"]).success();
    assert!(
        again.summary().starts_with("push: up to date (1 session)"),
        "{again}"
    );
    b.ccsync(["pull"]).success();
    assert_eq!(
        fs::read(external_dir(&b, "file-history").join("0123456789abcdef@v1")).unwrap(),
        code
    );
    assert!(!external_dir(&a, "file-history").exists());
    a.ccsync(["pull", "--force", ONE]).success();
    assert_eq!(
        fs::read(external_dir(&a, "file-history").join("0123456789abcdef@v1")).unwrap(),
        code
    );
}

#[test]
fn external_files_cleaned_up_return_with_new_turns() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    write_session_with_external_files(&a);
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    fs::remove_dir_all(a.home.join(".claude/file-history")).unwrap();
    a.ccsync(["push"]).success();
    b.append(ONE, "more");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(
        external_dir(&a, "file-history")
            .join("0123456789abcdef@v1")
            .exists()
    );
}

#[test]
fn external_files_return_with_deleted_session() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let code = write_session_with_external_files(&a);
    let before = a.client_tree();
    a.ccsync(["push"]).success();
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    fs::remove_dir_all(a.home.join(".claude/file-history")).unwrap();
    // The client keeps the tasks (2.1.329), so they do not prevent the removal.
    assert!(
        a.ccsync(["push"])
            .success()
            .summary()
            .starts_with("push: no sessions found")
    );
    a.ccsync(["pull", ONE]).success();
    assert_eq!(
        fs::read(external_dir(&a, "file-history").join("0123456789abcdef@v1")).unwrap(),
        code
    );
    let contents = |tree: crate::harness::Tree| {
        tree.into_iter()
            .map(|(path, (_, text))| (path, text))
            .collect::<Vec<_>>()
    };
    assert_eq!(contents(a.client_tree()), contents(before));
}

#[test]
fn undo_session_with_newer_file_history_is_kept() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    write_session_with_external_files(&a);
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    write_file(&b, "file-history", "0123456789abcdef@v2", "since\n");
    let run = b.ccsync(["undo"]);
    assert!(
        run.to_string()
            .contains("other files of the session have changed since that pull"),
        "{run}"
    );
    assert_eq!(b.sessions(), [ONE]);
}

#[test]
fn external_files_are_copied_to_fork_and_repaired_copy() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let code = write_session_with_external_files(&a);
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    a.append(ONE, "on a");
    a.ccsync(["push"]).success();
    b.append(ONE, "on b");
    write_file(&b, "file-history", "0123456789abcdef@v2", "of b\n");
    let fork = b.ccsync(["pull", "--json"]).code(5).json()["sessions"][0]["fork"]
        .as_str()
        .unwrap()
        .to_owned();
    for (name, content) in [
        ("0123456789abcdef@v1", code.as_slice()),
        ("0123456789abcdef@v2", b"of b\n"),
    ] {
        assert_eq!(
            fs::read(external_dir_of(&b, "file-history", &fork).join(name)).unwrap(),
            content,
            "{name}"
        );
    }
    assert_eq!(
        fs::read_to_string(external_dir_of(&b, "tasks", &fork).join("1.json")).unwrap(),
        task(&b, "pending")
    );
    b.append_raw(ONE, b"{\"type\":\"us\n");
    let copy = b.ccsync(["repair", ONE, "--json"]).success().json()["copy"]["session"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        fs::read(external_dir_of(&b, "file-history", &copy).join("0123456789abcdef@v1")).unwrap(),
        code
    );
}

#[test]
fn external_files_reserved_name_is_refused() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let extras = a.session(ONE).turn("hello").write().with_extension("");
    fs::create_dir_all(extras.join("@file-history")).unwrap();
    fs::write(extras.join("@file-history/0123456789abcdef@v1"), "x").unwrap();
    let run = a.ccsync(["push"]).code(3);
    assert!(
        run.stdout
            .contains("/@file-history: the name begins with `@`, which ccsync reserves"),
        "{run}"
    );
    assert_eq!(
        run.summary(),
        "push: 1 session: 1 added; on the remote as $COMMIT"
    );
    let stored = a.git(&["ls-tree", "-r", "--name-only", "HEAD"]);
    assert!(!stored.contains("file-history"), "{stored}");
}

#[cfg(unix)]
#[test]
fn external_files_behind_symlink_are_not_used() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    write_session_with_external_files(&a);
    a.ccsync(["push"]).success();
    let elsewhere = b.home.join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(b.home.join(".claude/file-history")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, external_dir(&b, "file-history")).unwrap();
    let run = b.ccsync(["pull"]).code(3);
    assert!(run.stdout.contains("is a link"), "{run}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert_eq!(b.sessions(), [""; 0], "a pulled session has all its files");
    b.session(ONE).turn("hello").write();
    let run = b.ccsync(["push"]).code(3);
    assert!(run.stdout.contains("links are not followed"), "{run}");
}

#[test]
fn external_files_unknown_names_are_preserved() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    write_session_with_external_files(&a);
    a.ccsync(["push"]).success();
    let attacker = env.machine("attacker");
    let clone = Clone::new(&env.remote_of_pair(), &attacker);
    let directory = format!("sessions/{}/{ONE}", &ONE[..2]);
    let path = format!("{directory}/manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(clone.path.join(&path)).unwrap()).unwrap();
    let text = "of tomorrow\n";
    let run = manifest["files"][BACKUP]["runs"][0].clone();
    for name in ["@plans/x.md", "@tasks/.lock", "@file-history/below/x"] {
        let segment = json!({"bytes": text.len(), "lines": 1, "local_bytes": text.len(),
            "local_hash": &blake3::hash(text.as_bytes()).to_hex()[..32]});
        let mut run = run.clone();
        run["lines"] = 1.into();
        manifest["files"][name] = json!({"segments": [segment], "runs": [run]});
        let ext = name
            .rsplit_once('.')
            .map_or(String::new(), |(_, ext)| format!(".{ext}"));
        clone.write(
            &format!("{directory}/files/{name}.segments/000000{ext}"),
            text,
        );
    }
    clone.write(&path, manifest.to_string());
    clone.push();
    b.ccsync(["pull"]).success();
    assert!(
        b.ccsync(["pull"])
            .success()
            .summary()
            .starts_with("pull: up to date")
    );
    b.ccsync(["verify", "--full"]).success();
    b.append(ONE, "more");
    b.ccsync(["push"]).success();
    clone.pull();
    let after: serde_json::Value =
        serde_json::from_slice(&fs::read(clone.path.join(&path)).unwrap()).unwrap();
    assert_eq!(
        after["files"]["@plans/x.md"],
        manifest["files"]["@plans/x.md"]
    );
    let strange = |path: &std::path::Path| {
        ["@", "plans", "below", ".lock"]
            .iter()
            .any(|s| path.to_str().unwrap().contains(s))
    };
    let strange: Vec<_> = b
        .client_tree()
        .into_keys()
        .filter(|path| strange(path) && !path.ends_with(&BACKUP[14..]))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn restore_cleaned_up_external_files_are_no_change() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let code = write_session_with_external_files(&a);
    a.ccsync(["milestone", "then"]).success();
    fs::remove_dir_all(a.home.join(".claude/file-history")).unwrap();
    let plan = a
        .ccsync(["restore", "--milestone", "then", "--dry-run", "--json"])
        .success()
        .json();
    assert_eq!(
        (&plan["sessions"], &plan["unchanged"]),
        (&json!([]), &json!(1))
    );
    // The session returns with a state that had another file, too; later files are
    // removed.
    a.append(ONE, "more");
    write_file(&a, "file-history", "0123456789abcdef@v2", "later\n");
    a.ccsync(["push"]).success();
    a.ccsync(["restore", "--milestone", "then", "--yes"])
        .success();
    assert_eq!(
        fs::read(external_dir(&a, "file-history").join("0123456789abcdef@v1")).unwrap(),
        code
    );
    assert!(
        !external_dir(&a, "file-history")
            .join("0123456789abcdef@v2")
            .exists()
    );
    assert!(a.ccsync(["sync"]).success().stdout.contains("up to date"));
    a.ccsync(["verify", "--full"]).success();
    a.ccsync(["pull", ONE]).success();
    assert!(
        external_dir(&a, "file-history")
            .join("0123456789abcdef@v2")
            .exists()
    );
    assert!(
        a.ccsync(["push"])
            .success()
            .summary()
            .starts_with("push: up to date")
    );
}
