//! This machine's clone of the remote: segments, manifests, machine files, commits.
//!
//! Owns the format of the store (`docs/dev/format.md`) and is the only user of `git2`. Reads come from git objects, not from the working tree, which
//! exists for people; only `checkout` reads what lies there, after making sure that it is the same. Must not touch the network, rewrite text or know the client.
//!
//! * [`manifest`], [`machine`]: the JSON files and the checks on them
//! * [`note`], [`milestone`]: what machines leave each other, and names for states of the whole
//! * [`segment`]: how a file is cut
//! * [`shelf`]: what lies beside sessions
//! * [`snapshot`]: reading one commit; `checkout`: the same from the working tree, for a search
//! * [`transaction`]: writing one commit
//! * `history`: earlier commits, and what changed in them
//! * `lock`: the commits of locks, which lie beside the sessions
//! * `check`: reading every object
//! * `object`, `reader`, `tree`, `layout`, `worktree`, `leftover`: writing packs, reading from them, trees, paths, the working tree, locks of the dead
//! * `entries`: changing git's index
//! * `damage`, `loose`: what git's library must not meet

use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::domain::id::{CommitId, MachineId};
use crate::sys::fail_point::fail_point;
use crate::sys::fs;

pub mod bundle;
mod check;
mod checkout;
mod damage;
mod entries;
mod error;
mod history;
mod layout;
mod lock;
mod loose;
pub mod machine;
pub mod manifest;
pub mod milestone;
pub mod note;
mod object;
mod reader;
pub mod segment;
pub mod snapshot;
mod stale;
pub mod transaction;
mod tree;
mod worktree;

pub use check::{DamagedObject, ObjectCheck};
pub use checkout::{Checkout, SessionFiles};
pub use error::StoreError;
pub use history::{Commit, SessionStep};
pub use lock::{LOCK_BRANCHES, MAX_LOCK_BYTES, RemoteLocks, lock_ref};
pub use snapshot::Snapshot;
pub use stale::{
    remove_stale_locks, remove_stale_locks_of_dead_processes, remove_stale_locks_of_remote,
};
pub use transaction::{Author, Transaction};

/// The one branch that holds the sessions.
pub const BRANCH: &str = "main";
const HEAD_REF: &str = "refs/heads/main";
const REMOTE_REF: &str = "refs/remotes/origin/main";

/// With more packs than these, looking up an object takes longer than it should.
pub const MOST_PACKS: usize = 50;

/// More objects than these in files of their own waste space.
pub const MOST_LOOSE: usize = 2000;

/// When a commit was made, by the clock of who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The machine, if it was one.
    pub machine: Option<MachineId>,
    /// By its clock.
    pub time: DateTime<Utc>,
}

/// This machine's clone of the remote.
pub struct Store {
    repo: git2::Repository,
    reader: reader::Reader,
}

impl Store {
    /// Opens the store at `path`, or creates an empty one. Completes what an interrupted command left half-written.
    ///
    /// The caller holds the machine-wide process lock: git's own locks that are found here are removed.
    ///
    /// # Errors
    /// [`StoreError::Git`] or [`StoreError::Io`] if the directory holds something else or cannot be used.
    pub fn open_or_create(path: &Path) -> Result<Self, StoreError> {
        // libgit2 would hash every object it reads, trees included, at a tenth of the speed of `reader`, which does it too.
        git2::opts::strict_hash_verification(false);
        // It would look up, and map, every object that is entered in the index. All of them were just read or written.
        git2::opts::strict_object_creation(false);
        let repo = if path.join(".git").exists() {
            open(path)?
        } else {
            create(path)?
        };
        make_durable(&repo)?;
        let reader = reader::Reader::new(repo.path());
        let store = Self { repo, reader };
        store.repair_worktree()?;
        Ok(store)
    }

