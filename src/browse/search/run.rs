//! Searches the messages of all machines' sessions, directly in the store.
//!
//! Owns the order of the results and the bounds. Takes no lock and changes nothing.
//!
//! * `pattern`: the searched text, also in its stored forms: `parts`, `written`,
//!   `fragment`, `sketch`
//! * `targets`: the sessions to search, the newest first
//! * `scan`: one session; `hits`: one text

use std::collections::BTreeSet;

use crate::browse::{
    search::hits::HitCollector, search::pattern::Pattern, search::request::SearchReport,
    search::request::SearchRequest, search::request::SearchSource, search::request::StoreCommit,
    search::request::Unreadable, search::request::on_all_cores, search::scan::Scan,
    search::targets::SearchTarget, search::targets::Targets, search::targets::TextSource,
    search::written::Written,
};
use crate::domain::{error::error_chain, hit::SessionHits};
use crate::localize::Localizer;
use crate::rewrite::every_path_form;
use crate::store::{Checkout, Snapshot};
use crate::sys::signal::{self, interrupted};
use crate::workspace::{Context, LookupScope, ReadOnlyStore, SyncError, read_only::localizer};

/// Searches the sessions of the store and of this machine, the newest first. Passes the
/// hits of a session to `take` once every newer session is searched, until it returns
/// `false`.
///
/// # Errors
/// [`PatternError`](crate::browse::search::pattern::PatternError), that there is no such
/// machine; what concerns the whole command.
pub fn search(
    ctx: &Context<'_>,
    request: &SearchRequest,
    take: &mut dyn FnMut(SessionHits) -> bool,
) -> Result<SearchReport, SyncError> {
    let pattern = Pattern::new(&request.text, request.regex, request.case)?;
    let stored = ReadOnlyStore::open(ctx)?;
    let head = stored
        .as_ref()
        .map(|stored| stored.store.head())
        .transpose()?
        .flatten();
    let snapshot = stored
        .as_ref()
        .map(|stored| stored.store.snapshot(head.as_ref()))
        .transpose()?;
    let at = stored.as_ref().map(|stored| StoreCommit {
        store: stored.store.path().to_owned(),
        head,
        checkout: Checkout::open(&stored.store),
    });
    let localizer = localizer(ctx);
    let base = SearchSource {
        ctx,
        snapshot: snapshot.as_ref(),
        at: at.as_ref(),
        localizer: &localizer,
    };
    let Targets {
        targets,
        unreadable,
        ..
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
                .extend(found.warning.map(|reason| Unreadable {
                    session: session(),
                    reason,
                }));
            if found.hits.is_empty() {
                return !interrupted();
            }
            report.found += 1;
            let HitCollector {
                hits,
                more,
                truncated,
                ..
            } = found;
            take(SessionHits {
                name: target.name.clone(),
                hits,
                more,
                truncated,
            }) && !interrupted()
        },
    );
    signal::check()?;
    Ok(report)
}

impl Scan<'_> {
    /// Searches one session.
    pub(crate) fn target(
        &self,
        snapshot: Option<&Snapshot<'_>>,
        at: Option<&StoreCommit>,
        target: &SearchTarget,
    ) -> HitCollector {
        let mut found = HitCollector::new(self.shown);
        let searched = match (&target.place, snapshot, at) {
            _ if interrupted() => Ok(()),
            (TextSource::Stored { manifest, state }, Some(snapshot), Some(at)) => {
                let files = at.checkout.session(&target.name.session, state);
                self.stored(snapshot, &files, manifest, target.skip, &mut found)
            }
            (TextSource::Here(session), ..) => self.here(session, &mut found),
            (TextSource::Stored { .. }, ..) => {
                Err(LookupScope::Store.no_session(&target.name.session).into())
            }
        };
        if let Err(e) = searched {
            found.warning = Some(error_chain(&e));
        }
        found
    }
}

/// Returns all text that a placeholder may stand for: directories of this machine and of
/// its clones, and for placeholders missing here those of other machines.
pub(crate) fn written_for_placeholders(localizer: &Localizer, targets: &[SearchTarget]) -> Written {
    let manifests = || {
        targets.iter().filter_map(|target| match &target.place {
            TextSource::Stored { manifest, .. } => Some(&**manifest),
            TextSource::Here(_) => None,
        })
    };
    let here = localizer.placeholders_in_use(manifests());
    let mut paths: BTreeSet<String> = here.iter().flat_map(every_path_form).collect();
    let mut seen = BTreeSet::new();
    for (key, placeholders) in manifests().flat_map(|manifest| &manifest.placeholders) {
        if seen.insert(key) {
            paths.extend(every_path_form(placeholders));
        }
    }
    Written::new(&paths)
}
