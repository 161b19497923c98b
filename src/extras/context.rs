//! Opens what every command on extras needs: the record of this machine's files, the
//! directories of their owners, and the names of machines.

use std::collections::BTreeSet;

use crate::domain::extras::{BundleId, ExtraKind, ProjectKey};
use crate::domain::id::{CommitId, MachineId};
use crate::domain::pattern::ProjectPattern;
use crate::extras::{
    owner::ExtrasOwner, project_finder::ProjectFinder, state::ExtrasState, versions::skipped,
};
use crate::report::{transfer::BundleReport, transfer::ExtraOutcome, transfer::ExtraReport};
use crate::session::{
    extras::DirectoryMark, extras::ExtrasListing, extras::NOT_PLAIN,
    extras::directories_with_memory, extras::linked_memories, extras::list_memory,
    extras::list_user_files, extras::memory_directory, files::projects_dir,
};
use crate::store::{Snapshot, bundle::ExtrasBundle};
use crate::workspace::{
    error::SyncError, extras_filter::MemoryProject, lookup::MachineNames, open::Workspace,
    read_only::machine_names,
};

pub(crate) struct ExtrasContext<'w> {
    pub(crate) workspace: &'w Workspace<'w>,
    pub(crate) head: Option<CommitId>,
    pub(crate) state: ExtrasState,
    /// The directories on this machine whose files travel.
    pub(crate) owners: Vec<ExtrasOwner>,
    /// Directories and bundles that are not handled, with the reason.
    pub(crate) reports: Vec<BundleReport>,
    /// Bundles that the settings exclude or the user did not select.
    excluded_bundles: BTreeSet<BundleId>,
    selection: &'w [ProjectPattern],
    finder: ProjectFinder<'w>,
}

impl<'w> ExtrasContext<'w> {
    /// Scans the directories of this machine.
    pub(crate) fn open(workspace: &'w Workspace<'w>) -> Result<Self, SyncError> {
        Self::open_selected(workspace, &[])
    }

    /// Scans the memory of the selected projects; without a selection, all directories.
    pub(crate) fn open_selected(
        workspace: &'w Workspace<'w>,
        selection: &'w [ProjectPattern],
    ) -> Result<Self, SyncError> {
        let head = workspace.store.head()?;
        let env = workspace.ctx.env;
        let mut context = Self {
            workspace,
            state: load_state(workspace, head.as_ref()),
            head,
            owners: Vec::new(),
            reports: Vec::new(),
            excluded_bundles: BTreeSet::new(),
            selection,
            finder: ProjectFinder::new(env, &workspace.localizer, &workspace.store),
        };
        let kinds = &workspace.ctx.settings.extras;
        if kinds.contains(&ExtraKind::Memory) {
            context.add_memories()?;
        }
        if selection.is_empty() && !kinds.is_empty() {
            let mut listing = list_user_files(&env.claude_dir, kinds);
            // If the sessions were lost, the files were not removed on purpose.
            let projects = DirectoryMark::read(&projects_dir(&env.claude_dir));
            listing.exists &= projects.is_some();
            context.state.set_projects_mark(projects);
            context.add_owner(ExtrasOwner {
                name: String::new(),
                bundle: BundleId::user(),
                directory: env.claude_dir.clone(),
                project: None,
                listing,
            });
        }
        Ok(context)
    }

    fn add_memories(&mut self) -> Result<(), SyncError> {
        let claude_dir = &self.workspace.ctx.env.claude_dir;
        if self.selection.is_empty() {
            for path in linked_memories(claude_dir)? {
                let reason = NOT_PLAIN.to_owned();
                let name = path.display().to_string();
                let file = ExtraReport::new(name, ExtraOutcome::Excluded { reason });
                self.reports.push(BundleReport::single(None, file));
            }
        }
        for name in directories_with_memory(claude_dir)? {
            let directory = memory_directory(claude_dir, &name);
            let listing = list_memory(&directory);
            if let Some(project) = self.finder.project(&name, &mut self.state) {
                self.add_memory(ExtrasOwner {
                    name,
                    bundle: BundleId::from_project(&project.key),
                    directory,
                    project: Some(project),
                    listing,
                });
            } else if !listing.files.is_empty() && self.selection.is_empty() {
                let reason = "no session here says which project it belongs to".to_owned();
                let name = directory.display().to_string();
                let file = ExtraReport::new(name, ExtraOutcome::Excluded { reason });
                self.reports.push(BundleReport::single(None, file));
            }
        }
        Ok(())
    }

