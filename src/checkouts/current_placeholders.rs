//! Placeholders that a machine was given after it had stored sessions below their directories.
//!
//! What is stored keeps its text, and the roots it was stored with: whether a file is the stored one must not depend on what another machine
//! says of itself today. But where a session belongs is decided when it comes to a machine, and what the model is told when it goes on. For
//! both, the present roots of the machine where it began count, if they are those of then and more.

use std::collections::HashMap;

use crate::checkouts::locate::is_below_repo;
use crate::domain::id::MachineId;
use crate::domain::path::PortablePath;
use crate::domain::placeholder::{Placeholder, Placeholders};
use crate::rewrite::{collapse_path, expand_path};
use crate::store::machine::Machine;
use crate::store::manifest::Manifest;

/// The present roots of machines.
#[derive(Debug, Default)]
pub(crate) struct CurrentPlaceholders(HashMap<MachineId, Placeholders>);

impl CurrentPlaceholders {
    /// Of `machines`, of several of one id the last; of `me`, this machine, as its settings are.
    pub(crate) fn of(machines: &[Machine], me: &Machine) -> Self {
        let all = machines.iter().chain([me]);
        Self(
            all.map(|machine| (machine.id.clone(), machine.placeholders.clone()))
                .collect(),
        )
    }

    /// The present roots of a machine that wrote with the roots `then`, if they have become more and no other.
    fn more_than(&self, machine: &MachineId, then: &Placeholders) -> Option<&Placeholders> {
        let (now, then) = (self.0.get(machine)?, then.without_repo());
        let is_more = now.system == then.system
            && now.repo().is_none()
            && now.placeholders.len() > then.placeholders.len()
            && then
                .placeholders
                .iter()
                .all(|root| now.get(root.name.as_str()) == Some(root));
        is_more.then_some(now)
    }

    /// The project by what the machine where the session began has for placeholders today, where the machine with the roots `here` has
    /// them too. `None`: as it is stored.
    pub(crate) fn project(&self, manifest: &Manifest, here: &Placeholders) -> Option<PortablePath> {
        let project = manifest
            .project
            .as_ref()
            .filter(|_| !is_below_repo(manifest))?;
        let run = manifest.transcript.runs.first()?;
        let then = manifest.placeholders.get(&run.placeholders)?;
        let now = self.more_than(&run.machine, then)?;
        let today = collapse_path(now, &expand_path(project, then)?);
        (today != *project && expand_path(&today, here).is_some()).then_some(today)
    }

    /// The roots that machines which wrote the session were given since.
    pub(crate) fn placeholders<'s>(
        &'s self,
        manifest: &'s Manifest,
    ) -> impl Iterator<Item = &'s Placeholder> {
        manifest.transcript.runs.iter().flat_map(|run| {
            let then = manifest.placeholders.get(&run.placeholders);
            let now = then.and_then(|then| self.more_than(&run.machine, then));
            let is_new = move |root: &&Placeholder| {
                then.is_some_and(|then| then.get(root.name.as_str()).is_none())
            };
            now.into_iter()
                .flat_map(|now| &now.placeholders)
                .filter(is_new)
        })
    }
}
