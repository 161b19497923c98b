//! The history of the store: its commits, newest first, and in which of them which sessions changed.
//!
//! Compares the trees of commits and reads no texts. What it costs follows the number of commits looked at.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use git2::{Oid, Sort};

use super::snapshot::SessionState;
use super::{Snapshot, Store, StoreError, commit_id, oid};
use crate::domain::id::{CommitId, MachineId, SessionId};

/// More of a name in a commit is not read.
const LONGEST_NAME: usize = 200;

/// A commit of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// The commits that it comes after: what it was made from, and for a merge what was merged into that.
    pub parents: Vec<CommitId>,
    /// When it was made, by the clock of its machine.
    pub time: DateTime<Utc>,
    /// The machine that made it; none if another program did.
    pub machine: Option<MachineId>,
    /// How that machine was called then. Untrusted text.
    pub name: String,
}

/// A state of a session, and the commit that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStep {
    /// The commit.
    pub commit: Commit,
    /// The session there; none: it was removed.
    pub state: Option<SessionState>,
}

/// The commits that lead to the head, the newest first; each after all that came after it, whatever the clocks of machines said.
pub struct History<'store> {
    store: &'store Store,
    walk: Option<git2::Revwalk<'store>>,
}

impl Iterator for History<'_> {
    type Item = Result<Commit, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.walk.as_mut()?.next()?;
        Some(
            next.map_err(StoreError::from)
                .and_then(|id| self.store.read_commit(id)),
        )
    }
}

impl Store {
    /// The history of the newest commit here.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn history(&self) -> Result<History<'_>, StoreError> {
        let Some(head) = self.head()? else {
            return Ok(History {
                store: self,
                walk: None,
            });
        };
        let mut walk = self.repo.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        walk.push(oid(&head)?)?;
        Ok(History {
            store: self,
            walk: Some(walk),
        })
    }

    /// The commits of the history whose ids begin with `prefix`; of more than two only two.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn commits_named(&self, prefix: &str) -> Result<Vec<CommitId>, StoreError> {
        let Some(head) = self.head()? else {
            return Ok(Vec::new());
        };
        let mut walk = self.repo.revwalk()?;
        walk.push(oid(&head)?)?;
        let mut found = Vec::new();
        for id in walk {
            let id = commit_id(id?);
            if id.as_str().starts_with(prefix) {
                found.push(id);
            }
            if found.len() == 2 {
                break;
            }
        }
        Ok(found)
    }

    /// A commit that is here.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn commit(&self, id: &CommitId) -> Result<Commit, StoreError> {
        self.read_commit(oid(id)?)
    }

    fn read_commit(&self, id: Oid) -> Result<Commit, StoreError> {
        let commit = self.repo.find_commit(id)?;
        let author = commit.author();
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .chars()
                .take(LONGEST_NAME)
                .collect::<String>()
        };
        let email = text(author.email_bytes());
        Ok(Commit {
            id: commit_id(id),
            parents: commit.parent_ids().map(commit_id).collect(),
            time: DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default(),
            machine: email
                .strip_suffix("@ccsync.invalid")
                .and_then(|id| id.parse().ok()),
            name: text(author.name_bytes()),
        })
    }

    /// The sessions that `commit` changed: whose state there is that in none of its parents.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn sessions_changed_by(&self, commit: &Commit) -> Result<BTreeSet<SessionId>, StoreError> {
        let now = self.snapshot(Some(&commit.id))?;
        let Some((first, others)) = commit.parents.split_first() else {
            return now.changed_since(&self.snapshot(None)?);
        };
        let mut changed = now.changed_since(&self.snapshot(Some(first))?)?;
        for parent in others {
            if changed.is_empty() {
                break;
            }
            let also = now.changed_since(&self.snapshot(Some(parent))?)?;
            changed.retain(|session| also.contains(session));
        }
        Ok(changed)
    }

    /// The states that a session had, the newest first; the walk ends after `most` of them, or when `go_on`, which is asked for each
    /// commit, says so.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn states_of(
        &self,
        session: &SessionId,
        most: usize,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<SessionStep>, StoreError> {
        self.walk_states(session, most, go_on, |equals| !equals.contains(&true))
    }

    /// All states that a session had, the newest first, and each merge in which it was decided which of two it is from then on.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn states_at_merges_too(
        &self,
        session: &SessionId,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<SessionStep>, StoreError> {
        self.walk_states(session, usize::MAX, go_on, |equals| {
            equals.is_empty() || equals.contains(&false)
        })
    }

    /// The commits of which `is_wanted` says so, by which of their parents have the session as they have it.
    fn walk_states(
        &self,
        session: &SessionId,
        most: usize,
        go_on: &mut dyn FnMut() -> bool,
        is_wanted: fn(&[bool]) -> bool,
    ) -> Result<Vec<SessionStep>, StoreError> {
        let mut known: HashMap<CommitId, Option<SessionState>> = HashMap::new();
        let mut state_in = |id: &CommitId| match known.get(id) {
            Some(state) => Ok(state.clone()),
            None => {
                let state = Snapshot::open(self, Some(id))?.state(session)?;
                known.insert(id.clone(), state.clone());
                Ok::<_, StoreError>(state)
            }
        };
        let mut steps = Vec::new();
        for commit in self.history()? {
            if steps.len() >= most || !go_on() {
                break;
            }
            let commit = commit?;
            let state = state_in(&commit.id)?;
            let equals = commit
                .parents
                .iter()
                .map(|parent| Ok(state_in(parent)? == state));
            let equals: Vec<bool> = equals.collect::<Result<_, StoreError>>()?;
            if (state.is_some() || !equals.is_empty()) && is_wanted(&equals) {
                steps.push(SessionStep { commit, state });
            }
        }
        Ok(steps)
    }
}
