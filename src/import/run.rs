//! Runs an import: fetches, imports the source by its layout, and pushes.

use crate::flows::{FetchMode, RemoteSync, merge_notes::add_merge_notes, remote_sync::FetchResult};
use crate::import::claude_session_sync::import_claude_session_sync;
use crate::import::client_copy::import_client_copy;
use crate::import::source::ImportSource;
use crate::report::{ImportReport, Layout};
use crate::workspace::{Context, SyncError, Workspace};

/// Imports everything from `source` that this store does not have, and pushes it. A dry run
/// does the same in a temporary store, and does not push.
///
/// # Errors
/// An error that concerns the whole command; the report has those of single sessions.
pub fn import(
    ctx: &Context<'_>,
    source: &ImportSource,
    dry_run: bool,
) -> Result<ImportReport, SyncError> {
    let opened = source.open(ctx)?;
    let mut workspace = Workspace::open(ctx)?;
    let mut fetched = FetchResult::default();
    if dry_run {
        let scratch = opened.staging_dir.path().join("store");
        workspace.store = workspace.store.create_scratch(&scratch)?;
    } else {
        // Without the newest state, sessions would become forks needlessly.
        fetched = RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::Sessions)?;
    }

    let mut report = match opened.layout {
        Layout::ClaudeDir => import_client_copy(&workspace, &opened)?,
        Layout::Shared | Layout::PerMachine => import_claude_session_sync(&mut workspace, &opened)?,
    };
    report.report.dry_run = dry_run;

    if !dry_run {
        let mut sync = RemoteSync::new(&mut workspace);
        let mut pushed = if fetched.unreached.is_none() {
            sync.push_remaining()?
        } else {
            sync.push()?
        };
        pushed.merged.add(fetched.merged);
        add_merge_notes(&mut report.report, &workspace, pushed.merged)?;
        report.report.remote = pushed.state;
        workspace.save()?;
    }
    report.report.sort();
    Ok(report)
}
