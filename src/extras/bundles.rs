//! A shelf of the store while it is worked on: its texts are read when they are asked for, and what changes is written in one go.

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::domain::beside::{Beside, MOST_PLANS, ShelfId};
use crate::domain::id::MachineId;
use crate::domain::path::RelativeName;
use crate::extras::text_file::{BadText, Doc};
use crate::store::shelf::{
    MAX_FILES, MAX_SHELF_BYTES, MAX_SHELF_TEXT, MAX_TEXT_BYTES, Shelf, StoredProse, in_the_way,
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
    Is { doc: Doc, by: MachineId },
}

/// Why a file of a shelf cannot be had or stored. Concerns that file only.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
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

pub(crate) struct OpenShelf<'s> {
    snapshot: &'s Snapshot<'s>,
    pub(crate) id: ShelfId,
    pub(crate) shelf: Shelf,
    texts: RefCell<BTreeMap<RelativeName, Doc>>,
    changed: BTreeSet<RelativeName>,
    /// What was imported was noted.
    noted: bool,
}

impl<'s> OpenShelf<'s> {
    /// The shelf `id` of `snapshot`; where there is none, `new`.
    pub(crate) fn open(
        snapshot: &'s Snapshot<'s>,
        id: &ShelfId,
        new: impl FnOnce() -> Shelf,
    ) -> Result<Self, StoreError> {
        let shelf = snapshot.shelf(id)?.unwrap_or_else(new);
        Ok(Self {
            snapshot,
            id: id.clone(),
            shelf,
            texts: RefCell::default(),
            changed: BTreeSet::new(),
            noted: false,
        })
    }

    /// The shelf `id` among those that are `open`; opened as by [`Self::open`] if it is not.
    pub(crate) fn among<'o>(
        open: &'o mut BTreeMap<ShelfId, Self>,
        snapshot: &'s Snapshot<'s>,
        id: &ShelfId,
        new: impl FnOnce() -> Shelf,
    ) -> Result<&'o mut Self, StoreError> {
        match open.entry(id.clone()) {
            Entry::Occupied(shelf) => Ok(shelf.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(Self::open(snapshot, id, new)?)),
        }
    }

    /// What it holds under this name, changes included.
    pub(crate) fn file(&self, name: &RelativeName) -> Result<There, ShelfError> {
        let Some(stored) = self.shelf.files.get(name) else {
            return Ok(if self.shelf.removed.contains_key(name) {
                There::Removed
            } else {
                There::Absent
            });
        };
        if let Some(doc) = self.texts.borrow().get(name) {
            return Ok(There::Is {
                doc: doc.clone(),
                by: stored.by.clone(),
            });
        }
        let text = self.snapshot.prose(&self.id, name, stored)?;
        let doc = Doc::of_stored(&text, &stored.runs, stored.executable, &self.shelf.roots)?;
        self.texts.borrow_mut().insert(name.clone(), doc.clone());
        Ok(There::Is {
            doc,
            by: stored.by.clone(),
        })
    }

    /// Puts a text on it; of a plan with the `day`.
    pub(crate) fn put(
        &mut self,
        name: &RelativeName,
        doc: &Doc,
        by: MachineId,
        day: Option<NaiveDate>,
    ) -> Result<(), ShelfError> {
        if let Some(other) = in_the_way(&self.shelf.files, name) {
            return Err(ShelfError::InTheWay(other.clone()));
        }
        if self.shelf.files.len() >= MAX_FILES && !self.shelf.files.contains_key(name) {
            return Err(ShelfError::Full);
        }
        let stored = StoredProse {
            day,
            ..doc.described(by)
        };
        if stored.bytes > MAX_TEXT_BYTES {
            return Err(ShelfError::Large);
        }
        let before = self.shelf.files.get(name).map_or(0, |before| before.bytes);
        if self.shelf.bytes() - before + stored.bytes > MAX_SHELF_TEXT {
            return Err(ShelfError::Heavy);
        }
        // Those that nothing needs in the end are not written.
        self.shelf
            .roots
            .extend(doc.sets.iter().map(|(key, set)| (key.clone(), set.clone())));
        let former = self
            .shelf
            .files
            .get(name)
            .map_or(0, |former| former.json_bytes_at_most(name));
        if self.shelf.json_bytes_at_most() - former + stored.json_bytes_at_most(name)
            > MAX_SHELF_BYTES
        {
            return Err(ShelfError::Crowded);
        }
        self.shelf.files.insert(name.clone(), stored);
        self.shelf.removed.remove(name);
        self.texts.get_mut().insert(name.clone(), doc.clone());
        self.changed.insert(name.clone());
        Ok(())
    }

    /// Takes a text away, and remembers that this was meant.
    pub(crate) fn remove(&mut self, name: &RelativeName, by: MachineId) {
        self.shelf.remove(name, by);
        self.texts.get_mut().remove(name);
        self.changed.insert(name.clone());
    }

    /// Takes note of a text of another program that has come into the file.
    pub(crate) fn note_import(&mut self, name: &RelativeName, hash: &str) {
        if !self.shelf.was_imported(name, hash) {
            self.shelf.note_import(name, hash);
            self.noted = true;
        }
    }

    /// The day with which a text was put on it.
    pub(crate) fn day(&self, name: &RelativeName) -> Option<NaiveDate> {
        self.shelf.files.get(name)?.day
    }

    /// Of more than [`MOST_PLANS`] plans, the oldest go. Nobody has removed them: where they are, they stay. Returns their names.
    pub(crate) fn drop_older_plans(&mut self) -> Vec<RelativeName> {
        if !self.is_changed() {
            return Vec::new();
        }
        let is_plan =
            |name: &RelativeName| Beside::of_user_file(name.as_str()) == Some(Beside::Plans);
        let plans = self.shelf.files.iter().filter(|(name, _)| is_plan(name));
        let mut plans: Vec<_> = plans
            .map(|(name, stored)| (stored.day, name.clone()))
            .collect();
        plans.sort();
        let dropped: Vec<RelativeName> = plans
            .into_iter()
            .rev()
            .skip(MOST_PLANS)
            .map(|(_, name)| name)
            .collect();
        for name in &dropped {
            self.shelf.files.remove(name);
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
        self.shelf.prune_roots();
        for name in &self.changed {
            match self.texts.get_mut().get(name) {
                Some(doc) => tx.put_prose(&self.id, name, doc.text())?,
                None => tx.remove_prose(&self.id, name),
            }
        }
        tx.put_shelf(&self.id, &self.shelf)
    }
}
