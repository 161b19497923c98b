//! Prose and settings that travel beside sessions: the memory of projects, the user's `CLAUDE.md`, and by choice what the client obeys.
//!
//! Owns how they are compared, merged and written. A file that cannot be handled is named, and the others go on; nothing here keeps a
//! session from travelling. Must not print or ask: what needs a yes is said, and applied by [`apply`].
//!
//! * `foreign`: what another program has stored
//! * `compare`: who changed a file; `state`, `base`: what this machine knows of its past
//! * `push`, `pull`: the two directions; `looking`: what both do; `restore`: an earlier state; `stored`: two histories of a shelf
//! * `consent`: what can run programs; `secret`: what keeps settings here; `survey`: whether what the store has can be read
//! * `text`: portable lines; `merge`: two versions of them; `shelves`: the store's side; `places`: which directory is whose

use std::path::Path;

use crate::domain::extras::{BundleId, ExtraKind};
use crate::domain::id::{CommitId, MachineId};
use crate::extras::compare::Place;
use crate::extras::owners::Places;
use crate::extras::state::State;
use crate::report::transfer::{BundleReport, ExtraOutcome, ExtraReport};
use crate::session::extras::{
    directories_with_memory, list_memory, list_user_files, memory_directory,
};
use crate::store::Snapshot;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::read_only::{MachineNames, machine_names};

/// What this machine remembers, with `head` as the newest commit here.
pub(crate) fn load_state(workspace: &Workspace<'_>, head: Option<&CommitId>) -> State {
    let env = workspace.ctx.env;
    let settings = format!(
        "{} {}",
        workspace.ctx.settings.machine.id,
        env.claude_dir.display()
    );
    let mut state = State::load(&env.dirs.state, &settings);
    state.set_head(head, |commit| workspace.store.has_commit(commit));
    state
}

/// The directories here whose files travel; those of which nothing says whose they are, with that as the reason.
pub(crate) fn places_here(
    workspace: &Workspace<'_>,
    places: &Places<'_>,
    state: &mut State,
) -> Result<(Vec<Place>, Vec<BundleReport>), SyncError> {
    let claude_dir = &workspace.ctx.env.claude_dir;
    let kinds = &workspace.ctx.settings.extras;
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    if kinds.contains(&ExtraKind::Memory) {
        for name in directories_with_memory(claude_dir)? {
            let directory = memory_directory(claude_dir, &name);
            let listing = list_memory(&directory);
            match places.project(&name, state) {
                Some(project) => {
                    let bundle = BundleId::of_project(&project.key);
                    found.push(Place {
                        name,
                        bundle,
                        directory,
                        project: Some(project),
                        listing,
                    });
                }
                None if listing.files.is_empty() => {}
                None => unknown.push(left(
                    &directory,
                    "no session here says which project it belongs to",
                )),
            }
        }
    }
    if kinds.iter().any(|kind| *kind != ExtraKind::Memory) {
        let listing = list_user_files(claude_dir, kinds);
        let directory = claude_dir.clone();
        found.push(Place {
            name: String::new(),
            bundle: BundleId::user(),
            directory,
            project: None,
            listing,
        });
    }
    for place in &found {
        state.assign_bundle(&place.name, &place.bundle, place.listing.mark);
    }
    Ok((found, unknown))
}

pub(crate) fn left(path: &Path, reason: &str) -> BundleReport {
    let outcome = ExtraOutcome::Left {
        reason: reason.to_owned(),
    };
    let file = ExtraReport {
        name: path.display().to_string(),
        outcome,
        verbatim: 0,
    };
    BundleReport {
        project: None,
        listed: None,
        files: vec![file],
    }
}

/// What is said of the files of one place.
pub(crate) struct PlaceReport<'p> {
    pub(crate) place: &'p Place,
    pub(crate) files: Vec<ExtraReport>,
    /// A file could not be handled, or waits for a yes: the next command looks again.
    pub(crate) is_open: bool,
}

impl<'p> PlaceReport<'p> {
    /// Begins with what is never taken.
    pub(crate) fn new(place: &'p Place) -> Self {
        let mut report = Self {
            place,
            files: Vec::new(),
            is_open: false,
        };
        for (path, reason) in &place.listing.skipped {
            report.say(
                &path.display().to_string(),
                ExtraOutcome::Left {
                    reason: reason.clone(),
                },
            );
        }
        report
    }

    pub(crate) fn say(&mut self, name: &str, outcome: ExtraOutcome) {
        self.is_open |= matches!(
            outcome,
            ExtraOutcome::Skipped { .. } | ExtraOutcome::Waits { .. }
        );
        self.files.push(ExtraReport {
            name: name.to_owned(),
            outcome,
            verbatim: 0,
        });
    }

    /// What is left here by what was noted of it.
    pub(crate) fn say_what_was_left(&mut self, state: &State) {
        let known = state
            .directories
            .get(&self.place.name)
            .into_iter()
            .flat_map(|known| &known.files);
        for (name, reason) in known.filter_map(|(name, file)| Some((name, file.left.clone()?))) {
            self.say(name.as_str(), ExtraOutcome::Left { reason });
        }
    }

    pub(crate) fn finish(self) -> Option<BundleReport> {
        let project = self
            .place
            .project
            .as_ref()
            .map(|project| project.key.as_str().to_owned());
        (!self.files.is_empty()).then_some(BundleReport {
            project,
            listed: None,
            files: self.files,
        })
    }
}

/// Names of machines for people, by id.
pub(crate) struct Names(MachineNames);

impl Names {
    pub(crate) fn of(
        workspace: &Workspace<'_>,
        snapshot: &Snapshot<'_>,
    ) -> Result<Self, SyncError> {
        let mut names = machine_names(workspace.ctx, Some(snapshot))?;
        names.insert(workspace.machine.id.clone(), workspace.machine.name.clone());
        Ok(Self(names))
    }

    pub(crate) fn one(&self, id: &MachineId) -> String {
        self.0
            .get(id)
            .cloned()
            .unwrap_or_else(|| id.as_str()[..8].to_owned())
    }

    /// Two names that differ, whichever comes first.
    pub(crate) fn two(&self, a: &MachineId, b: &MachineId) -> (String, String) {
        let (name_a, name_b) = (self.one(a), self.one(b));
        if name_a != name_b {
            return (name_a, name_b);
        }
        (
            format!("{name_a} {}", &a.as_str()[..8]),
            format!("{name_b} {}", &b.as_str()[..8]),
        )
    }
}
