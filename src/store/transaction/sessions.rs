//! Writing sessions.

use std::collections::BTreeSet;

use super::commit::Transaction;
use crate::domain::{SessionFile, SessionId};
use crate::store::{error::StoreError, format::manifest::Manifest, layout, snapshot::Snapshot};

impl Transaction<'_> {
    /// Returns true if any file of the session was changed.
    pub fn touches(&self, session: &SessionId) -> bool {
        let directory = format!("{}/", layout::session(session));
        let next = self.changes.range(directory.clone()..).next();
        next.is_some_and(|(path, _)| path.starts_with(&directory))
    }

    /// Adds one segment of a file of a session.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn write_segment(
        &mut self,
        session: &SessionId,
        file: &SessionFile,
        number: usize,
        text: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.write_file(layout::segment(session, file, number), text)
    }

    /// Adds a segment to the same file of `session`, without reading its text.
    ///
    /// # Errors
    /// [`StoreError::Segment`] if `from` does not have it, [`StoreError::Git`].
    pub fn reuse_segment(
        &mut self,
        from: &Snapshot<'_>,
        manifest: &Manifest,
        file: &SessionFile,
        number: usize,
        session: &SessionId,
    ) -> Result<(), StoreError> {
        let Some(stored) = manifest.file(file) else {
            return Err(StoreError::Segment {
                path: layout::segment(&manifest.session, file, number),
            });
        };
        let blob = from.segment_blob(&manifest.session, file, stored, number)?;
        self.link_file(layout::segment(session, file, number), blob);
        Ok(())
    }

    /// Adds the manifest of a session, and removes segments that it no longer names.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn write_manifest(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        let session = &manifest.session;
        if let Ok(Some(former)) = self.base.manifest(session) {
            for (name, file) in former.all_files() {
                let kept = manifest.file(&name).map_or(0, |f| f.segments.len());
                for number in kept..file.segments.len() {
                    self.remove_file(layout::segment(session, &name, number));
                }
            }
        }
        self.write_file(layout::manifest(session), manifest.to_json())
    }

    /// Discards every session that has new segments but no new manifest: storing it failed.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn discard_incomplete_sessions(&mut self) -> Result<(), StoreError> {
        let paths = self.changes.keys();
        let touched: BTreeSet<_> = paths.filter_map(|path| layout::session_of(path)).collect();
        for session in touched {
            if !self.changes.contains_key(&layout::manifest(&session)) {
                self.discard_session(&session)?;
            }
        }
        Ok(())
    }

    fn discard_session(&mut self, session: &SessionId) -> Result<(), StoreError> {
        let is_of_session = |path: &String| layout::session_of(path).as_ref() == Some(session);
        self.changes.retain(|path, _| !is_of_session(path));
        let written = self.written.extract_if(|path, _| is_of_session(path));
        for (path, _) in written {
            self.store.restore_file(&path, self.base.tree())?;
        }
        Ok(())
    }
}
