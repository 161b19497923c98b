//! What a person learns of the machines of the source: who wrote what, and which placeholders are lacking here.

use std::path::Path;

use crate::domain::placeholder::{Placeholder, PlaceholderName, Placeholders};
use crate::import::jobs::Job;
use crate::import::origin::Origin;
use crate::import::types::{ImportedMachine, Proposal};
use crate::rewrite::{collapse_path, expand_path};
use crate::store::machine::Machine;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// Every machine that the source names, with how many sessions were stored as written by it.
pub(crate) fn machines(origins: &[Origin], jobs: &[Job]) -> Vec<ImportedMachine> {
    let wrote = |at: usize| {
        jobs.iter()
            .filter(|job| job.writers.iter().any(|(origin, _)| *origin == at))
            .count()
    };
    let machine = |(at, origin): (usize, &Origin)| ImportedMachine {
        name: origin.name.clone(),
        this: origin.this,
        sessions: wrote(at) as u64,
        placeholders: origin.paths.clone(),
    };
    origins.iter().enumerate().map(machine).collect()
}

/// Placeholders of the source that this machine, or one of the same name in the store, has no directory for.
pub(crate) fn proposals(
    workspace: &Workspace<'_>,
    origins: &[Origin],
) -> Result<Vec<Proposal>, SyncError> {
    let mine = &workspace.ctx.settings.placeholders;
    let machines = workspace.store.head_snapshot()?.machines()?;
    let mut proposals: Vec<Proposal> = Vec::new();
    for origin in origins {
        let namesake = |machine: &&Machine| {
            machine.id != workspace.machine.id && machine.name.eq_ignore_ascii_case(&origin.name)
        };
        for root in &origin.machine.placeholders.placeholders {
            let name = root.name.as_str();
            let proposal = |machine, path| Proposal {
                placeholder: name.to_owned(),
                machine,
                path,
            };
            if let Some(other) = machines
                .iter()
                .find(namesake)
                .filter(|other| other.placeholders.get(name).is_none())
            {
                proposals.push(proposal(
                    Some(other.name.clone()),
                    Some(root.directory.clone()),
                ));
            }
            if mine.get(name).is_none() {
                let path = if origin.this {
                    Some(root.directory.clone())
                } else {
                    below_my_home(origin, root, mine)
                };
                proposals.push(proposal(None, path));
            }
        }
    }
    proposals.sort_by(|a, b| {
        (&a.machine, &a.placeholder, b.path.is_some()).cmp(&(
            &b.machine,
            &b.placeholder,
            a.path.is_some(),
        ))
    });
    proposals.dedup_by(|a, b| (&a.machine, &a.placeholder) == (&b.machine, &b.placeholder));
    Ok(proposals)
}

/// Where a directory that another machine has below its home would be below this one's, if it is there.
fn below_my_home(origin: &Origin, root: &Placeholder, mine: &Placeholders) -> Option<String> {
    let there = &origin.machine.placeholders;
    let home = there.get(PlaceholderName::home().as_str())?.clone();
    let portable = collapse_path(&Placeholders::new(there.system, [home]), &root.directory);
    let path = expand_path(&portable, mine)?;
    (portable.as_str().starts_with("{{HOME}}/") && Path::new(&path).is_dir()).then_some(path)
}
