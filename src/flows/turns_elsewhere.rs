//! Counts the turns of stored sessions that this machine does not have. Read-only.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::domain::{SessionFile, SessionId};
use crate::flows::{compare::SessionComparer, differences::Differences, differences::FilePull};
use crate::localize::{StoredText, local_copy::LocalCopy};
use crate::session::{LocalSession, time::parse_time, turns::count_user_turns};
use crate::store::{Snapshot, manifest::Manifest};
use crate::workspace::{Context, SyncError, Workspace, read_only::machine_names};

/// Turns of a session that are not on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnsElsewhere {
    /// Number of prompts.
    pub turns: u64,
    /// Name of the machine that wrote the last one. Untrusted text.
    pub machine: String,
    /// Time of the newest record in the store.
    pub last_activity: Option<DateTime<Utc>>,
}

/// Returns those of `sessions` that have turns which this machine does not have, as of the last
/// fetch.
///
/// # Errors
/// Errors of the whole command, or a session that cannot be read.
pub fn turns_elsewhere(
    ctx: &Context<'_>,
    sessions: &BTreeSet<SessionId>,
) -> Result<BTreeMap<SessionId, TurnsElsewhere>, SyncError> {
    let (workspace, found) = Workspace::look_and_discover(ctx)?;
    let snapshot = workspace.store.head_snapshot()?;
    let comparer = SessionComparer::new(&workspace, &snapshot);
    let machines = machine_names(ctx, Some(&snapshot))?;
    let mut elsewhere = BTreeMap::new();
    for id in sessions {
        let (Some(here), Some(manifest)) = (found.sessions.get(id), snapshot.manifest(id)?) else {
            continue;
        };
        let turns = missing_turns(&comparer, &snapshot, &manifest, here)?;
        let writer = manifest.last_writer().filter(|_| turns > 0);
        if let Some(writer) = writer.filter(|writer| **writer != workspace.machine.id) {
            let turns = TurnsElsewhere {
                turns,
                machine: machines.get(writer).cloned().unwrap_or_default(),
                last_activity: manifest.last_activity.as_deref().and_then(parse_time),
            };
            elsewhere.insert(id.clone(), turns);
        }
    }
    Ok(elsewhere)
}

/// Counts the turns of a stored session that the transcript here does not have.
fn missing_turns(
    comparer: &SessionComparer<'_>,
    snapshot: &Snapshot<'_>,
    manifest: &Manifest,
    here: &LocalSession,
) -> Result<u64, SyncError> {
    let local = LocalCopy {
        session: here,
        live: true,
    };
    let found: Differences = comparer.compare(&local)?;
    let lines = match found.to_pull.get(&SessionFile::Transcript) {
        Some(FilePull::Extend { lines, .. }) => *lines,
        Some(FilePull::Whole) => 0,
        Some(FilePull::Remove) | None => return Ok(0),
    };
    let mut turns = 0;
    StoredText::transcript(snapshot, manifest).walk(lines, &mut |piece| {
        turns += count_user_turns(piece.text);
        Ok(true)
    })?;
    Ok(turns)
}