    /// Opens the store at `path` only to look at it: nothing is mended, created or removed, and no lock is needed.
    ///
    /// # Errors
    /// [`StoreError::Git`]; [`StoreError::Damaged`] if something lies there that must not be read.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        git2::opts::strict_hash_verification(false);
        let repo = git2::Repository::open(path)?;
        damage::look_at_loose_objects(&repo)?;
        let reader = reader::Reader::new(repo.path());
        Ok(Self { repo, reader })
    }

    /// When the newest commits were made, from `commit` on; at most so many.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn newest_commits(
        &self,
        commit: &CommitId,
        most: usize,
    ) -> Result<Vec<Written>, StoreError> {
        let mut walk = self.repo.revwalk()?;
        walk.push(oid(commit)?)?;
        let mut commits = Vec::new();
        for id in walk.take(most) {
            let commit = self.repo.find_commit(id?)?;
            let committer = commit.committer();
            let machine = committer
                .email()
                .ok()
                .and_then(|email| email.split('@').next()?.parse().ok());
            let time = DateTime::from_timestamp(commit.time().seconds(), 0);
            commits.extend(time.map(|time| Written { machine, time }));
        }
        Ok(commits)
    }

    /// Another handle on a store that is open already, to read it from another thread.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn open_without_repair(path: &Path) -> Result<Self, StoreError> {
        let repo = git2::Repository::open(path)?;
        make_durable(&repo)?;
        let reader = reader::Reader::new(repo.path());
        Ok(Self { repo, reader })
    }

    /// Whether its objects lie in so many files that putting them together pays. Never, where the user has switched off git's own
    /// housekeeping.
    pub fn needs_repack(&self) -> bool {
        let objects = self.git_dir().join("objects");
        let count = |name: &str, wanted: &dyn Fn(&Path) -> bool| {
            let entries = std::fs::read_dir(objects.join(name))
                .into_iter()
                .flatten()
                .flatten();
            entries.filter(|entry| wanted(&entry.path())).count()
        };
        let packs = count("pack", &|path| path.extension().is_some_and(|e| e == "idx"));
        // Names are evenly distributed; git itself looks into this one of 256 directories.
        let loose = count("17", &|_| true) * 256;
        let switched_off = || {
            self.repo
                .config()
                .and_then(|config| config.get_i64("gc.auto"))
                .is_ok_and(|n| n == 0)
        };
        (packs > MOST_PACKS || loose > MOST_LOOSE) && !switched_off()
    }

    fn objects(&self) -> reader::Objects<'_> {
        reader::Objects {
            repo: &self.repo,
            reader: &self.reader,
        }
    }

    fn tree_of(&self, commit: &CommitId) -> Result<git2::Oid, StoreError> {
        Ok(self.repo.find_commit(oid(commit)?)?.tree_id())
    }

    /// The `.git` directory.
    pub fn git_dir(&self) -> &Path {
        self.repo.path()
    }

    /// The working tree.
    pub fn path(&self) -> &Path {
        self.repo
            .workdir()
            .expect("the store is created with a working tree")
    }

    /// Lets the clone at `other`, which may have lost objects, use those of this one.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn lend_objects_to(&self, other: &Path) -> Result<(), StoreError> {
        let objects = self.repo.path().join("objects");
        let path = other.join(".git/objects/info/alternates");
        fs::write_atomic(&path, format!("{}\n", objects.display()).as_bytes())
            .map_err(|e| StoreError::io("write", &e.path, e.source))
    }

    /// A store at `place` that begins as this one is and borrows its objects: what is written there changes nothing here. Its working tree
    /// has only what is written there.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn scratch(&self, place: &Path) -> Result<Self, StoreError> {
        drop(create(place)?);
        self.lend_objects_to(place)?;
        let scratch = Self::open_without_repair(place)?;
        if let Some(head) = self.head()? {
            scratch
                .repo
                .reference(HEAD_REF, oid(&head)?, true, "scratch")?;
        }
        Ok(scratch)
    }

    /// The newest commit here.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn head(&self) -> Result<Option<CommitId>, StoreError> {
        self.read_ref(HEAD_REF)
    }

    /// The remote's newest commit, as last seen.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn remote_head(&self) -> Result<Option<CommitId>, StoreError> {
        self.read_ref(REMOTE_REF)
    }

    /// Records what the remote's newest commit is now; `None`: it has none, or it is another remote.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn set_remote_head(&self, commit: Option<&CommitId>) -> Result<(), StoreError> {
        if self.remote_head()?.as_ref() == commit {
            return Ok(());
        }
        fail_point("before the remote's head is recorded");
        stale::retry_while_locked(|| match commit {
            Some(commit) => self
                .repo
                .reference(REMOTE_REF, oid(commit)?, true, "push")
                .map(drop),
            None => self.repo.find_reference(REMOTE_REF)?.delete(),
        })?;
        fail_point("the remote's head is recorded");
        Ok(())
    }

    /// How many commits here the remote does not have, as last seen.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn unsent(&self) -> Result<u64, StoreError> {
        let Some(head) = self.head()? else {
            return Ok(0);
        };
        let remote = self.remote_head()?;
        if Some(&head) == remote.as_ref() {
            return Ok(0);
        }
        let mut walk = self.repo.revwalk()?;
        walk.push(oid(&head)?)?;
        if let Some(remote) = remote {
            walk.hide(oid(&remote)?)?;
        }
        Ok(walk.count() as u64)
    }

    /// Whether the commit is here.
    pub fn has(&self, commit: &CommitId) -> bool {
        oid(commit)
            .and_then(|oid| self.repo.find_commit(oid))
            .is_ok()
    }

    /// Whether `commit` is `ancestor` or comes after it.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn contains(&self, commit: &CommitId, ancestor: &CommitId) -> Result<bool, StoreError> {
        Ok(commit == ancestor
            || self
                .repo
                .graph_descendant_of(oid(commit)?, oid(ancestor)?)?)
    }

    /// The newest common ancestor of two commits.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn merge_base(&self, a: &CommitId, b: &CommitId) -> Result<Option<CommitId>, StoreError> {
        match self.repo.merge_base(oid(a)?, oid(b)?) {
            Ok(base) => Ok(Some(commit_id(base))),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The contents of `commit`; of an empty store for `None`.
    ///
    /// # Errors
    /// [`StoreError::Newer`] if a newer ccsync wrote them, [`StoreError::Git`].
    pub fn snapshot(&self, commit: Option<&CommitId>) -> Result<Snapshot<'_>, StoreError> {
        Snapshot::open(self, commit)
    }

    /// The contents of the newest commit here.
    ///
    /// # Errors
    /// As for [`Self::snapshot`].
    pub fn head_snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        self.snapshot(self.head()?.as_ref())
    }

    /// Begins a commit whose tree starts as that of `base`.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn begin(&self, base: Option<&CommitId>) -> Result<Transaction<'_>, StoreError> {
        Transaction::begin(self, base)
    }

    /// Makes `commit`, which comes after the present head, the head.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn fast_forward(&self, commit: &CommitId) -> Result<(), StoreError> {
        self.advance(commit, "fetch", &Default::default())
    }

    /// Moves the head to `commit` and brings index and working tree after it; `written` is there already.
    fn advance(
        &self,
        commit: &CommitId,
        why: &str,
        written: &worktree::Written,
    ) -> Result<(), StoreError> {
        // A tree that is refused is refused before it becomes the head.
        let changes = self.changes(self.head()?.as_ref(), commit)?;
        self.mark_unfinished()?;
        fail_point("the working tree is marked");
        stale::retry_while_locked(|| {
            self.repo
                .reference(HEAD_REF, oid(commit)?, true, why)
                .map(drop)
        })?;
        fail_point("the head has moved");
        self.update_worktree(changes, written)?;
        self.mark_finished()
    }

    fn read_ref(&self, name: &str) -> Result<Option<CommitId>, StoreError> {
        match self.repo.refname_to_id(name) {
            Ok(oid) => Ok(Some(commit_id(oid))),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

/// Creates the bare repository that serves as remote where the user has named none.
///
/// # Errors
/// [`StoreError::Git`], [`StoreError::Io`].
pub fn create_embedded_remote(path: &Path) -> Result<(), StoreError> {
    if path.join("HEAD").exists() {
        return Ok(());
    }
    create_whole(path, |place| {
        let mut options = git2::RepositoryInitOptions::new();
        options
            .bare(true)
            .mkpath(true)
            .initial_head(BRANCH)
            .external_template(false);
        let repo = git2::Repository::init_opts(place, &options)?;
        keep_private(&mut repo.config()?.open_level(git2::ConfigLevel::Local)?)
    })
}

/// Whether the store at `store`, if there is one with anything in it, has the bare repository at `remote` for its remote.
pub fn belongs_to(store: &Path, remote: &Path) -> bool {
    let commit =
        |path: &Path, name: &str| git2::Repository::open(path).ok()?.refname_to_id(name).ok();
    let is_empty =
        || git2::Repository::open(store).is_ok_and(|store| store.refname_to_id(HEAD_REF).is_err());
    !store.exists()
        || is_empty()
        || commit(store, REMOTE_REF).is_some_and(|seen| commit(remote, HEAD_REF) == Some(seen))
}
/// How the names of directories begin in which a repository is prepared.
const BESIDE: &str = ".new-";

/// Prepares a repository beside its place and moves it there: a process that is killed leaves all of it or nothing.
fn create_whole(
    path: &Path,
    prepare: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = |e: io::Error| StoreError::io("create", path, e);
    let parent = path.parent().unwrap_or(path);
    fs::create_private_dir_all(parent).map_err(|e| failed(e.source))?;
    let extras = tempfile::Builder::new()
        .prefix(BESIDE)
        .tempdir_in(parent)
        .map_err(failed)?;
    let place = extras.path().join("repository");
    prepare(&place)?;
    fail_point("a repository is prepared beside its place");
    match std::fs::rename(&place, path) {
        // Another process was faster.
        Err(_) if path.join("HEAD").exists() || path.join(".git").exists() => {}
        moved => moved.map_err(failed)?,
    }
    fail_point("a repository is in its place");
    Ok(())
}

/// The `git` program runs with the user's own umask; this makes what it writes here private all the same.
fn keep_private(config: &mut git2::Config) -> Result<(), StoreError> {
    Ok(config.set_str(PRIVATE, "0600")?)
}

const PRIVATE: &str = "core.sharedRepository";

/// Creates an empty store.
fn create(path: &Path) -> Result<git2::Repository, StoreError> {
    create_whole(path, prepare)?;
    Ok(git2::Repository::open(path)?)
}

/// Opens what is there, after mending what the death of a process, or a copy without empty directories, did to it.
fn open(path: &Path) -> Result<git2::Repository, StoreError> {
    let git_dir = path.join(".git");
    if git_dir.is_dir() {
        stale::remove_stale_locks(&git_dir)?;
        let has_head = damage::has_head(&git_dir);
        if !has_head
            || ["objects", "refs"]
                .iter()
                .any(|name| !git_dir.join(name).is_dir())
        {
            if !has_head {
                worktree::remove(&git_dir.join("HEAD"))?;
            }
            prepare(path)?;
        }
    }
    let repo = git2::Repository::open(path)?;
    if repo
        .config()?
        .open_level(git2::ConfigLevel::Local)?
        .get_string(PRIVATE)
        .is_err()
    {
        prepare(path)?;
    }
    damage::check_loose_objects(&repo)?;
    Ok(repo)
}

/// Makes `place` an empty store, or adds what one lacks. Whatever the user's git prefers: SHA-1, plain ref files, branch
/// `main`, no filters.
fn prepare(place: &Path) -> Result<(), StoreError> {
    let mut options = git2::RepositoryInitOptions::new();
    options
        .mkpath(true)
        .initial_head(BRANCH)
        .external_template(false);
    let repo = git2::Repository::init_opts(place, &options)?;
    let mut config = repo.config()?.open_level(git2::ConfigLevel::Local)?;
    keep_private(&mut config)?;
    config.set_str("core.autocrlf", "false")?;
    config.set_bool("core.fileMode", false)?;
    // A path of the store can be long on Windows.
    Ok(config.set_bool("core.longpaths", true)?)
}

/// Makes libgit2 wait for the disk after each loose object and ref: no commit is the head before all of it is safe.
///
/// The setting has a file of its own because `git`, which reads it in `config`, calls it outdated with every command.
fn make_durable(repo: &git2::Repository) -> Result<(), StoreError> {
    let path = repo.path().join("ccsync-libgit2");
    if std::fs::read(&path).ok().as_deref() != Some(DURABLE) {
        worktree::remove(&path)?;
        fs::write_atomic(&path, DURABLE).map_err(|e| StoreError::io("write", &e.path, e.source))?;
    }
    Ok(repo
        .config()?
        .add_file(&path, git2::ConfigLevel::App, true)?)
}

const DURABLE: &[u8] = b"[core]\n\tfsyncObjectFiles = true\n";

fn oid(commit: &CommitId) -> Result<git2::Oid, git2::Error> {
    git2::Oid::from_str(commit.as_str())
}

fn commit_id(oid: git2::Oid) -> CommitId {
    oid.to_string()
        .parse()
        .expect("git prints object names as 40 lower-case digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_fsync_is_set_for_library_but_not_in_git_config() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        for _ in 0..2 {
            let store = Store::open_or_create(&path).unwrap();
            assert!(
                store
                    .repo
                    .config()
                    .unwrap()
                    .get_bool("core.fsyncObjectFiles")
                    .unwrap()
            );
        }
        let config = std::fs::read_to_string(path.join(".git/config")).unwrap();
        assert!(!config.to_lowercase().contains("fsync"));
    }

    #[test]
    fn store_incomplete_repository_is_initialized() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("store/.git")).unwrap();
        let store = Store::open_or_create(&dir.path().join("store")).unwrap();
        assert_eq!(store.head().unwrap(), None);
    }
}
