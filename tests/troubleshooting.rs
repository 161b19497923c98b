//! Checks `docs/troubleshooting.md`: each symptom is caused, has the output of the page,
//! and is fixed by the command that the page names.
//!
//! A command that the page shows and that no test here runs is a failure.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

use crate::harness::{Machine, ONE, Run, TestEnv};
use crate::project_repository::repository;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md"))
        .unwrap()
}

/// Returns every `ccsync` command that the page shows.
fn shown() -> BTreeSet<String> {
    let text = page().replace('\n', " ");
    let command = Regex::new(r"`(ccsync [^`]+)`").unwrap();
    command
        .captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect()
}

/// A user who types the commands of the page. Remembers every command.
#[derive(Default)]
struct Reader {
    typed: RefCell<BTreeSet<String>>,
}

impl Reader {
    /// Runs a command on `machine`.
    fn types(&self, machine: &Machine, command: &str) -> Run {
        self.typed.borrow_mut().insert(command.to_owned());
        let mut words = command.split(' ');
        assert_eq!(words.next(), Some("ccsync"));
        machine.ccsync(words)
    }
}

/// Fails unless both the run and the page contain each of `words`.
#[track_caller]
fn assert_run_and_page_contain(run: &Run, words: &[&str]) {
    let all = format!("{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(all.contains(word), "{word:?} is not in\n{run}");
        assert!(
            page().replace('\n', " ").contains(word),
            "the page does not say {word:?}"
        );
    }
}

fn session_not_visible(reader: &Reader) {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.add_placeholder("WORK=~/work");
    a.session(ONE).days_old(100).turn("hello").write();
    reader.types(&a, "ccsync push").success();
    assert_run_and_page_contain(
        &reader.types(&b, "ccsync pull"),
        &["not pulled", "not active for 30 days"],
    );
    let all = reader.types(&b, "ccsync list").success();
    assert!(all.stdout.contains(&ONE[..8]), "{all}");
    assert_run_and_page_contain(
        &reader.types(&b, "ccsync pull 11111111"),
        &["no place for", "ccsync config add-placeholder WORK="],
    );
    fs::create_dir(b.home.join("work")).unwrap();
    reader
        .types(&b, "ccsync config add-placeholder WORK=~/work")
        .success();
    reader.types(&b, "ccsync pull --days 365").success();
    assert_eq!(b.sessions(), [ONE]);
    reader
        .types(&b, "ccsync config set pull_max_age 365")
        .success();
    fs::remove_file(b.transcript_path(ONE)).unwrap();
    reader.types(&b, "ccsync pull");
    assert!(
        b.sessions().is_empty(),
        "a pull does not restore deleted sessions"
    );
    reader.types(&b, "ccsync pull 11111111").success();
    assert_eq!(b.sessions(), [ONE]);
    fs::remove_file(b.transcript_path(ONE)).unwrap();
    reader.types(&b, "ccsync pull --all").success();
    assert_eq!(b.sessions(), [ONE]);
}

fn deleted_elsewhere(reader: &Reader) {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.ccsync(["delete", "11111111", "--yes"]).success();
    a.ccsync(["pull"]).success();
    let run = reader.types(&a, "ccsync push").success();
    assert_run_and_page_contain(&run, &["deleted from the store by"]);
    reader.types(&a, "ccsync delete --undo 11111111").success();
    reader.types(&b, "ccsync pull 11111111").success();
    assert_eq!(b.sessions(), [ONE]);

    let mut git = a.program("git");
    git.arg("-C").arg(env.remote_of_pair());
    a.run(git.args(["update-ref", "refs/heads/main", "main~1"]))
        .success();
    reader.types(&b, "ccsync recover --follow").success();
}

fn locked(reader: &Reader) {
    use ccsync::lock::record::{Identity, LockRecord, Stamp};
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    // This store does not know the machine of the lock.
    let identity = Identity {
        machine: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        host: "desk".to_owned(),
        pid: 1,
    };
    let record = LockRecord::first(ONE.parse().unwrap(), &identity, Stamp::new(now()));
    let git = |args: &[&str]| {
        a.run(
            a.program("git")
                .arg("-C")
                .arg(env.remote_of_pair())
                .args(args),
        )
        .success()
        .stdout
    };
    let file = env.root().join("lock.json");
    fs::write(&file, record.to_json()).unwrap();
    let blob = git(&["hash-object", "-w", file.to_str().unwrap()]);
    let tree = env.root().join("tree");
    fs::write(&tree, format!("100644 blob {}\tlock.json\n", blob.trim())).unwrap();
    let mut mktree = a.program("git");
    mktree
        .arg("-C")
        .arg(env.remote_of_pair())
        .arg("mktree")
        .stdin(fs::File::open(&tree).unwrap());
    let tree = a.run(&mut mktree).success().stdout;
    let commit = git(&["commit-tree", tree.trim(), "-m", "lock"]);
    git(&[
        "update-ref",
        &format!("refs/heads/ccsync/lock/{ONE}"),
        commit.trim(),
    ]);
    let resume = b.ccsync(["resume", ONE]).code(4);
    assert_run_and_page_contain(&resume, &["is locked by desk"]);
    let shown = reader.types(&b, "ccsync lock show").success();
    assert!(shown.stdout.contains("desk"), "{shown}");
    reader.types(&b, "ccsync lock cleanup");
    assert!(
        reader.types(&b, "ccsync lock show").stdout.contains("desk"),
        "it has not expired"
    );
    reader
        .types(&b, "ccsync lock release 11111111 --force --yes")
        .success();
    assert!(!reader.types(&b, "ccsync lock show").stdout.contains("desk"));
    reader.types(&b, "ccsync recover").success();
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program judges the lock by the real clock"
)]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

