//! Writing machines, proposed paths, notes and milestones.

use super::commit::Transaction;
use crate::domain::MachineId;
use crate::store::{
    error::StoreError, format::json::to_json, format::machine::Machine,
    format::machine::ProposedPaths, format::milestone::Milestone, format::milestone::MilestoneName,
    format::note::Note, format::note::NoteId, layout,
};

impl Transaction<'_> {
    /// Returns true if the base has exactly this version of a machine's file.
    ///
    /// # Errors
    /// As for [`crate::store::Snapshot::readable_machine`].
    pub fn has_machine(&self, machine: &Machine) -> Result<bool, StoreError> {
        Ok(self.base.readable_machine(&machine.id)?.as_ref() == Some(machine))
    }

    /// Writes the file of a machine. A forgotten one is known again.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn write_machine(&mut self, machine: &Machine) -> Result<(), StoreError> {
        self.remove_if_present(layout::forgotten(&machine.id));
        self.write_file(layout::machine(&machine.id), machine.to_json())
    }

    /// Removes a machine from the list. Its placeholders stay known: text that was copied from it
    /// can still be read.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn forget_machine(&mut self, machine: &Machine) -> Result<(), StoreError> {
        self.remove_if_present(layout::machine(&machine.id));
        self.remove_proposed_paths(&machine.id);
        self.write_file(layout::forgotten(&machine.id), machine.to_json())
    }

    /// Proposes paths to a machine.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn write_proposed_paths(
        &mut self,
        id: &MachineId,
        proposed: &ProposedPaths,
    ) -> Result<(), StoreError> {
        self.remove_proposed_paths(id);
        self.write_file(layout::proposed_paths(id), to_json(proposed))
    }

    /// Removes the paths that were proposed to a machine.
    pub fn remove_proposed_paths(&mut self, id: &MachineId) {
        self.remove_if_present(layout::proposed_paths(id));
        self.remove_if_present(layout::former_proposed_paths(id));
    }

    /// Adds a note.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn write_note(&mut self, note: &Note) -> Result<(), StoreError> {
        self.write_file(layout::note(&note.id), note.to_json())
    }

    /// Removes a note.
    pub fn remove_note(&mut self, id: &NoteId) {
        self.remove_if_present(layout::note(id));
    }

    /// Removes a milestone. The state that it names stays in the history.
    pub fn remove_milestone(&mut self, name: &MilestoneName) {
        self.remove_if_present(layout::milestone(name));
    }

    /// Adds a milestone.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn write_milestone(&mut self, milestone: &Milestone) -> Result<(), StoreError> {
        self.write_file(layout::milestone(&milestone.name), milestone.to_json())
    }
}
