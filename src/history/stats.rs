//! Counts what is in the history of the store: by machine, by project and by day.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use crate::domain::SessionId;
use crate::history::log::{LogEntry, SessionChange, SessionChangeKind, store_entries};
use crate::sys::clock::to_local;
use crate::workspace::{Context, SyncError, Workspace};

/// Statistics of the store.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// All of it.
    pub total: Counts,
    /// By the machine that pushed, the most turns first. Names are not sanitized.
    pub machines: Vec<NamedCounts>,
    /// By project, the most turns first. Names are not sanitized.
    pub projects: Vec<NamedCounts>,
    /// Days with a push, in the time zone of this machine, the oldest first.
    pub days: Vec<DayCounts>,
}

/// Counts of a machine or a project.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct NamedCounts {
    /// Its name; `None` if it is unknown.
    pub name: Option<String>,
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The counts.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Sessions that were pushed or extended.
    pub sessions: u64,
    /// Prompts that were pushed.
    pub turns: u64,
    /// Present size of these sessions in bytes, as their machines wrote them.
    pub bytes: u64,
    /// Commits that changed a session.
    pub pushes: u64,
    /// Forks that were added.
    pub forks: u64,
}

/// Counts of one day.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DayCounts {
    /// The day.
    pub day: NaiveDate,
    /// Prompts that were pushed.
    pub turns: u64,
    /// Commits that changed a session.
    pub pushes: u64,
}

/// Counts in the making.
#[derive(Default)]
struct Tally {
    counts: Counts,
    sessions: BTreeSet<SessionId>,
}

impl Tally {
    fn add_change(&mut self, change: &SessionChange) {
        self.sessions.insert(change.session.clone());
        self.counts.turns += change.turns_added.unwrap_or_default();
        self.counts.forks += u64::from(change.change == SessionChangeKind::Forked);
    }

    fn finish(self, sizes: &BTreeMap<SessionId, u64>) -> Counts {
        let bytes = self.sessions.iter().filter_map(|id| sizes.get(id)).sum();
        Counts {
            sessions: self.sessions.len() as u64,
            bytes,
            ..self.counts
        }
    }
}

/// Counts the pushes since a time; all without one. As of the last fetch.
///
/// # Errors
/// [`SyncError::Interrupted`]; errors of the whole command.
pub fn stats(ctx: &Context<'_>, since: Option<DateTime<Utc>>) -> Result<Stats, SyncError> {
    let workspace = Workspace::open_to_look(ctx)?;
    let mut entries = store_entries(&workspace, usize::MAX)?;
    entries.retain(|entry| {
        !entry.sessions.is_empty() && since.is_none_or(|since| entry.time >= since)
    });
    let sizes = sizes(&workspace, &entries)?;
    Ok(count(&entries, &sizes))
}

/// Returns the present sizes of the sessions that the store still has.
fn sizes(
    workspace: &Workspace<'_>,
    entries: &[LogEntry],
) -> Result<BTreeMap<SessionId, u64>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let changes = entries.iter().flat_map(|entry| &entry.sessions);
    let ids: BTreeSet<&SessionId> = changes.map(|change| &change.session).collect();
    let sizes = ids.into_iter().filter_map(|id| {
        // An unreadable one is a matter of `verify`.
        let manifest = snapshot.manifest(id).ok()??;
        Some((id.clone(), manifest.local_bytes()))
    });
    Ok(sizes.collect())
}

fn count(entries: &[LogEntry], sizes: &BTreeMap<SessionId, u64>) -> Stats {
    let mut total = Tally::default();
    let mut machines: BTreeMap<Option<String>, Tally> = BTreeMap::new();
    let mut projects: BTreeMap<Option<String>, Tally> = BTreeMap::new();
    let mut days: BTreeMap<NaiveDate, DayCounts> = BTreeMap::new();
    for entry in entries {
        let name = entry.machine.as_ref().and_then(|m| m.name.clone());
        let machine = machines.entry(name).or_default();
        let day = to_local(entry.time).date_naive();
        let day = days.entry(day).or_insert(DayCounts {
            day,
            turns: 0,
            pushes: 0,
        });
        (total.counts.pushes, machine.counts.pushes) =
            (total.counts.pushes + 1, machine.counts.pushes + 1);
        day.pushes += 1;
        let mut pushed = BTreeSet::new();
        for change in &entry.sessions {
            let project = projects.entry(change.project.clone()).or_default();
            project.counts.pushes += u64::from(pushed.insert(&change.project));
            for tally in [&mut total, machine, project] {
                tally.add_change(change);
            }
            day.turns += change.turns_added.unwrap_or_default();
        }
    }
    Stats {
        total: total.finish(sizes),
        machines: named(machines, sizes),
        projects: named(projects, sizes),
        days: days.into_values().collect(),
    }
}

fn named(
    tallies: BTreeMap<Option<String>, Tally>,
    sizes: &BTreeMap<SessionId, u64>,
) -> Vec<NamedCounts> {
    let mut named: Vec<NamedCounts> = tallies
        .into_iter()
        .map(|(name, tally)| NamedCounts {
            name,
            counts: tally.finish(sizes),
        })
        .collect();
    named.sort_by_key(|row| std::cmp::Reverse((row.counts.turns, row.counts.bytes)));
    named
}
