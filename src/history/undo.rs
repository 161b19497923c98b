//! Undoes the last pull or restore.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::session::live::running_client;
use crate::session::materialise;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::paths::undo_path;

/// Undoes the last pull or restore; `None` if there is nothing to undo.
///
/// # Errors
/// [`SyncError::Session`] if the journal of that pull cannot be read.
pub fn undo(ctx: &Context<'_>) -> Result<Option<UndoReport>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let running = |path: &Path| running_client(&ctx.env.claude_dir, path);
    let undone = materialise::undo(&undo_path(ctx.env), &running)?;
    if let Some((_, undone)) = &undone {
        crate::extras::pull::undone(&workspace, undone.taken_back())?;
    }
    let report = |(
        pulled_at,
        materialise::Undone {
            restored,
            removed,
            kept,
        },
    )| UndoReport {
        restored,
        removed,
        kept,
        pulled_at,
    };
    Ok(undone.map(report))
}

/// Result of an undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoReport {
    /// Restored files.
    pub restored: Vec<PathBuf>,
    /// Removed files, which the pull had written.
    pub removed: Vec<PathBuf>,
    /// Files that were not touched, with the reason.
    pub kept: Vec<(PathBuf, String)>,
    /// Start time of that pull.
    pub pulled_at: DateTime<Utc>,
}
