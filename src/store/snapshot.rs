//! Reading one commit of the store.
//!
//! Everything in it may have been written by somebody else: sizes are checked before text is loaded, names before they
//! are used, and a session that fails a check fails alone.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid, Repository, Tree};
use serde::Deserialize;

use super::machine::{Machine, ProposedPaths};
use super::manifest::{MAX_MANIFEST_BYTES, Manifest, ManifestError, StoredFile, parse_versioned};
use super::{StoreError, layout, segment, tree, tree_of};
use crate::domain::id::{CommitId, MachineId, SessionId};
use crate::domain::path::RelativeName;

/// The contents of one commit.
pub struct Snapshot<'store> {
    repo: &'store Repository,
    tree: Option<Tree<'store>>,
}

/// The store's `ccsync.json`.
#[derive(Deserialize)]
struct StoreFormat {}

/// Equal for two commits exactly if the session's files in the store are equal.
pub type SessionState = String;

impl<'store> Snapshot<'store> {
    pub(super) fn open(repo: &'store Repository, commit: Option<&CommitId>) -> Result<Self, StoreError> {
        let tree = commit.map(|c| tree_of(repo, c)).transpose()?;
        let snapshot = Self { repo, tree };
        snapshot.check_format()?;
        Ok(snapshot)
    }