fn wrong_directory(reader: &Reader) {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.add_placeholder("WORK=~/work");
    b.add_placeholder("WORK=~/somewhere");
    a.session(ONE).turn("hello").write();
    reader.types(&a, "ccsync push").success();
    reader.types(&b, "ccsync pull").success();
    assert!(
        b.transcript_path(ONE)
            .starts_with(b.project_dir("somewhere/app"))
    );
    reader.types(&b, "ccsync undo").success();
    assert!(
        reader
            .types(&b, "ccsync config show")
            .success()
            .stdout
            .contains("somewhere")
    );
    fs::create_dir(b.home.join("projects")).unwrap();
    reader
        .types(&b, "ccsync config set-path WORK this ~/projects")
        .success();
    reader.types(&b, "ccsync pull 11111111").success();
    assert!(
        b.transcript_path(ONE)
            .starts_with(b.project_dir("projects/app")),
        "{:?}",
        b.transcript_path(ONE)
    );
    unknown_clone(reader);
}

fn unknown_clone(reader: &Reader) {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", "git@github.com:al/app.git");
    // Hidden directories are not searched for clones.
    repository(&b, ".code/app", "git@github.com:al/app.git");
    a.session(ONE).turn("hello").write();
    reader.types(&a, "ccsync push").success();
    reader.types(&b, "ccsync pull").success();
    assert!(
        b.transcript_path(ONE)
            .starts_with(b.project_dir("work/app")),
        "the same path below the home directory"
    );
    fs::remove_file(b.transcript_path(ONE)).unwrap();
    b.run(
        b.command(["pull", "11111111"])
            .current_dir(b.home.join(".code/app")),
    )
    .success();
    assert!(
        b.transcript_path(ONE)
            .starts_with(b.project_dir(".code/app"))
    );
}

