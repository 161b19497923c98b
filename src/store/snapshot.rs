//! Reading one commit of the store.
//!
//! Everything in it may have been written by somebody else: sizes are checked before text is loaded, names before they
//! are used, and a session that fails a check fails alone.

mod bundles;

use std::collections::{BTreeMap, BTreeSet};

use git2::{ObjectType, Oid};
use serde::Deserialize;

use super::machine::{Machine, ProposedPaths};
use super::manifest::{MAX_MANIFEST_BYTES, Manifest, ManifestError, StoredFile, parse_versioned};
use super::milestone::{Milestone, MilestoneName};
use super::note::{Note, NoteId};
use super::reader::Objects;
use super::{Store, StoreError, layout, milestone, note, segment, tree};
use crate::domain::id::{CommitId, MachineId, SessionId};
use crate::domain::session_file::SessionFile;

/// The contents of one commit.
pub struct Snapshot<'store> {
    objects: Objects<'store>,
    tree: Option<Oid>,
}

/// The store's `ccsync.json`.
#[derive(Deserialize)]
struct StoreFormat {}

/// Equal for two commits exactly if the session's files in the store are equal.
pub type SessionState = String;

impl<'store> Snapshot<'store> {
    pub(super) fn open(
        store: &'store Store,
        commit: Option<&CommitId>,
    ) -> Result<Self, StoreError> {
        let tree = commit.map(|commit| store.tree_of(commit)).transpose()?;
        let snapshot = Self {
            objects: store.objects(),
            tree,
        };
        snapshot.check_format()?;
        Ok(snapshot)
    }

    pub(super) fn tree(&self) -> Option<Oid> {
        self.tree
    }

    /// Whether the remote holds a store already (and not, say, an empty repository or one with only a licence).
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn is_store(&self) -> Result<bool, StoreError> {
        Ok(self.file(layout::FORMAT_FILE)?.is_some())
    }

    /// Whether it is a store of claude-session-sync, another program, and none of this one's.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn is_of_claude_session_sync(&self) -> Result<bool, StoreError> {
        if self.is_store()? || self.directory(layout::SESSIONS)?.is_none() {
            return Ok(false);
        }
        let extras = self
            .file("shared_placeholders.json")?
            .or(self.file("sessions/_paths.json")?);
        Ok(extras.or(self.directory("session_meta")?).is_some())
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
        for (shard, shard_tree) in self.directories_in(self.directory(layout::SESSIONS)?)? {
            for (name, state) in self.directories_in(Some(shard_tree))? {
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
        Ok(self.session_tree(id)?.map(|oid| oid.to_string()))
    }

    /// The directory of a session.
    pub(super) fn session_tree(&self, id: &SessionId) -> Result<Option<Oid>, StoreError> {
        self.directory(&layout::session(id))
    }

    /// Sessions whose state differs from that in `earlier`.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn changed_since(&self, earlier: &Self) -> Result<BTreeSet<SessionId>, StoreError> {
        let (then, now) = (
            earlier.directory(layout::SESSIONS)?,
            self.directory(layout::SESSIONS)?,
        );
        let mut changed = BTreeSet::new();
        for (shard, then, now) in unequal(self.directories_in(then)?, self.directories_in(now)?) {
            let ids = unequal(self.directories_in(then)?, self.directories_in(now)?)
                .into_iter()
                .filter_map(|(name, ..)| name.parse().ok());
            changed.extend(ids.filter(|id: &SessionId| id.shard() == shard));
        }
        Ok(changed)
    }

    /// The manifest of a session, if the store has the session.
    ///
    /// # Errors
    /// [`StoreError::Session`] if it is malformed, [`StoreError::Git`].
    pub fn manifest(&self, id: &SessionId) -> Result<Option<Manifest>, StoreError> {
        let path = layout::manifest(id);
        let Some(blob) = self.file(&path)? else {
            return Ok(None);
        };
        let fail = |source| StoreError::Session {
            session: id.clone(),
            source,
        };
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
        file: &SessionFile,
        stored: &StoredFile,
        number: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let blob = self.segment_blob(id, file, stored, number)?;
        match self.objects.read(ObjectType::Blob, blob) {
            Err(StoreError::Object { .. }) => Err(StoreError::Segment {
                path: layout::segment(id, file, number),
            }),
            text => text,
        }
    }

