//! Undoes the last pull or restore.

use std::path::Path;

use crate::session::journal::{self, Undone};
use crate::session::live::running_client;
use crate::workspace::{Context, SyncError, Workspace, paths::undo_path};

/// Undoes the last pull or restore on this machine; `None` if there is nothing to undo.
///
/// # Errors
/// [`SyncError::Session`] if its journal cannot be read.
pub fn undo(ctx: &Context<'_>) -> Result<Option<Undone>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let running = |path: &Path| running_client(&ctx.env.claude_dir, path);
    let undone = journal::undo(&undo_path(ctx.env), &running)?;
    if let Some(undone) = &undone {
        crate::extras::pull::record_undo(&workspace, undone.changed_files())?;
    }
    Ok(undone)
}