    /// Adds the memory of a project, unless it is not selected or the settings exclude it.
    fn add_memory(&mut self, owner: ExtrasOwner) {
        let Some(project) = &owner.project else {
            return self.add_owner(owner);
        };
        let filter = self.workspace.filter();
        let named = MemoryProject {
            name: &owner.name,
            checkout: &project.checkout,
            path: &project.path,
            remote: match &project.key {
                ProjectKey::Identity(identity) => Some(identity.as_str()),
                ProjectKey::Path(_) => None,
            },
            is_unchanged: owner.is_unchanged(&self.state),
        };
        if !filter.selected_memory(self.selection)(&named) {
            self.excluded_bundles.insert(owner.bundle);
        } else if let Some(reason) = filter.memory_exclude_reason(&named) {
            let name = owner.directory.display().to_string();
            let reason = reason.to_string();
            let file = ExtraReport::new(name, ExtraOutcome::Excluded { reason });
            let project = Some(project.key.as_str().to_owned());
            self.reports.push(BundleReport::single(project, file));
            self.excluded_bundles.insert(owner.bundle);
        } else {
            self.add_owner(owner);
        }
    }

    fn add_owner(&mut self, owner: ExtrasOwner) {
        self.state
            .assign_bundle(&owner.name, &owner.bundle, owner.listing.mark);
        self.owners.push(owner);
    }

    /// Adds an owner for each of the `bundles` of `snapshot` with a memory that has no
    /// directory here, if its project is on this machine. Reports the others.
    pub(crate) fn add_missing_owners<'i>(
        &mut self,
        snapshot: &Snapshot<'_>,
        bundles: impl Iterator<Item = &'i BundleId>,
    ) {
        let settings = &self.workspace.ctx.settings;
        if !settings.extras.contains(&ExtraKind::Memory) {
            return;
        }
        let owned = self.owners.iter().map(|owner| &owner.bundle);
        let known: BTreeSet<BundleId> = owned.chain(&self.excluded_bundles).cloned().collect();
        for id in bundles.filter(|id| !id.is_user() && !known.contains(id)) {
            match snapshot.bundle(id) {
                // Earlier programs named bundles after the address in its own case, or the path
                // in its own spelling.
                Ok(Some(bundle)) if self.has_project(bundle.project.as_ref()) => {}
                Ok(Some(bundle)) if !bundle.files.is_empty() => self.add_missing_owner(id, &bundle),
                Ok(_) => {}
                Err(e) => {
                    let file = ExtraReport::new(id.to_string(), skipped(&e));
                    self.reports.push(BundleReport::single(None, file));
                }
            }
        }
    }

    /// Returns true if the memory of the project is here, under the present name of its bundle.
    fn has_project(&self, project: Option<&ProjectKey>) -> bool {
        let mut owned = self
            .owners
            .iter()
            .filter_map(|owner| owner.project.as_ref());
        project.is_some_and(|project| owned.any(|owned| owned.key == *project))
    }

    fn add_missing_owner(&mut self, id: &BundleId, bundle: &ExtrasBundle) {
        if let Some(project) = self.finder.project_of(id, bundle, &mut self.state) {
            let name = project.directory_name();
            self.add_memory(ExtrasOwner {
                bundle: BundleId::from_project(&project.key),
                directory: memory_directory(&self.workspace.ctx.env.claude_dir, &name),
                name,
                project: Some(project),
                listing: ExtrasListing::default(),
            });
        } else if !self.owners.iter().any(|owner| is_at_path(owner, bundle)) {
            self.reports.push(BundleReport {
                project: bundle.project.as_ref().map(|key| key.as_str().to_owned()),
                not_pulled: Some("no copy of that project here".to_owned()),
                files: Vec::new(),
            });
        }
    }
}

