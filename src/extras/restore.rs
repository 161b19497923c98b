//! Prose as it was when a milestone was named, put back as an edit of this machine: a pull does not bring back what came later, and the
//! next push sends it like any other change.
//!
//! Files that came later stay, and what can run programs is left as it is. What is replaced is kept in the journal.

use std::ops::ControlFlow;

use crate::domain::error::error_chain;
use crate::domain::extras::ExtraKind;
use crate::domain::id::CommitId;
use crate::domain::path::RelativeName;
use crate::extras::base::Base;
use crate::extras::bundles::There;
use crate::extras::compare::{Place, Sides};
use crate::extras::context::{PlaceReport, load_state, places_here};
use crate::extras::merge_context::MergeContext;
use crate::extras::owners::Places;
use crate::extras::pull::{add_places_to_be, refuse_link};
use crate::extras::push::why;
use crate::extras::state::State;
use crate::extras::text_file::PathRewriter;
use crate::report::transfer::{BundleReport, ExtraOutcome};
use crate::session::SessionError;
use crate::session::extras::DirectoryMark;
use crate::session::journal::Journal;
use crate::sys::fail_point::fail_point;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// Puts back what this machine takes of prose as it was in `commit`; without a journal it only says what would be.
///
/// The caller has pushed what is here, so that it is in the history.
pub(crate) fn restore(
    workspace: &Workspace<'_>,
    commit: &CommitId,
    journal: Option<&Journal>,
) -> Result<Vec<BundleReport>, SyncError> {
    let head = workspace.store.head()?;
    let mut state = load_state(workspace, head.as_ref());
    let (now, then) = (
        workspace.store.snapshot(head.as_ref())?,
        workspace.store.snapshot(Some(commit))?,
    );
    let places = Places::new(workspace);
    let (mut here, _) = places_here(workspace, &places, &mut state)?;
    let bundles = then.bundles()?;
    let mut reports = add_places_to_be(
        workspace,
        &then,
        bundles.keys(),
        &places,
        &mut here,
        &mut state,
    );
    let mut restoring = Restoring {
        now: MergeContext::new(workspace, &now),
        then: MergeContext::new(workspace, &then),
        journal,
    };
    for place in here
        .iter()
        .filter(|place| bundles.contains_key(&place.bundle))
    {
        let report = restoring.place(place, &mut state);
        if journal.is_some() {
            // What was written is known for what it is, whatever becomes of the rest.
            state.save()?;
        }
        reports.extend(report?);
    }
    Ok(reports)
}

struct Restoring<'w> {
    now: MergeContext<'w>,
    then: MergeContext<'w>,
    journal: Option<&'w Journal>,
}

impl Restoring<'_> {
    fn place(
        &mut self,
        place: &Place,
        state: &mut State,
    ) -> Result<Option<BundleReport>, SyncError> {
        for looking in [&mut self.then, &mut self.now] {
            if let ControlFlow::Break(report) = looking.begin(place, false, state)? {
                return Ok(report);
            }
        }
        if !place.listing.exists {
            state.reset_directory(&place.name);
        }
        let mut report = PlaceReport::new(place);
        let workspace = self.now.workspace;
        let path_rewriter = place.path_rewriter(workspace.localizer.placeholders());
        let names: Vec<RelativeName> = self
            .then
            .bundle(place)
            .bundle
            .files
            .keys()
            .cloned()
            .collect();
        for name in names {
            let Some(kind) = place
                .kind(&name)
                .filter(|kind| workspace.ctx.settings.extras.contains(kind))
            else {
                continue;
            };
            // Something that is not taken lies in its place, and is named.
            if place
                .listing
                .skipped
                .iter()
                .any(|(path, _)| *path == place.path(&name))
            {
                continue;
            }
            if let Some(outcome) = self.file(place, &path_rewriter, (&name, kind), state)? {
                report.say(name.as_str(), outcome);
            }
        }
        if !place.listing.exists {
            state.made(&place.name, DirectoryMark::read(&place.directory));
        }
        Ok(report.finish())
    }

    /// None: it is as it was then, here and in the store.
    fn file(
        &self,
        place: &Place,
        path_rewriter: &PathRewriter,
        (name, kind): (&RelativeName, ExtraKind),
        state: &mut State,
    ) -> Result<Option<ExtraOutcome>, SyncError> {
        let skipped = |reason: String| Ok(Some(ExtraOutcome::Skipped { reason }));
        let sides = match Sides::look(place, path_rewriter, self.now.bundle(place), name, state) {
            Ok(sides) => sides,
            Err(not) => return Ok(Some(why(not))),
        };
        let text = match self.then.bundle(place).file(name) {
            Ok(There::Is { doc, .. }) => match path_rewriter.expand(&doc) {
                Ok(text) => text,
                Err(e) => return skipped(error_chain(&e)),
            },
            Ok(There::Absent | There::Removed) => return Ok(None),
            Err(e) => return skipped(error_chain(&e)),
        };
        let stored = stored_now(&sides, path_rewriter);
        let is_here = sides.ours().is_some_and(|ours| ours.local == text);
        // Of plans the store keeps the newest only.
        let is_stored = |stored: &Base| stored.local == text;
        if is_here
            && (stored.as_ref().is_some_and(is_stored) || stored.is_none() && kind.is_cleared_up())
        {
            return Ok(None);
        }
        if kind.can_run_code() {
            let reason = "it can run programs, and is not put back".to_owned();
            return Ok((!is_here).then_some(ExtraOutcome::Left { reason }));
        }
        if let Some(reason) = refuse_link(place, name) {
            return skipped(reason);
        }
        let Some(journal) = self.journal else {
            return Ok(Some(ExtraOutcome::PutBack));
        };
        if !is_here {
            match journal.write_text(&place.path(name), sides.stamp.as_ref(), &text, false) {
                Ok(_) => fail_point("an extras file is restored"),
                Err(SessionError::Path(e)) if e.is_full() => {
                    return Err(SessionError::Path(e).into());
                }
                Err(e) => return skipped(format!("{}; restore again", error_chain(&e))),
            }
        }
        state.put_back(&place.name, name, stored.as_ref())?;
        Ok(Some(ExtraOutcome::PutBack))
    }
}

/// What the store has now, as it reads here: with that for its past, what lies here is a change of this machine alone.
fn stored_now(sides: &Sides, path_rewriter: &PathRewriter) -> Option<Base> {
    let There::Is { doc, .. } = &sides.there else {
        return None;
    };
    Some(Base {
        doc: doc.clone(),
        local: path_rewriter.expand(doc).ok()?,
        executable: false,
        is_reading: true,
    })
}
