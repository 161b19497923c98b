//! What a push and a pull do alike: a place and its shelf are opened, and two versions of a text are put together.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::domain::beside::ShelfId;
use crate::domain::id::MachineId;
use crate::extras::base::Base;
use crate::extras::bundles::OpenShelf;
use crate::extras::compare::{Place, Sides};
use crate::extras::context::{Names, PlaceReport};
use crate::extras::merge::{Side, merge};
use crate::extras::state::State;
use crate::extras::text_file::{Doc, Lens};
use crate::report::transfer::{ProseOutcome, ShelfReport};
use crate::session::prose::{MAX_BYTES, too_large};
use crate::store::Snapshot;
use crate::sys::signal::interrupted;
use crate::workspace::error::SyncError;
use crate::workspace::message::in_words;
use crate::workspace::open::Work;

/// One command's look at the shelves of a snapshot.
pub(crate) struct Looking<'s> {
    pub(crate) work: &'s Work<'s>,
    snapshot: &'s Snapshot<'s>,
    names: Option<Names>,
    pub(crate) open: BTreeMap<ShelfId, OpenShelf<'s>>,
}

/// Two versions of a text as one.
pub(crate) struct Together {
    pub(crate) doc: Doc,
    /// As it reads here.
    pub(crate) local: String,
    pub(crate) outcome: ProseOutcome,
}

impl<'s> Looking<'s> {
    pub(crate) fn new(work: &'s Work<'s>, snapshot: &'s Snapshot<'s>) -> Self {
        Self {
            work,
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
    ) -> Result<ControlFlow<Option<ShelfReport>, PlaceReport<'p>>, SyncError> {
        let mut report = PlaceReport::new(place);
        if settled && place.is_as_noted(state) {
            report.say_what_was_left(state);
            return Ok(ControlFlow::Break(report.finish()));
        }
        if interrupted() {
            return Err(SyncError::Interrupted);
        }
        if let Err(e) = OpenShelf::among(&mut self.open, self.snapshot, &place.shelf, || {
            place.new_shelf()
        }) {
            report.say(
                place.shelf.as_str(),
                ProseOutcome::Skipped {
                    reason: in_words(&e),
                },
            );
            return Ok(ControlFlow::Break(report.finish()));
        }
        Ok(ControlFlow::Continue(report))
    }

    /// The shelf of a place that was begun.
    pub(crate) fn shelf(&self, place: &Place) -> &OpenShelf<'s> {
        self.open
            .get(&place.shelf)
            .expect("a place is looked at after its shelf was opened")
    }

    /// The same, to be changed.
    pub(crate) fn shelf_mut(&mut self, place: &Place) -> &mut OpenShelf<'s> {
        self.open
            .get_mut(&place.shelf)
            .expect("a place is looked at after its shelf was opened")
    }

    /// Puts what is here together with what `by` has stored; or says why both stay where they are.
    pub(crate) fn together(
        &mut self,
        lens: &Lens,
        sides: &Sides,
        ours: &Base,
        (theirs, by): (&Doc, &MachineId),
    ) -> Result<Result<Together, String>, SyncError> {
        let me = self.work.machine.id.clone();
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
        Ok(match lens.expand(&merged.doc) {
            Ok(local) if local.len() as u64 > MAX_BYTES => Err(too_large_together(&others)),
            Ok(local) => Ok(Together {
                doc: merged.doc,
                local,
                outcome,
            }),
            Err(e) => Err(in_words(&e)),
        })
    }

    pub(crate) fn names(&mut self) -> Result<&Names, SyncError> {
        let names = match self.names.take() {
            Some(names) => names,
            None => Names::of(self.work, self.snapshot)?,
        };
        Ok(self.names.insert(names))
    }
}

/// Why two versions are not put together: what came of it would be left on every machine.
pub(crate) fn too_large_together(others: &str) -> String {
    format!(
        "put together with what {others} has changed it would be {}; shorten it here or there",
        too_large()
    )
}
