//! Writing shelves.

use super::super::shelf::Shelf;
use super::super::{Snapshot, StoreError, layout, tree};
use super::Transaction;
use crate::domain::beside::ShelfId;
use crate::domain::path::RelativeName;

impl Transaction<'_> {
    /// Takes a shelf over as `from` has it.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn take_shelf(&mut self, from: &Snapshot<'_>, id: &ShelfId) -> Result<(), StoreError> {
        let (here, there) = (self.base.shelf_tree(id)?, from.shelf_tree(id)?);
        for difference in tree::differences(self.store.objects(), here, there)? {
            let path = difference.path().map(|path| format!("{id}/{path}"));
            if let Some(path) = path.filter(|path| layout::is_on_shelf(path)) {
                self.changes.insert(path, difference.new);
            }
        }
        Ok(())
    }

    /// Writes what the store says of a shelf.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_shelf(&mut self, id: &ShelfId, shelf: &Shelf) -> Result<(), StoreError> {
        self.put_file(layout::shelf(id), shelf.to_json())
    }

    /// Writes the portable text of a file of a shelf.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_prose(
        &mut self,
        id: &ShelfId,
        name: &RelativeName,
        text: String,
    ) -> Result<(), StoreError> {
        self.put_file(layout::prose(id, name), text.into_bytes())
    }

    /// Removes a file of a shelf.
    pub fn remove_prose(&mut self, id: &ShelfId, name: &RelativeName) {
        self.changes.insert(layout::prose(id, name), None);
    }
}
