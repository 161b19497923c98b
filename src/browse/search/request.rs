//! What a search is asked for, and what it reads.

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::browse::search::pattern::Case;
use crate::domain::id::{CommitId, SessionId};
use crate::localize::localizer::Localizer;
use crate::store::{Checkout, Snapshot, Store};
use crate::sys::parallel::{cores, in_order};
use crate::workspace::context::Context;

/// What to search for, and where.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    /// The text, or a regular expression.
    pub text: String,
    /// Which of them it is.
    pub regex: bool,
    /// Whether upper and lower case are one.
    pub case: Case,
    /// Only sessions whose project contains this: a portable path, one of this machine, or with `~` for the home directory.
    pub project: Option<String>,
    /// Only sessions in which the machine of this name or id wrote.
    pub from: Option<String>,
    /// How many hits of each session are given; a hundred more are counted.
    pub hits: usize,
}

/// How a search went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchReport {
    /// Sessions searched.
    pub sessions: u64,
    /// Sessions with hits.
    pub found: u64,
    /// What could not be read, or not all of it.
    pub unreadable: Vec<Unreadable>,
}

/// A session that could not be searched, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which.
    pub session: SessionId,
    /// Why; unsanitised.
    pub reason: String,
}

/// What everything is read from.
pub(crate) struct Base<'a> {
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) snapshot: Option<&'a Snapshot<'a>>,
    pub(crate) at: Option<&'a At>,
    pub(crate) localizer: &'a Localizer,
}

/// The commit that is read, for any thread.
pub(crate) struct At {
    pub(crate) store: PathBuf,
    pub(crate) head: Option<CommitId>,
    pub(crate) checkout: Checkout,
}

/// Does `step` for each item, each thread with a handle of its own on the store; the results go to `take` in order.
pub(crate) fn on_all_cores<'i, T: Sync, R: Send>(
    at: Option<&At>,
    items: &'i [T],
    step: &(dyn Fn(Option<&Snapshot<'_>>, &'i T) -> R + Sync),
    take: &mut dyn FnMut(R) -> bool,
) {
    in_order(
        items,
        cores(),
        |queue| {
            // Without a handle, what needs one is named as unreadable.
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