    pub(super) fn tree(&self) -> Option<&Tree<'store>> {
        self.tree.as_ref()
    }

    /// Whether the remote holds a store already (and not, say, an empty repository or one with only a licence).
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn is_store(&self) -> Result<bool, StoreError> {
        Ok(self.entry(layout::FORMAT_FILE)?.is_some())
    }

    /// Every session and its state. Names that are no session ids are passed over.
    ///
    /// A directory without a manifest is listed too: to look into each would cost a tree per session. For such a one
    /// [`Self::manifest`] says `None`, and it is to be treated as absent.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn sessions(&self) -> Result<BTreeMap<SessionId, SessionState>, StoreError> {
        let mut sessions = BTreeMap::new();
        for (shard, shard_tree) in self.directories(self.entry(layout::SESSIONS)?)? {
            for (name, state) in self.directories(Some((ObjectType::Tree, shard_tree)))? {
                if let Ok(id) = name.parse::<SessionId>()
                    && id.shard() == shard
                {
                    sessions.insert(id, state.to_string());
                }
            }
        }
        Ok(sessions)
    }

    /// The state of one session, if the store has it.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn state(&self, id: &SessionId) -> Result<Option<SessionState>, StoreError> {
        Ok(self.entry(&layout::session(id))?.map(|(_, oid)| oid.to_string()))
    }

    /// Sessions whose state differs from that in `earlier`.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn changed_since(&self, earlier: &Self) -> Result<std::collections::BTreeSet<SessionId>, StoreError> {
        let differences = tree::differences(self.repo, earlier.tree(), self.tree())?;
        Ok(differences.iter().filter_map(|d| layout::session_of(d.path()?)).collect())
    }

    /// The manifest of a session, if the store has the session.
    ///
    /// # Errors
    /// [`StoreError::Session`] if it is malformed, [`StoreError::Git`].
    pub fn manifest(&self, id: &SessionId) -> Result<Option<Manifest>, StoreError> {
        let path = layout::manifest(id);
        let Some((ObjectType::Blob, blob)) = self.entry(&path)? else { return Ok(None) };
        let fail = |source| StoreError::Session { session: id.clone(), source };
        let json = self.bounded_blob(blob)?.map_err(fail)?;
        Manifest::parse(id, &json).map(Some).map_err(fail)
    }

    /// The text of one segment.
    ///
    /// # Errors
    /// [`StoreError::Segment`] if it is missing or has not the size that `stored` says.
    pub fn segment(
        &self,
        id: &SessionId,
        file: Option<&RelativeName>,
        stored: &StoredFile,
        number: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let blob = self.segment_blob(id, file, stored, number)?;
        Ok(self.repo.find_blob(blob)?.content().to_vec())
    }

    pub(super) fn segment_blob(
        &self,
        id: &SessionId,
        file: Option<&RelativeName>,
        stored: &StoredFile,
        number: usize,
    ) -> Result<Oid, StoreError> {
        let path = layout::segment(id, file, number);
        let wanted = stored.segments.get(number).map(|s| s.bytes);
        if let Some((ObjectType::Blob, blob)) = self.entry(&path)? {
            let (size, _) = self.repo.odb()?.read_header(blob)?;
            if Some(size as u64) == wanted && size <= segment::LIMIT + segment::CUT {
                return Ok(blob);
            }
        }
        Err(StoreError::Segment { path })
    }

    /// All machines whose files can be read, and what is wrong with the others.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn machines(&self) -> Result<(Vec<Machine>, Vec<StoreError>), StoreError> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let Some((ObjectType::Tree, machines)) = self.entry(layout::MACHINES)? else { return Ok((good, bad)) };
        for entry in &self.repo.find_tree(machines)? {
            let id = std::str::from_utf8(entry.name_bytes()).ok().and_then(|n| n.strip_suffix(".json"));
            let Some(id) = id.and_then(|id| id.parse::<MachineId>().ok()) else { continue };
            match self.machine(&id) {
                Ok(machine) => good.extend(machine),
                Err(e @ StoreError::Malformed { .. }) => bad.push(e),
                Err(e) => return Err(e),
            }
        }
        Ok((good, bad))
    }

    /// One machine, if the store knows it.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn machine(&self, id: &MachineId) -> Result<Option<Machine>, StoreError> {
        let path = layout::machine(id);
        let Some((ObjectType::Blob, blob)) = self.entry(&path)? else { return Ok(None) };
        let fail = |source| StoreError::Malformed { path: path.clone(), source };
        let json = self.bounded_blob(blob)?.map_err(fail)?;
        Machine::parse(id, &json).map(Some).map_err(fail)
    }

    /// What others propose to a machine.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn proposed_paths(&self, id: &MachineId) -> Result<Option<ProposedPaths>, StoreError> {
        let path = layout::proposed_paths(id);
        let Some((ObjectType::Blob, blob)) = self.entry(&path)? else { return Ok(None) };
        let fail = |source| StoreError::Malformed { path: path.clone(), source };
        parse_versioned(&self.bounded_blob(blob)?.map_err(fail)?).map(Some).map_err(fail)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let Some((ObjectType::Blob, blob)) = self.entry(layout::FORMAT_FILE)? else { return Ok(()) };
        let fail = |source| match source {
            ManifestError::Newer(found) => StoreError::Newer { found },
            source => StoreError::Malformed { path: layout::FORMAT_FILE.to_owned(), source },
        };
        let json = self.bounded_blob(blob)?.map_err(fail)?;
        parse_versioned::<StoreFormat>(&json).map(drop).map_err(fail)
    }

    /// A blob of at most [`MAX_MANIFEST_BYTES`].
    fn bounded_blob(&self, blob: Oid) -> Result<Result<Vec<u8>, ManifestError>, StoreError> {
        let (size, _) = self.repo.odb()?.read_header(blob)?;
        if size > MAX_MANIFEST_BYTES {
            return Ok(Err(ManifestError::TooLarge(size)));
        }
        Ok(Ok(self.repo.find_blob(blob)?.content().to_vec()))
    }

    fn entry(&self, path: &str) -> Result<Option<(ObjectType, Oid)>, StoreError> {
        let Some(tree) = &self.tree else { return Ok(None) };
        match tree.get_path(std::path::Path::new(path)) {
            Ok(entry) if entry.filemode_raw() == tree::DIRECTORY || tree::is_file_mode(entry.filemode_raw()) => {
                Ok(entry.kind().map(|kind| (kind, entry.id())))
            }
            // A symbolic link or a submodule: as good as absent.
            Ok(_) => Ok(None),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether anything at all is at `path`, be it a symbolic link.
    pub(super) fn has(&self, path: &str) -> bool {
        self.tree.as_ref().is_some_and(|tree| tree.get_path(std::path::Path::new(path)).is_ok())
    }

    fn directories(&self, of: Option<(ObjectType, Oid)>) -> Result<Vec<(String, Oid)>, StoreError> {
        let Some((ObjectType::Tree, tree)) = of else { return Ok(Vec::new()) };
        let tree = self.repo.find_tree(tree)?;
        let directories = tree.iter().filter(|e| e.filemode_raw() == tree::DIRECTORY);
        Ok(directories.filter_map(|e| Some((std::str::from_utf8(e.name_bytes()).ok()?.to_owned(), e.id()))).collect())
    }
}
