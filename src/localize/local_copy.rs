//! The files of a session on this machine, and how much of each counts.

use std::path::PathBuf;

use crate::domain::SessionFile;
use crate::localize::{error::StoredDataError, stored_text::LocalText, stored_text::last_line_end};
use crate::session::{LocalSession, facts::working_directories};

/// The files of one session on this machine.
pub(crate) struct LocalCopy<'a> {
    pub(crate) session: &'a LocalSession,
    /// True if a running Claude Code has it open: then only whole lines count.
    pub(crate) live: bool,
}

impl<'a> LocalCopy<'a> {
    /// Returns the copy of a session that no running Claude Code has open.
    pub(crate) fn closed(session: &'a LocalSession) -> Self {
        Self {
            session,
            live: false,
        }
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, file: &SessionFile) -> PathBuf {
        self.session.path(file)
    }

    /// Returns how many bytes of the file count.
    pub(crate) fn limit(&self, file: &SessionFile) -> Result<u64, StoredDataError> {
        let stamp = self.session.files.get(file);
        let len = stamp.map_or(0, |stamp| stamp.len);
        if self.live && file.is_append_only() {
            last_line_end(&self.path(file), len)
        } else {
            Ok(len)
        }
    }

    /// Returns the working directories that the beginning of the transcript names.
    pub(crate) fn working_directories(&self) -> Result<Vec<String>, StoredDataError> {
        if !self.session.files.contains_key(&SessionFile::Transcript) {
            return Ok(Vec::new());
        }
        Ok(working_directories(
            &self.open(&SessionFile::Transcript, 0)?.next_lines()?,
        ))
    }

    /// Opens the file at `offset`, up to its limit.
    pub(crate) fn open(
        &self,
        file: &SessionFile,
        offset: u64,
    ) -> Result<LocalText, StoredDataError> {
        LocalText::open(&self.path(file), offset, self.limit(file)?)
    }
}
