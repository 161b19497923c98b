//! Upward: what changed beside sessions on this machine goes to the store.
//!
//! What another machine changed meanwhile is merged in the store; this machine's files are not touched.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use chrono::DateTime;

use crate::domain::extras::{BundleId, ExtraKind};
use crate::domain::id::CommitId;
use crate::domain::path::RelativeName;
use crate::extras::base::Base;
use crate::extras::bundles::{OpenBundle, There};
use crate::extras::compare::{Decision, NotCompared, Place, Sides, bundle_error};
use crate::extras::context::{PlaceReport, load_state, places_here};
use crate::extras::merge_context::MergeContext;
use crate::extras::owners::Places;
use crate::extras::secret::holds_secret;
use crate::extras::state::State;
use crate::extras::text_file::PathRewriter;
use crate::report::transfer::{BundleReport, ExtraOutcome};
use crate::store::machine::Machine;
use crate::store::{Author, Store};
use crate::sys::fail_point::fail_point;
use crate::sys::fs::FileStamp;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// Commits what changed here; `dry_run` only says what would be.
pub(crate) fn push(
    workspace: &mut Workspace<'_>,
    dry_run: bool,
) -> Result<Vec<BundleReport>, SyncError> {
    let mut head = workspace.store.head()?;
    let mut state = load_state(workspace, head.as_ref());
    let snapshot = workspace.store.snapshot(head.as_ref())?;
    let mut bundles = snapshot.bundles()?;
    let (places, mut reports) = places_here(workspace, &Places::new(workspace), &mut state)?;
    let mut pushing = Pushing {
        looking: MergeContext::new(workspace, &snapshot),
        recorded: Recorded::default(),
    };
    for place in &places {
        let known = state
            .directories
            .get(&place.name)
            .and_then(|known| known.push_settled.as_ref());
        let settled = known
            .is_some_and(|known| *known == bundles.get(&place.bundle).cloned().unwrap_or_default());
        reports.extend(pushing.place(place, settled, &mut state)?);
    }
    if dry_run {
        return Ok(reports);
    }
    let Pushing { looking, recorded } = pushing;
    let changed: Vec<OpenBundle<'_>> = looking
        .open
        .into_values()
        .filter(OpenBundle::is_changed)
        .collect();
    if !changed.is_empty() {
        let mut machine = workspace.machine.clone();
        let (ctx, store) = (workspace.ctx, &workspace.store);
        let commit = commit(ctx, store, &mut machine, changed, head.as_ref())?;
        workspace.machine = machine;
        bundles = workspace.store.snapshot(Some(&commit))?.bundles()?;
        head = Some(commit);
    }
    for file in recorded.files {
        state.pushed(&file.place, &file.name, file.stamp, file.base.as_ref())?;
    }
    for (place, bundle) in recorded.settled {
        let settled = bundles.get(&bundle).cloned().unwrap_or_default();
        state.directories.entry(place).or_default().push_settled = Some(settled);
    }
    fail_point("extras are committed");
    // The head has only gone on since.
    state.set_head(head.as_ref(), |_| true);
    state.save()?;
    Ok(reports)
}

/// What is to be written down once everything is committed.
#[derive(Default)]
struct Recorded {
    files: Vec<RecordedFile>,
    /// Places where nothing is left to be pushed.
    settled: Vec<(String, BundleId)>,
}

struct RecordedFile {
    place: String,
    name: RelativeName,
    stamp: Option<FileStamp>,
    base: Option<Base>,
}

/// Commits shelves that have changed.
fn commit(
    ctx: &Context<'_>,
    store: &Store,
    machine: &mut Machine,
    changed: Vec<OpenBundle<'_>>,
    base: Option<&CommitId>,
) -> Result<CommitId, SyncError> {
    let files: u64 = changed.iter().map(OpenBundle::changes).sum();
    let time = ctx.clock.now();
    machine.record_push(time);
    let mut tx = store.begin(base)?;
    for bundle in changed {
        bundle.write(&mut tx)?;
    }
    tx.write_machine(machine)?;
    let message = format!(
        "push from {}: {files} file{} beside sessions",
        machine.name,
        if files == 1 { "" } else { "s" }
    );
    let parents = base.map(std::slice::from_ref).unwrap_or_default();
    Ok(tx.commit(&Author { machine, time }, &message, parents)?)
}

struct Pushing<'s> {
    looking: MergeContext<'s>,
    recorded: Recorded,
}