    pub(super) fn segment_blob(
        &self,
        id: &SessionId,
        file: &SessionFile,
        stored: &StoredFile,
        number: usize,
    ) -> Result<Oid, StoreError> {
        let path = layout::segment(id, file, number);
        let wanted = stored.segments.get(number).map(|s| s.bytes);
        if let Some(blob) = self.file(&path)? {
            let size = self.objects.size(blob)?;
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
        self.machine_files(".json", Self::machine)
    }

    /// All machines that were forgotten, and whose files can be read.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn forgotten_machines(&self) -> Result<Vec<Machine>, StoreError> {
        Ok(self
            .machine_files(layout::FORGOTTEN_SUFFIX, Self::forgotten_machine)?
            .0)
    }

    fn machine_files(
        &self,
        suffix: &str,
        read: impl Fn(&Self, &MachineId) -> Result<Option<Machine>, StoreError>,
    ) -> Result<(Vec<Machine>, Vec<StoreError>), StoreError> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (name, _) in tree::entries(self.objects, self.directory(layout::MACHINES)?)? {
            let id = std::str::from_utf8(&name)
                .ok()
                .and_then(|n| n.strip_suffix(suffix));
            let Some(id) = id.and_then(|id| id.parse::<MachineId>().ok()) else {
                continue;
            };
            match read(self, &id) {
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
        self.machine_at(&layout::machine(id), id)
    }

    /// One machine that was forgotten.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn forgotten_machine(&self, id: &MachineId) -> Result<Option<Machine>, StoreError> {
        self.machine_at(&layout::forgotten(id), id)
    }

    fn machine_at(&self, path: &str, id: &MachineId) -> Result<Option<Machine>, StoreError> {
        let Some(blob) = self.file(path)? else {
            return Ok(None);
        };
        let fail = |source| StoreError::Malformed {
            path: path.to_owned(),
            source,
        };
        let json = self.bounded_blob(blob)?.map_err(fail)?;
        Machine::parse(id, &json).map(Some).map_err(fail)
    }

