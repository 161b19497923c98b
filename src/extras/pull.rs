//! Downward: what other machines changed beside sessions comes to this one.
//!
//! Everything goes through the journal of the pull, so that an undo takes it back, and nothing is written over a file that changed since
//! it was looked at.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::domain::beside::{Beside, ProjectKey, ShelfId};
use crate::domain::path::RelativeName;
use crate::extras::approval::{Proposed, consents_to, proposed};
use crate::extras::base::Base;
use crate::extras::bundles::{OpenShelf, There};
use crate::extras::compare::{Decision, Here, NotCompared, Place, Sides};
use crate::extras::context::{PlaceReport, load_state, places_here};
use crate::extras::merge_context::Looking;
use crate::extras::owners::Places;
use crate::extras::push::{in_step, why};
use crate::extras::state::{Found, State};
use crate::extras::text_file::{Lens, hash};
use crate::report::transfer::{ProseOutcome, ShelfReport};
use crate::session::SessionError;
use crate::session::materialise::Journal;
use crate::session::prose::{Listing, link_on_the_way, memory_directory};
use crate::store::Snapshot;
use crate::store::shelf::Shelf;
use crate::sys::fail_point::fail_point;
use crate::sys::fs::{FileStamp, knows_executables};
use crate::workspace::error::SyncError;
use crate::workspace::message::in_words;
use crate::workspace::open::Work;

/// Writes here what the store has; without a journal it only says what would be.
pub(crate) fn pull(
    work: &Work<'_>,
    journal: Option<&Journal>,
) -> Result<Vec<ShelfReport>, SyncError> {
    let head = work.store.head()?;
    let mut state = load_state(work, head.as_ref());
    let snapshot = work.store.snapshot(head.as_ref())?;
    let places = Places::new(work);
    let (mut here, mut reports) = places_here(work, &places, &mut state)?;
    let shelves = snapshot.shelves()?;
    reports.extend(add_places_to_be(
        work,
        &snapshot,
        shelves.keys(),
        &places,
        &mut here,
        &mut state,
    ));
    let mut pulling = Pulling {
        looking: Looking::new(work, &snapshot),
        journal,
    };
    for place in &here {
        let now = shelves.get(&place.shelf).cloned().unwrap_or_default();
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
    work: &Work<'_>,
    snapshot: &Snapshot<'_>,
    shelves: impl Iterator<Item = &'i ShelfId>,
    places: &Places<'_>,
    here: &mut Vec<Place>,
    state: &mut State,
) -> Vec<ShelfReport> {
    let mut listed = Vec::new();
    if !work.ctx.settings.beside.contains(&Beside::Memory) {
        return listed;
    }
    let known: BTreeSet<ShelfId> = here.iter().map(|place| place.shelf.clone()).collect();
    for id in shelves.filter(|id| !id.is_user() && !known.contains(id)) {
        let shelf = match snapshot.shelf(id) {
            Ok(Some(shelf)) if shelf.files.is_empty() => continue,
            Ok(Some(shelf)) => shelf,
            Ok(None) => continue,
            Err(e) => {
                listed.push(refused(id, in_words(&e)));
                continue;
            }
        };
        match places.directory(id, &shelf, state) {
            Some((name, project)) => {
                let directory = memory_directory(&work.ctx.env.claude_dir, &name);
                state.put_on(&name, id, None);
                let (shelf, listing) = (id.clone(), Listing::default());
                here.push(Place {
                    name,
                    shelf,
                    directory,
                    project: Some(project),
                    listing,
                });
            }
            // The project has a remote by now, and its memory is known by that.
            None if here.iter().any(|place| is_at_path_of(place, &shelf)) => {}
            None => listed.push(without_place(&shelf)),
        }
    }
    listed
}

fn is_at_path_of(place: &Place, shelf: &Shelf) -> bool {
    let path = if let Some(ProjectKey::Path(path)) = &shelf.project {
        Some(path)
    } else {
        None
    };
    path.is_some() && place.project.as_ref().map(|project| &project.path) == path
}

fn without_place(shelf: &Shelf) -> ShelfReport {
    let project = shelf.project.as_ref().map(|key| key.as_str().to_owned());
    let reason = "its project is not on this machine yet".to_owned();
    ShelfReport {
        project,
        listed: Some(reason),
        files: Vec::new(),
    }
}

fn refused(id: &ShelfId, reason: String) -> ShelfReport {
    let file = crate::report::transfer::ProseReport {
        name: id.to_string(),
        outcome: ProseOutcome::Skipped { reason },
        verbatim: 0,
    };
    ShelfReport {
        project: None,
        listed: None,
        files: vec![file],
    }
}

/// After an undo: what was taken back is again what it was before the pull, so that the next one finds it so.
pub(crate) fn undone<'p>(
    work: &Work<'_>,
    taken_back: impl Iterator<Item = &'p Path>,
) -> Result<(), SyncError> {
    let mut state = load_state(work, work.store.head()?.as_ref());
    let claude_dir = &work.ctx.env.claude_dir;
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
                state.step_back(name, &file);
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
    looking: Looking<'w>,
    journal: Option<&'w Journal>,
}

