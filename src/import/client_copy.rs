//! Imports a copy of the client's directory: its sessions are stored as if they were on this
//! machine.

use chrono::{DateTime, Utc};

use crate::flows::describe::excluded_session;
use crate::import::lines::LineReader;
use crate::import::source::OpenedSource;
use crate::import::store::{commit, commit_message, empty_report, store_or_skip, store_session};
use crate::report::{ImportReport, SessionReport, SkippedFile};
use crate::session::{Facts, LocalSession, discover::discover, time::parse_time};
use crate::workspace::{SyncError, Workspace, deleted_sessions::deleted_reason};

/// Imports every session of the copy; its paths are those of this machine.
pub(crate) fn import_client_copy(
    workspace: &Workspace<'_>,
    source: &OpenedSource,
) -> Result<ImportReport, SyncError> {
    let found = discover(&source.root)?;
    let mut report = empty_report(&source.name, source.layout);
    report.found = found.sessions.len() as u64;
    for refused in &found.refused {
        report.report.skipped_files.push(SkippedFile {
            path: refused.path.display().to_string(),
            reason: refused.reason.clone(),
        });
    }
    for copy in &found.copies {
        report.report.skipped_files.push(SkippedFile {
            path: copy.transcript_path().display().to_string(),
            reason: format!("another copy of session {}", copy.id),
        });
    }
    let base = workspace.store.head()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    let mut sessions = Vec::new();
    for (id, session) in &found.sessions {
        let deleted = deleted_reason(workspace.ctx, tx.base(), id)?;
        let is_linked = session.directory.is_symlink() || session.transcript_path().is_symlink();
        let excluded = || {
            workspace
                .filter()
                .copy_exclude_reason(session, || newest_record(session))
        };
        let result = if is_linked {
            let reason = "not a plain file (links are not followed)".to_owned();
            Some(SessionReport::skipped(id.clone(), reason))
        } else if let Some(reason) = deleted.or_else(excluded) {
            Some({
                let project = workspace.filter().project(session);
                excluded_session(&workspace.store, id, project, &reason)?
            })
        } else {
            let clones = workspace.localizer.clones();
            let used = clones.recorded_checkout(id);
            let result = store_or_skip(workspace, &mut tx, id, |tx| {
                store_session(workspace, tx, session)
            });
            // The directory of the copy must not change where the session is on this machine.
            clones.record_checkout(id, used.as_deref());
            result?
        };
        match result {
            Some(session) => sessions.push(session),
            None => report.report.unchanged += 1,
        }
    }
    commit(
        workspace,
        tx,
        base.as_ref(),
        &[],
        &commit_message(None, &sessions),
    )?;
    report.report.sessions = sessions;
    Ok(report)
}

/// Returns the time of the newest record of a session; the times of copied files tell nothing.
fn newest_record(session: &LocalSession) -> Option<DateTime<Utc>> {
    let mut lines = LineReader::open(&session.transcript_path()).ok()?;
    let mut facts = Facts::default();
    while let Some(line) = lines.next().ok()? {
        facts.absorb(&line);
    }
    facts.last_activity.as_deref().and_then(parse_time)
}
