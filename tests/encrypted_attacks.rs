//! Attacks on the remote of an encrypted store: each is refused and named.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ccsync::domain::CommitId;
use ccsync::encryption::{StoreHeader, StoreId, StoreKey};
use ccsync::store::{CommitPlace, Mirror, MirrorError, SealedFault, Store};
use git2::{ObjectType, Oid, Repository};
use proptest::prelude::*;

use crate::encrypted_store::{Trio, init};
use crate::harness::{ONE, TWO, TestEnv, questions};

/// The files of a sealed commit, by path.
type Files = BTreeMap<String, Vec<u8>>;

/// A remote that the attacker can write to.
struct Attacker {
    repo: Repository,
}

impl Attacker {
    fn new(remote: &Path) -> Self {
        let repo = Repository::open_bare(remote).unwrap();
        Self { repo }
    }

    fn head(&self) -> Oid {
        self.repo.refname_to_id("refs/heads/main").unwrap()
    }

    fn files(&self, commit: Oid) -> Files {
        let tree = self.repo.find_commit(commit).unwrap().tree().unwrap();
        let mut files = Files::new();
        tree.walk(git2::TreeWalkMode::PreOrder, |directory, entry| {
            if entry.kind() == Some(ObjectType::Blob) {
                let path = format!("{directory}{}", entry.name().unwrap());
                let blob = self.repo.find_blob(entry.id()).unwrap();
                files.insert(path, blob.content().to_vec());
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
        files
    }

    /// Writes a commit like `like`, with other files or parents.
    fn commit(&self, like: Oid, files: &Files, parents: &[Oid]) -> Oid {
        let mut index = git2::Index::new().unwrap();
        for (path, bytes) in files {
            let mut entry = entry(path);
            entry.id = self.repo.blob(bytes).unwrap();
            index.add(&entry).unwrap();
        }
        let tree = index.write_tree_to(&self.repo).unwrap();
        let tree = self.repo.find_tree(tree).unwrap();
        let like = self.repo.find_commit(like).unwrap();
        let parents: Vec<_> = parents
            .iter()
            .map(|id| self.repo.find_commit(*id).unwrap())
            .collect();
        let parents: Vec<_> = parents.iter().collect();
        let message = like.message().unwrap();
        self.repo
            .commit(
                None,
                &like.author(),
                &like.committer(),
                message,
                &tree,
                &parents,
            )
            .unwrap()
    }

    fn parents(&self, commit: Oid) -> Vec<Oid> {
        self.repo
            .find_commit(commit)
            .unwrap()
            .parent_ids()
            .collect()
    }

    fn set_head(&self, commit: Oid) {
        self.repo
            .reference("refs/heads/main", commit, true, "attack")
            .unwrap();
    }
}

fn entry(path: &str) -> git2::IndexEntry {
    git2::IndexEntry {
        ctime: git2::IndexTime::new(0, 0),
        mtime: git2::IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: Oid::ZERO_SHA1,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

/// A store with two sealed commits, and one to unseal them into.
struct Bench {
    _dir: tempfile::TempDir,
    mirror: Mirror,
    empty: Store,
    attacker: Attacker,
    head: Oid,
}

fn key(byte: u8) -> StoreKey {
    StoreKey::from_bytes([byte; StoreKey::LEN])
}

fn header(store: u8, byte: u8) -> StoreHeader {
    let store: StoreId = format!("{store:032x}").parse().unwrap();
    StoreHeader::new(store, 1, &key(byte))
}

/// Commits files in a store with plain git, and returns the commit.
fn commit_files(store: &Store, files: &[(&str, &[u8])]) -> CommitId {
    let repo = Repository::open(store.path()).unwrap();
    let mut index = git2::Index::new().unwrap();
    for (path, bytes) in files {
        let mut entry = entry(path);
        entry.id = repo.blob(bytes).unwrap();
        index.add(&entry).unwrap();
    }
    let tree = index.write_tree_to(&repo).unwrap();
    let tree = repo.find_tree(tree).unwrap();
    let who =
        git2::Signature::new("m", "m@ccsync.invalid", &git2::Time::new(1_000_000, 0)).unwrap();
    let parent = repo.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    let id = repo
        .commit(Some("refs/heads/main"), &who, &who, "push", &tree, &parents)
        .unwrap();
    id.to_string().parse().unwrap()
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(&dir.path().join("plain")).unwrap();
        let path = dir.path().join("sealed.git");
        let mut mirror = Mirror::open(&path, header(1, 1), &key(1), None).unwrap();
        let long = "one line of some length\n".repeat(1500);
        let longer = format!("{long}and the end\n");
        commit_files(&store, &[("a/b.jsonl", long.as_bytes()), ("c", b"same")]);
        let head = commit_files(
            &store,
            &[
                ("a/b.jsonl", longer.as_bytes()),
                ("c", b"same"),
                ("d", b"new"),
            ],
        );
        let head = mirror.seal(&store, &head, CommitPlace::History).unwrap();
        let empty = Store::open_or_create(&dir.path().join("empty")).unwrap();
        let attacker = Attacker::new(&path);
        fs::remove_file(path.join("ccsync-commits")).unwrap();
        let mirror = Mirror::open(&path, header(1, 1), &key(1), None).unwrap();
        Self {
            _dir: dir,
            mirror,
            empty,
            attacker,
            head: Oid::from_str(head.as_str()).unwrap(),
        }
    }

    fn unseal(&mut self, commit: Oid) -> Result<CommitId, MirrorError> {
        let commit = commit.to_string().parse().unwrap();
        self.mirror.check_header(&commit)?;
        self.mirror.unseal(&self.empty, &commit)
    }

    /// Asserts that the head with these files is refused.
    #[track_caller]
    fn refuse(&mut self, files: &Files, what: &str) -> MirrorError {
        let parents = self.attacker.parents(self.head);
        let commit = self.attacker.commit(self.head, files, &parents);
        let error = self.unseal(commit).expect_err(what);
        assert!(!matches!(error, MirrorError::Store(_)), "{what}: {error:?}");
        error
    }
}

#[test]
fn attack_every_flipped_byte_is_refused() {
    let mut bench = Bench::new();
    let files = bench.attacker.files(bench.head);
    assert_eq!(files.len(), 5);
    for (path, bytes) in &files {
        // The header is readable by everyone; of long files, every 11th byte.
        let step = if bytes.len() > 2000 { 11 } else { 1 };
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = files.clone();
            damaged.get_mut(path).unwrap()[at] ^= 0x10;
            let parents = bench.attacker.parents(bench.head);
            let commit = bench.attacker.commit(bench.head, &damaged, &parents);
            match bench.unseal(commit) {
                Err(error) => assert!(!matches!(error, MirrorError::Store(_)), "{error:?}"),
                // Spaces of the header mean nothing.
                Ok(_) => assert_eq!(path, "ccsync.json", "byte {at}"),
            }
        }
    }
    bench.unseal(bench.head).unwrap();
}

#[test]
fn attack_on_files_is_refused_and_named() {
    let mut bench = Bench::new();
    let files = bench.attacker.files(bench.head);
    let before = bench.attacker.files(bench.attacker.parents(bench.head)[0]);
    let tokens: Vec<&String> = files.keys().filter(|path| path.contains('/')).collect();
    let [a, b] = [tokens[0], tokens[1]];
    let with = |changes: &[(&str, Option<&[u8]>)]| {
        let mut files = files.clone();
        for (path, bytes) in changes {
            match bytes {
                Some(bytes) => drop(files.insert((*path).to_owned(), bytes.to_vec())),
                None => drop(files.remove(*path)),
            }
        }
        files
    };

    let error = bench.refuse(
        &with(&[(a, Some(&files[b])), (b, Some(&files[a]))]),
        "swapped",
    );
    let MirrorError::Refused {
        reason: SealedFault::File { token, .. },
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(
        tokens
            .iter()
            .any(|path| path.replace('/', "") == token.to_string())
    );
    bench.refuse(&with(&[(a, None)]), "removed");
    bench.refuse(
        &with(&[("ff/00000000000000000000000000000000", Some(b"x"))]),
        "added",
    );
    bench.refuse(&with(&[("README", Some(b"x"))]), "foreign");
    for (path, older) in &before {
        if files[path] != *older && path != "ccsync.json" {
            bench.refuse(&with(&[(path, Some(older))]), "replayed");
        }
    }
    for path in [a, b] {
        let bytes = &files[path];
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            bench.refuse(&with(&[(path, Some(&bytes[..length]))]), "truncated");
        }
    }
    bench.unseal(bench.head).unwrap();
}

#[test]
fn attack_on_parents_is_refused() {
    let mut bench = Bench::new();
    let files = bench.attacker.files(bench.head);
    let parent = bench.attacker.parents(bench.head)[0];
    for parents in [vec![], vec![parent, parent]] {
        let commit = bench.attacker.commit(bench.head, &files, &parents);
        let error = bench.unseal(commit).expect_err("other parents");
        assert!(matches!(error, MirrorError::Refused { .. }), "{error:?}");
    }
    bench.unseal(bench.head).unwrap();
}

#[test]
fn attack_with_frames_of_other_store_is_refused() {
    for other in [header(2, 1), header(1, 2)] {
        let mut bench = Bench::new();
        let files = bench.attacker.files(bench.head);
        let dir = tempfile::tempdir().unwrap();
        let key = key(if other.has_key(&key(1)) { 1 } else { 2 });
        let mut foreign = Mirror::open(&dir.path().join("sealed.git"), other, &key, None).unwrap();
        let store = Store::open_or_create(&dir.path().join("plain")).unwrap();
        let head = commit_files(
            &store,
            &[("a/b.jsonl", b"text\n"), ("c", b"same"), ("d", b"new")],
        );
        let head = foreign.seal(&store, &head, CommitPlace::History).unwrap();
        let foreign = Attacker::new(&dir.path().join("sealed.git"));
        let theirs = foreign.files(Oid::from_str(head.as_str()).unwrap());
        let mut mixed = files.clone();
        mixed.extend(theirs.into_iter().filter(|(path, _)| path != "ccsync.json"));
        bench.refuse(&mixed, "frames of another store");
    }
}

#[test]
fn attack_on_lock_branch_is_refused() {
    let mut bench = Bench::new();
    let store = Store::open_or_create(&bench._dir.path().join("locks")).unwrap();
    let lock = commit_files(&store, &[("lock.json", b"{}\n")]);
    let branch = format!("ccsync/lock/{ONE}");
    let sealed = bench
        .mirror
        .seal(&store, &lock, CommitPlace::Branch(&branch))
        .unwrap();
    let token = |branch: &str| {
        let name = bench.mirror.remote_name(branch);
        name.strip_prefix("ccsync/lock/").unwrap().to_owned()
    };
    let (own, other) = (token(&branch), token(&format!("ccsync/lock/{TWO}")));
    let moved = bench.mirror.unseal_branch(&bench.empty, &other, &sealed);
    assert!(
        matches!(moved, Err(MirrorError::Refused { .. })),
        "{moved:?}"
    );
    assert!(
        bench.mirror.unseal(&bench.empty, &sealed).is_err(),
        "not a history"
    );
    let history: CommitId = bench.head.to_string().parse().unwrap();
    assert!(
        bench
            .mirror
            .unseal_branch(&bench.empty, &own, &history)
            .is_err()
    );
    let (name, commit) = bench
        .mirror
        .unseal_branch(&bench.empty, &own, &sealed)
        .unwrap();
    assert_eq!((name, commit), (branch, lock));
}

#[test]
fn attack_on_remote_is_named_and_changes_nothing() {
    let Trio { env, a, b, c: _ } = Trio::new();
    a.session(ONE).turn("hello").write();
    a.session(TWO).turn("other").write();
    a.ccsync(["push"]).success();
    let attacker = Attacker::new(&env.remote_of_pair());
    let good = attacker.head();
    let files = attacker.files(good);
    let (path, bytes) = files.iter().find(|(path, _)| path.contains('/')).unwrap();
    let mut damaged = files.clone();
    damaged.insert(path.clone(), [bytes.as_slice(), b"x"].concat());
    attacker.set_head(attacker.commit(good, &damaged, &attacker.parents(good)));
    let before = b.git(&["rev-parse", "HEAD"]);
    let run = b.ccsync(["pull"]);
    assert_ne!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("is refused"), "{run}");
    assert!(run.stderr.contains(&path.replace('/', "")), "{run}");
    assert_eq!(b.git(&["rev-parse", "HEAD"]), before);
    assert!(b.sessions().is_empty());

    attacker.set_head(good);
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
}

#[test]
fn attack_that_turns_remote_back_is_reported() {
    let Trio { env, a, b, c: _ } = Trio::new();
    a.session(ONE).turn("one").write();
    a.ccsync(["push"]).success();
    let attacker = Attacker::new(&env.remote_of_pair());
    let old = attacker.head();
    a.append(ONE, "two");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    attacker.set_head(old);
    let run = b.ccsync(["pull"]);
    assert!(run.to_string().contains("earlier"), "{run}");
    assert_eq!(questions(&b.text(ONE)), ["one", "two"]);
}

#[test]
fn attack_second_key_in_one_store_is_refused() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let [a, b] = ["a", "b"].map(|name| env.machine(name));
    init(&a, "a", &remote, &["--encrypt"]).success();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let run = init(&b, "b", &remote, &["--encrypt"]).code(1);
    assert!(run.stderr.contains("no key"), "{run}");

    // `b` has an encrypted store of its own, and is turned to this remote.
    let own = env.bare_remote();
    init(&b, "b", &own, &["--encrypt"]).success();
    b.session(TWO).turn("of b").write();
    b.ccsync(["push"]).success();
    let before = head(&remote);
    let run = init(&b, "b", &remote, &[]);
    assert_ne!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("another encrypted store"), "{run}");
    assert_eq!(head(&remote), before);
    b.append(TWO, "more");
    b.ccsync(["push"]).success();
}

