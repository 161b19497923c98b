//! The history of the store: its commits, what each changed, and the states of a session.
//!
//! Compares the trees of commits and reads manifests, but no texts. The cost follows the number of
//! commits that are walked.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use git2::{Oid, Revwalk, Sort};

use super::author::machine_of;
use super::error::StoreError;
use super::format::manifest::Manifest;
use super::format::milestone::MilestoneName;
use super::objects::name::{commit_id, oid};
use super::repository::Store;
use super::snapshot::{SessionState, Snapshot};
use crate::domain::{CommitId, MachineId, SessionId};

/// Longest name that is read from a commit, in characters.
const MAX_NAME: usize = 200;

/// A commit of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// The commit that it extends and, for a merge, the merged ones.
    pub parents: Vec<CommitId>,
    /// Time of the commit, by the clock of its machine.
    pub time: DateTime<Utc>,
    /// The machine that made it. `None` if another program did.
    pub machine: Option<MachineId>,
    /// Name of that machine at the time. Untrusted text.
    pub name: String,
}

/// A state of a session, and the commit that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStep {
    /// The commit.
    pub commit: Commit,
    /// The session's state in it. `None` if the commit removed the session.
    pub state: Option<SessionState>,
}

/// Steps of a session's history that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// Commits with a state of the session that no parent has.
    Changes,
    /// Also merges that adopted the state of one of their parents.
    ChangesAndMerges,
}

/// The commits that lead to the newest one.
#[derive(Clone, Copy)]
pub struct History<'store> {
    store: &'store Store,
}

impl Store {
    /// Returns the history of the newest commit.
    pub fn history(&self) -> History<'_> {
        History { store: self }
    }

    /// Reads a commit.
    ///
    /// # Errors
    /// [`StoreError::Git`] if the store does not have it.
    pub fn commit(&self, id: &CommitId) -> Result<Commit, StoreError> {
        self.read_commit(oid(id)?)
    }

    /// Reads `commit` and its ancestors, the newest first by their own clocks.
    ///
    /// Walks no further than the caller takes.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn newest_commits(
        &self,
        commit: &CommitId,
    ) -> Result<impl Iterator<Item = Result<Commit, StoreError>>, StoreError> {
        let mut walk = self.repo.revwalk()?;
        walk.push(oid(commit)?)?;
        Ok(walk.map(|id| self.read_commit(id?)))
    }

    fn read_commit(&self, id: Oid) -> Result<Commit, StoreError> {
        let commit = self.repo.find_commit(id)?;
        let machine = machine_of(&commit);
        let name = match &machine {
            Some(machine) => machine.name.clone(),
            None => String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
        };
        Ok(Commit {
            id: commit_id(id),
            parents: commit.parent_ids().map(commit_id).collect(),
            time: DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default(),
            machine: machine.map(|machine| machine.id),
            name: name.chars().take(MAX_NAME).collect(),
        })
    }
}