impl Pulling<'_> {
    fn place(
        &mut self,
        place: &Place,
        settled: bool,
        now: &str,
        state: &mut State,
    ) -> Result<Option<ShelfReport>, SyncError> {
        let mut report = match self.looking.begin(place, settled, state)? {
            ControlFlow::Continue(report) => report,
            ControlFlow::Break(report) => return Ok(report),
        };
        let work = self.looking.work;
        let lens = place.lens(work.views.roots());
        for name in names_of(place, self.looking.shelf(place), state) {
            let Some(kind) = place
                .kind(&name)
                .filter(|kind| work.ctx.settings.beside.contains(kind))
            else {
                continue;
            };
            self.file(place, &lens, (&name, kind), &mut report, state)?;
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
        lens: &Lens,
        (name, kind): (&RelativeName, Beside),
        report: &mut PlaceReport<'_>,
        state: &mut State,
    ) -> Result<(), SyncError> {
        if place
            .listing
            .left
            .iter()
            .any(|(path, _)| *path == place.path(name))
        {
            return Ok(());
        }
        let shelf = self.looking.shelf(place);
        let sides = match Sides::look(place, lens, shelf, name, state) {
            Ok(sides) => sides,
            // A push says so.
            Err(NotCompared::Left(_))
                if matches!(shelf.file(name), Ok(There::Absent | There::Removed)) =>
            {
                return Ok(());
            }
            Err(not) => {
                report.say(name.as_str(), why(not));
                return Ok(());
            }
        };
        let outcome = match sides.decide(lens, kind, place.listing.is_there) {
            Decision::Nothing | Decision::Ours => None,
            Decision::Gone if kind.is_cleared_up() => {
                state.forget(&place.name, name);
                None
            }
            Decision::Gone => {
                state.record(&place.name, name, None, None)?;
                None
            }
            Decision::InStep => {
                state.record(
                    &place.name,
                    name,
                    sides.stamp,
                    in_step(&sides, lens).as_ref(),
                )?;
                None
            }
            Decision::Theirs | Decision::Both => {
                Some(self.bring(place, lens, (name, kind), &sides, state)?)
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
        lens: &Lens,
        (name, kind): (&RelativeName, Beside),
        sides: &Sides,
        state: &mut State,
    ) -> Result<ProseOutcome, SyncError> {
        if let Some(reason) = refuse_link(place, name) {
            return Ok(ProseOutcome::Skipped { reason });
        }
        let found = if kind.can_run_code() {
            match proposed(lens, name, sides) {
                // A yes to a content is none to the loss of what this machine has written since.
                Ok(change)
                    if state.is_accepted(&change.consent) && !change.replaces_changes(sides) =>
                {
                    change
                }
                Ok(_) => {
                    return Ok(ProseOutcome::Waits {
                        from: self.from(sides)?,
                    });
                }
                Err(reason) => return Ok(ProseOutcome::Skipped { reason }),
            }
        } else {
            match self.merged(lens, sides)? {
                Ok(change) => change,
                Err(reason) => return Ok(ProseOutcome::Skipped { reason }),
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
            Err(e) => Ok(ProseOutcome::Skipped {
                reason: format!("{}; pull again", in_words(&e)),
            }),
        }
    }

    /// What the file becomes here.
    fn merged(
        &mut self,
        lens: &Lens,
        sides: &Sides,
    ) -> Result<Result<Proposed, String>, SyncError> {
        let There::Is { doc, by } = &sides.there else {
            return Ok(Ok(Proposed::removal()));
        };
        let theirs = match lens.expand(doc) {
            Ok(local) => Base {
                doc: doc.clone(),
                local,
                executable: false,
                is_reading: true,
            },
            Err(e) => return Ok(Err(in_words(&e))),
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
                ProseOutcome::Brought,
            )));
        };
        let together = self.looking.together(lens, sides, &ours, (doc, by))?;
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
    let link = link_on_the_way(&place.directory, name);
    let link = link.filter(|link| !place.shelf.is_user() || *link != place.directory)?;
    Some(format!(
        "`{}` is a link, and links are not followed",
        link.display()
    ))
}

/// Every name that the store, this machine or its memory of either has.
fn names_of(place: &Place, shelf: &OpenShelf<'_>, state: &State) -> BTreeSet<RelativeName> {
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
        .chain(shelf.shelf.files.keys())
        .cloned()
        .collect()
}

/// Makes a file here what it is to become, and remembers as what.
pub(crate) fn carry_out(
    journal: &Journal,
    place: &Place,
    name: &RelativeName,
    expected: Option<FileStamp>,
    change: &Proposed,
    state: &mut State,
) -> Result<(), SyncError> {
    let path = place.path(name);
    let Some((theirs, local)) = &change.becomes else {
        if let Some(expected) = expected {
            journal.remove(&path, &expected)?;
            fail_point("a file beside sessions is removed");
        }
        return Ok(state.record(&place.name, name, None, None)?);
    };
    let executable = change.executable;
    let is_executable_so = place.executable(name).is_none_or(|now| now == executable);
    let is_there = expected.is_some()
        && is_executable_so
        && crate::sys::fs::read(&path).is_ok_and(|text| text == local.as_bytes());
    let stamp = if is_there {
        expected
    } else {
        Some(journal.write_text(&path, expected.as_ref(), local, executable)?)
    };
    fail_point("a file beside sessions is written");
    state.record(&place.name, name, stamp, Some(theirs))?;
    let executable = executable && knows_executables();
    state.note(
        &place.name,
        name,
        Found {
            stamp,
            hash: Some(hash(local)),
            executable,
            left: None,
        },
    );
    Ok(())
}
