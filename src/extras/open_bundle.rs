//! A bundle of the store while a command works on it. Texts are read on demand, and all changes
//! are written together.

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::domain::{BundleId, ExtraKind, MachineId, RelativeName, extras::MAX_PLANS};
use crate::extras::text_file::{InvalidText, TextFile};
use crate::store::{
    Snapshot, StoreError, Transaction, bundle::ExtrasBundle, bundle::MAX_BUNDLE_BYTES,
    bundle::MAX_BUNDLE_TEXT_BYTES, bundle::MAX_FILES, bundle::MAX_TEXT_BYTES, bundle::StoredExtra,
    bundle::conflicting_name,
};

/// A file in the store.
#[derive(Debug, Clone)]
pub(crate) enum StoredVersion {
    Absent,
    /// A machine removed it on purpose.
    Removed,
    Present {
        file: TextFile,
        by: MachineId,
    },
}

/// Why a file of a bundle cannot be read or stored. It concerns that file only.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot use the stored text")]
    Text(#[from] InvalidText),
    #[error("`{0}` in the store has the same path")]
    InTheWay(RelativeName),
    #[error("its bundle has too many files (limit {MAX_FILES})")]
    Full,
    #[error("its bundle has too much text")]
    Heavy,
    #[error("bundle metadata is too large")]
    Crowded,
    #[error("it is too large with portable paths")]
    Large,
}

pub(crate) struct OpenBundle<'s> {
    snapshot: &'s Snapshot<'s>,
    pub(crate) id: BundleId,
    pub(crate) bundle: ExtrasBundle,
    texts: RefCell<BTreeMap<RelativeName, TextFile>>,
    changed: BTreeSet<RelativeName>,
    /// An import was recorded.
    has_new_imports: bool,
}

