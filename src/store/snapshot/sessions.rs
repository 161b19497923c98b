//! Sessions: their states, manifests and segments.

use std::collections::{BTreeMap, BTreeSet};

use git2::{ObjectType, Oid};

use super::open::Snapshot;
use crate::domain::{SessionFile, SessionId};
use crate::store::objects::tree::{changed_files, find_entry, read_tree};
use crate::store::{
    error::StoreError, format::json::MAX_MANIFEST_BYTES, format::manifest::Manifest,
    format::manifest::StoredFile, format::segment::MAX_FILE_BYTES, layout,
};

/// Equal for two commits if and only if the session's files in them are equal.
pub type SessionState = String;

impl Snapshot<'_> {
    /// Returns every session and its state. Other directories are ignored.
    ///
    /// A directory without a manifest is listed too: finding out would cost a tree per session.
    /// [`Self::manifest`] returns `None` for it, and the session is to be treated as missing.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn sessions(&self) -> Result<BTreeMap<SessionId, SessionState>, StoreError> {
        let mut sessions = BTreeMap::new();
        for (shard, tree) in self.directories_in(self.directory(layout::SESSIONS)?)? {
            for (name, state) in self.directories_in(Some(tree))? {
                if let Some(id) = session_in_shard(&name, &shard) {
                    sessions.insert(id, state.to_string());
                }
            }
        }
        Ok(sessions)
    }

    /// Returns the state of one session, if the store has it.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn state(&self, id: &SessionId) -> Result<Option<SessionState>, StoreError> {
        Ok(self.session_tree(id)?.map(|oid| oid.to_string()))
    }

    pub(in crate::store) fn session_tree(&self, id: &SessionId) -> Result<Option<Oid>, StoreError> {
        self.directory(&layout::session(id))
    }

    /// Returns the sessions whose state differs from that in `earlier`.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn changed_since(&self, earlier: &Self) -> Result<BTreeSet<SessionId>, StoreError> {
        let then = self.directories_in(earlier.directory(layout::SESSIONS)?)?;
        let now = self.directories_in(self.directory(layout::SESSIONS)?)?;
        let mut changed = BTreeSet::new();
        for (shard, [then, now]) in unequal(then, now) {
            let sessions = unequal(self.directories_in(then)?, self.directories_in(now)?);
            let names = sessions.keys();
            changed.extend(names.filter_map(|name| session_in_shard(name, &shard)));
        }
        Ok(changed)
    }

    /// Returns true if this has all lines that `earlier` has of a session, perhaps with more.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn continues(&self, earlier: &Self, session: &SessionId) -> Result<bool, StoreError> {
        let (then, now) = (earlier.session_tree(session)?, self.session_tree(session)?);
        for file in changed_files(self.objects, then, now)? {
            let Some(path) = file.path().filter(|path| path.ends_with(".jsonl")) else {
                continue;
            };
            let Some(old) = find_entry(self.objects, then, path)? else {
                continue;
            };
            let Some(new) = file.new else {
                return Ok(false);
            };
            let old = self.objects.read(ObjectType::Blob, old.oid)?;
            let new = self.objects.read(ObjectType::Blob, new.oid)?;
            if !new.starts_with(&old) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns how many lines the transcript of `now`, a session of this commit, had at an earlier
    /// state, if it has only gained lines since. `None` if it has changed in another way, or if the
    /// store has that state no more.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn lines_before(
        &self,
        now: &Manifest,
        earlier: &SessionState,
    ) -> Result<Option<u64>, StoreError> {
        // It was written down by an earlier command, and may be gone.
        let earlier = Oid::from_str(earlier).ok();
        let Some(earlier) = earlier.filter(|tree| self.objects.size(*tree).is_ok()) else {
            return Ok(None);
        };
        let Some(manifest) = find_entry(self.objects, Some(earlier), layout::MANIFEST)? else {
            return Ok(None);
        };
        let json = self.objects.read(ObjectType::Blob, manifest.oid)?;
        let Ok(then) = Manifest::parse(&now.session, &json) else {
            return Ok(None);
        };
        let is_continued =
            now.continues_runs(&then) && self.continues_segments(&now.session, earlier)?;
        Ok(is_continued.then(|| then.transcript.lines()))
    }

    /// Returns true if the transcript has the segments that it has in `earlier`: the last one
    /// perhaps with more text, the others unchanged.
    fn continues_segments(&self, id: &SessionId, earlier: Oid) -> Result<bool, StoreError> {
        let segments = |session| {
            let directory = find_entry(self.objects, session, layout::TRANSCRIPT)?;
            read_tree(self.objects, directory.map(|entry| entry.oid))
        };
        let then = segments(Some(earlier))?;
        let now = segments(self.session_tree(id)?)?;
        let mut changed = then
            .iter()
            .filter(|(name, old)| now.get(*name) != Some(old));
        let Some((name, old)) = changed.next() else {
            return Ok(true);
        };
        let is_last = then.last_key_value().is_some_and(|(last, _)| last == name);
        let Some(new) = now.get(name).filter(|_| is_last) else {
            return Ok(false);
        };
        let [old, new] = [old, new].map(|entry| self.objects.read(ObjectType::Blob, entry.oid));
        Ok(new?.starts_with(&old?))
    }

    /// Returns the manifest of a session, if the store has the session.
    ///
    /// # Errors
    /// [`StoreError::Session`] if it is malformed, [`StoreError::Git`].
    pub fn manifest(&self, id: &SessionId) -> Result<Option<Manifest>, StoreError> {
        let parse = |json: &[u8]| Manifest::parse(id, json);
        match self.parse_file(&layout::manifest(id), MAX_MANIFEST_BYTES, parse) {
            Err(StoreError::Malformed { source, .. }) => Err(StoreError::Session {
                session: id.clone(),
                source,
            }),
            manifest => manifest,
        }
    }

    /// Returns the text of one segment.
    ///
    /// # Errors
    /// [`StoreError::Segment`] if it is missing, damaged or of another size than in `stored`.
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

    /// Returns the object of one segment.
    ///
    /// # Errors
    /// [`StoreError::Segment`] if it is missing or of another size than in `stored`.
    pub(in crate::store) fn segment_blob(
        &self,
        id: &SessionId,
        file: &SessionFile,
        stored: &StoredFile,
        number: usize,
    ) -> Result<Oid, StoreError> {
        let path = layout::segment(id, file, number);
        let expected = stored.segments.get(number).map(|segment| segment.bytes);
        if let Some(blob) = self.file(&path)? {
            let size = self.objects.size(blob)?;
            if Some(size as u64) == expected && size <= MAX_FILE_BYTES {
                return Ok(blob);
            }
        }
        Err(StoreError::Segment { path })
    }
}

pub(super) fn session_in_shard(name: &str, shard: &str) -> Option<SessionId> {
    let id: SessionId = name.parse().ok()?;
    (id.shard() == shard).then_some(id)
}

/// Returns the names whose directories differ, with both of them.
fn unequal(
    then: Vec<(String, Oid)>,
    now: Vec<(String, Oid)>,
) -> BTreeMap<String, [Option<Oid>; 2]> {
    let mut names: BTreeMap<String, [Option<Oid>; 2]> = BTreeMap::new();
    for (side, directories) in [then, now].into_iter().enumerate() {
        for (name, oid) in directories {
            names.entry(name).or_default()[side] = Some(oid);
        }
    }
    names.retain(|_, [then, now]| then != now);
    names
}
