//! The input and the result of a search.

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::browse::search::pattern::Case;
use crate::domain::{CommitId, SessionId};
use crate::localize::Localizer;
use crate::store::{Checkout, Snapshot, Store};
use crate::sys::{parallel::cores, parallel::in_order};
use crate::workspace::Context;

/// Input of a search.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    /// The text, or a regular expression.
    pub text: String,
    /// True if it is a regular expression.
    pub regex: bool,
    /// Case sensitivity.
    pub case: Case,
    /// Only sessions whose project contains this: a portable path, one of this machine,
    /// or with `~` for the home directory.
    pub project: Option<String>,
    /// Only sessions in which the machine of this name or id wrote.
    pub from: Option<String>,
    /// Maximum hits returned per session; a hundred more are counted.
    pub hits: usize,
}

/// Result of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchReport {
    /// Sessions searched.
    pub sessions: u64,
    /// Sessions with hits.
    pub found: u64,
    /// Sessions that could not be read completely.
    pub unreadable: Vec<Unreadable>,
}

/// A session that could not be searched, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The session.
    pub session: SessionId,
    /// The reason, not sanitized.
    pub reason: String,
}

/// Everything a search reads from.
pub(crate) struct SearchSource<'a> {
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) snapshot: Option<&'a Snapshot<'a>>,
    pub(crate) at: Option<&'a StoreCommit>,
    pub(crate) localizer: &'a Localizer,
}

/// The commit that is read, for any thread.
pub(crate) struct StoreCommit {
    pub(crate) store: PathBuf,
    pub(crate) head: Option<CommitId>,
    pub(crate) checkout: Checkout,
}

/// Runs `step` for each item on all cores, each thread with its own handle of the store;
/// passes the results to `take` in order.
pub(crate) fn on_all_cores<'i, T: Sync, R: Send>(
    at: Option<&StoreCommit>,
    items: &'i [T],
    step: &(dyn Fn(Option<&Snapshot<'_>>, &'i T) -> R + Sync),
    take: &mut dyn FnMut(R) -> bool,
) {
    in_order(
        items,
        cores(),
        |queue| {
            // Without a handle, stored sessions are reported as unreadable.
            let store = at.and_then(|at| Store::open_without_repair(&at.store).ok());
            let snapshot = store
                .as_ref()
                .and_then(|store| store.snapshot(at?.head.as_ref()).ok());
            queue.each(|item| step(snapshot.as_ref(), item));
        },
        &mut |result| match take(result) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        },
    );
}
