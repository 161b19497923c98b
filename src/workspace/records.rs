//! Records of sessions from earlier commands: the index, the pinned sessions, the deleted ones,
//! and the projects.
//!
//! Claude Code removes old sessions itself, and so may the user. A pull does not write a
//! deleted session again unless another machine has changed it, or the user asks for it.
//! If the file with the deleted sessions is lost, a pull writes them once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::{id::CommitId, id::SessionId};
use crate::session::{LocalSession, discover::Discovery, files::is_rewritten, teams::TeamOwners};
use crate::store::{SessionState, Snapshot, Store, manifest::Manifest};
use crate::sys::{env::Env, fail_point::fail_point, fs::write_cache};
use crate::workspace::{
    error::SyncError, index::Index, index::IndexKey, index::NotPulledSession, paths::index_path,
    pinned::PinnedSessions, session_map::SessionMap, session_project::SessionProject,
    stored_copies::StoredCopies,
};

/// Records of sessions. The index is a cache; the others are not.
pub(crate) struct SessionRecords {
    pub(crate) index: Index,
    pub(crate) pinned: PinnedSessions,
    /// The sessions that own the task lists of teams.
    pub(crate) teams: TeamOwners,
    /// The owners as the file has them.
    saved_teams: TeamOwners,
    /// Sessions that the remote refused, with its text.
    pub(crate) refused: SessionMap<String>,
    /// Sessions that were removed from the remote's history, with the state they had in it.
    pub(crate) purged: SessionMap<SessionState>,
    /// Sessions deleted from this machine, with the state they had when they were last in sync.
    deleted: SessionMap<SessionState>,
    /// Projects of sessions, also of those that are not here any more: their plans may be.
    pub(crate) projects: SessionMap<SessionProject>,
    pub(crate) copies: StoredCopies,
}

impl SessionRecords {
    /// Reads the records for these settings, and updates them to the head of `store`.
    pub(crate) fn load(env: &Env, key: IndexKey, store: &Store) -> Result<Self, SyncError> {
        let mut index = Index::load(&index_path(env), key);
        index.follow(store)?;
        let teams: TeamOwners = read_teams(env);
        Ok(Self {
            index,
            saved_teams: teams.clone(),
            teams,
            pinned: PinnedSessions::load(&env.dirs.state.join("pinned.json"))?,
            refused: SessionMap::load(&env.dirs.state.join("refused.json"))?,
            purged: SessionMap::load(&env.dirs.state.join("purged.json"))?,
            deleted: SessionMap::load(&env.dirs.state.join("deleted.json"))?,
            projects: SessionMap::load(&env.dirs.state.join("projects.json"))?,
            copies: StoredCopies::load(&env.dirs.state.join("copies.json"), store),
        })
    }

    /// Records which of the known sessions are no longer on this machine.
    pub(crate) fn record_discovery(&mut self, found: &Discovery) {
        let removed = self.index.retain_present(&found.sessions);
        let unpinned = self.pinned.retain_present(found);
        drop(self.refused.retain(|id| found.sessions.contains_key(id)));
        self.copies.retain_present(&found.copies);
        drop(self.deleted.retain(|id| !found.sessions.contains_key(id)));
        for (session, state) in removed.into_iter().chain(unpinned) {
            self.deleted.insert(session, state);
        }
    }

    /// Returns true if the session was deleted from this machine while the store had this state.
    pub(crate) fn was_deleted(&self, session: &SessionId, state: &SessionState) -> bool {
        self.deleted.get(session) == Some(state)
    }

    /// Records `sessions` as up to date with the store at `commit`. Skips those that changed in the
    /// store since.
    pub(crate) fn record_up_to_date<'s>(
        &mut self,
        store: &Store,
        sessions: impl IntoIterator<Item = &'s LocalSession>,
        commit: Option<&CommitId>,
    ) -> Result<(), SyncError> {
        self.index.follow(store)?;
        let snapshot = store.head_snapshot()?;
        let changed = snapshot.changed_since(&store.snapshot(commit)?)?;
        for session in sessions {
            if self.index.is_up_to_date(session) || changed.contains(&session.id) {
                continue;
            }
            if let Some(state) = snapshot.state(&session.id)? {
                self.pinned.unpin(&session.id);
                self.purged.remove(&session.id);
                let versions = versions(&snapshot, session)?;
                self.index.record(session, state, versions);
            }
        }
        Ok(())
    }

    /// Records the rewritten files of sessions that were stored while Claude Code had them open.
    pub(crate) fn record_rewritten<'s>(
        &mut self,
        store: &Store,
        sessions: impl IntoIterator<Item = &'s LocalSession>,
    ) -> Result<(), SyncError> {
        self.index.follow(store)?;
        let snapshot = store.head_snapshot()?;
        for session in sessions {
            let versions = versions(&snapshot, session)?;
            if !versions.is_empty() {
                self.index.record_rewritten(session, versions);
            }
        }
        Ok(())
    }

    /// Records the sessions that a pull left in the store.
    pub(crate) fn record_not_pulled(
        &mut self,
        store: &Store,
        sessions: Vec<NotPulledSession>,
    ) -> Result<(), SyncError> {
        let snapshot = store.head_snapshot()?;
        for session in sessions {
            if let Some(state) = snapshot.state(session.session())? {
                self.index.record_store_only(session, state);
            }
        }
        Ok(())
    }

    /// Writes what changed. An index that cannot be written costs time later, not correctness.
    pub(crate) fn save(
        &mut self,
        env: &Env,
        store: &Store,
        projects: BTreeMap<SessionId, SessionProject>,
    ) -> Result<(), SyncError> {
        // First: once the index has forgotten a session, nothing else knows that it was here.
        self.deleted.save()?;
        self.pinned.save()?;
        self.refused.save()?;
        self.purged.save()?;
        fail_point("deleted sessions are saved");
        self.index.follow(store)?;
        for (session, project) in projects {
            self.projects.insert(session, project);
        }
        self.projects.save()?;
        // A cache: without it, the copies are compared again.
        let _ = self.copies.save(&env.dirs.state.join("copies.json"), store);
        let _ = self.index.save(&index_path(env));
        if self.teams != self.saved_teams {
            let json = serde_json::to_vec(&self.teams).expect("maps always serialise");
            write_cache(&teams_path(env), &json)?;
            self.saved_teams.clone_from(&self.teams);
        }
        Ok(())
    }
}

/// Reads the owners of the task lists of teams. A missing or damaged file has none: they are found
/// again.
fn read_teams(env: &Env) -> TeamOwners {
    let json = std::fs::read(teams_path(env)).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or_default()
}

fn teams_path(env: &Env) -> PathBuf {
    env.dirs.state.join("teams.json")
}

/// Returns the stored versions of the files of `session` that Claude Code rewrites in place. Reads
/// the manifest only if there are such files.
fn versions(
    snapshot: &Snapshot<'_>,
    session: &LocalSession,
) -> Result<BTreeMap<String, String>, SyncError> {
    if !session.files.keys().any(is_rewritten) {
        return Ok(BTreeMap::new());
    }
    let manifest = snapshot.manifest(&session.id)?;
    let files = manifest.iter().flat_map(Manifest::all_files);
    let rewritten = files.filter(|(file, _)| is_rewritten(file));
    Ok(rewritten
        .map(|(file, stored)| (file.key().to_owned(), stored.version()))
        .collect())
}
