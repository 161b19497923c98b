//! A shelf of the store while it is worked on: its texts are read when they are asked for, and what changes is written in one go.

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::domain::extras::{BundleId, ExtraKind, MAX_PLANS};
use crate::domain::id::MachineId;
use crate::domain::path::RelativeName;
use crate::extras::text_file::{BadText, TextFile};
use crate::store::bundle::{
    ExtrasBundle, MAX_BUNDLE_BYTES, MAX_BUNDLE_TEXT_BYTES, MAX_FILES, MAX_TEXT_BYTES, StoredExtra,
    conflicting_name,
};
use crate::store::{Snapshot, StoreError, Transaction};

/// What the store says of one file.
#[derive(Debug, Clone)]
pub(crate) enum There {
    /// Nothing.
    Absent,
    /// That a machine removed it on purpose.
    Removed,
    /// Its text.
    Is { doc: TextFile, by: MachineId },
}

/// Why a file of a shelf cannot be had or stored. Concerns that file only.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the stored text is refused")]
    Text(#[from] BadText),
    #[error("the store holds `{0}`, which is in its way")]
    InTheWay(RelativeName),
    #[error("the store holds {MAX_FILES} files beside it already")]
    Full,
    #[error("the store holds as much text beside it as it may")]
    Heavy,
    #[error("what the store says of the files beside it is as long as it may be")]
    Crowded,
    #[error("with its paths made portable it is larger than any text")]
    Large,
}

pub(crate) struct OpenBundle<'s> {
    snapshot: &'s Snapshot<'s>,
    pub(crate) id: BundleId,
    pub(crate) bundle: ExtrasBundle,
    texts: RefCell<BTreeMap<RelativeName, TextFile>>,
    changed: BTreeSet<RelativeName>,
    /// What was imported was noted.
    noted: bool,
}

impl<'s> OpenBundle<'s> {
    /// The shelf `id` of `snapshot`; where there is none, `new`.
    pub(crate) fn open(
        snapshot: &'s Snapshot<'s>,
        id: &BundleId,
        new: impl FnOnce() -> ExtrasBundle,
    ) -> Result<Self, StoreError> {
        let bundle = snapshot.bundle(id)?.unwrap_or_else(new);
        Ok(Self {
            snapshot,
            id: id.clone(),
            bundle,
            texts: RefCell::default(),
            changed: BTreeSet::new(),
            noted: false,
        })
    }

