//! Reports the machines of the source, and the placeholders that are missing in this store.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::{Placeholder, PlaceholderName, Placeholders};
use crate::import::{jobs::ImportJob, source_machine::SourceMachine};
use crate::report::{import::ImportedMachine, import::SuggestedPlaceholder};
use crate::rewrite::{collapse_path, expand_path};
use crate::store::machine::Machine;
use crate::workspace::{SyncError, Workspace};

/// Lists all machines with the number of sessions that were stored as written by them.
pub(crate) fn list_machines(
    machines: &[SourceMachine],
    jobs: &[ImportJob],
) -> Vec<ImportedMachine> {
    let mut list = Vec::new();
    for (at, machine) in machines.iter().enumerate() {
        let has_written = |job: &&ImportJob| job.stretches.iter().any(|s| s.machine == at);
        list.push(ImportedMachine {
            name: machine.name.clone(),
            this: machine.is_this,
            sessions: jobs.iter().filter(has_written).count() as u64,
            placeholders: machine.paths.clone(),
        });
    }
    list
}

/// Lists the placeholders of the source for which this machine, or the machine of the same name
/// in the store, has no directory.
pub(crate) fn propose_placeholders(
    workspace: &Workspace<'_>,
    machines: &[SourceMachine],
) -> Result<Vec<SuggestedPlaceholder>, SyncError> {
    let mine = &workspace.ctx.settings.placeholders;
    let stored = workspace.store.head_snapshot()?.machines()?;
    // By machine and placeholder.
    let mut paths: BTreeMap<(Option<String>, String), Option<String>> = BTreeMap::new();
    for machine in machines {
        let is_namesake = |other: &&Machine| {
            other.id != workspace.machine.id && other.name.eq_ignore_ascii_case(&machine.name)
        };
        let namesake = stored.iter().find(is_namesake);
        for placeholder in &machine.machine.placeholders.placeholders {
            let name = placeholder.name.as_str();
            let path = Some(placeholder.directory.clone());
            if let Some(other) = namesake.filter(|other| other.placeholders.get(name).is_none()) {
                let key = (Some(other.name.clone()), name.to_owned());
                paths.entry(key).or_insert(path.clone());
            }
            if mine.get(name).is_none() {
                let path = if machine.is_this {
                    path
                } else {
                    below_my_home(machine, placeholder, mine)
                };
                let known = paths.entry((None, name.to_owned())).or_default();
                *known = known.take().or(path);
            }
        }
    }
    let suggested_placeholders = paths.into_iter();
    Ok(suggested_placeholders
        .map(|((machine, placeholder), directory)| SuggestedPlaceholder {
            placeholder,
            machine,
            directory,
        })
        .collect())
}

/// Returns the directory of this machine that corresponds to one below the home directory of
/// another machine, if it exists.
fn below_my_home(
    machine: &SourceMachine,
    placeholder: &Placeholder,
    mine: &Placeholders,
) -> Option<String> {
    let theirs = &machine.machine.placeholders;
    let home = theirs.get(PlaceholderName::home().as_str())?.clone();
    let portable = collapse_path(
        &Placeholders::new(theirs.system, [home]),
        &placeholder.directory,
    );
    let path = expand_path(&portable, mine)?;
    (portable.as_str().starts_with("{{HOME}}/") && Path::new(&path).is_dir()).then_some(path)
}
