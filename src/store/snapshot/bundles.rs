//! Bundles: the memory of projects, and the user's own files.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid};

use super::open::Snapshot;
use crate::domain::{BundleId, RelativeName};
use crate::store::error::StoreError;
use crate::store::format::bundle::{ExtrasBundle, MAX_BUNDLE_BYTES, MAX_TEXT_BYTES, StoredExtra};
use crate::store::format::json::ManifestError;
use crate::store::layout;

impl Snapshot<'_> {
    /// Returns every bundle and its state. Other directories are ignored.
    ///
    /// The state is equal for two commits if and only if all of the bundle is equal.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn bundles(&self) -> Result<BTreeMap<BundleId, String>, StoreError> {
        let mut bundles = BTreeMap::new();
        for (name, state) in self.directories_in(self.directory(layout::MEMORY)?)? {
            if let Ok(id) = BundleId::try_from(format!("{}/{name}", layout::MEMORY)) {
                bundles.insert(id, state.to_string());
            }
        }
        if let Some(state) = self.bundle_tree(&BundleId::user())? {
            bundles.insert(BundleId::user(), state.to_string());
        }
        Ok(bundles)
    }

    pub(in crate::store) fn bundle_tree(&self, id: &BundleId) -> Result<Option<Oid>, StoreError> {
        self.directory(id.as_str())
    }

    /// Returns the description of a bundle, if the store has the bundle.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn bundle(&self, id: &BundleId) -> Result<Option<ExtrasBundle>, StoreError> {
        let parse = |json: &[u8]| ExtrasBundle::parse(id, json);
        let path = layout::bundle(id);
        let bundle = self.parse_file(&path, MAX_BUNDLE_BYTES, parse)?;
        let former = self.parse_file(&layout::former_bundle(id), MAX_BUNDLE_BYTES, parse)?;
        if bundle.is_some() && former.is_some() {
            let source = ManifestError::Inconsistent("a bundle of format 1 exists, too");
            return Err(StoreError::Malformed { path, source });
        }
        Ok(bundle.or(former))
    }

    /// Returns the portable text of a file of a bundle.
    ///
    /// # Errors
    /// [`StoreError::Segment`] if it is missing, damaged, not text, or of another size than in
    /// `stored`.
    pub fn extra_text(
        &self,
        id: &BundleId,
        name: &RelativeName,
        stored: &StoredExtra,
    ) -> Result<String, StoreError> {
        let path = layout::extra(id, name);
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
