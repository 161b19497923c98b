//! What a push and a pull do alike: a place and its shelf are opened, and two versions of a text are put together.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::domain::error::error_chain;
use crate::domain::extras::BundleId;
use crate::domain::id::MachineId;
use crate::extras::base::Base;
use crate::extras::bundles::OpenBundle;
use crate::extras::compare::{Place, Sides};
use crate::extras::context::{Names, PlaceReport};
use crate::extras::merge::{Side, merge};
use crate::extras::state::State;
use crate::extras::text_file::{PathRewriter, TextFile};
use crate::report::transfer::{BundleReport, ExtraOutcome};
use crate::session::extras::{MAX_EXTRA_BYTES, TOO_LARGE};
use crate::store::Snapshot;
use crate::sys::signal;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// One command's look at the shelves of a snapshot.
pub(crate) struct MergeContext<'s> {
    pub(crate) workspace: &'s Workspace<'s>,
    snapshot: &'s Snapshot<'s>,
    names: Option<Names>,
    pub(crate) open: BTreeMap<BundleId, OpenBundle<'s>>,
}

/// Two versions of a text as one.
pub(crate) struct MergeResult {
    pub(crate) doc: TextFile,
    /// As it reads here.
    pub(crate) local: String,
    pub(crate) outcome: ExtraOutcome,
}

impl<'s> MergeContext<'s> {
    pub(crate) fn new(workspace: &'s Workspace<'s>, snapshot: &'s Snapshot<'s>) -> Self {
        Self {
            workspace,
            snapshot,
            names: None,
            open: BTreeMap::new(),
        }
    }

    /// Opens the shelf of a place; or breaks off with all that is to be said of it: that nothing has changed since its shelf was
    /// `settled`, or that the shelf cannot be read.
    pub(crate) fn begin<'p>(
        &mut self,
        place: &'p Place,
        settled: bool,
        state: &State,
    ) -> Result<ControlFlow<Option<BundleReport>, PlaceReport<'p>>, SyncError> {
        let mut report = PlaceReport::new(place);
        if settled && place.is_as_noted(state) {
            report.say_what_was_left(state);
            return Ok(ControlFlow::Break(report.finish()));
        }
        signal::check()?;
        if let Err(e) = OpenBundle::among(&mut self.open, self.snapshot, &place.bundle, || {
            place.new_bundle()
        }) {
            report.say(
                place.bundle.as_str(),
                ExtraOutcome::Skipped {
                    reason: error_chain(&e),
                },
            );
            return Ok(ControlFlow::Break(report.finish()));
        }
        Ok(ControlFlow::Continue(report))
    }

    /// The shelf of a place that was begun.
    pub(crate) fn bundle(&self, place: &Place) -> &OpenBundle<'s> {
        self.open
            .get(&place.bundle)
            .expect("a place is looked at after its shelf was opened")
    }

    /// The same, to be changed.
    pub(crate) fn bundle_mut(&mut self, place: &Place) -> &mut OpenBundle<'s> {
        self.open
            .get_mut(&place.bundle)
            .expect("a place is looked at after its shelf was opened")
    }

    /// Puts what is here together with what `by` has stored; or says why both stay where they are.
    pub(crate) fn together(
        &mut self,
        path_rewriter: &PathRewriter,
        sides: &Sides,
        ours: &Base,
        (theirs, by): (&TextFile, &MachineId),
    ) -> Result<Result<MergeResult, String>, SyncError> {
        let me = self.workspace.machine.id.clone();
        let (mine, others) = self.names()?.two(&me, by);
        let (a, b) = (
            Side {
                doc: &ours.doc,
                machine: &mine,
            },
            Side {
                doc: theirs,
                machine: &others,
            },
        );
        let merged = merge(sides.base.as_ref().map(|base| &base.doc), a, b);
        let outcome = merged.outcome();
        Ok(match path_rewriter.expand(&merged.doc) {
            Ok(local) if local.len() as u64 > MAX_EXTRA_BYTES => Err(too_large_together(&others)),
            Ok(local) => Ok(MergeResult {
                doc: merged.doc,
                local,
                outcome,
            }),
            Err(e) => Err(error_chain(&e)),
        })
    }

    pub(crate) fn names(&mut self) -> Result<&Names, SyncError> {
        let names = match self.names.take() {
            Some(names) => names,
            None => Names::of(self.workspace, self.snapshot)?,
        };
        Ok(self.names.insert(names))
    }
}

/// Why two versions are not put together: what came of it would be left on every machine.
pub(crate) fn too_large_together(others: &str) -> String {
    format!(
        "put together with what {others} has changed it would be {}; shorten it here or there",
        TOO_LARGE
    )
}
