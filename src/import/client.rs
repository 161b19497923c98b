//! A copy of the client's directory: its sessions are carried as if they lay on this machine.

use chrono::{DateTime, Utc};

use crate::flows::push::left_out_report;
use crate::import::inventory::Lines;
use crate::import::source::Opened;
use crate::import::store::{commit, empty, guarded, message, skipped_session, store_session};
use crate::import::types::ImportReport;
use crate::report::transfer::SkippedFile;
use crate::session::LocalSession;
use crate::session::discover::discover;
use crate::session::facts::Facts;
use crate::session::time::parse_time;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// Carries every session of the copy; its paths are this machine's.
pub(crate) fn client(
    workspace: &mut Workspace<'_>,
    opened: &Opened,
) -> Result<ImportReport, SyncError> {
    let found = discover(opened.directory.root())?;
    let mut report = empty(opened);
    report.found = found.sessions.len() as u64;
    let refused = found.refused.iter();
    let passed_over = refused.map(|r| SkippedFile {
        path: r.path.display().to_string(),
        reason: r.reason.clone(),
    });
    report.report.passed_over = passed_over.collect();
    let base = workspace.store.head()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    let mut done = Vec::new();
    for (id, session) in &found.sessions {
        let linked = [session.directory.clone(), session.transcript_path()]
            .iter()
            .any(|path| path.is_symlink());
        let result = if linked {
            Some(skipped_session(
                workspace,
                id,
                "not a plain file (links are not followed)".to_owned(),
            ))
        } else if let Some(why) = workspace
            .filter()
            .copy_exclude_reason(session, || newest_record(session))
        {
            // What this machine does not push, it does not push out of a copy either.
            Some(left_out_report(workspace, session, &why)?)
        } else {
            let clones = workspace.localizer.clones();
            let used = clones.used(id);
            let result = guarded(workspace, &mut tx, id, |tx| {
                store_session(workspace, tx, session)
            });
            // Where the copy was at home says nothing of where the session is here.
            clones.use_for(id, used.as_deref());
            result?
        };
        match result {
            Some(session) => done.push(session),
            None => report.report.unchanged += 1,
        }
    }
    commit(workspace, tx, base.as_ref(), &[], &message(None, &done))?;
    report.report.sessions = done;
    Ok(report)
}

/// The time of the newest record of a session in a copy. What cannot be read is named when it is stored.
fn newest_record(session: &LocalSession) -> Option<DateTime<Utc>> {
    let mut lines = Lines::open(&session.transcript_path()).ok()?;
    let mut facts = Facts::default();
    while let Some(line) = lines.next().ok()? {
        facts.absorb(&line);
    }
    facts.last_activity.as_deref().and_then(parse_time)
}
