//! Upward: what changed beside sessions on this machine goes to the store.
//!
//! What another machine changed meanwhile is merged in the store; this machine's files are not touched.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use chrono::DateTime;

use crate::domain::beside::{Beside, ShelfId};
use crate::domain::id::CommitId;
use crate::domain::path::RelativeName;
use crate::extras::base::Base;
use crate::extras::bundles::{OpenShelf, There};
use crate::extras::compare::{Decision, NotCompared, Place, Sides, shelf_error};
use crate::extras::context::{PlaceReport, load_state, places_here};
use crate::extras::merge_context::Looking;
use crate::extras::owners::Places;
use crate::extras::secret::holds_secret;
use crate::extras::state::State;
use crate::extras::text_file::Lens;
use crate::report::transfer::{ProseOutcome, ShelfReport};
use crate::store::machine::Machine;
use crate::sys::fail_point::fail_point;
use crate::sys::fs::FileStamp;
use crate::workspace::error::SyncError;
use crate::workspace::open::Work;

/// Commits what changed here; `dry_run` only says what would be.
pub(crate) fn push(work: &mut Work<'_>, dry_run: bool) -> Result<Vec<ShelfReport>, SyncError> {
    let mut head = work.store.head()?;
    let mut state = load_state(work, head.as_ref());
    let snapshot = work.store.snapshot(head.as_ref())?;
    let mut shelves = snapshot.shelves()?;
    let (places, mut reports) = places_here(work, &Places::new(work), &mut state)?;
    let mut pushing = Pushing {
        looking: Looking::new(work, &snapshot),
        recorded: Recorded::default(),
    };
    for place in &places {
        let known = state
            .directories
            .get(&place.name)
            .and_then(|known| known.push_settled.as_ref());
        let settled = known
            .is_some_and(|known| *known == shelves.get(&place.shelf).cloned().unwrap_or_default());
        reports.extend(pushing.place(place, settled, &mut state)?);
    }
    if dry_run {
        return Ok(reports);
    }
    let Pushing { looking, recorded } = pushing;
    let changed: Vec<OpenShelf<'_>> = looking
        .open
        .into_values()
        .filter(OpenShelf::is_changed)
        .collect();
    if !changed.is_empty() {
        let (machine, commit) = commit(work, changed, head.as_ref())?;
        (work.machine, work.machine_changed) = (machine, false);
        shelves = work.store.snapshot(Some(&commit))?.shelves()?;
        head = Some(commit);
    }
    for file in recorded.files {
        state.pushed(&file.place, &file.name, file.stamp, file.base.as_ref())?;
    }
    for (place, shelf) in recorded.settled {
        let settled = shelves.get(&shelf).cloned().unwrap_or_default();
        state.directories.entry(place).or_default().push_settled = Some(settled);
    }
    fail_point("prose is committed");
    // The head has only gone on since.
    state.speak_of(head.as_ref(), |_| true);
    state.save()?;
    Ok(reports)
}

/// What is to be written down once everything is committed.
#[derive(Default)]
struct Recorded {
    files: Vec<RecordedFile>,
    /// Places where nothing is left to be pushed.
    settled: Vec<(String, ShelfId)>,
}

struct RecordedFile {
    place: String,
    name: RelativeName,
    stamp: Option<FileStamp>,
    base: Option<Base>,
}

/// Commits shelves that have changed.
fn commit(
    work: &Work<'_>,
    changed: Vec<OpenShelf<'_>>,
    base: Option<&CommitId>,
) -> Result<(Machine, CommitId), SyncError> {
    let files: u64 = changed.iter().map(OpenShelf::changes).sum();
    let mut tx = work.store.begin(base)?;
    for shelf in changed {
        shelf.write(&mut tx)?;
    }
    let mut machine = work.machine.clone();
    machine.last_push = Some(
        work.ctx
            .clock
            .now()
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    );
    tx.put_machine(&machine)?;
    let message = format!(
        "push from {}: {files} file{} beside sessions",
        machine.name,
        if files == 1 { "" } else { "s" }
    );
    let parents = base.map(std::slice::from_ref).unwrap_or_default();
    let commit = tx.commit(&work.author(), &message, parents)?;
    Ok((machine, commit))
}

struct Pushing<'s> {
    looking: Looking<'s>,
    recorded: Recorded,
}

