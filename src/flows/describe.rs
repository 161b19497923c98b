//! How reports name sessions.

use crate::domain::SessionId;
use crate::localize::Localizer;
use crate::report::{Outcome, SessionReport};
use crate::store::{Store, StoreError, manifest::Manifest};
use crate::workspace::ExcludeReason;

/// Describes a session from its manifest.
pub(crate) fn describe_session(
    localizer: &Localizer,
    session: &SessionId,
    manifest: Option<&Manifest>,
    outcome: Outcome,
) -> SessionReport {
    let report = SessionReport::new(session.clone(), outcome);
    let Some(manifest) = manifest else {
        return report;
    };
    SessionReport {
        project: localizer.project(manifest),
        title: localizer.title(manifest),
        last_activity: manifest.last_activity.clone(),
        ..report
    }
}

/// Describes a session of this machine, or of an import, that the settings exclude.
pub(crate) fn excluded_session(
    store: &Store,
    session: &SessionId,
    project: Option<String>,
    reason: &ExcludeReason,
) -> Result<SessionReport, StoreError> {
    let outcome = Outcome::Excluded {
        reason: reason.to_string(),
        stored: store.head_snapshot()?.state(session)?.is_some(),
    };
    Ok(SessionReport {
        project,
        ..SessionReport::new(session.clone(), outcome)
    })
}
