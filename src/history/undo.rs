//! Undoes the last pull or restore, or the last undo.

use std::path::Path;

use crate::session::journal::{self, JournalKind, UndoRequest, Undone};
use crate::session::live::running_client;
use crate::workspace::{Context, SyncError, Workspace, paths::undo_path};

/// Undoes the last command of this kind on this machine; `None` if there is nothing to undo.
/// `dry_run`: only finds out what it would do.
///
/// # Errors
/// [`SyncError::Session`] if its journal cannot be read.
pub fn undo(
    ctx: &Context<'_>,
    kind: JournalKind,
    dry_run: bool,
) -> Result<Option<Undone>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let request = UndoRequest {
        kind,
        dry_run,
        now: ctx.clock.now(),
        running: &|path: &Path| running_client(&ctx.env.claude_dir, path),
    };
    let undone = journal::undo(&undo_path(ctx.env), &request)?;
    if let Some(undone) = undone.as_ref().filter(|_| !dry_run) {
        let is_redo = kind == JournalKind::Undo;
        crate::extras::pull::record_undo(&workspace, undone.changed_files(), is_redo)?;
    }
    Ok(undone)
}
