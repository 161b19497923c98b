//! Who changed a file: this machine, another one, or both. Decides for push and pull alike.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::shelves::{OpenShelf, ShelfError, There};
use super::state::{Base, KnownProject, State};
use super::text::{Doc, Lens, hash};
use crate::domain::beside::{Beside, ProjectKey, ShelfId};
use crate::domain::path::RelativeName;
use crate::domain::root::RootSet;
use crate::session::prose::{Listing, MAX_BYTES, link_on_the_way, path_of, read_text, too_large};
use crate::store::shelf::Shelf;
use crate::sys::fs::{FileStamp, PathError};

/// A directory of this machine with the files of one owner.
pub(super) struct Place {
    /// The client's name of the project's directory; empty for the user's own files.
    pub(super) name: String,
    pub(super) shelf: ShelfId,
    pub(super) directory: PathBuf,
    /// Whose memory it is; none: the user's own files.
    pub(super) project: Option<KnownProject>,
    pub(super) listing: Listing,
}

impl Place {
    pub(super) fn lens(&self, roots: &RootSet) -> Lens {
        let has_identity = |project: &KnownProject| matches!(project.key, ProjectKey::Identity(_));
        Lens::new(roots, self.project.as_ref().map(|project| (project.checkout.as_path(), has_identity(project))))
    }

    pub(super) fn new_shelf(&self) -> Shelf {
        let project = self.project.as_ref();
        Shelf::empty(project.map(|project| project.key.clone()), project.map(|project| project.path.clone()))
    }

    pub(super) fn path(&self, name: &RelativeName) -> PathBuf {
        path_of(&self.directory, name)
    }

    /// Whether nothing at all lies under this name.
    pub(super) fn is_gone(&self, name: &RelativeName) -> bool {
        let found = std::fs::symlink_metadata(self.path(name));
        let is_gone = found.is_err_and(|e| matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory));
        is_gone
            && link_on_the_way(&self.directory, name).is_none_or(|link| self.shelf.is_user() && link == self.directory)
    }

    /// The kind of a file in it; `None`: it does not travel.
    pub(super) fn kind(&self, name: &RelativeName) -> Option<Beside> {
        // What is hidden is never listed here, so it is not written either.
        if name.as_str().split('/').any(|part| part.starts_with('.')) {
            return None;
        }
        if self.shelf.is_user() { Beside::of_user_file(name.as_str()) } else { Some(Beside::Memory) }
    }

    /// Whether all its files are as they were when they were looked at last.
    pub(super) fn is_as_noted(&self, state: &State) -> bool {
        let Some(known) = state.directories.get(&self.name) else { return self.listing.files.is_empty() };
        let is_known = |name: &RelativeName| known.files.contains_key(name);
        self.listing.files.keys().all(is_known)
            && known.files.iter().all(|(name, file)| self.listing.stamp(name) == file.stamp)
    }
}

/// A file on this machine.
#[derive(Debug)]
pub(super) enum Here {
    Missing,
    /// As it was when it was last in step.
    Unchanged,
    Changed {
        doc: Doc,
        local: String,
    },
}

/// One file, here and in the store.
pub(super) struct Sides {
    pub(super) stamp: Option<FileStamp>,
    pub(super) base: Option<Base>,
    pub(super) here: Here,
    pub(super) there: There,
}

/// Who has something that the other has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Both are as they were when they were last in step.
    Nothing,
    /// Both are the same, though one was not before.
    InStep,
    /// Neither has it any more.
    Gone,
    /// Only this machine changed or removed it.
    Ours,
    /// Only another machine changed or removed it; or what this machine removed was changed there.
    Theirs,
    /// Both changed it.
    Both,
}

/// Why a file is not compared.
pub(super) enum NotCompared {
    /// It is left where it is.
    Left(String),
    /// It could not be read, here or in the store.
    Failed(String),
}

impl Sides {
    /// Looks at one file. What was found of it here is noted in `state`.
    pub(super) fn look(
        place: &Place,
        lens: &Lens,
        shelf: &OpenShelf<'_>,
        name: &RelativeName,
        state: &mut State,
    ) -> Result<Self, NotCompared> {
        let stamp = place.listing.stamp(name);
        let base = state.base(&place.name, name);
        let here = match stamp {
            None => {
                state.note(&place.name, name, (None, None), None);
                Here::Missing
            }
            Some(stamp) => here(place, lens, name, stamp, base.as_ref(), state)?,
        };
        let there = shelf.file(name).map_err(|e| NotCompared::Failed(shelf_error(&e)))?;
        Ok(Self { stamp, base, here, there })
    }

