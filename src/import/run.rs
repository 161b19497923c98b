//! Taking over what another program has stored: a store of claude-session-sync, or a plain copy of the client's directory.
//!
//! Owns the way from there into this machine's store: recognise, read, say which machine wrote what, and then go the way that a push goes.
//! What is read is never written to, and nothing in it is believed unchecked: each thing that cannot be taken is named, and the others go on.
//! `docs/dev/import.md` has the format of the other program and what becomes of each part of it.

use crate::flows::push::add_merge_notes;
use crate::flows::remote_sync::{
    FetchMode, FetchResult, fetch_if_reached, push_remaining_refs, send,
};
use crate::import::client::client;
use crate::import::types::{ImportReport, Layout};
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

use crate::import::claude_session_sync::claude_session_sync;
use crate::import::source::Source;

/// Brings everything of `source` that this store lacks into it, and to the remote.
///
/// # Errors
/// What concerns the whole command, [`ImportError`](crate::import::source::ImportError) among it; what concerns one session is in the report.
pub fn import(
    ctx: &Context<'_>,
    source: &Source,
    dry_run: bool,
) -> Result<ImportReport, SyncError> {
    let opened = source.open(ctx)?;
    let mut workspace = Workspace::open(ctx)?;
    let newest = if dry_run {
        FetchResult::default()
    } else {
        // Otherwise sessions would become forks that need not.
        fetch_if_reached(&mut workspace, FetchMode::Sessions)?
    };
    if dry_run {
        workspace.store = workspace
            .store
            .create_scratch(&opened.staging_dir.path().join("store"))?;
    }
    let mut report = match opened.layout {
        Layout::Client => client(&mut workspace, &opened)?,
        Layout::Shared | Layout::PerMachine => claude_session_sync(&mut workspace, &opened)?,
    };
    report.report.dry_run = dry_run;
    if !dry_run {
        let (remote, mut merged) = if newest.unreached.is_none() {
            push_remaining_refs(&mut workspace)?
        } else {
            send(&mut workspace)?
        };
        merged.add(newest.merged);
        add_merge_notes(&mut report.report, &workspace, merged)?;
        report.report.remote = remote;
        workspace.save()?;
    }
    report.report.sort();
    Ok(report)
}