#[cfg(unix)]
fn refusing(env: &TestEnv, script: &str) {
    let hook = env.remote_of_pair().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

fn refused(reader: &Reader) {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    // GitHub's own message, which git passes on.
    let message = "cat >&2 <<'END'\nerror: GH013: Repository rule violations found for refs/heads/main.\n\n\
                   - GITHUB PUSH PROTECTION\n    - Push cannot contain secrets\nEND\nexit 1";
    refusing(&env, message);
    a.append(ONE, "a key");
    let run = reader.types(&a, "ccsync push").code(6);
    assert_run_and_page_contain(
        &run,
        &[
            "not sent",
            "rejected the push",
            "GH013: Repository rule violations",
        ],
    );
    assert!(
        reader
            .types(&a, "ccsync status")
            .success()
            .stdout
            .contains("1 commit queued")
    );
    // A host with a size limit: ccsync pushes everything to another remote.
    refusing(
        &env,
        "echo 'fatal: pack exceeds maximum allowed size' >&2; exit 1",
    );
    assert_run_and_page_contain(
        &reader.types(&a, "ccsync push").code(6),
        &["pack exceeds maximum allowed size"],
    );
    let other = a.home.parent().unwrap().join("other.git");
    a.run(
        a.program("git")
            .args(["init", "--quiet", "--bare"])
            .arg(&other),
    )
    .success();
    reader
        .types(&a, "ccsync init --remote ../other.git")
        .success();
    assert!(
        reader
            .types(&a, "ccsync push")
            .success()
            .summary()
            .contains("up to date")
    );
    let heads = a
        .run(
            a.program("git")
                .arg("-C")
                .arg(&other)
                .args(["log", "--oneline", "main"]),
        )
        .success();
    assert!(!heads.stdout.is_empty());
}

fn busy_and_offline(reader: &Reader) {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let away = env.root().join("away.git");
    fs::rename(env.remote_of_pair(), &away).unwrap();
    a.append(ONE, "more");
    assert_run_and_page_contain(
        &reader.types(&a, "ccsync push").code(6),
        &["queued: 1 commit"],
    );
    // Without a terminal there is no picker, but the missing remote is not the reason.
    let offline = reader.types(&a, "ccsync resume --offline").code(2);
    assert!(offline.stderr.contains("without a lock"), "{offline}");
    fs::rename(&away, env.remote_of_pair()).unwrap();
    reader.types(&a, "ccsync push").success();
    assert!(
        reader
            .types(&a, "ccsync status")
            .success()
            .stdout
            .contains("nothing to push")
    );
    let doctor = reader.types(&a, "ccsync doctor").success();
    assert!(doctor.stdout.contains("doctor: "), "{doctor}");
    assert!(page().contains("is running") && page().contains("exit code 75"));
}

fn damaged(reader: &Reader) {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let store = a.store();
    fs::write(
        store.join(".git/refs/heads/main"),
        "0123456789012345678901234567890123456789\n",
    )
    .unwrap();
    assert_run_and_page_contain(
        &reader.types(&a, "ccsync push").code(1),
        &["the store's git repository"],
    );
    let doctor = reader.types(&a, "ccsync doctor").code(1);
    let away = store.with_file_name("store.damaged");
    assert!(
        doctor.stdout.contains("mv ") && doctor.stdout.contains("store.damaged"),
        "{doctor}"
    );
    fs::rename(&store, away).unwrap();
    reader.types(&a, "ccsync sync").success();
    reader.types(&a, "ccsync verify --full").success();
}

/// A remote whose branch went back, or whose objects are damaged.
fn remote_lost_data(reader: &Reader) {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let git = |args: &[&str]| {
        let remote = env.remote_of_pair();
        a.run(a.program("git").arg("-C").arg(remote).args(args))
            .success()
            .stdout
    };
    let before = git(&["rev-parse", "main"]);
    a.append(ONE, "more");
    reader.types(&a, "ccsync push").success();
    git(&["update-ref", "refs/heads/main", before.trim()]);
    assert_run_and_page_contain(
        &reader.types(&a, "ccsync verify").code(1),
        &["the remote went back to"],
    );
    a.append(ONE, "and more");
    reader.types(&a, "ccsync push").code(1);
    reader.types(&a, "ccsync recover --refill").success();
    reader.types(&a, "ccsync verify").success();
    let address = reader.types(&a, "ccsync config get remote").success();
    assert!(address.stdout.contains("remote-1.git"), "{address}");
    reader.types(&a, "ccsync undo");
}

/// A machine without the key of an encrypted store, and one with a former key.
fn key_missing(reader: &Reader) {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let key = |machine: &Machine| machine.home.join(".config/ccsync/key");
    a.ccsync(["encrypt", "--yes"]).success();
    let give_key = || fs::copy(key(&a), key(&b)).unwrap();
    assert_run_and_page_contain(
        &reader.types(&b, "ccsync pull").code(1),
        &["the store on the remote is encrypted", "ccsync key words"],
    );
    give_key();
    reader.types(&b, "ccsync init").success();
    reader.types(&b, "ccsync key check").success();
    a.ccsync(["key", "rotate", "--yes"]).success();
    assert_run_and_page_contain(
        &reader.types(&b, "ccsync pull").code(1),
        &["the key of the store was changed on another machine"],
    );
    for question in ["ccsync key words", "ccsync key rotate"] {
        reader.types(&a, question).code(2);
    }
    give_key();
    reader.types(&b, "ccsync init").success();
}

fn transcript_damaged(reader: &Reader) {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.session(ONE).turn("hello").raw(&[0; 8]).write();
    a.append_raw(ONE, b"\n");
    a.append(ONE, "after the crash");
    let push = reader.types(&a, "ccsync push").success();
    assert!(push.stdout.contains("ccsync repair"), "{push}");
    let repair = "ccsync repair 11111111 --output repaired.jsonl";
    reader.types(&a, repair).success();
    let repaired = fs::read_to_string(a.home.join("repaired.jsonl")).unwrap();
    assert!(repaired.contains("hello") && repaired.contains("after the crash"));
    assert!(!repaired.contains('\0'), "the zero bytes are removed");
    reader.types(&a, "ccsync repair 11111111").success();
    assert_eq!(a.sessions().len(), 2, "the copy is a session of its own");
    reader.types(&a, "ccsync verify 11111111").success();
}

#[test]
fn docs_every_troubleshooting_command_fixes_its_symptom() {
    let reader = Reader::default();
    for symptom in [
        session_not_visible,
        deleted_elsewhere,
        locked,
        wrong_directory,
        refused,
        busy_and_offline,
        damaged,
        remote_lost_data,
        transcript_damaged,
        key_missing,
    ] {
        symptom(&reader);
    }
    let typed = reader.typed.into_inner();
    let missing: Vec<_> = shown()
        .into_iter()
        .filter(|command| !typed.contains(command))
        .collect();
    assert!(missing.is_empty(), "shown but not tested: {missing:#?}");
}
