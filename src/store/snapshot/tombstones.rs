//! Tombstones: the deleted sessions.

use std::collections::BTreeSet;

use super::open::Snapshot;
use super::sessions::session_in_shard;
use crate::domain::SessionId;
use crate::store::error::StoreError;
use crate::store::format::tombstone::{self, Tombstone};
use crate::store::layout;
use crate::store::objects::tree::read_tree;

impl Snapshot<'_> {
    /// Returns the deleted sessions. Files with other names are ignored.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn deleted_sessions(&self) -> Result<BTreeSet<SessionId>, StoreError> {
        let mut deleted = BTreeSet::new();
        for (shard, tree) in self.directories_in(self.directory(layout::DELETED)?)? {
            let entries = read_tree(self.objects, Some(tree))?;
            let files = entries.iter().filter(|(_, entry)| entry.is_file());
            let names = files.filter_map(|(name, _)| std::str::from_utf8(name).ok());
            let stems = names.filter_map(|name| name.strip_suffix(".json"));
            deleted.extend(stems.filter_map(|stem| session_in_shard(stem, &shard)));
        }
        Ok(deleted)
    }

    /// Returns true if the session was deleted, whatever is in its tombstone.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn is_deleted(&self, session: &SessionId) -> Result<bool, StoreError> {
        Ok(self.file(&layout::tombstone(session))?.is_some())
    }

    /// Returns the tombstone of a session; `None` also if it is unreadable.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn tombstone(&self, session: &SessionId) -> Result<Option<Tombstone>, StoreError> {
        let parse = |json: &[u8]| Tombstone::parse(session, json);
        match self.parse_file(
            &layout::tombstone(session),
            tombstone::MAX_FILE_BYTES,
            parse,
        ) {
            Err(StoreError::Malformed { .. }) => Ok(None),
            tombstone => tombstone,
        }
    }
}