impl<'store> History<'store> {
    /// Returns the commits; each one before its parents, even if clocks are wrong.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn commits(
        self,
    ) -> Result<impl Iterator<Item = Result<Commit, StoreError>> + use<'store>, StoreError> {
        let store = self.store;
        let walk = self.walk(Sort::TOPOLOGICAL | Sort::TIME)?;
        let ids = walk.into_iter().flatten();
        Ok(ids.map(|id| store.read_commit(id?)))
    }

    /// Returns `None` for an empty store.
    fn walk(self, order: Sort) -> Result<Option<Revwalk<'store>>, StoreError> {
        let Some(head) = self.store.head()? else {
            return Ok(None);
        };
        let mut walk = self.store.repo.revwalk()?;
        walk.set_sorting(order)?;
        walk.push(oid(&head)?)?;
        Ok(Some(walk))
    }

    /// Returns true if the commit is a part of the history.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn contains(self, commit: &CommitId) -> Result<bool, StoreError> {
        match self.store.head()? {
            Some(head) if self.store.has_commit(commit) => self.store.contains(&head, commit),
            _ => Ok(false),
        }
    }

    /// Returns at most two commits whose ids begin with `prefix`.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn commits_with_prefix(self, prefix: &str) -> Result<Vec<CommitId>, StoreError> {
        let mut found = Vec::new();
        for id in self.walk(Sort::NONE)?.into_iter().flatten() {
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

    /// Returns the sessions whose ids begin with `prefix`, including those that only an
    /// earlier commit has.
    ///
    /// `on_commit` is called for each commit and can end the walk with an error.
    ///
    /// # Errors
    /// [`StoreError::Git`], and that of `on_commit`.
    pub fn sessions_with_prefix<E: From<StoreError>>(
        self,
        prefix: &str,
        mut on_commit: impl FnMut() -> Result<(), E>,
    ) -> Result<BTreeSet<SessionId>, E> {
        let mut found = BTreeSet::new();
        for commit in self.commits()? {
            on_commit()?;
            let changed = self.changes(&commit?)?.sessions()?;
            found.extend(
                changed
                    .into_iter()
                    .filter(|id| id.as_str().starts_with(prefix)),
            );
        }
        Ok(found)
    }

    /// Returns the steps of a session's history, the newest first, but not more than `max`.
    ///
    /// `on_commit` is called for each commit and can end the walk with an error.
    ///
    /// # Errors
    /// [`StoreError::Git`], and that of `on_commit`.
    pub fn session_steps<E: From<StoreError>>(
        self,
        session: &SessionId,
        wanted: Steps,
        max: usize,
        mut on_commit: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<SessionStep>, E> {
        let mut known: HashMap<CommitId, Option<SessionState>> = HashMap::new();
        let mut state_in = |id: &CommitId| match known.get(id) {
            Some(state) => Ok(state.clone()),
            None => {
                let state = self.store.snapshot(Some(id))?.state(session)?;
                known.insert(id.clone(), state.clone());
                Ok::<_, StoreError>(state)
            }
        };
        let mut steps = Vec::new();
        for commit in self.commits()? {
            if steps.len() >= max {
                break;
            }
            on_commit()?;
            let commit = commit?;
            let state = state_in(&commit.id)?;
            let mut equals = Vec::new();
            for parent in &commit.parents {
                equals.push(state_in(parent)? == state);
            }
            let is_wanted = match wanted {
                Steps::Changes => !equals.contains(&true),
                Steps::ChangesAndMerges => equals.is_empty() || equals.contains(&false),
            };
            if is_wanted && (state.is_some() || !equals.is_empty()) {
                steps.push(SessionStep { commit, state });
            }
        }
        Ok(steps)
    }

    /// Opens a commit and its parents, to compare them.
    ///
    /// # Errors
    /// As for [`Store::snapshot`].
    pub fn changes(self, commit: &Commit) -> Result<CommitChanges<'store>, StoreError> {
        let parents = commit.parents.iter();
        Ok(CommitChanges {
            now: self.store.snapshot(Some(&commit.id))?,
            parents: parents
                .map(|parent| self.store.snapshot(Some(parent)))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Differences between a commit and all of its parents.
pub struct CommitChanges<'store> {
    now: Snapshot<'store>,
    parents: Vec<Snapshot<'store>>,
}

/// A session in a commit and before it.
pub struct ChangedSession {
    /// The manifest in the commit. `None` if the commit removed the session.
    pub now: Result<Option<Manifest>, StoreError>,
    /// The manifest in the parents: of two, that of the longer transcript.
    pub before: Option<Manifest>,
}

impl CommitChanges<'_> {
    /// Returns the sessions with a state that no parent has.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn sessions(&self) -> Result<BTreeSet<SessionId>, StoreError> {
        let Some((first, others)) = self.parents.split_first() else {
            return Ok(self.now.sessions()?.into_keys().collect());
        };
        let mut changed = self.now.changed_since(first)?;
        for parent in others {
            if changed.is_empty() {
                break;
            }
            let also = self.now.changed_since(parent)?;
            changed.retain(|session| also.contains(session));
        }
        Ok(changed)
    }

    /// Reads the manifests of a session.
    pub fn session(&self, id: &SessionId) -> ChangedSession {
        let before = self.parents.iter();
        let before = before.filter_map(|parent| parent.manifest(id).ok().flatten());
        ChangedSession {
            now: self.now.manifest(id),
            before: before.max_by_key(|manifest| manifest.transcript.lines()),
        }
    }

    /// Counts the new notes.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn count_new_notes(&self) -> Result<u64, StoreError> {
        let mut new = self.now.note_ids()?;
        for parent in &self.parents {
            let before = parent.note_ids()?;
            new.retain(|id| before.binary_search(id).is_err());
        }
        Ok(new.len() as u64)
    }

    /// Returns the new milestones, by name.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn new_milestones(&self) -> Result<Vec<MilestoneName>, StoreError> {
        let mut new = self.now.milestone_names()?;
        for parent in &self.parents {
            let before = parent.milestone_names()?;
            let before: HashSet<_> = before.iter().map(MilestoneName::file_stem).collect();
            new.retain(|name| !before.contains(&name.file_stem()));
        }
        Ok(new)
    }
}
