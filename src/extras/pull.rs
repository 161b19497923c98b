//! Downward: what other machines changed beside sessions comes to this one.
//!
//! Everything goes through the journal of the pull, so that an undo takes it back, and nothing is written over a file that changed since
//! it was looked at.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::domain::error::error_chain;
use crate::domain::extras::{BundleId, ExtraKind, ProjectKey};
use crate::domain::path::RelativeName;
use crate::extras::base::Base;
use crate::extras::bundles::{OpenBundle, There};
use crate::extras::change::{Proposed, carry_out, consents_to, proposed};
use crate::extras::compare::{Decision, Here, NotCompared, Place, Sides};
use crate::extras::context::{PlaceReport, load_state, places_here};
use crate::extras::merge_context::MergeContext;
use crate::extras::owners::Places;
use crate::extras::push::{in_step, why};
use crate::extras::state::State;
use crate::extras::text_file::PathRewriter;
use crate::report::transfer::{BundleReport, ExtraOutcome};
use crate::session::SessionError;
use crate::session::extras::{ExtrasListing, first_extra_link, memory_directory};
use crate::session::journal::Journal;
use crate::store::Snapshot;
use crate::store::bundle::ExtrasBundle;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// Writes here what the store has; without a journal it only says what would be.
pub(crate) fn pull(
    workspace: &Workspace<'_>,
    journal: Option<&Journal>,
) -> Result<Vec<BundleReport>, SyncError> {
    let head = workspace.store.head()?;
    let mut state = load_state(workspace, head.as_ref());
    let snapshot = workspace.store.snapshot(head.as_ref())?;
    let places = Places::new(workspace);
    let (mut here, mut reports) = places_here(workspace, &places, &mut state)?;
    let bundles = snapshot.bundles()?;
    reports.extend(add_places_to_be(
        workspace,
        &snapshot,
        bundles.keys(),
        &places,
        &mut here,
        &mut state,
    ));
    let mut pulling = Pulling {
        looking: MergeContext::new(workspace, &snapshot),
        journal,
    };
    for place in &here {
        let now = bundles.get(&place.bundle).cloned().unwrap_or_default();
        let settled = state
            .directories
            .get(&place.name)
            .and_then(|known| known.pull_settled.as_ref())
            == Some(&now);
        let report = pulling.place(place, settled, &now, &mut state);
        if journal.is_some() {
            // What was written is known for what it is, whatever becomes of the rest.
            state.save()?;
        }
        reports.extend(report?);
    }
    if journal.is_some() {
        state.save()?;
    }
    Ok(reports)
}

/// Shelves with memory that has no directory here yet: those whose project is here get one, the others are listed.
pub(crate) fn add_places_to_be<'i>(
    workspace: &Workspace<'_>,
    snapshot: &Snapshot<'_>,
    bundles: impl Iterator<Item = &'i BundleId>,
    places: &Places<'_>,
    here: &mut Vec<Place>,
    state: &mut State,
) -> Vec<BundleReport> {
    let mut listed = Vec::new();
    if !workspace.ctx.settings.extras.contains(&ExtraKind::Memory) {
        return listed;
    }
    let known: BTreeSet<BundleId> = here.iter().map(|place| place.bundle.clone()).collect();
    for id in bundles.filter(|id| !id.is_user() && !known.contains(id)) {
        let bundle = match snapshot.bundle(id) {
            Ok(Some(bundle)) if bundle.files.is_empty() => continue,
            Ok(Some(bundle)) => bundle,
            Ok(None) => continue,
            Err(e) => {
                listed.push(refused(id, error_chain(&e)));
                continue;
            }
        };
        match places.directory(id, &bundle, state) {
            Some((name, project)) => {
                let directory = memory_directory(&workspace.ctx.env.claude_dir, &name);
                state.assign_bundle(&name, id, None);
                let (bundle, listing) = (id.clone(), ExtrasListing::default());
                here.push(Place {
                    name,
                    bundle,
                    directory,
                    project: Some(project),
                    listing,
                });
            }
            // The project has a remote by now, and its memory is known by that.
            None if here.iter().any(|place| is_at_path_of(place, &bundle)) => {}
            None => listed.push(without_place(&bundle)),
        }
    }
    listed
}

