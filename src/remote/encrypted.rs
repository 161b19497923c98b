//! The remote of an encrypted store: seals before a push, unseals after a fetch.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::domain::CommitId;
use crate::encryption::StoreHeader;
use crate::store::{
    BRANCH, CommitPlace, LOCK_BRANCHES, Mirror, MirrorError, Store, StoreError, lock_ref,
    record_header,
};
use crate::transport::{GitCli, ObjectNames, PushOutcome, RefUpdate, RemoteError};

const BRANCHES: &str = "refs/heads/";

/// A remote that has sealed commits.
pub struct EncryptedRemote {
    /// Reaches the remote from the mirror, never from the store.
    git: GitCli,
    store: Store,
    mirror: RefCell<Mirror>,
}

impl EncryptedRemote {
    /// Creates the remote that `git` reaches from the repository of the mirror.
    pub fn new(store: Store, mirror: Mirror, git: GitCli) -> Self {
        Self {
            git,
            store,
            mirror: RefCell::new(mirror),
        }
    }

    /// Returns the header of the remote, as last fetched.
    pub fn header(&self) -> StoreHeader {
        self.mirror.borrow().header().clone()
    }

    pub(super) fn fetch(&self, branch: &str) -> Result<Option<CommitId>, RemoteError> {
        let head = self.git.fetch(branch)?;
        Ok(self.unseal_head(head.as_ref())?)
    }

    pub(super) fn fetch_with(
        &self,
        branch: &str,
        prefix: &str,
    ) -> Result<Option<CommitId>, RemoteError> {
        let head = self.git.fetch_with(branch, prefix)?;
        let head = self.unseal_head(head.as_ref())?;
        self.unseal_locks(head.as_ref())?;
        Ok(head)
    }

    fn unseal_head(&self, sealed: Option<&CommitId>) -> Result<Option<CommitId>, MirrorError> {
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let mut mirror = self.mirror.borrow_mut();
        if mirror.check_header(sealed)? {
            record_header(self.store.path(), mirror.git_dir(), mirror.header())?;
        }
        mirror.unseal(&self.store, sealed).map(Some)
    }

