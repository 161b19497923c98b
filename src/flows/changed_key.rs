//! Follows a key of the store that another machine has changed.

use std::error::Error;

use crate::encryption::StoreHeader;
use crate::store::{MirrorError, record_new_history};
use crate::workspace::{
    SyncError, Workspace, paths::mirror_path, paths::store_path, store_key::find_changed_key,
};

/// Returns true if `error` says that the remote has another key now, and this machine has it, too:
/// the step that failed can then be repeated.
///
/// # Errors
/// If this machine does not have it.
pub(crate) fn adopt_changed_key(
    workspace: &Workspace<'_>,
    error: &SyncError,
) -> Result<bool, SyncError> {
    let Some(header) = changed_header(error) else {
        return Ok(false);
    };
    let ctx = workspace.ctx;
    find_changed_key(ctx.env, ctx.settings.key_command.as_deref(), header)?;
    record_new_history(&store_path(ctx.env), &mirror_path(ctx.env), header)?;
    Ok(true)
}

/// Returns the header of the remote if its key was changed.
fn changed_header(error: &SyncError) -> Option<&StoreHeader> {
    let SyncError::Operation(error) = error else {
        return None;
    };
    let error: &(dyn Error + 'static) = &**error;
    match error.downcast_ref() {
        Some(MirrorError::OtherKey(header)) => Some(header),
        _ => None,
    }
}
