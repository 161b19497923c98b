//! Names that a shell completes: sessions, machines, milestones. Reads only this disk.

use std::cmp::Reverse;

use chrono::DateTime;

use crate::domain::{SessionFile, SessionId, SessionName};
use crate::localize::LocalText;
use crate::rewrite::collapse_path;
use crate::session::{Facts, LocalSession, discover::discover_some};
use crate::store::{Snapshot, machine::Machine, milestone::Milestone};
use crate::workspace::{
    Context, MachineNames, ReadOnlyStore, SyncError, read_only::machine_names,
    read_only::session_name,
};

/// Most bytes of a transcript that are read to find its title.
const MAX_TITLE_BYTES: u64 = 256 << 10;

/// Most sessions of the store that are offered. Each costs reading its manifest.
const MAX_SESSIONS: usize = 5_000;

/// Everything in the store that has a name.
pub(crate) struct StoredNames {
    pub(crate) machines: Vec<Machine>,
    pub(crate) milestones: Vec<Milestone>,
    /// Names of machines, forgotten ones included; not sanitized.
    pub(crate) machine_names: MachineNames,
}

/// Returns the machines and milestones of the store as of the last fetch.
///
/// # Errors
/// If the store cannot be read.
pub(crate) fn stored_names(ctx: &Context<'_>) -> Result<StoredNames, SyncError> {
    let stored = ReadOnlyStore::open(ctx)?;
    let snapshot = stored
        .as_ref()
        .map(|s| s.store.head_snapshot())
        .transpose()?;
    let machines = snapshot.as_ref().map(Snapshot::machines).transpose()?;
    let milestones = snapshot.as_ref().map(Snapshot::milestones).transpose()?;
    Ok(StoredNames {
        machines: machines.unwrap_or_default(),
        milestones: milestones.unwrap_or_default(),
        machine_names: machine_names(ctx, snapshot.as_ref())?,
    })
}

/// Returns the sessions whose id starts with `prefix`, the most recent first.
///
/// # Errors
/// If the store or the directory of sessions cannot be read.
pub(crate) fn sessions(ctx: &Context<'_>, prefix: &str) -> Result<Vec<SessionName>, SyncError> {
    let stored = ReadOnlyStore::open(ctx)?;
    let snapshot = stored
        .as_ref()
        .map(|s| s.store.head_snapshot())
        .transpose()?;
    let states = snapshot.as_ref().map(Snapshot::sessions).transpose()?;
    let states = states.unwrap_or_default();
    let is_wanted = |id: &SessionId| id.as_str().starts_with(prefix) && !id.is_sub_agent();

    let is_only_here = |id: &SessionId| is_wanted(id) && !states.contains_key(id);
    let local = discover_some(&ctx.env.claude_dir, &is_only_here)?.sessions;
    let mut names: Vec<_> = local
        .values()
        .map(|session| local_name(ctx, session))
        .collect();
    if let (Some(stored), Some(snapshot)) = (&stored, &snapshot) {
        let machines = machine_names(ctx, Some(snapshot))?;
        for id in states.keys().filter(|id| is_wanted(id)).take(MAX_SESSIONS) {
            let manifest = snapshot.manifest(id).ok().flatten();
            names.extend(manifest.map(|m| session_name(&stored.localizer, &m, &machines)));
        }
    }

    names.sort_by_key(|name| Reverse(name.last_activity));
    Ok(names)
}

/// Returns the name of a session that was never pushed. Only the start of its transcript is read.
fn local_name(ctx: &Context<'_>, session: &LocalSession) -> SessionName {
    let stamp = session.files[&SessionFile::Transcript];
    let mut facts = Facts::default();
    // A transcript that cannot be read has no title, but its session can be named.
    let _ = LocalText::open(
        &session.transcript_path(),
        0,
        stamp.len.min(MAX_TITLE_BYTES),
    )
    .and_then(|text| {
        text.each_piece(|lines| {
            facts.absorb(lines);
            Ok(())
        })
    });

    let directory = facts.project(session.directory_name());
    let placeholders = &ctx.settings.placeholders;
    SessionName {
        session: session.id.clone(),
        project: directory.map(|path| collapse_path(placeholders, path).to_string()),
        title: facts.custom_title.or(facts.ai_title).or(facts.first_prompt),
        machine: Some(ctx.settings.machine.name.clone()),
        last_activity: Some(DateTime::from_timestamp_nanos(stamp.modified_ns)),
        fork_of: None,
    }
}
