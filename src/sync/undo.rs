//! Takes back what the last pull or restore wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use chrono::{DateTime, Utc};
use super::choice::{self, LeftOut};
use super::index::Unbrought;
use super::merge::Merged;
use super::named::stored_named;
use super::notes::unseen;
use super::parallel::on_all_cores;
use super::place::{is_recent, place, settle};
use super::plan::{Differences, FilePull, Local, compare_session, compare_with, described};
use super::prose;
use super::push::{mention_merged, passed_over};
use super::report::{Outcome, Report, SessionReport};
use super::send::{fetch, send_rest};
use super::set_path::adopt_proposed_paths;
use super::stored::machine_names;
use super::storing::Storing;
use super::text::StoredText;
use super::work::{Work, undo_path};
use super::writing::{Writer, Writing, all_files};
use super::{Context, SyncError};
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::{Phase, Progress};
use crate::session::discover::{Discovery, LocalSession, files_without_transcript};
use crate::session::live::{live_sessions, running_client};
use crate::session::materialise::{self, Journal};
use crate::store::Snapshot;
use crate::store::manifest::{Manifest, StoredFile};
use crate::sys::fail_point::fail_point;

/// Takes back what the last pull wrote here; `None` if there is nothing to take back.
///
/// # Errors
/// [`SyncError::Session`] if the journal of that pull cannot be read.
pub fn undo(ctx: &Context<'_>) -> Result<Option<UndoReport>, SyncError> {
    let work = Work::open(ctx)?;
    let running = |path: &Path| running_client(&ctx.env.claude_dir, path);
    let undone = materialise::undo(&undo_path(ctx.env), &running)?;
    if let Some((_, undone)) = &undone {
        prose::undone(&work, undone.taken_back())?;
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
