//! Finds the sessions that a deletion is about.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{ProjectPattern, SessionFile, SessionId};
use crate::flows::{FetchMode, RemoteSync, parallel::manifests};
use crate::leasing::LockView;
use crate::session::{Discovery, fields::with_value, time::parse_time};
use crate::store::{Snapshot, manifest::Manifest};
use crate::workspace::{
    Context, LookupScope, SyncError, Workspace, fetched_locks::FetchedLocks, lookup::find_session,
};

/// The sessions to delete: those that are named, or all that meet both conditions.
#[derive(Debug, Clone, Default)]
pub struct DeleteRequest {
    /// Ids or unique prefixes.
    pub sessions: Vec<SessionId>,
    /// Only sessions of these projects.
    pub projects: Vec<ProjectPattern>,
    /// Only sessions without activity since.
    pub before: Option<DateTime<Utc>>,
    /// Also the files on this machine.
    pub local: bool,
    /// Also sessions on which another machine works.
    pub force: bool,
}

/// A session that is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeletedSession {
    /// The session.
    pub session: SessionId,
    /// Portable path of its project, not sanitized.
    pub project: Option<String>,
    /// Its title, not sanitized.
    pub title: Option<String>,
    /// Time of its newest record.
    pub last_activity: Option<DateTime<Utc>>,
    /// Bytes of all its files, as on a disk of a machine.
    pub bytes: u64,
    /// True if its files are on this machine.
    pub here: bool,
}

/// The sessions of a deletion.
#[derive(Debug, Clone, Default)]
pub struct DeletePlan {
    /// The sessions, the newest first.
    pub sessions: Vec<DeletedSession>,
    /// Named sessions that were deleted before.
    pub already: Vec<SessionId>,
    /// Forks of the sessions, which stay: they begin with the same turns.
    pub forks: Vec<SessionId>,
    /// Locks of other machines on the sessions.
    pub locks: Vec<LockView>,
}

/// Fetches, and finds the sessions. An unreachable remote is no error.
///
/// # Errors
/// [`LookupError`](crate::workspace::lookup::LookupError); errors of the whole command.
pub fn plan(ctx: &Context<'_>, request: &DeleteRequest) -> Result<DeletePlan, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::SessionsAndLocks)?;
    let found = workspace.discover()?;
    let plan = Planner::read(&workspace, &found)?.plan(request)?;
    workspace.save()?;
    Ok(plan)
}

struct Planner<'a> {
    workspace: &'a Workspace<'a>,
    found: &'a Discovery,
    manifests: BTreeMap<SessionId, Manifest>,
    /// Every session of the store, also with an unreadable manifest.
    stored: BTreeSet<SessionId>,
    deleted: BTreeSet<SessionId>,
}

impl<'a> Planner<'a> {
    fn read(workspace: &'a Workspace<'_>, found: &'a Discovery) -> Result<Self, SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let stored: BTreeSet<SessionId> = snapshot.sessions()?.into_keys().collect();
        Ok(Self {
            workspace,
            found,
            manifests: manifests(&workspace.store, stored.iter())?,
            deleted: snapshot.deleted_sessions()?,
            stored,
        })
    }

    fn plan(&self, request: &DeleteRequest) -> Result<DeletePlan, SyncError> {
        let mut plan = DeletePlan::default();
        let mut chosen = BTreeSet::new();
        for name in &request.sessions {
            let known = self.stored.union(&self.deleted);
            let session = find_session(name, known)?;
            let session = session.ok_or_else(|| LookupScope::Store.no_session(name))?;
            if self.stored.contains(&session) {
                chosen.insert(session);
            } else {
                plan.already.push(session);
            }
        }
        if request.sessions.is_empty() {
            chosen = self.matching(request);
        }
        self.add_continuations(&mut chosen);
        self.add_sub_agents(&mut chosen)?;

        let snapshot = self.workspace.store.head_snapshot()?;
        let locks = FetchedLocks::read(self.workspace)?;
        for session in &chosen {
            let lock = locks.view(self.workspace, session)?;
            let is_foreign = |lock: &LockView| lock.is_live() && !lock.is_own();
            plan.locks.extend(lock.filter(is_foreign));
        }
        plan.forks = self.forks(&chosen);
        plan.sessions = chosen.iter().map(|id| self.row(&snapshot, id)).collect();
        plan.sessions
            .sort_by(|a, b| (b.last_activity, &a.session).cmp(&(a.last_activity, &b.session)));
        Ok(plan)
    }

    /// Returns the sessions that meet the conditions of a request.
    fn matching(&self, request: &DeleteRequest) -> BTreeSet<SessionId> {
        let is_of_projects = self.workspace.filter().stored_in(&request.projects);
        let is_old = |manifest: &Manifest| {
            let last = manifest.last_activity.as_deref().and_then(parse_time);
            request
                .before
                .is_none_or(|before| last.is_some_and(|last| last < before))
        };
        let matching = self.manifests.iter();
        let matching =
            matching.filter(|(_, manifest)| is_old(manifest) && is_of_projects(manifest));
        matching.map(|(session, _)| session.clone()).collect()
    }

    /// Adds the other ids of each conversation: those that it had before, and has now.
    fn add_continuations(&self, chosen: &mut BTreeSet<SessionId>) {
        loop {
            let mut more = BTreeSet::new();
            for (session, manifest) in &self.manifests {
                let Some(next) = &manifest.continued_in else {
                    continue;
                };
                if self.stored.contains(next) && chosen.contains(session) != chosen.contains(next) {
                    more.extend([session.clone(), next.clone()]);
                }
            }
            if more.is_empty() {
                return;
            }
            chosen.extend(more);
        }
    }

    /// Adds the transcripts of sub-agents that are sessions of their own.
    fn add_sub_agents(&self, chosen: &mut BTreeSet<SessionId>) -> Result<(), SyncError> {
        let snapshot = self.workspace.store.head_snapshot()?;
        let agents = self.manifests.iter().filter(|(id, _)| id.is_sub_agent());
        for (id, manifest) in agents {
            let text = snapshot.segment(id, &SessionFile::Transcript, &manifest.transcript, 0);
            let Ok(text) = text else { continue };
            let belongs_to = |owner: &SessionId| {
                let value = format!("{owner}\"");
                with_value(&text, "sessionId", &value).next().is_some()
            };
            if chosen.iter().any(belongs_to) {
                chosen.insert(id.clone());
            }
        }
        Ok(())
    }

    fn forks(&self, chosen: &BTreeSet<SessionId>) -> Vec<SessionId> {
        let is_fork = |(id, manifest): &(&SessionId, &Manifest)| {
            let origin = manifest.fork_of.as_ref().map(|fork| &fork.session);
            !chosen.contains(*id) && origin.is_some_and(|origin| chosen.contains(origin))
        };
        let forks = self.manifests.iter().filter(is_fork);
        forks.map(|(id, _)| id.clone()).collect()
    }

    fn row(&self, snapshot: &Snapshot<'_>, id: &SessionId) -> DeletedSession {
        let manifest = snapshot.manifest(id).ok().flatten();
        let manifest = manifest.as_ref();
        let localizer = &self.workspace.localizer;
        let last = manifest.and_then(|it| it.last_activity.as_deref());
        DeletedSession {
            session: id.clone(),
            project: manifest.and_then(|manifest| localizer.project(manifest)),
            title: manifest.and_then(|manifest| localizer.title(manifest)),
            last_activity: last.and_then(parse_time),
            bytes: manifest.map_or(0, Manifest::local_bytes),
            here: self.found.sessions.contains_key(id),
        }
    }
}