fn is_at_path_of(place: &Place, bundle: &ExtrasBundle) -> bool {
    let path = if let Some(ProjectKey::Path(path)) = &bundle.project {
        Some(path)
    } else {
        None
    };
    path.is_some() && place.project.as_ref().map(|project| &project.path) == path
}

fn without_place(bundle: &ExtrasBundle) -> BundleReport {
    let project = bundle.project.as_ref().map(|key| key.as_str().to_owned());
    let reason = "its project is not on this machine yet".to_owned();
    BundleReport {
        project,
        listed: Some(reason),
        files: Vec::new(),
    }
}

fn refused(id: &BundleId, reason: String) -> BundleReport {
    let file = crate::report::transfer::ExtraReport {
        name: id.to_string(),
        outcome: ExtraOutcome::Skipped { reason },
        verbatim: 0,
    };
    BundleReport {
        project: None,
        listed: None,
        files: vec![file],
    }
}

/// After an undo: what was taken back is again what it was before the pull, so that the next one finds it so.
pub(crate) fn undone<'p>(
    workspace: &Workspace<'_>,
    taken_back: impl Iterator<Item = &'p Path>,
) -> Result<(), SyncError> {
    let mut state = load_state(workspace, workspace.store.head()?.as_ref());
    let claude_dir = &workspace.ctx.env.claude_dir;
    let directories: Vec<(String, PathBuf)> = state
        .directories
        .keys()
        .map(|name| (name.clone(), directory_of(claude_dir, name)))
        .collect();
    for path in taken_back {
        for (name, directory) in &directories {
            let below = path
                .strip_prefix(directory)
                .ok()
                .map(|below| below.to_string_lossy().replace('\\', "/"));
            if let Some(file) = below.and_then(|below| RelativeName::new(below).ok()) {
                // Whoever takes it back does not want it again unasked, nor any other content that once had a yes.
                state.revoke(&consents_to(&file));
                state.restore_previous(name, &file);
            }
        }
    }
    Ok(state.save()?)
}

fn directory_of(claude_dir: &Path, name: &str) -> PathBuf {
    if name.is_empty() {
        claude_dir.to_owned()
    } else {
        memory_directory(claude_dir, name)
    }
}

struct Pulling<'w> {
    looking: MergeContext<'w>,
    journal: Option<&'w Journal>,
}

