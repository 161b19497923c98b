//! The mirror: the commits of an encrypted store as the remote has them.
//!
//! A bare repository beside the store, from which `git push` sends and into which `git fetch`
//! writes. Each plain commit has one sealed commit there, with the sealed commits of its parents
//! as parents (`docs/dev/encryption.md`). Must not use the network.

mod commit_map;
mod error;
mod parallel;
mod record;
mod seal;
mod sealed_tree;
mod share;
mod unseal;

use std::path::Path;

use git2::{Oid, Repository};

use super::create::create_mirror;
use super::error::StoreError;
use super::layout::{HEAD_REF, REMOTE_REF};
use super::lock_commits::{LOCK_BRANCHES, tracking_ref};
use super::objects::name::{commit_id, oid};
use super::objects::reader::Objects;
use super::repository::Store;
use super::stale::remove_stale_locks;
use crate::domain::{CommitAuthor, CommitId};
use crate::encryption::{Sealer, StoreHeader, StoreKey, Token};
use commit_map::{CommitMap, MAP_FILE};

pub use error::{MirrorError, SealedFault};
pub use record::{
    complete_record, record_header, record_new_history, recorded_header, remote_header,
};
pub use share::share_packs;

/// The place of a commit in the remote, to which its sealed form is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitPlace<'a> {
    /// The history of the sessions.
    History,
    /// A branch of its own, with this name.
    Branch(&'a str),
}

/// The sealed commits of one store.
pub struct Mirror {
    /// A repository without a working tree.
    repository: Store,
    header: StoreHeader,
    key: StoreKey,
    sealer: Sealer,
    /// Author of the sealed commits, if the remote demands one.
    author: Option<CommitAuthor>,
    commits: CommitMap,
}

impl Mirror {
    /// Opens the mirror at `path`, or creates an empty one. `key` must be that of `header`.
    ///
    /// # Errors
    /// [`MirrorError::Store`].
    pub fn open(
        path: &Path,
        header: StoreHeader,
        key: &StoreKey,
        author: Option<CommitAuthor>,
    ) -> Result<Self, MirrorError> {
        create_mirror(path)?;
        remove_stale_locks(path)?;
        let repository = Store::new(Repository::open_bare(path).map_err(StoreError::from)?);
        let map_path = path.join(MAP_FILE);
        let loaded = CommitMap::load(map_path.clone());
        let is_known = loaded.is_some();
        let mut mirror = Self {
            repository,
            sealer: Sealer::new(&header, key),
            key: key.clone(),
            header,
            author,
            commits: loaded.unwrap_or_else(|| CommitMap::new(map_path)),
        };
        if !is_known {
            mirror.read_commits_again()?;
        }
        Ok(mirror)
    }

    /// Returns the directory of the repository.
    pub fn git_dir(&self) -> &Path {
        self.repository.git_dir()
    }

    /// Returns the header of the store.
    pub fn header(&self) -> &StoreHeader {
        &self.header
    }

    /// Returns the name of a branch in the remote. Those of locks say nothing.
    pub fn remote_name(&self, branch: &str) -> String {
        match branch.strip_prefix(LOCK_BRANCHES) {
            Some(_) => format!("{LOCK_BRANCHES}{}", self.sealer.branch(branch)),
            None => branch.to_owned(),
        }
    }

    /// Returns the sealed commit of a plain one, if it was sealed or fetched.
    ///
    /// # Errors
    /// [`MirrorError::Store`].
    pub fn sealed(&self, plain: &CommitId) -> Result<Option<CommitId>, MirrorError> {
        let sealed = self.commits.sealed(oid(plain)?);
        Ok(sealed.map(commit_id))
    }

    /// Returns the plain commit of a sealed one, if it was sealed or fetched.
    ///
    /// # Errors
    /// [`MirrorError::Store`].
    pub fn plain(&self, sealed: &CommitId) -> Result<Option<CommitId>, MirrorError> {
        let plain = self.commits.plain(oid(sealed)?);
        Ok(plain.map(commit_id))
    }

    /// Records the commit of a branch of the remote after a push; `None` if it was deleted.
    ///
    /// # Errors
    /// [`MirrorError::Store`].
    pub fn record_pushed(
        &self,
        branch: &str,
        commit: Option<&CommitId>,
    ) -> Result<(), MirrorError> {
        let name = format!("refs/remotes/origin/{branch}");
        Ok(self.repository.set_ref(&name, commit, "push")?)
    }

    /// Returns the sealed commits of the lock branches of the remote, as last fetched.
    ///
    /// # Errors
    /// [`MirrorError::Store`].
    pub fn lock_branches(&self) -> Result<Vec<(String, CommitId)>, MirrorError> {
        let prefix = tracking_ref("");
        let mut found = Vec::new();
        let repo = &self.repository.repo;
        for reference in repo.references_glob(&format!("{prefix}*"))? {
            let reference = reference?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            if let (Some(name), Some(commit)) = (name.strip_prefix(&prefix), reference.target()) {
                found.push((name.to_owned(), commit_id(commit)));
            }
        }
        Ok(found)
    }

    fn objects(&self) -> Objects<'_> {
        self.repository.objects()
    }

    /// Returns true if the mirror has the commit: one that was never pushed may be lost.
    fn has(&self, sealed: Oid) -> bool {
        self.repository.repo.find_commit(sealed).is_ok()
    }

    /// Finds the pairs of commits in the sealed commits.
    fn read_commits_again(&mut self) -> Result<(), MirrorError> {
        let mut heads: Vec<(Oid, Token)> = Vec::new();
        for name in [HEAD_REF, REMOTE_REF] {
            let head = self.repository.read_ref(name)?;
            let head = head.as_ref().map(oid).transpose()?;
            heads.extend(head.map(|head| (head, self.sealer.history())));
        }
        for (name, commit) in self.lock_branches()? {
            let token = Token::parse(&name);
            heads.extend(
                token
                    .zip(oid(&commit).ok())
                    .map(|(token, head)| (head, token)),
            );
        }
        for (head, place) in heads {
            let mut walk = self.repository.repo.revwalk()?;
            walk.push(head)?;
            let commits: Vec<Oid> = walk.filter_map(Result::ok).collect();
            for sealed in commits {
                // An unreadable one is refused when it is unsealed.
                if let Ok(description) = self.description(sealed, place) {
                    self.commits.insert(description.id(), sealed);
                }
            }
        }
        Ok(self.commits.replace()?)
    }
}
