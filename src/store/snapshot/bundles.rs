//! Reading shelves: the prose and the settings that lie beside sessions.

use git2::{ObjectType, Oid};

use super::super::bundle::{ExtrasBundle, MAX_SHELF_BYTES, MAX_TEXT_BYTES, StoredExtra};
use super::super::{StoreError, layout};
use super::{BTreeMap, ManifestError, SessionState, Snapshot};
use crate::domain::extras::BundleId;
use crate::domain::path::RelativeName;

impl Snapshot<'_> {
    /// Every shelf and its state: equal for two commits exactly if all of it is equal. Other directories are passed over.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn bundles(&self) -> Result<BTreeMap<BundleId, SessionState>, StoreError> {
        let mut bundles = BTreeMap::new();
        for (name, state) in self.directories_in(self.directory(layout::MEMORY)?)? {
            if let Ok(id) = BundleId::try_from(format!("{}/{name}", layout::MEMORY)) {
                bundles.insert(id, state.to_string());
            }
        }
        if let Some(state) = self.directory(BundleId::user().as_str())? {
            bundles.insert(BundleId::user(), state.to_string());
        }
        Ok(bundles)
    }

    /// The directory of a shelf.
    pub(in crate::store) fn bundle_tree(&self, id: &BundleId) -> Result<Option<Oid>, StoreError> {
        self.directory(id.as_str())
    }

    /// What the store says of a shelf; `None` if it has none of this name.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn bundle(&self, id: &BundleId) -> Result<Option<ExtrasBundle>, StoreError> {
        let path = layout::bundle(id);
        let Some(blob) = self.file(&path)? else {
            return Ok(None);
        };
        let fail = |source| StoreError::Malformed {
            path: path.clone(),
            source,
        };
        let size = self.objects.size(blob)?;
        if size > MAX_SHELF_BYTES {
            return Err(fail(ManifestError::TooLarge(size)));
        }
        let json = self.bounded_blob(blob)?.map_err(fail)?;
        ExtrasBundle::parse(id, &json).map(Some).map_err(fail)
    }

    /// The portable text of a file of a shelf.
    ///
    /// # Errors
    /// [`StoreError::Segment`] if it is missing, damaged, no text, or has not the size that `stored` says.
    pub fn extras(
        &self,
        id: &BundleId,
        name: &RelativeName,
        stored: &StoredExtra,
    ) -> Result<String, StoreError> {
        let path = layout::extras(id, name);
        let Some(blob) = self.file(&path)? else {
            return Err(StoreError::Segment { path });
        };
        let size = self.objects.size(blob)? as u64;
        if size != stored.bytes || size > MAX_TEXT_BYTES {
            return Err(StoreError::Segment { path });
        }
        match self.objects.read(ObjectType::Blob, blob) {
            Ok(text) => String::from_utf8(text).map_err(|_| StoreError::Segment { path }),
            Err(StoreError::Object { .. }) => Err(StoreError::Segment { path }),
            Err(e) => Err(e),
        }
    }
}
