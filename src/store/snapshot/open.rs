//! Opening a commit, and finding the files and directories in it.

use std::cell::RefCell;

use git2::{ObjectType, Oid};
use serde::Deserialize;

use crate::domain::CommitId;
use crate::encryption::StoreHeader;
use crate::store::{
    error::StoreError, format::json::MAX_MANIFEST_BYTES, format::json::ManifestError,
    format::json::TOMBSTONE_FORMAT, format::json::parse_up_to, layout::FORMAT_FILE,
    layout::SESSIONS, objects::reader::Objects, objects::tree::TreeEntries,
    objects::tree::TreeEntry, objects::tree::find_entry, objects::tree::read_tree,
    repository::Store,
};

/// Maximum number of notes, or of other small files of one kind, that are read.
const MAX_STEMS: usize = 10_000;

/// The contents of one commit.
pub struct Snapshot<'store> {
    pub(super) objects: Objects<'store>,
    tree: Option<Oid>,
    /// The directories on the way to what was found last, from the top: they may have many
    /// entries, and one session after the other is looked for in them.
    trail: RefCell<Vec<(Oid, TreeEntries)>>,
}

/// Number of directories that a snapshot remembers: the top, all sessions, and a shard.
const TRAIL: usize = 3;

/// Content of `ccsync.json`.
#[derive(Deserialize)]
struct StoreFormat {
    format: u32,
}

/// Parses `ccsync.json`.
fn parse_format(json: &[u8]) -> Result<StoreFormat, ManifestError> {
    match StoreHeader::parse(json)? {
        Some(header) => Err(ManifestError::Encrypted(Box::new(header))),
        None => parse_up_to(json, TOMBSTONE_FORMAT),
    }
}

impl Store {
    /// Opens the contents of `commit`. `None` is an empty store.
    ///
    /// # Errors
    /// [`StoreError::Newer`] if a newer ccsync wrote them, [`StoreError::Encrypted`],
    /// [`StoreError::Git`].
    pub fn snapshot(&self, commit: Option<&CommitId>) -> Result<Snapshot<'_>, StoreError> {
        let snapshot = Snapshot {
            objects: self.objects(),
            tree: commit.map(|commit| self.tree_of(commit)).transpose()?,
            trail: RefCell::default(),
        };
        snapshot.format().map_err(|e| e.of_commit(commit))?;
        Ok(snapshot)
    }

    /// Opens the contents of the newest commit.
    ///
    /// # Errors
    /// As for [`Self::snapshot`].
    pub fn head_snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        self.snapshot(self.head()?.as_ref())
    }
}

/// Returns true for a file that hosts create with a repository, if the user wishes.
fn is_usual_in_new_repository(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    ["readme", "license", "licence", "copying"].contains(&stem)
        || [".gitignore", ".gitattributes", ".gitkeep"].contains(&name.as_str())
}

