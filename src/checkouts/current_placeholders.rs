//! Placeholders that a machine got after it had stored sessions below their directories.
//!
//! Stored text keeps the placeholders it was stored with: whether a file equals the
//! stored one must not depend on what another machine reports today. But the location of
//! a session, and the path notice, follow the current placeholders of the machine where
//! the session began, if these only add to the earlier ones.

use std::collections::HashMap;

use crate::checkouts::locate::is_below_repo;
use crate::domain::{MachineId, Placeholder, Placeholders, PortablePath};
use crate::rewrite::{collapse_path, expand_path};
use crate::store::{machine::Machine, manifest::Manifest};

/// The current placeholders of machines.
#[derive(Debug, Default)]
pub(crate) struct CurrentPlaceholders(HashMap<MachineId, Placeholders>);

impl CurrentPlaceholders {
    /// Takes the placeholders of `machines`, the last one of each id, and of this
    /// machine, `me`.
    pub(crate) fn new(machines: &[Machine], me: &Machine) -> Self {
        let all = machines.iter().chain([me]);
        Self(
            all.map(|machine| (machine.id.clone(), machine.placeholders.clone()))
                .collect(),
        )
    }

    /// Returns the current placeholders of a machine that wrote with those of `then`, if
    /// it only added some since.
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

    /// Returns the project under the current placeholders of the machine where the
    /// session began, if this machine has them too. `None`: as stored.
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

    /// Returns the placeholders that writers of the session got since.
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
