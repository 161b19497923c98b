//! Stores what only the copies of sessions have: a second transcript of one id in another
//! directory, or one that was set aside. Their own lines become forks.
//!
//! Must not change the files of a copy, nor the stored session.

use crate::domain::SessionFile;
use crate::flows::{
    SessionComparer, describe::excluded_session, differences::Differences,
    push_commit::store_sessions, push_plan::PushPlan, push_plan::PushStep, skip::Attempt,
    store_session::SessionWriter,
};
use crate::localize::{LocalCopy, stored_text::LocalText};
use crate::report::SessionReport;
use crate::session::{Discovery, LocalSession, fields::values};
use crate::store::Snapshot;
use crate::workspace::{SyncError, Workspace, deleted_sessions::deleted_reason};

/// The plan for one copy.
enum CopyPlan {
    /// The store has all of it, or it has nothing to keep.
    Stored,
    Store(Differences),
    /// It stays like its session.
    Ignored,
    Skip(SessionReport),
}

/// Stores the lines that only copies have, once the sessions themselves are stored.
pub(crate) fn store_copies(
    workspace: &mut Workspace<'_>,
    found: &Discovery,
) -> Result<Vec<SessionReport>, SyncError> {
    let (plan, mut reports) = plan_copies(workspace, found)?;
    if !plan.steps.is_empty() {
        reports.extend(store_sessions(workspace, plan)?.sessions);
    }
    Ok(reports)
}

/// Returns what [`store_copies`] would report, for a plan.
pub(crate) fn preview_copies(
    workspace: &mut Workspace<'_>,
    found: &Discovery,
) -> Result<Vec<SessionReport>, SyncError> {
    let (plan, mut reports) = plan_copies(workspace, found)?;
    reports.extend(plan.preview(workspace)?.sessions);
    Ok(reports)
}

/// Returns the copies that are to be stored, and reports of those that cannot be.
fn plan_copies<'f>(
    workspace: &mut Workspace<'_>,
    found: &'f Discovery,
) -> Result<(PushPlan<'f>, Vec<SessionReport>), SyncError> {
    let mut plan = PushPlan::default();
    let mut reports = Vec::new();
    // Opening a snapshot reads the whole tree, which most pushes have no use for.
    let mut snapshot = None;
    for copy in &found.copies {
        if workspace.records.copies.is_stored(copy) {
            continue;
        }
        let snapshot = match &mut snapshot {
            Some(snapshot) => &*snapshot,
            none => none.insert(workspace.store.head_snapshot()?),
        };
        match plan_copy(workspace, snapshot, found, copy)? {
            CopyPlan::Stored => workspace.records.copies.record(copy),
            CopyPlan::Ignored => {}
            CopyPlan::Skip(report) => reports.push(report),
            CopyPlan::Store(differences) => plan.steps.push(PushStep {
                local: LocalCopy::closed(copy),
                differences,
            }),
        }
    }
    Ok((plan, reports))
}

fn plan_copy(
    workspace: &Workspace<'_>,
    snapshot: &Snapshot<'_>,
    found: &Discovery,
    copy: &LocalSession,
) -> Result<CopyPlan, SyncError> {
    let filter = workspace.filter();
    if let Some(session) = found.sessions.get(&copy.id)
        && filter.local_only_reason(session).is_some()
    {
        // The report names the session already.
        return Ok(CopyPlan::Ignored);
    }
    let deleted = deleted_reason(workspace.ctx, snapshot, &copy.id)?;
    if let Some(reason) = deleted.or_else(|| filter.copy_reason(copy)) {
        let project = None;
        let report = excluded_session(&workspace.store, &copy.id, project, &reason)?;
        return Ok(CopyPlan::Skip(report));
    }
    let planned = Attempt::new(compare_copy(workspace, snapshot, copy))?;
    Ok(match planned {
        Attempt::Done(plan) => plan,
        Attempt::Skipped(reason) => CopyPlan::Skip(SessionReport::skipped(copy.id.clone(), reason)),
    })
}

fn compare_copy(
    workspace: &Workspace<'_>,
    snapshot: &Snapshot<'_>,
    copy: &LocalSession,
) -> Result<CopyPlan, SyncError> {
    let local = LocalCopy::closed(copy);
    let Some(manifest) = snapshot.manifest(&copy.id)? else {
        return Ok(match has_records(copy, 0)? {
            true => CopyPlan::Store(Differences::all_new(copy)),
            false => CopyPlan::Stored,
        });
    };
    let comparer = SessionComparer::new(workspace, snapshot);
    let found = comparer.compare_with(&manifest, &local, None)?;
    let writer = SessionWriter::new(workspace, snapshot, &local);
    if writer.is_stored(&manifest, &found)? {
        return Ok(CopyPlan::Stored);
    }
    let transcript = found
        .divergence
        .as_ref()
        .filter(|it| it.file.is_transcript());
    let is_only_transcript = found.to_push.keys().all(SessionFile::is_transcript);
    if let Some(divergence) = transcript
        && is_only_transcript
        && !has_records(copy, divergence.offset)?
    {
        return Ok(CopyPlan::Stored);
    }
    Ok(CopyPlan::Store(found))
}

/// Returns true if the transcript has a record of the conversation after `offset`.
fn has_records(copy: &LocalSession, offset: u64) -> Result<bool, SyncError> {
    let path = copy.transcript_path();
    let len = copy.files[&SessionFile::Transcript].len;
    let mut found = false;
    LocalText::open(&path, offset, len)?.each_piece(|piece| {
        found = found || values(piece, "uuid").next().is_some();
        Ok(())
    })?;
    Ok(found)
}