    /// What others propose to a machine.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn proposed_paths(&self, id: &MachineId) -> Result<Option<ProposedPaths>, StoreError> {
        let path = layout::proposed_paths(id);
        let Some(blob) = self.file(&path)? else {
            return Ok(None);
        };
        let fail = |source| StoreError::Malformed {
            path: path.clone(),
            source,
        };
        parse_versioned(&self.bounded_blob(blob)?.map_err(fail)?)
            .map(Some)
            .map_err(fail)
    }

    /// The ids of all notes, the oldest first. Names that are no notes' are passed over.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn note_ids(&self) -> Result<Vec<NoteId>, StoreError> {
        Ok(self
            .stems_in(layout::NOTES)?
            .iter()
            .filter_map(|stem| stem.parse().ok())
            .collect())
    }

    /// Equal for two commits exactly if their notes are.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn notes_state(&self) -> Result<Option<String>, StoreError> {
        Ok(self.directory(layout::NOTES)?.map(|oid| oid.to_string()))
    }

    /// A note, if the store has it.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn note(&self, id: &NoteId) -> Result<Option<Note>, StoreError> {
        let path = layout::note(id);
        self.small_file(&path, note::MAX_FILE_BYTES, &|json| Note::parse(id, json))
    }

    /// All milestones whose files can be read, and what is wrong with the others.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn milestones(&self) -> Result<(Vec<Milestone>, Vec<StoreError>), StoreError> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for name in self.milestone_names()? {
            match self.milestone(&name) {
                Ok(milestone) => good.extend(milestone),
                Err(e @ StoreError::Malformed { .. }) => bad.push(e),
                Err(e) => return Err(e),
            }
        }
        Ok((good, bad))
    }

    /// The names of all milestones, as their files have them. Names that are no milestones' are passed over.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn milestone_names(&self) -> Result<Vec<MilestoneName>, StoreError> {
        Ok(self
            .stems_in(layout::MILESTONES)?
            .iter()
            .filter_map(|stem| stem.parse().ok())
            .collect())
    }

    /// A milestone, if the store has it.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], [`StoreError::Git`].
    pub fn milestone(&self, name: &MilestoneName) -> Result<Option<Milestone>, StoreError> {
        let path = layout::milestone(name);
        self.small_file(&path, milestone::MAX_FILE_BYTES, &|json| {
            Milestone::parse(&name.file_stem(), json)
        })
    }

    /// The names of the files `*.json` in a directory, without that ending, in order. More than anybody has are not looked at.
    fn stems_in(&self, directory: &str) -> Result<Vec<String>, StoreError> {
        const MOST: usize = 10_000;
        let entries = tree::entries(self.objects, self.directory(directory)?)?.into_iter();
        let files = entries.filter(|(_, leaf)| leaf.is_file());
        let stem = |name: Vec<u8>| {
            Some(
                String::from_utf8(name)
                    .ok()?
                    .strip_suffix(".json")?
                    .to_owned(),
            )
        };
        let mut stems: Vec<String> = files.filter_map(|(name, _)| stem(name)).collect();
        // The last are the newest, where names begin with a time.
        stems.drain(..stems.len().saturating_sub(MOST));
        Ok(stems)
    }

    /// What is in a file of at most `longest` bytes, if it is there.
    fn small_file<T>(
        &self,
        path: &str,
        longest: usize,
        parse: &dyn Fn(&[u8]) -> Result<T, ManifestError>,
    ) -> Result<Option<T>, StoreError> {
        let Some(blob) = self.file(path)? else {
            return Ok(None);
        };
        let fail = |source| StoreError::Malformed {
            path: path.to_owned(),
            source,
        };
        if self.objects.size(blob)? > longest {
            return Err(fail(ManifestError::Inconsistent(
                "it is larger than any such file",
            )));
        }
        let json = self.bounded_blob(blob)?.map_err(fail)?;
        parse(&json).map(Some).map_err(fail)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let Some(blob) = self.file(layout::FORMAT_FILE)? else {
            return Ok(());
        };
        let fail = |source| match source {
            ManifestError::Newer(found) => StoreError::Newer { found },
            source => StoreError::Malformed {
                path: layout::FORMAT_FILE.to_owned(),
                source,
            },
        };
        let json = self.bounded_blob(blob)?.map_err(fail)?;
        parse_versioned::<StoreFormat>(&json)
            .map(drop)
            .map_err(fail)
    }

    /// A blob of at most [`MAX_MANIFEST_BYTES`].
    fn bounded_blob(&self, blob: Oid) -> Result<Result<Vec<u8>, ManifestError>, StoreError> {
        let size = self.objects.size(blob)?;
        if size > MAX_MANIFEST_BYTES {
            return Ok(Err(ManifestError::TooLarge(size)));
        }
        match self.objects.read(ObjectType::Blob, blob) {
            Err(StoreError::Object { .. }) => {
                Ok(Err(ManifestError::Inconsistent("its object is damaged")))
            }
            json => json.map(Ok),
        }
    }

    /// The file at `path`. A symbolic link or a submodule is as good as absent.
    pub(super) fn file(&self, path: &str) -> Result<Option<Oid>, StoreError> {
        let leaf = tree::at_path(self.objects, self.tree, path)?;
        Ok(leaf.filter(|leaf| leaf.is_file()).map(|leaf| leaf.oid))
    }

    fn directory(&self, path: &str) -> Result<Option<Oid>, StoreError> {
        let leaf = tree::at_path(self.objects, self.tree, path)?;
        Ok(leaf.filter(|leaf| leaf.is_directory()).map(|leaf| leaf.oid))
    }

    /// Whether anything at all is at `path`, be it a symbolic link.
    pub(super) fn has(&self, path: &str) -> bool {
        tree::at_path(self.objects, self.tree, path).is_ok_and(|leaf| leaf.is_some())
    }

    fn directories_in(&self, tree: Option<Oid>) -> Result<Vec<(String, Oid)>, StoreError> {
        let entries = tree::entries(self.objects, tree)?.into_iter();
        let directories = entries.filter(|(_, leaf)| leaf.is_directory());
        Ok(directories
            .filter_map(|(name, leaf)| Some((String::from_utf8(name).ok()?, leaf.oid)))
            .collect())
    }
}

/// Names that are not the same on both sides, with what they stand for there.
fn unequal(
    then: Vec<(String, Oid)>,
    now: Vec<(String, Oid)>,
) -> Vec<(String, Option<Oid>, Option<Oid>)> {
    let mut names: BTreeMap<String, (Option<Oid>, Option<Oid>)> = BTreeMap::new();
    then.into_iter()
        .for_each(|(name, oid)| names.entry(name).or_default().0 = Some(oid));
    now.into_iter()
        .for_each(|(name, oid)| names.entry(name).or_default().1 = Some(oid));
    let unequal = names.into_iter().filter(|(_, (then, now))| then != now);
    unequal
        .map(|(name, (then, now))| (name, then, now))
        .collect()
}