/// Returns true if the bundle is from a time when the owner's project had no git remote.
fn is_at_path(owner: &ExtrasOwner, bundle: &ExtrasBundle) -> bool {
    let Some(ProjectKey::Path(path)) = &bundle.project else {
        return false;
    };
    owner.project.as_ref().map(|project| &project.path) == Some(path)
}

/// Reads this machine's record, with `head` as the newest commit here.
pub(crate) fn load_state(workspace: &Workspace<'_>, head: Option<&CommitId>) -> ExtrasState {
    let env = workspace.ctx.env;
    let settings = format!(
        "{} {}",
        workspace.ctx.settings.machine.id,
        env.claude_dir.display()
    );
    let mut state = ExtrasState::load(&env.dirs.state, &settings);
    state.set_head(head, |commit| workspace.store.has_commit(commit));
    state
}

/// The report on the files of one owner.
pub(crate) struct OwnerReport<'o> {
    pub(crate) owner: &'o ExtrasOwner,
    pub(crate) files: Vec<ExtraReport>,
    /// A file could not be handled or needs approval, so the next command must look again.
    pub(crate) is_unsettled: bool,
}

impl<'o> OwnerReport<'o> {
    /// Begins with the files that never travel.
    pub(crate) fn new(owner: &'o ExtrasOwner) -> Self {
        let excluded = owner.listing.skipped.iter().map(|(path, reason)| {
            let reason = reason.clone();
            ExtraReport::new(
                path.display().to_string(),
                ExtraOutcome::Excluded { reason },
            )
        });
        Self {
            owner,
            files: excluded.collect(),
            is_unsettled: false,
        }
    }

    pub(crate) fn add(&mut self, name: &str, outcome: ExtraOutcome) {
        self.is_unsettled |= matches!(
            outcome,
            ExtraOutcome::Skipped { .. } | ExtraOutcome::NeedsApproval { .. }
        );
        self.files.push(ExtraReport::new(name, outcome));
    }

    /// Adds the files that did not travel at the last scan.
    pub(crate) fn add_left(&mut self, state: &ExtrasState) {
        for (name, file) in state.files(&self.owner.name) {
            if let Some(reason) = file.exclude_reason.clone() {
                self.add(name.as_str(), ExtraOutcome::Excluded { reason });
            }
        }
    }

    pub(crate) fn finish(self) -> Option<BundleReport> {
        let project = self.owner.project.as_ref();
        (!self.files.is_empty()).then_some(BundleReport {
            project: project.map(|project| project.key.as_str().to_owned()),
            not_pulled: None,
            files: self.files,
        })
    }
}

/// Names of machines in merged texts and reports.
pub(crate) struct MachineLabels(MachineNames);

impl MachineLabels {
    pub(crate) fn read(
        workspace: &Workspace<'_>,
        snapshot: &Snapshot<'_>,
    ) -> Result<Self, SyncError> {
        let mut names = machine_names(workspace.ctx, Some(snapshot))?;
        names.insert(workspace.machine.id.clone(), workspace.machine.name.clone());
        Ok(Self(names))
    }

    pub(crate) fn one(&self, id: &MachineId) -> String {
        let name = self.0.get(id).cloned();
        name.unwrap_or_else(|| id.short().to_owned())
    }

    /// Names the machine that made a proposal, if the store says which.
    pub(crate) fn proposer(&self, id: Option<&MachineId>) -> String {
        id.map_or_else(|| "another machine".to_owned(), |id| self.one(id))
    }

    /// Returns two names that differ, and that do not depend on the order of `a` and `b`.
    pub(crate) fn two(&self, a: &MachineId, b: &MachineId) -> (String, String) {
        let (name_a, name_b) = (self.one(a), self.one(b));
        if name_a != name_b {
            return (name_a, name_b);
        }
        (
            format!("{name_a} {}", a.short()),
            format!("{name_b} {}", b.short()),
        )
    }
}