    /// The text here, in its portable form and as it lies on the disk.
    pub(super) fn ours(&self) -> Option<Base> {
        match &self.here {
            Here::Missing => None,
            Here::Unchanged => self.base.clone(),
            Here::Changed { doc, local } => Some(Base { doc: doc.clone(), local: local.clone(), is_reading: true }),
        }
    }

    /// Who changed a file of this kind. `directory_is_there`: a missing file was removed by itself, not with everything around it.
    pub(super) fn decide(&self, lens: &Lens, kind: Beside, directory_is_there: bool) -> Decision {
        let removals_count = directory_is_there && !kind.is_cleared_up();
        let reads_as = |doc: &Doc, local: &str| lens.expand(doc).is_ok_and(|text| text == local);
        match (&self.here, &self.there, &self.base) {
            (Here::Missing, There::Is { doc, .. }, Some(base)) if doc.is_same(&base.doc) => {
                // What this machine never had, because of a no, it has not removed.
                if removals_count && base.is_reading { Decision::Ours } else { Decision::Nothing }
            }
            (Here::Missing, There::Is { .. }, _) => Decision::Theirs,
            (Here::Missing, _, _) => Decision::Gone,
            (Here::Unchanged, There::Is { doc, .. }, Some(base)) if doc.is_same(&base.doc) => Decision::Nothing,
            (Here::Unchanged, There::Is { doc, .. }, Some(base)) if reads_as(doc, &base.local) => Decision::InStep,
            // The store keeps the newest only, and nobody takes one from another machine.
            (Here::Unchanged, There::Absent | There::Removed, _) if kind.is_cleared_up() => Decision::Nothing,
            (Here::Unchanged, There::Is { .. } | There::Removed, _) => Decision::Theirs,
            (Here::Changed { local, .. }, There::Is { doc, .. }, _) if reads_as(doc, local) => Decision::InStep,
            (Here::Changed { .. }, There::Is { doc, .. }, Some(base)) if doc.is_same(&base.doc) => Decision::Ours,
            (Here::Changed { .. }, There::Is { .. }, _) => Decision::Both,
            // What the store has lost, or what was changed here and removed there, is sent again.
            (Here::Unchanged | Here::Changed { .. }, There::Absent, _) | (Here::Changed { .. }, There::Removed, _) => {
                Decision::Ours
            }
        }
    }
}

fn here(
    place: &Place,
    lens: &Lens,
    name: &RelativeName,
    stamp: FileStamp,
    base: Option<&Base>,
    state: &mut State,
) -> Result<Here, NotCompared> {
    if stamp.len > MAX_BYTES {
        state.note(&place.name, name, (Some(stamp), None), Some(too_large()));
        return Err(NotCompared::Left(too_large()));
    }
    let known = state.file(&place.name, name).filter(|known| known.stamp == Some(stamp));
    if let (Some(known), Some(base)) = (known, base)
        && known.hash.as_ref() == Some(&hash(&base.local))
    {
        return Ok(Here::Unchanged);
    }
    let local = match read_text(&place.path(name)) {
        Ok(Ok(local)) => local,
        Ok(Err(reason)) => {
            state.note(&place.name, name, (Some(stamp), None), Some(reason.clone()));
            return Err(NotCompared::Left(reason));
        }
        Err(e) => return Err(NotCompared::Failed(path_error(&e))),
    };
    state.note(&place.name, name, (Some(stamp), Some(hash(&local))), None);
    Ok(match base {
        Some(base) if base.local == local => Here::Unchanged,
        Some(base) if base.is_reading => {
            Here::Changed { doc: lens.collapse_from(&base.doc, &base.local, &local), local }
        }
        _ => Here::Changed { doc: lens.collapse(&local), local },
    })
}

/// An error with its causes in one line.
pub(super) fn shelf_error(error: &ShelfError) -> String {
    crate::sync::in_words(error)
}

pub(super) fn path_error(error: &PathError) -> String {
    crate::sync::in_words(error)
}
