//! Runs an import: fetches, imports the source by its layout, and pushes.

use crate::flows::push::add_merge_notes;
use crate::flows::remote_sync::{
    FetchMode, FetchResult, fetch_if_reached, push_remaining_refs, send,
};
use crate::import::claude_session_sync::import_claude_session_sync;
use crate::import::client_copy::import_client_copy;
use crate::import::source::ImportSource;
use crate::report::import::{ImportReport, Layout};
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

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
        fetched = fetch_if_reached(&mut workspace, FetchMode::Sessions)?;
    }

    let mut report = match opened.layout {
        Layout::Client => import_client_copy(&workspace, &opened)?,
        Layout::Shared | Layout::PerMachine => import_claude_session_sync(&mut workspace, &opened)?,
    };
    report.report.dry_run = dry_run;

    if !dry_run {
        let (remote, mut merged) = if fetched.unreached.is_none() {
            push_remaining_refs(&mut workspace)?
        } else {
            send(&mut workspace)?
        };
        merged.add(fetched.merged);
        add_merge_notes(&mut report.report, &workspace, merged)?;
        report.report.remote = remote;
        workspace.save()?;
    }
    report.report.sort();
    Ok(report)
}
