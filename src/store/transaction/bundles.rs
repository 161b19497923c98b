//! Writing shelves.

use super::super::bundle::ExtrasBundle;
use super::super::{Snapshot, StoreError, layout, tree};
use super::Transaction;
use crate::domain::extras::BundleId;
use crate::domain::path::RelativeName;

impl Transaction<'_> {
    /// Takes a shelf over as `from` has it.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn take_bundle(&mut self, from: &Snapshot<'_>, id: &BundleId) -> Result<(), StoreError> {
        let (here, there) = (self.base.bundle_tree(id)?, from.bundle_tree(id)?);
        for difference in tree::differences(self.store.objects(), here, there)? {
            let path = difference.path().map(|path| format!("{id}/{path}"));
            if let Some(path) = path.filter(|path| layout::is_in_bundle(path)) {
                self.changes.insert(path, difference.new);
            }
        }
        Ok(())
    }

    /// Writes what the store says of a shelf.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_bundle(&mut self, id: &BundleId, bundle: &ExtrasBundle) -> Result<(), StoreError> {
        self.put_file(layout::bundle(id), bundle.to_json())
    }

    /// Writes the portable text of a file of a shelf.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_extra(
        &mut self,
        id: &BundleId,
        name: &RelativeName,
        text: String,
    ) -> Result<(), StoreError> {
        self.put_file(layout::extras(id, name), text.into_bytes())
    }

    /// Removes a file of a shelf.
    pub fn remove_extra(&mut self, id: &BundleId, name: &RelativeName) {
        self.changes.insert(layout::extras(id, name), None);
    }
}
