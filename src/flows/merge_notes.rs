//! Adds the results of merges to the report of a command.

use crate::flows::{describe::describe_session, describe::excluded_session, merge::Merged};
use crate::report::{Outcome, Report, SessionReport, count::count};
use crate::workspace::{SyncError, Workspace, deleted_sessions::deleted_reason};

/// Adds the results of merges.
///
/// A merge may have made a fork of lines that this very push stored as an extension, or
/// found an unreadable session.
pub(crate) fn add_merge_notes(
    report: &mut Report,
    workspace: &Workspace<'_>,
    merged: Merged,
) -> Result<(), SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    for (session, tail) in merged.forks {
        let manifest = snapshot.manifest(&tail.fork)?;
        let outcome = Outcome::Forked {
            fork: tail.fork,
            lines: tail.lines,
        };
        let localizer = &workspace.localizer;
        report.replace(describe_session(
            localizer,
            &session,
            manifest.as_ref(),
            outcome,
        ));
    }
    for renamed in merged.renamed {
        report.warnings.push(format!(
            "another machine was first with the milestone `{}`; this one's is called `{}`",
            renamed.from, renamed.to
        ));
    }
    if let Some(purged) = merged.purged {
        let sessions = count(purged, "session");
        report.warnings.push(format!(
            "the history of the remote was rewritten; {sessions} that it does not have any more stay out of it"
        ));
    }
    if merged.was_purged {
        let warning =
            "deleted sessions were purged from the history of the store, and from the store here";
        report.warnings.push(warning.to_owned());
    }
    if merged.has_gone_back {
        let warning = "the remote has gone back to an earlier state; what it lost is pushed again";
        report.warnings.push(warning.to_owned());
    }
    for session in merged.deleted {
        if let Some(reason) = deleted_reason(workspace.ctx, &snapshot, &session)? {
            report.replace(excluded_session(&workspace.store, &session, None, &reason)?);
        }
    }
    report.add_extras(merged.extras);
    for (session, reason) in merged.skipped {
        report.replace(SessionReport::skipped(session, reason));
    }
    for session in &mut report.sessions {
        if matches!(session.outcome, Outcome::Forked { .. }) {
            let lost = workspace
                .leases
                .lost_note(&workspace.store, &session.session)?;
            session.warnings.extend(lost);
        }
    }
    report.sort();
    Ok(())
}

/// Notes the forks of skipped sessions, so that the fork does not replace the reason why the
/// session itself was not pulled.
pub(crate) fn note_forks_of_skipped(report: &mut Report, merged: &mut Merged) {
    for session in &mut report.sessions {
        if matches!(session.outcome, Outcome::Skipped { .. })
            && let Some(tail) = merged.forks.remove(&session.session)
        {
            session.warnings.push(format!(
                "what only this machine has ({}) is a fork: {}",
                count(tail.lines, "line"),
                tail.fork
            ));
        }
    }
}