impl<'s> OpenBundle<'s> {
    /// Opens the bundle `id` of `snapshot`, or `new` if it is missing.
    pub(crate) fn open(
        snapshot: &'s Snapshot<'s>,
        id: &BundleId,
        new: impl FnOnce() -> ExtrasBundle,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            snapshot,
            id: id.clone(),
            bundle: snapshot.bundle(id)?.unwrap_or_else(new),
            texts: RefCell::default(),
            changed: BTreeSet::new(),
            has_new_imports: false,
        })
    }

    /// Returns the bundle `id` of those that are `open`; opens it as [`Self::open`] if it is
    /// not.
    pub(crate) fn open_once<'o>(
        open: &'o mut BTreeMap<BundleId, Self>,
        snapshot: &'s Snapshot<'s>,
        id: &BundleId,
        new: impl FnOnce() -> ExtrasBundle,
    ) -> Result<&'o mut Self, StoreError> {
        match open.entry(id.clone()) {
            Entry::Occupied(bundle) => Ok(bundle.into_mut()),
            Entry::Vacant(free) => Ok(free.insert(Self::open(snapshot, id, new)?)),
        }
    }

    /// Reads a file, changes included.
    pub(crate) fn file(&self, name: &RelativeName) -> Result<StoredVersion, BundleError> {
        let Some(stored) = self.bundle.files.get(name) else {
            return Ok(if self.bundle.removed.contains_key(name) {
                StoredVersion::Removed
            } else {
                StoredVersion::Absent
            });
        };
        let by = stored.machine.clone();
        if let Some(file) = self.texts.borrow().get(name).cloned() {
            return Ok(StoredVersion::Present { file, by });
        }
        let file = TextFile::from_stored(
            &self.snapshot.extra_text(&self.id, name, stored)?,
            &stored.runs,
            stored.executable,
            &self.bundle.placeholders,
        )?;
        let mut texts = self.texts.borrow_mut();
        texts.insert(name.clone(), file.clone());
        Ok(StoredVersion::Present { file, by })
    }

    /// Stores a file; `day` is the day of a plan.
    pub(crate) fn insert(
        &mut self,
        name: &RelativeName,
        file: &TextFile,
        by: MachineId,
        day: Option<NaiveDate>,
    ) -> Result<(), BundleError> {
        let stored = StoredExtra {
            modified_on: day,
            ..file.to_stored(by)
        };
        self.check_names_and_sizes(name, &stored)?;
        // Those that no file names in the end are not written.
        for (key, set) in &file.sets {
            self.bundle.placeholders.insert(key.clone(), set.clone());
        }
        let former = self.bundle.files.get(name);
        let former_bytes = former.map_or(0, |former| former.max_json_bytes(name));
        let bytes = self.bundle.max_json_bytes() - former_bytes + stored.max_json_bytes(name);
        if bytes > MAX_BUNDLE_BYTES {
            return Err(BundleError::Crowded);
        }

        self.bundle.files.insert(name.clone(), stored);
        self.bundle.removed.remove(name);
        self.texts.get_mut().insert(name.clone(), file.clone());
        self.changed.insert(name.clone());
        Ok(())
    }

    fn check_names_and_sizes(
        &self,
        name: &RelativeName,
        stored: &StoredExtra,
    ) -> Result<(), BundleError> {
        let files = &self.bundle.files;
        if let Some(other) = conflicting_name(files, name) {
            return Err(BundleError::InTheWay(other.clone()));
        }
        if files.len() >= MAX_FILES && !files.contains_key(name) {
            return Err(BundleError::Full);
        }
        if stored.bytes > MAX_TEXT_BYTES {
            return Err(BundleError::Large);
        }
        let former_bytes = files.get(name).map_or(0, |former| former.bytes);
        if self.bundle.bytes() - former_bytes + stored.bytes > MAX_BUNDLE_TEXT_BYTES {
            return Err(BundleError::Heavy);
        }
        Ok(())
    }

    /// Removes a file, and records that this was on purpose.
    pub(crate) fn remove(&mut self, name: &RelativeName, by: MachineId) {
        self.bundle.remove(name, by);
        self.texts.get_mut().remove(name);
        self.changed.insert(name.clone());
    }

    /// Records that a text of another program was merged into the file.
    pub(crate) fn record_import(&mut self, name: &RelativeName, hash: &str) {
        if !self.bundle.was_imported(name, hash) {
            self.bundle.record_import(name, hash);
            self.has_new_imports = true;
        }
    }

    /// The day of a stored plan.
    pub(crate) fn day(&self, name: &RelativeName) -> Option<NaiveDate> {
        self.bundle.files.get(name)?.modified_on
    }

    /// Drops the oldest plans over [`MAX_PLANS`] from a changed bundle, and returns their
    /// names. They do not count as removed, so that machines that have them keep them.
    pub(crate) fn drop_older_plans(&mut self) -> Vec<RelativeName> {
        if !self.is_changed() {
            return Vec::new();
        }
        let mut plans = Vec::new();
        for (name, stored) in &self.bundle.files {
            if ExtraKind::from_user_file(name.as_str()) == Some(ExtraKind::Plans) {
                plans.push((stored.modified_on, name.clone()));
            }
        }
        plans.sort();
        plans.truncate(plans.len().saturating_sub(MAX_PLANS));
        let dropped: Vec<RelativeName> = plans.into_iter().map(|(_, name)| name).collect();
        for name in &dropped {
            self.bundle.files.remove(name);
            self.texts.get_mut().remove(name);
            self.changed.insert(name.clone());
        }
        dropped
    }

    pub(crate) fn is_changed(&self) -> bool {
        !self.changed.is_empty() || self.has_new_imports
    }

    /// Number of files that were inserted or removed.
    pub(crate) fn count_changes(&self) -> u64 {
        self.changed.len() as u64
    }

    /// Writes all changes.
    pub(crate) fn write(mut self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        self.bundle.prune_placeholders();
        for name in &self.changed {
            match self.texts.get_mut().get(name) {
                Some(file) => tx.write_extra(&self.id, name, file.text())?,
                None => tx.remove_extra(&self.id, name),
            }
        }
        tx.write_bundle(&self.id, &self.bundle)
    }
}