impl Pushing<'_> {
    fn place(
        &mut self,
        place: &Place,
        settled: bool,
        state: &mut State,
    ) -> Result<Option<ShelfReport>, SyncError> {
        let mut report = match self.looking.begin(place, settled, state)? {
            ControlFlow::Continue(report) => report,
            ControlFlow::Break(report) => return Ok(report),
        };
        let work = self.looking.work;
        let lens = place.lens(work.views.roots());
        let known = state
            .directories
            .get(&place.name)
            .into_iter()
            .flat_map(|known| known.files.keys());
        let names: BTreeSet<RelativeName> =
            place.listing.files.keys().chain(known).cloned().collect();
        for name in names {
            let Some(kind) = place
                .kind(&name)
                .filter(|kind| work.ctx.settings.beside.contains(kind))
            else {
                continue;
            };
            self.file(place, &lens, (&name, kind), &mut report, state)?;
        }
        if place.shelf.is_user() {
            let dropped = self.looking.shelf_mut(place).drop_older_plans();
            report
                .files
                .retain(|file| !dropped.iter().any(|name| name.as_str() == file.name));
        }
        if !report.is_open {
            self.recorded
                .settled
                .push((place.name.clone(), place.shelf.clone()));
        }
        Ok(report.finish())
    }

    fn file(
        &mut self,
        place: &Place,
        lens: &Lens,
        (name, kind): (&RelativeName, Beside),
        report: &mut PlaceReport<'_>,
        state: &mut State,
    ) -> Result<(), SyncError> {
        let shelf = self.looking.shelf(place);
        let sides = match Sides::look(place, lens, shelf, name, state) {
            Ok(sides) => sides,
            Err(not) => {
                report.say(name.as_str(), why(not));
                return Ok(());
            }
        };
        let outcome = match sides.decide(lens, kind, place.listing.is_there) {
            Decision::Nothing | Decision::Theirs => return Ok(()),
            // A pull forgets it.
            Decision::Gone if kind.is_cleared_up() => return Ok(()),
            Decision::Gone => {
                self.record(place, name, None, None);
                return Ok(());
            }
            Decision::InStep => {
                let base = in_step(&sides, lens);
                self.record(place, name, sides.stamp, base);
                return Ok(());
            }
            // Something that is not taken lies in its place, or nobody may look there: that is no removal.
            Decision::Ours if sides.stamp.is_none() && !place.is_gone(name) => {
                report.is_open = true;
                return Ok(());
            }
            decision => self.store(place, lens, (name, kind), (&sides, decision))?,
        };
        // A file that stays because of what is in it is named every time.
        report.is_open |= matches!(outcome, ProseOutcome::Left { .. });
        let is_sent = matches!(
            outcome,
            ProseOutcome::Sent | ProseOutcome::Merged | ProseOutcome::BothKept
        );
        report.say(name.as_str(), outcome);
        if let (true, Some(file), Some(ours)) = (is_sent, report.files.last_mut(), sides.ours()) {
            file.verbatim = lens.verbatim(&ours.doc);
        }
        Ok(())
    }

    /// Stores what this machine has changed.
    fn store(
        &mut self,
        place: &Place,
        lens: &Lens,
        (name, kind): (&RelativeName, Beside),
        (sides, decision): (&Sides, Decision),
    ) -> Result<ProseOutcome, SyncError> {
        let me = self.looking.work.machine.id.clone();
        let Some(ours) = sides.ours() else {
            self.looking.shelf_mut(place).remove(name, me);
            self.record(place, name, None, None);
            return Ok(ProseOutcome::Removed);
        };
        if let Some(reason) = holds_secret(kind, &ours.local) {
            return Ok(ProseOutcome::Left { reason });
        }
        let (doc, outcome) = match &sides.there {
            There::Is { doc, by } if decision == Decision::Both => {
                if kind.can_run_code() {
                    return Ok(ProseOutcome::Waits {
                        from: self.looking.names()?.one(by),
                    });
                }
                match self.looking.together(lens, sides, &ours, (doc, by))? {
                    Ok(together) => (together.doc, together.outcome),
                    Err(reason) => return Ok(ProseOutcome::Skipped { reason }),
                }
            }
            _ if lens.expand(&ours.doc).is_err() => {
                return Ok(ProseOutcome::Skipped {
                    reason: "it could not be read back".to_owned(),
                });
            }
            _ => (ours.doc.clone(), ProseOutcome::Sent),
        };
        let day = sides.stamp.filter(|_| kind.is_cleared_up()).map(|stamp| {
            // A time to come would keep it for ever.
            DateTime::from_timestamp_nanos(stamp.modified_ns)
                .min(self.looking.work.ctx.clock.now())
                .date_naive()
        });
        match self.looking.shelf_mut(place).put(name, &doc, me, day) {
            Ok(()) => self.record(place, name, sides.stamp, Some(ours)),
            Err(e) => {
                return Ok(ProseOutcome::Skipped {
                    reason: shelf_error(&e),
                });
            }
        }
        Ok(outcome)
    }

    fn record(
        &mut self,
        place: &Place,
        name: &RelativeName,
        stamp: Option<FileStamp>,
        base: Option<Base>,
    ) {
        self.recorded.files.push(RecordedFile {
            place: place.name.clone(),
            name: name.clone(),
            stamp,
            base,
        });
    }
}

/// What a file is that reads here as it is in the store.
pub(crate) fn in_step(sides: &Sides, lens: &Lens) -> Option<Base> {
    let There::Is { doc, .. } = &sides.there else {
        return None;
    };
    let executable = sides.executable.unwrap_or(false);
    Some(Base {
        doc: doc.clone(),
        local: lens.expand(doc).ok()?,
        executable,
        is_reading: true,
    })
}

/// What is said of a file that was not compared.
pub(crate) fn why(not: NotCompared) -> ProseOutcome {
    match not {
        NotCompared::Left(reason) => ProseOutcome::Left { reason },
        NotCompared::Failed(reason) => ProseOutcome::Skipped { reason },
    }
}