impl Snapshot<'_> {
    pub(in crate::store) fn tree(&self) -> Option<Oid> {
        self.tree
    }

    /// Returns true if this is a store, and not an empty repository or one with only a licence.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn is_store(&self) -> Result<bool, StoreError> {
        Ok(self.file(FORMAT_FILE)?.is_some())
    }

    /// Returns true if this is a store of another program, claude-session-sync.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn is_of_claude_session_sync(&self) -> Result<bool, StoreError> {
        if self.is_store()? || self.directory(SESSIONS)?.is_none() {
            return Ok(false);
        }
        Ok(self.file("shared_placeholders.json")?.is_some()
            || self.file("sessions/_paths.json")?.is_some()
            || self.directory("session_meta")?.is_some())
    }

    /// Returns the name of a file or directory that shows that the repository is used for
    /// something else; `None` for a store, an empty repository, or one as a host creates it.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn foreign_entry(&self) -> Result<Option<String>, StoreError> {
        let was_store = || {
            Ok::<_, StoreError>(
                self.directory(SESSIONS)?.is_some() && self.directory("machines")?.is_some(),
            )
        };
        if self.is_store()? || was_store()? {
            return Ok(None);
        }
        let entries = read_tree(self.objects, self.tree)?.into_iter();
        let mut names = entries.map(|(name, _)| String::from_utf8_lossy(&name).into_owned());
        Ok(names.find(|name| !is_usual_in_new_repository(name)))
    }

    /// Returns the format version of the store, if this is one.
    ///
    /// # Errors
    /// [`StoreError::Newer`] if a newer ccsync wrote it, [`StoreError::Git`].
    pub(in crate::store) fn format(&self) -> Result<Option<u32>, StoreError> {
        match self.parse_file(FORMAT_FILE, MAX_MANIFEST_BYTES, parse_format) {
            Err(StoreError::Malformed {
                source: ManifestError::Newer(found),
                ..
            }) => Err(StoreError::Newer { found }),
            store => Ok(store?.map(|store| store.format)),
        }
    }

    /// Parses the file at `path`, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] if it is invalid or has more than `max_bytes`.
    pub(super) fn parse_file<T>(
        &self,
        path: &str,
        max_bytes: usize,
        parse: impl FnOnce(&[u8]) -> Result<T, ManifestError>,
    ) -> Result<Option<T>, StoreError> {
        let Some(blob) = self.file(path)? else {
            return Ok(None);
        };
        let bytes = self.objects.size(blob)?;
        let parsed = if bytes > max_bytes {
            let limit = max_bytes;
            Err(ManifestError::TooLarge { bytes, limit })
        } else {
            match self.objects.read(ObjectType::Blob, blob) {
                Ok(json) => parse(&json),
                Err(StoreError::Object { .. }) => {
                    Err(ManifestError::Inconsistent("its object is damaged"))
                }
                Err(e) => return Err(e),
            }
        };
        parsed.map(Some).map_err(|source| StoreError::Malformed {
            path: path.to_owned(),
            source,
        })
    }

    /// Returns the file at `path`. A symbolic link or a submodule does not count.
    pub(in crate::store) fn file(&self, path: &str) -> Result<Option<Oid>, StoreError> {
        let entry = self.find(path)?;
        Ok(entry.filter(|entry| entry.is_file()).map(|entry| entry.oid))
    }

    pub(in crate::store) fn directory(&self, path: &str) -> Result<Option<Oid>, StoreError> {
        let entry = self.find(path)?;
        let directory = entry.filter(|entry| entry.is_directory());
        Ok(directory.map(|entry| entry.oid))
    }

    /// Returns true if there is anything at `path`, even a symbolic link.
    pub(in crate::store) fn has(&self, path: &str) -> bool {
        self.find(path).is_ok_and(|entry| entry.is_some())
    }

    fn find(&self, path: &str) -> Result<Option<TreeEntry>, StoreError> {
        let mut trail = self.trail.borrow_mut();
        let mut tree = self.tree;
        let mut rest = path;
        for level in 0..TRAIL {
            let Some(oid) = tree else {
                return Ok(None);
            };
            if trail.get(level).is_none_or(|(known, _)| *known != oid) {
                let entries = read_tree(self.objects, tree)?;
                trail.truncate(level);
                trail.push((oid, entries));
            }
            let (name, below) = rest.split_once('/').unwrap_or((rest, ""));
            let found = trail[level].1.get(name.as_bytes()).copied();
            if below.is_empty() {
                return Ok(found);
            }
            tree = found
                .filter(|entry| entry.is_directory())
                .map(|entry| entry.oid);
            rest = below;
        }
        match tree {
            Some(_) => find_entry(self.objects, tree, rest),
            None => Ok(None),
        }
    }

    /// Returns the directories in a directory, by name.
    pub(super) fn directories_in(
        &self,
        tree: Option<Oid>,
    ) -> Result<Vec<(String, Oid)>, StoreError> {
        let entries = read_tree(self.objects, tree)?.into_iter();
        let directories = entries.filter(|(_, entry)| entry.is_directory());
        Ok(directories
            .filter_map(|(name, entry)| Some((String::from_utf8(name).ok()?, entry.oid)))
            .collect())
    }

    /// Returns the names of the files `*<suffix>` in a directory, without the suffix and sorted.
    pub(super) fn stems_in(&self, path: &str, suffix: &str) -> Result<Vec<String>, StoreError> {
        let entries = read_tree(self.objects, self.directory(path)?)?.into_iter();
        let stem = |name: Vec<u8>| {
            let name = String::from_utf8(name).ok()?;
            Some(name.strip_suffix(suffix)?.to_owned())
        };
        let files = entries.filter(|(_, entry)| entry.is_file());
        let mut stems: Vec<_> = files.filter_map(|(name, _)| stem(name)).collect();
        // If names begin with a time, the last are the newest.
        stems.drain(..stems.len().saturating_sub(MAX_STEMS));
        Ok(stems)
    }
}
