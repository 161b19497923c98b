//! Entries that an attacker may put on the branch of a lock: ccsync names them, they stop
//! no command, and they can be removed.

use std::path::Path;

use ccsync::leasing::acquire::AcquireOutcome;
use ccsync::leasing::view::LockContent;
use ccsync::lock::state::TakeOver;
use git2::{Oid, Repository, Signature, Time};

use super::machines::stations;
use crate::harness::{ONE, TestEnv};

const GOOD: &str = r#"{"format":1,"session":"SESSION","machine":"0123456789abcdef0123456789abcdef","host":"x\u001b[2J\u202e",
    "pid":1,"acquired":"2026-01-01T00:00:00Z","renewed":"2026-01-01T00:00:00Z","ttl_seconds":600,"generation":1,"nonce":"n"}"#;

/// Name, object and mode.
type Entry<'e> = (&'e str, Oid, i32);

/// Commits these entries to a branch that looks like a lock.
fn put(remote: &Path, branch: &str, entries: &[Entry<'_>], parents: usize) {
    let repo = Repository::open(remote).unwrap();
    let mut tree = repo.treebuilder(None).unwrap();
    entries
        .iter()
        .for_each(|(name, id, mode)| drop(tree.insert(name, *id, *mode).unwrap()));
    let tree = repo.find_tree(tree.write().unwrap()).unwrap();
    let who = Signature::new("x", "x@example.invalid", &Time::new(0, 0)).unwrap();
    let head = repo
        .find_commit(repo.refname_to_id("refs/heads/main").unwrap())
        .unwrap();
    let commit = repo
        .commit(None, &who, &who, "x", &tree, &vec![&head; parents])
        .unwrap();
    repo.reference(
        &format!("refs/heads/ccsync/lock/{branch}"),
        commit,
        true,
        "",
    )
    .unwrap();
}

#[test]
fn lock_hostile_branch_is_named_and_removable() {
    let env = TestEnv::new();
    let (a, b) = stations(&env);
    let remote = env.remote_of_pair();
    let repo = Repository::open(&remote).unwrap();
    let blob = |text: &str| repo.blob(text.as_bytes()).unwrap();
    let head = repo.refname_to_id("refs/heads/main").unwrap();
    let root = repo.find_commit(head).unwrap().tree_id();
    let nested = format!("{}{}", "[".repeat(8000), "]".repeat(8000));
    let good = |session: &str| GOOD.replace("SESSION", session);
    const FILE: i32 = 0o100_644;
    let cases: Vec<(&str, Vec<Entry<'_>>, usize, &str)> = vec![
        (
            "huge",
            vec![("lock.json", blob(&" ".repeat(1 << 20)), FILE)],
            0,
            "too large",
        ),
        (
            "nested",
            vec![("lock.json", blob(&nested), FILE)],
            0,
            "invalid lock record",
        ),
        (
            "other",
            vec![("lock.json", blob(&good("another")), FILE)],
            0,
            "names another session",
        ),
        (
            "future",
            vec![("lock.json", blob("{\"format\":99}"), FILE)],
            0,
            "has format 99",
        ),
        (
            "link",
            vec![("lock.json", blob("/etc/passwd"), 0o120_000)],
            0,
            "has no lock file",
        ),
        (
            "submodule",
            vec![("lock.json", head, 0o160_000)],
            0,
            "has no lock file",
        ),
        (
            "directory",
            vec![("lock.json", root, 0o040_000)],
            0,
            "has no lock file",
        ),
        (
            "misnamed",
            vec![("Lock.json", blob(&good("misnamed")), FILE)],
            0,
            "has no lock file",
        ),
        (
            "two",
            vec![
                ("lock.json", blob(&good("two")), FILE),
                ("x", blob(""), FILE),
            ],
            0,
            "not have exactly one file",
        ),
        ("empty", vec![], 0, "not have exactly one file"),
        (
            "history",
            vec![("lock.json", blob(&good("history")), FILE)],
            1,
            "has a parent",
        ),
    ];
    for (session, entries, parents, _) in &cases {
        put(&remote, session, entries, *parents);
    }
    put(
        &remote,
        "not.a.session",
        &[("lock.json", blob("{}"), FILE)],
        0,
    );
    put(&remote, "deep/er", &[("lock.json", blob("{}"), FILE)], 0);
    put(&remote, ONE, &[("lock.json", blob(&good(ONE)), FILE)], 0);
    let lock_table = a.lock_table();
    assert_eq!(lock_table.unknown_refs, ["deep/er", "not.a.session"]);
    for (session, _, _, wrong) in &cases {
        let view = lock_table
            .locks
            .iter()
            .find(|lock| lock.session.as_str() == *session)
            .unwrap();
        let LockContent::Unreadable { reason } = &view.content else {
            panic!("{view:?}")
        };
        assert!(reason.contains(wrong), "{session}: {reason}");
    }
    let shown = a.machine.ccsync(["lock", "show"]).success();
    assert!(!shown.stdout.contains(['\u{1b}', '\u{202e}']), "{shown}");
    // Other machines are not disturbed.
    a.machine.append(ONE, "a turn");
    a.machine.ccsync(["sync"]).success();
    b.machine.ccsync(["sync"]).success();
    // An unreadable lock does not expire, and is taken over only on request.
    assert!(matches!(
        a.acquire("future", TakeOver::Expired),
        AcquireOutcome::HeldBy(_)
    ));
    assert!(matches!(
        a.acquire("future", TakeOver::Live),
        AcquireOutcome::Acquired(_)
    ));
    let cleanup = b
        .machine
        .ccsync(["lock", "cleanup", "--json"])
        .success()
        .json();
    assert_eq!(
        cleanup["removed"].as_array().unwrap().len(),
        1,
        "that with a good lock from last year: {cleanup}"
    );
    a.machine.ccsync(["lock", "release", "--all"]).code(4);
    a.machine
        .ccsync(["lock", "release", "--all", "--force", "--yes"])
        .success();
    assert!(a.lock_table().locks.is_empty());
}
