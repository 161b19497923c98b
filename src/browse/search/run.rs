//! Finding what was said, in all machines' sessions, straight from the store.
//!
//! Owns what counts as said (`session::said` reads it from a record), the order of the results, and the bounds. Takes no lock and changes nothing.
//!
//! * [`pattern`]: what is searched for, also as it stands in the store: [`parts`], [`written`], [`fragment`], [`sketch`]
//! * [`targets`]: which sessions, the newest first
//! * [`scan`]: one session; [`hits`]: one text

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::browse::search::hits::Found;
use crate::browse::search::pattern::{Case, Pattern};
use crate::browse::search::scan::Scan;
use crate::browse::search::targets::{Place, Target, Targets};
use crate::browse::search::written::Written;
use crate::domain::found::SessionHits;
use crate::domain::id::{CommitId, SessionId};
use crate::localize::localizer::Localizer;
use crate::rewrite::every_spelling;
use crate::store::{Checkout, Snapshot, Store};
use crate::sys::parallel::{cores, in_order};
use crate::sys::signal::{self, interrupted};
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::message::in_words;
use crate::workspace::read_only::{Stored, localizer};

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

/// Searches the sessions of the store, and those that only this machine has, the newest first. What is found in a session goes to `take` as
/// soon as every newer one is searched, until it returns `false`.
///
/// # Errors
/// [`SyncError::Pattern`] if the text cannot be searched for; [`SyncError::NoSuchMachine`]; what concerns the whole command.
pub fn search(
    ctx: &Context<'_>,
    request: &SearchRequest,
    take: &mut dyn FnMut(SessionHits) -> bool,
) -> Result<SearchReport, SyncError> {
    let pattern = Pattern::new(&request.text, request.regex, request.case)?;
    let stored = Stored::open(ctx)?;
    let head = stored
        .as_ref()
        .map(|stored| stored.store.head())
        .transpose()?
        .flatten();
    let snapshot = stored
        .as_ref()
        .map(|stored| stored.store.snapshot(head.as_ref()))
        .transpose()?;
    let at = stored.as_ref().map(|stored| At {
        store: stored.store.path().to_owned(),
        head,
        checkout: Checkout::open(&stored.store),
    });
    let localizer = localizer(ctx);
    let base = Base {
        ctx,
        snapshot: snapshot.as_ref(),
        at: at.as_ref(),
        localizer: &localizer,
    };
    let Targets {
        targets,
        unreadable,
    } = base.targets(request)?;
    let candidates = pattern.candidates(&written_for_placeholders(&localizer, &targets));
    let scan = Scan {
        localizer: &localizer,
        pattern: &pattern,
        candidates: &candidates,
        shown: request.hits,
    };
    let mut report = SearchReport {
        sessions: targets.len() as u64,
        found: 0,
        unreadable,
    };
    on_all_cores(
        base.at,
        &targets,
        &|snapshot, target| (target, scan.target(snapshot, at.as_ref(), target)),
        &mut |(target, found)| {
            let session = || target.name.session.clone();
            report
                .unreadable
                .extend(found.complaint.map(|reason| Unreadable {
                    session: session(),
                    reason,
                }));
            if found.hits.is_empty() {
                return !interrupted();
            }
            report.found += 1;
            let Found {
                hits,
                more,
                more_still,
                ..
            } = found;
            take(SessionHits {
                name: target.name.clone(),
                hits,
                more,
                more_still,
            }) && !interrupted()
        },
    );
    signal::check()?;
    Ok(report)
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
        |each| {
            // Without a handle, what needs one is named as unreadable.
            let store = at.and_then(|at| Store::open_without_repair(&at.store).ok());
            let snapshot = store
                .as_ref()
                .and_then(|store| store.snapshot(at?.head.as_ref()).ok());
            each(&mut |item| step(snapshot.as_ref(), item));
        },
        take,
    );
}

impl Scan<'_> {
    /// Searches one session.
    pub(crate) fn target(
        &self,
        snapshot: Option<&Snapshot<'_>>,
        at: Option<&At>,
        target: &Target,
    ) -> Found {
        let mut found = Found::new(self.shown);
        let searched = match (&target.place, snapshot, at) {
            _ if interrupted() => Ok(()),
            (Place::Stored { manifest, state }, Some(snapshot), Some(at)) => {
                let files = at.checkout.session(&target.name.session, state);
                self.stored(snapshot, &files, manifest, target.skip, &mut found)
            }
            (Place::Here(session), ..) => self.here(session, &mut found),
            (Place::Stored { .. }, ..) => Err(SyncError::NoSuchSession {
                session: target.name.session.clone(),
            }),
        };
        if let Err(e) = searched {
            found.complaint = Some(in_words(&e));
        }
        found
    }
}

/// Everything that may be read where the store has a placeholder: paths of this machine's roots and of the clones that it reads sessions with; for
/// roots that it lacks, paths of others.
pub(crate) fn written_for_placeholders(localizer: &Localizer, targets: &[Target]) -> Written {
    let manifests = || {
        targets.iter().filter_map(|target| match &target.place {
            Place::Stored { manifest, .. } => Some(&**manifest),
            Place::Here(_) => None,
        })
    };
    let here = localizer.localising(manifests());
    let mut paths: BTreeSet<String> = here.iter().flat_map(every_spelling).collect();
    let mut seen = BTreeSet::new();
    for (key, placeholders) in manifests().flat_map(|manifest| &manifest.placeholders) {
        if seen.insert(key) {
            paths.extend(every_spelling(placeholders));
        }
    }
    Written::new(&paths)
}
