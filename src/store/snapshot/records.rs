//! Machines, proposed paths, notes and milestones.

use super::open::Snapshot;
use crate::domain::MachineId;
use crate::store::error::StoreError;
use crate::store::format::json::{MAX_MANIFEST_BYTES, ManifestError, parse_versioned};
use crate::store::format::machine::{Machine, ProposedPaths};
use crate::store::format::milestone::{self, Milestone, MilestoneName};
use crate::store::format::note::{self, Note, NoteId};
use crate::store::layout;

impl Snapshot<'_> {
    /// Returns all machines whose files are valid.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn machines(&self) -> Result<Vec<Machine>, StoreError> {
        let files = self.read_machines(".json", layout::machine)?;
        Ok(files.into_iter().flatten().collect())
    }

    /// Returns the errors of the machines whose files are invalid.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn unreadable_machines(&self) -> Result<Vec<StoreError>, StoreError> {
        let files = self.read_machines(".json", layout::machine)?;
        Ok(files.into_iter().filter_map(Result::err).collect())
    }

    /// Returns all forgotten machines whose files are valid.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn forgotten_machines(&self) -> Result<Vec<Machine>, StoreError> {
        let files = self.read_machines(layout::FORGOTTEN_SUFFIX, layout::forgotten)?;
        Ok(files.into_iter().flatten().collect())
    }

    /// Reads the machines' files with this suffix. The inner errors are [`StoreError::Malformed`].
    fn read_machines(
        &self,
        suffix: &str,
        path_of: fn(&MachineId) -> String,
    ) -> Result<Vec<Result<Machine, StoreError>>, StoreError> {
        let mut files = Vec::new();
        for stem in self.stems_in(layout::MACHINES, suffix)? {
            let Ok(id) = stem.parse() else { continue };
            match self.machine_at(&path_of(&id), &id) {
                Ok(machine) => files.extend(machine.map(Ok)),
                Err(e @ StoreError::Malformed { .. }) => files.push(Err(e)),
                Err(e) => return Err(e),
            }
        }
        Ok(files)
    }

    /// Returns one machine, if the store has it.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn machine(&self, id: &MachineId) -> Result<Option<Machine>, StoreError> {
        self.machine_at(&layout::machine(id), id)
    }

    /// Returns the file of a machine; `None` if it is missing or damaged.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] if a newer ccsync wrote it, [`StoreError::Git`].
    pub fn readable_machine(&self, id: &MachineId) -> Result<Option<Machine>, StoreError> {
        match self.machine(id) {
            Err(StoreError::Malformed { source, .. })
                if !matches!(source, ManifestError::Newer(_)) =>
            {
                Ok(None)
            }
            machine => machine,
        }
    }

    /// Returns one forgotten machine, if the store has it.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn forgotten_machine(&self, id: &MachineId) -> Result<Option<Machine>, StoreError> {
        self.machine_at(&layout::forgotten(id), id)
    }

    fn machine_at(&self, path: &str, id: &MachineId) -> Result<Option<Machine>, StoreError> {
        self.parse_file(path, MAX_MANIFEST_BYTES, |json| Machine::parse(id, json))
    }

    /// Returns the paths that other machines propose to a machine.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn proposed_paths(&self, id: &MachineId) -> Result<Option<ProposedPaths>, StoreError> {
        let parse = |path: String| self.parse_file(&path, MAX_MANIFEST_BYTES, parse_versioned);
        let proposed: Option<ProposedPaths> = parse(layout::proposed_paths(id))?;
        let former: Option<ProposedPaths> = parse(layout::former_proposed_paths(id))?;
        Ok(match (proposed, former) {
            (Some(mut proposed), Some(mut former)) => {
                former.placeholders.append(&mut proposed.placeholders);
                proposed.placeholders = former.placeholders;
                former.from.append(&mut proposed.from);
                proposed.from = former.from;
                Some(proposed)
            }
            (proposed, former) => proposed.or(former),
        })
    }

    /// Returns the ids of all notes, the oldest first. Other files are ignored.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn note_ids(&self) -> Result<Vec<NoteId>, StoreError> {
        let stems = self.stems_in(layout::NOTES, ".json")?;
        Ok(stems.iter().filter_map(|stem| stem.parse().ok()).collect())
    }

    /// Returns a text that is equal for two commits if and only if their notes are equal.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn notes_state(&self) -> Result<Option<String>, StoreError> {
        Ok(self.directory(layout::NOTES)?.map(|oid| oid.to_string()))
    }

    /// Returns a note, if the store has it.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn note(&self, id: &NoteId) -> Result<Option<Note>, StoreError> {
        let parse = |json: &[u8]| Note::parse(id, json);
        self.parse_file(&layout::note(id), note::MAX_FILE_BYTES, parse)
    }

    /// Returns the names of all milestones, in lower case. Other files are ignored.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn milestone_names(&self) -> Result<Vec<MilestoneName>, StoreError> {
        let stems = self.stems_in(layout::MILESTONES, ".json")?;
        Ok(stems.iter().filter_map(|stem| stem.parse().ok()).collect())
    }

    /// Returns a milestone, if the store has it.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn milestone(&self, name: &MilestoneName) -> Result<Option<Milestone>, StoreError> {
        let parse = |json: &[u8]| Milestone::parse(&name.file_stem(), json);
        self.parse_file(&layout::milestone(name), milestone::MAX_FILE_BYTES, parse)
    }

    /// Returns all milestones whose files are valid, by name.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn milestones(&self) -> Result<Vec<Milestone>, StoreError> {
        let mut milestones = Vec::new();
        for name in self.milestone_names()? {
            match self.milestone(&name) {
                Err(StoreError::Malformed { .. }) => {}
                milestone => milestones.extend(milestone?),
            }
        }
        Ok(milestones)
    }
}