impl Pulling<'_> {
    fn place(
        &mut self,
        place: &Place,
        settled: bool,
        now: &str,
        state: &mut State,
    ) -> Result<Option<BundleReport>, SyncError> {
        let mut report = match self.looking.begin(place, settled, state)? {
            ControlFlow::Continue(report) => report,
            ControlFlow::Break(report) => return Ok(report),
        };
        let workspace = self.looking.workspace;
        let path_rewriter = place.path_rewriter(workspace.localizer.placeholders());
        for name in names_of(place, self.looking.bundle(place), state) {
            let Some(kind) = place
                .kind(&name)
                .filter(|kind| workspace.ctx.settings.extras.contains(kind))
            else {
                continue;
            };
            self.file(place, &path_rewriter, (&name, kind), &mut report, state)?;
        }
        if !report.is_open && self.journal.is_some() {
            state
                .directories
                .entry(place.name.clone())
                .or_default()
                .pull_settled = Some(now.to_owned());
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
        if place
            .listing
            .skipped
            .iter()
            .any(|(path, _)| *path == place.path(name))
        {
            return Ok(());
        }
        let bundle = self.looking.bundle(place);
        let sides = match Sides::look(place, path_rewriter, bundle, name, state) {
            Ok(sides) => sides,
            // A push says so.
            Err(NotCompared::Left(_))
                if matches!(bundle.file(name), Ok(There::Absent | There::Removed)) =>
            {
                return Ok(());
            }
            Err(not) => {
                report.say(name.as_str(), why(not));
                return Ok(());
            }
        };
        let outcome = match sides.decide(path_rewriter, kind, place.listing.exists) {
            Decision::Nothing | Decision::Ours => None,
            Decision::DeletedSessions if kind.is_cleared_up() => {
                state.forget(&place.name, name);
                None
            }
            Decision::DeletedSessions => {
                state.record(&place.name, name, None, None)?;
                None
            }
            Decision::InStep => {
                state.record(
                    &place.name,
                    name,
                    sides.stamp,
                    in_step(&sides, path_rewriter).as_ref(),
                )?;
                None
            }
            Decision::Theirs | Decision::Both => {
                Some(self.bring(place, path_rewriter, (name, kind), &sides, state)?)
            }
        };
        if let Some(outcome) = outcome {
            report.say(name.as_str(), outcome);
        }
        Ok(())
    }

    /// Brings what another machine changed.
    fn bring(
        &mut self,
        place: &Place,
        path_rewriter: &PathRewriter,
        (name, kind): (&RelativeName, ExtraKind),
        sides: &Sides,
        state: &mut State,
    ) -> Result<ExtraOutcome, SyncError> {
        if let Some(reason) = refuse_link(place, name) {
            return Ok(ExtraOutcome::Skipped { reason });
        }
        let found = if kind.can_run_code() {
            match proposed(path_rewriter, name, sides) {
                // A yes to a content is none to the loss of what this machine has written since.
                Ok(change)
                    if state.is_accepted(&change.consent) && !change.replaces_changes(sides) =>
                {
                    change
                }
                Ok(_) => {
                    return Ok(ExtraOutcome::Waits {
                        from: self.from(sides)?,
                    });
                }
                Err(reason) => return Ok(ExtraOutcome::Skipped { reason }),
            }
        } else {
            match self.merged(path_rewriter, sides)? {
                Ok(change) => change,
                Err(reason) => return Ok(ExtraOutcome::Skipped { reason }),
            }
        };
        let Some(journal) = self.journal else {
            return Ok(found.outcome);
        };
        match carry_out(journal, place, name, sides.stamp, &found, state) {
            Ok(()) => Ok(found.outcome),
            Err(SyncError::Session(SessionError::Path(e))) if e.is_full() => {
                Err(SessionError::Path(e).into())
            }
            Err(e) => Ok(ExtraOutcome::Skipped {
                reason: format!("{}; pull again", error_chain(&e)),
            }),
        }
    }

    /// What the file becomes here.
    fn merged(
        &mut self,
        path_rewriter: &PathRewriter,
        sides: &Sides,
    ) -> Result<Result<Proposed, String>, SyncError> {
        let There::Is { doc, by } = &sides.there else {
            return Ok(Ok(Proposed::removal()));
        };
        let theirs = match path_rewriter.expand(doc) {
            Ok(local) => Base {
                doc: doc.clone(),
                local,
                executable: false,
                is_reading: true,
            },
            Err(e) => return Ok(Err(error_chain(&e))),
        };
        let ours = if let Here::Changed { .. } = sides.here {
            sides.ours()
        } else {
            None
        };
        let Some(ours) = ours else {
            return Ok(Ok(Proposed::of(
                theirs.clone(),
                theirs.local,
                ExtraOutcome::Brought,
            )));
        };
        let together = self
            .looking
            .together(path_rewriter, sides, &ours, (doc, by))?;
        Ok(together.map(|together| Proposed::of(theirs, together.local, together.outcome)))
    }

    fn from(&mut self, sides: &Sides) -> Result<String, SyncError> {
        Ok(match &sides.there {
            There::Is { by, .. } => self.looking.names()?.one(by),
            There::Removed | There::Absent => "another machine".to_owned(),
        })
    }
}

/// Why a file is not written: a link leads to it. The client's own directory may be one; it was named by whoever owns it.
pub(crate) fn refuse_link(place: &Place, name: &RelativeName) -> Option<String> {
    let link = first_extra_link(&place.directory, name);
    let link = link.filter(|link| !place.bundle.is_user() || *link != place.directory)?;
    Some(format!(
        "`{}` is a link, and links are not followed",
        link.display()
    ))
}

/// Every name that the store, this machine or its memory of either has.
fn names_of(place: &Place, bundle: &OpenBundle<'_>, state: &State) -> BTreeSet<RelativeName> {
    let known = state
        .directories
        .get(&place.name)
        .into_iter()
        .flat_map(|known| known.files.keys());
    place
        .listing
        .files
        .keys()
        .chain(known)
        .chain(bundle.bundle.files.keys())
        .cloned()
        .collect()
}
