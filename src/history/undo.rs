//! Takes back what the last pull or restore wrote.

use std::path::Path;

use crate::session::journal::{self, Undone};
use crate::session::live::running_client;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::paths::undo_path;

/// Takes back what the last pull wrote here; `None` if there is nothing to take back.
///
/// # Errors
/// [`SyncError::Session`] if the journal of that pull cannot be read.
pub fn undo(ctx: &Context<'_>) -> Result<Option<Undone>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let running = |path: &Path| running_client(&ctx.env.claude_dir, path);
    let undone = journal::undo(&undo_path(ctx.env), &running)?;
    if let Some(undone) = &undone {
        crate::extras::pull::undone(&workspace, undone.changed_files())?;
    }
    Ok(undone)
}