    /// The shelf `id` among those that are `open`; opened as by [`Self::open`] if it is not.
    pub(crate) fn among<'o>(
        open: &'o mut BTreeMap<BundleId, Self>,
        snapshot: &'s Snapshot<'s>,
        id: &BundleId,
        new: impl FnOnce() -> ExtrasBundle,
    ) -> Result<&'o mut Self, StoreError> {
        match open.entry(id.clone()) {
            Entry::Occupied(bundle) => Ok(bundle.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(Self::open(snapshot, id, new)?)),
        }
    }

    /// What it holds under this name, changes included.
    pub(crate) fn file(&self, name: &RelativeName) -> Result<There, BundleError> {
        let Some(stored) = self.bundle.files.get(name) else {
            return Ok(if self.bundle.removed.contains_key(name) {
                There::Removed
            } else {
                There::Absent
            });
        };
        if let Some(doc) = self.texts.borrow().get(name) {
            return Ok(There::Is {
                doc: doc.clone(),
                by: stored.machine.clone(),
            });
        }
        let text = self.snapshot.extra_text(&self.id, name, stored)?;
        let doc = TextFile::of_stored(
            &text,
            &stored.runs,
            stored.executable,
            &self.bundle.placeholders,
        )?;
        self.texts.borrow_mut().insert(name.clone(), doc.clone());
        Ok(There::Is {
            doc,
            by: stored.machine.clone(),
        })
    }

    /// Puts a text on it; of a plan with the `day`.
    pub(crate) fn put(
        &mut self,
        name: &RelativeName,
        doc: &TextFile,
        by: MachineId,
        day: Option<NaiveDate>,
    ) -> Result<(), BundleError> {
        if let Some(other) = conflicting_name(&self.bundle.files, name) {
            return Err(BundleError::InTheWay(other.clone()));
        }
        if self.bundle.files.len() >= MAX_FILES && !self.bundle.files.contains_key(name) {
            return Err(BundleError::Full);
        }
        let stored = StoredExtra {
            modified_on: day,
            ..doc.described(by)
        };
        if stored.bytes > MAX_TEXT_BYTES {
            return Err(BundleError::Large);
        }
        let before = self.bundle.files.get(name).map_or(0, |before| before.bytes);
        if self.bundle.bytes() - before + stored.bytes > MAX_BUNDLE_TEXT_BYTES {
            return Err(BundleError::Heavy);
        }
        // Those that nothing needs in the end are not written.
        self.bundle
            .placeholders
            .extend(doc.sets.iter().map(|(key, set)| (key.clone(), set.clone())));
        let former = self
            .bundle
            .files
            .get(name)
            .map_or(0, |former| former.max_json_bytes(name));
        if self.bundle.max_json_bytes() - former + stored.max_json_bytes(name) > MAX_BUNDLE_BYTES {
            return Err(BundleError::Crowded);
        }
        self.bundle.files.insert(name.clone(), stored);
        self.bundle.removed.remove(name);
        self.texts.get_mut().insert(name.clone(), doc.clone());
        self.changed.insert(name.clone());
        Ok(())
    }

    /// Takes a text away, and remembers that this was meant.
    pub(crate) fn remove(&mut self, name: &RelativeName, by: MachineId) {
        self.bundle.remove(name, by);
        self.texts.get_mut().remove(name);
        self.changed.insert(name.clone());
    }

    /// Takes note of a text of another program that has come into the file.
    pub(crate) fn record_import(&mut self, name: &RelativeName, hash: &str) {
        if !self.bundle.was_imported(name, hash) {
            self.bundle.record_import(name, hash);
            self.noted = true;
        }
    }

    /// The day with which a text was put on it.
    pub(crate) fn day(&self, name: &RelativeName) -> Option<NaiveDate> {
        self.bundle.files.get(name)?.modified_on
    }

    /// Of more than [`MAX_PLANS`] plans, the oldest go. Nobody has removed them: where they are, they stay. Returns their names.
    pub(crate) fn drop_older_plans(&mut self) -> Vec<RelativeName> {
        if !self.is_changed() {
            return Vec::new();
        }
        let is_plan = |name: &RelativeName| {
            ExtraKind::from_user_file(name.as_str()) == Some(ExtraKind::Plans)
        };
        let plans = self.bundle.files.iter().filter(|(name, _)| is_plan(name));
        let mut plans: Vec<_> = plans
            .map(|(name, stored)| (stored.modified_on, name.clone()))
            .collect();
        plans.sort();
        let dropped: Vec<RelativeName> = plans
            .into_iter()
            .rev()
            .skip(MAX_PLANS)
            .map(|(_, name)| name)
            .collect();
        for name in &dropped {
            self.bundle.files.remove(name);
            self.texts.get_mut().remove(name);
            self.changed.insert(name.clone());
        }
        dropped
    }

    /// Whether anything was put on it or taken away.
    pub(crate) fn is_changed(&self) -> bool {
        !self.changed.is_empty() || self.noted
    }

    /// How many files were.
    pub(crate) fn changes(&self) -> u64 {
        self.changed.len() as u64
    }

    /// Writes what changed.
    pub(crate) fn write(mut self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        self.bundle.prune_placeholders();
        for name in &self.changed {
            match self.texts.get_mut().get(name) {
                Some(doc) => tx.write_extra(&self.id, name, doc.text())?,
                None => tx.remove_extra(&self.id, name),
            }
        }
        tx.write_bundle(&self.id, &self.bundle)
    }
}