    /// Unseals the locks. One that cannot be unsealed is listed under its name in the remote.
    fn unseal_locks(&self, head: Option<&CommitId>) -> Result<(), MirrorError> {
        let mut mirror = self.mirror.borrow_mut();
        let mut locks = BTreeMap::new();
        for (token, sealed) in mirror.lock_branches()? {
            let unsealed = mirror.unseal_branch(&self.store, &token, &sealed);
            match unsealed {
                Ok((branch, commit)) => {
                    let name = branch.strip_prefix(LOCK_BRANCHES).unwrap_or(&branch);
                    locks.insert(name.to_owned(), commit);
                }
                Err(MirrorError::Refused { .. }) => {
                    locks.extend(head.map(|head| (token, head.clone())));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(self.store.set_locks(&locks)?)
    }

    pub(super) fn push(&self, updates: &[RefUpdate]) -> Result<PushOutcome, RemoteError> {
        if !self.knows_history(updates)? {
            let reason = "the mirror was lost and is fetched again".to_owned();
            return Ok(PushOutcome::Refused { reason });
        }
        let sealed: Vec<RefUpdate> = updates
            .iter()
            .map(|update| self.sealed_update(update))
            .collect::<Result<_, _>>()?;
        let outcome = self.git.push(&sealed)?;
        if outcome == PushOutcome::Done {
            let mirror = self.mirror.borrow();
            for update in sealed {
                let branch = update.name.strip_prefix(BRANCHES).unwrap_or(&update.name);
                mirror.record_pushed(branch, update.new.as_ref())?;
            }
        }
        Ok(outcome)
    }

    /// Returns false if the mirror has lost the commit that the remote had last.
    fn knows_history(&self, updates: &[RefUpdate]) -> Result<bool, MirrorError> {
        let mirror = self.mirror.borrow();
        for update in updates {
            if branch_of(&update.name).is_ok_and(|branch| branch == BRANCH)
                && let Some(expected) = &update.expected
                && mirror.sealed(expected)?.is_none()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn knows_atomic(&self, update: &RefUpdate) -> Result<bool, RemoteError> {
        self.git.knows_atomic(&self.sealed_update(update)?)
    }

    /// Seals the new commit. Nothing else becomes a value of a reference of the remote.
    fn sealed_update(&self, update: &RefUpdate) -> Result<RefUpdate, RemoteError> {
        let branch = branch_of(&update.name)?;
        let place = match branch {
            BRANCH => CommitPlace::History,
            branch => CommitPlace::Branch(branch),
        };
        let mut mirror = self.mirror.borrow_mut();
        let new = update
            .new
            .as_ref()
            .map(|commit| mirror.seal(&self.store, commit, place));
        Ok(RefUpdate {
            name: format!("{BRANCHES}{}", mirror.remote_name(branch)),
            new: new.transpose()?,
            expected: update
                .expected
                .as_ref()
                .map(|commit| known_sealed(&mirror, commit))
                .transpose()?,
        })
    }

    pub(super) fn refs(&self) -> Result<BTreeMap<String, CommitId>, RemoteError> {
        let mirror = self.mirror.borrow();
        let known = self.store.locks().map_err(MirrorError::from)?.locks;
        let names: BTreeMap<String, String> = known
            .keys()
            .map(lock_ref)
            .map(|name| (self.remote_name(&name), name))
            .collect();
        let mut refs = BTreeMap::new();
        for (name, sealed) in self.git.refs()? {
            let name = names.get(&name).cloned().unwrap_or(name);
            let plain = mirror.plain(&sealed)?;
            refs.insert(name, plain.unwrap_or(sealed));
        }
        Ok(refs)
    }

    pub(super) fn remote_name(&self, name: &str) -> String {
        match name.strip_prefix(BRANCHES) {
            Some(branch) => format!("{BRANCHES}{}", self.mirror.borrow().remote_name(branch)),
            None => name.to_owned(),
        }
    }

    pub(super) fn check_objects(
        &self,
        commit: &CommitId,
    ) -> Result<Option<Result<(), String>>, RemoteError> {
        let sealed = known_sealed(&self.mirror.borrow(), commit)?;
        self.git.check_objects(&sealed)
    }
}

impl EncryptedRemote {
    pub(super) fn objects_of_remote(
        &self,
        commit: &CommitId,
    ) -> Result<Option<ObjectNames>, RemoteError> {
        let sealed = known_sealed(&self.mirror.borrow(), commit)?;
        self.git.objects_of_remote(&sealed)
    }

    pub(super) fn drop_from_remote(
        &self,
        branch: &str,
        objects: &ObjectNames,
    ) -> Result<(), RemoteError> {
        self.git.drop_from_remote(branch, objects)
    }
}

/// Returns the branch of a reference: the sessions, or a lock. There are no others.
fn branch_of(name: &str) -> Result<&str, RemoteError> {
    let branch = name.strip_prefix(BRANCHES).unwrap_or_default();
    match branch == BRANCH || branch.starts_with(LOCK_BRANCHES) {
        true => Ok(branch),
        false => Err(RemoteError::InvalidRef {
            name: name.to_owned(),
        }),
    }
}

/// Returns the sealed commit of a plain one. A commit that was never unsealed here is the
/// remote's own.
fn known_sealed(mirror: &Mirror, commit: &CommitId) -> Result<CommitId, MirrorError> {
    Ok(mirror.sealed(commit)?.unwrap_or_else(|| commit.clone()))
}

impl From<MirrorError> for RemoteError {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::Interrupted(e) => Self::Interrupted(e),
            error => Self::Data(Box::new(error)),
        }
    }
}

impl From<StoreError> for RemoteError {
    fn from(error: StoreError) -> Self {
        MirrorError::from(error).into()
    }
}
