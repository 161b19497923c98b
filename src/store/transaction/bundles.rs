//! Writing bundles.

use super::commit::Transaction;
use crate::domain::{BundleId, RelativeName};
use crate::store::{error::StoreError, format::bundle::ExtrasBundle, layout};

impl Transaction<'_> {
    /// Writes the description of a bundle.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn write_bundle(&mut self, id: &BundleId, bundle: &ExtrasBundle) -> Result<(), StoreError> {
        self.remove_if_present(layout::former_bundle(id));
        self.write_file(layout::bundle(id), bundle.to_json())
    }

    /// Writes the portable text of a file of a bundle.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn write_extra(
        &mut self,
        id: &BundleId,
        name: &RelativeName,
        text: String,
    ) -> Result<(), StoreError> {
        self.write_file(layout::extra(id, name), text.into_bytes())
    }

    /// Removes a file of a bundle.
    pub fn remove_extra(&mut self, id: &BundleId, name: &RelativeName) {
        self.remove_file(layout::extra(id, name));
    }
}
