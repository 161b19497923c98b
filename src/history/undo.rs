//! Takes back what the last pull or restore wrote.

use crate::session::live::running_client;
use crate::session::materialise;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::paths::undo_path;
use chrono::{DateTime, Utc};
use std::path::{Path, PathBuf};

/// Takes back what the last pull wrote here; `None` if there is nothing to take back.
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

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoReport {
    /// Files put back as they were before the pull.
    pub restored: Vec<PathBuf>,
    /// Files removed that the pull had brought.
    pub removed: Vec<PathBuf>,
    /// Files left alone, with the reason.
    pub kept: Vec<(PathBuf, String)>,
    /// When that pull began.
    pub pulled_at: DateTime<Utc>,
}
