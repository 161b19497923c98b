//! The sessions that were deleted from the store. They stay where they are on this machine, and a
//! push or an import excludes them.

use crate::domain::SessionId;
use crate::store::Snapshot;
use crate::workspace::{
    context::Context, error::SyncError, exclusion::ExcludeReason, read_only::machine_names,
};

/// Returns why a session is excluded, if `snapshot` says that it was deleted.
pub(crate) fn deleted_reason(
    ctx: &Context<'_>,
    snapshot: &Snapshot<'_>,
    session: &SessionId,
) -> Result<Option<ExcludeReason>, SyncError> {
    if !snapshot.is_deleted(session)? {
        return Ok(None);
    }
    let names = machine_names(ctx, Some(snapshot))?;
    let tombstone = snapshot.tombstone(session)?;
    let by = tombstone.and_then(|tombstone| names.get(&tombstone.machine).cloned());
    Ok(Some(ExcludeReason::Deleted { by }))
}