impl Pushing<'_> {
    fn place(
        &mut self,
        place: &Place,
        settled: bool,
        state: &mut State,
    ) -> Result<Option<BundleReport>, SyncError> {
        let mut report = match self.looking.begin(place, settled, state)? {
            ControlFlow::Continue(report) => report,
            ControlFlow::Break(report) => return Ok(report),
        };
        let workspace = self.looking.workspace;
        let path_rewriter = place.path_rewriter(workspace.localizer.placeholders());
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
                .filter(|kind| workspace.ctx.settings.extras.contains(kind))
            else {
                continue;
            };
            self.file(place, &path_rewriter, (&name, kind), &mut report, state)?;
        }
        if place.bundle.is_user() {
            let dropped = self.looking.bundle_mut(place).drop_older_plans();
            report
                .files
                .retain(|file| !dropped.iter().any(|name| name.as_str() == file.name));
        }
        if !report.is_open {
            self.recorded
                .settled
                .push((place.name.clone(), place.bundle.clone()));
        }
        Ok(report.finish())
    }

    fn file(
        &mut self,
        place: &Place,
        path_rewriter: &PathRewriter,
        (name, kind): (&RelativeName, ExtraKind),
        report: &mut PlaceReport<'_>,
        state: &mut State,
    ) -> Result<(), SyncError> {
        let bundle = self.looking.bundle(place);
        let sides = match Sides::look(place, path_rewriter, bundle, name, state) {
            Ok(sides) => sides,
            Err(not) => {
                report.say(name.as_str(), why(not));
                return Ok(());
            }
        };
        let outcome = match sides.decide(path_rewriter, kind, place.listing.exists) {
            Decision::Nothing | Decision::Theirs => return Ok(()),
            // A pull forgets it.
            Decision::DeletedSessions if kind.is_cleared_up() => return Ok(()),
            Decision::DeletedSessions => {
                self.record(place, name, None, None);
                return Ok(());
            }
            Decision::InStep => {
                let base = in_step(&sides, path_rewriter);
                self.record(place, name, sides.stamp, base);
                return Ok(());
            }
            // Something that is not taken lies in its place, or nobody may look there: that is no removal.
            Decision::Ours if sides.stamp.is_none() && !place.is_gone(name) => {
                report.is_open = true;
                return Ok(());
            }
            decision => self.store(place, path_rewriter, (name, kind), (&sides, decision))?,
        };
        // A file that stays because of what is in it is named every time.
        report.is_open |= matches!(outcome, ExtraOutcome::Left { .. });
        let is_sent = matches!(
            outcome,
            ExtraOutcome::Sent | ExtraOutcome::Merged | ExtraOutcome::BothKept
        );
        report.say(name.as_str(), outcome);
        if let (true, Some(file), Some(ours)) = (is_sent, report.files.last_mut(), sides.ours()) {
            file.verbatim = path_rewriter.verbatim(&ours.doc);
        }
        Ok(())
    }

    /// Stores what this machine has changed.
    fn store(
        &mut self,
        place: &Place,
        path_rewriter: &PathRewriter,
        (name, kind): (&RelativeName, ExtraKind),
        (sides, decision): (&Sides, Decision),
    ) -> Result<ExtraOutcome, SyncError> {
        let me = self.looking.workspace.machine.id.clone();
        let Some(ours) = sides.ours() else {
            self.looking.bundle_mut(place).remove(name, me);
            self.record(place, name, None, None);
            return Ok(ExtraOutcome::Removed);
        };
        if let Some(reason) = holds_secret(kind, &ours.local) {
            return Ok(ExtraOutcome::Left { reason });
        }
        let (doc, outcome) = match &sides.there {
            There::Is { doc, by } if decision == Decision::Both => {
                if kind.can_run_code() {
                    return Ok(ExtraOutcome::Waits {
                        from: self.looking.names()?.one(by),
                    });
                }
                match self
                    .looking
                    .together(path_rewriter, sides, &ours, (doc, by))?
                {
                    Ok(together) => (together.doc, together.outcome),
                    Err(reason) => return Ok(ExtraOutcome::Skipped { reason }),
                }
            }
            _ if path_rewriter.expand(&ours.doc).is_err() => {
                return Ok(ExtraOutcome::Skipped {
                    reason: "it could not be read back".to_owned(),
                });
            }
            _ => (ours.doc.clone(), ExtraOutcome::Sent),
        };
        let day = sides.stamp.filter(|_| kind.is_cleared_up()).map(|stamp| {
            // A time to come would keep it for ever.
            DateTime::from_timestamp_nanos(stamp.modified_ns)
                .min(self.looking.workspace.ctx.clock.now())
                .date_naive()
        });
        match self.looking.bundle_mut(place).put(name, &doc, me, day) {
            Ok(()) => self.record(place, name, sides.stamp, Some(ours)),
            Err(e) => {
                return Ok(ExtraOutcome::Skipped {
                    reason: bundle_error(&e),
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
pub(crate) fn in_step(sides: &Sides, path_rewriter: &PathRewriter) -> Option<Base> {
    let There::Is { doc, .. } = &sides.there else {
        return None;
    };
    let executable = sides.executable.unwrap_or(false);
    Some(Base {
        doc: doc.clone(),
        local: path_rewriter.expand(doc).ok()?,
        executable,
        is_reading: true,
    })
}

/// What is said of a file that was not compared.
pub(crate) fn why(not: NotCompared) -> ExtraOutcome {
    match not {
        NotCompared::Left(reason) => ExtraOutcome::Left { reason },
        NotCompared::Failed(reason) => ExtraOutcome::Skipped { reason },
    }
}