fn head(remote: &Path) -> Oid {
    Attacker::new(remote).head()
}

fn any_files() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let file = (
        "[a-c]{1,2}(/[a-c]{1,2}){0,2}",
        prop::collection::vec(any::<u8>(), 0..2000),
    );
    prop::collection::btree_map(file.0, file.1, 1..8).prop_map(|files| {
        // A file and a directory cannot have one name.
        let names: Vec<String> = files.keys().cloned().collect();
        let is_directory = |path: &String| names.iter().any(|n| n.starts_with(&format!("{path}/")));
        files
            .into_iter()
            .filter(|(path, _)| !is_directory(path))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn mirror_any_history_comes_back(history in prop::collection::vec(any_files(), 1..5)) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(&dir.path().join("plain")).unwrap();
        let path = dir.path().join("sealed.git");
        let mut mirror = Mirror::open(&path, header(1, 1), &key(1), None).unwrap();
        let mut head = None;
        for files in &history {
            let files: Vec<(&str, &[u8])> =
                files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
            head = Some(commit_files(&store, &files));
        }
        let head = head.unwrap();
        let sealed = mirror.seal(&store, &head, CommitPlace::History).unwrap();
        fs::remove_file(path.join("ccsync-commits")).unwrap();
        let mut mirror = Mirror::open(&path, header(1, 1), &key(1), None).unwrap();
        let copy = Store::open_or_create(&dir.path().join("copy")).unwrap();
        prop_assert_eq!(mirror.unseal(&copy, &sealed).unwrap(), head.clone());
        let check = copy.check_objects(&[head], &mut |_| true).unwrap();
        prop_assert!(check.damaged.is_empty(), "{:?}", check.damaged);
    }
}
