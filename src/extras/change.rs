//! The change that a pull or an approval makes to one file here.

use crate::extras::{
    file_version::FileVersion, owner::OwnerFile, state::ExtrasState, state::ScannedFile,
    text_file::hash, versions::Versions,
};
use crate::report::ExtraOutcome;
use crate::session::extras::text_to_write;
use crate::session::journal::Journal;
use crate::sys::{fail_point::fail_point, fs::FileStamp, fs::knows_executables};
use crate::workspace::SyncError;

pub(crate) struct FileChange {
    /// `None`: the file is removed.
    pub(crate) content: Option<NewContent>,
    pub(crate) outcome: ExtraOutcome,
    /// Key under which an approval of this content is remembered; empty if it needs none.
    pub(crate) approval: String,
}

/// The content that a file gets.
pub(crate) struct NewContent {
    /// The version in the store, which becomes the base.
    pub(crate) stored: FileVersion,
    /// The text on this machine.
    pub(crate) local: String,
    /// The owner of the file may execute it then.
    pub(crate) executable: bool,
}

impl FileChange {
    pub(crate) fn removal() -> Self {
        Self {
            content: None,
            outcome: ExtraOutcome::Removed,
            approval: String::new(),
        }
    }

    /// The file becomes the merge of both versions, or without a merge, the `stored` one.
    pub(crate) fn to_content(
        stored: FileVersion,
        merged: Option<(String, ExtraOutcome)>,
        executable: bool,
    ) -> Self {
        let (local, outcome) =
            merged.unwrap_or_else(|| (stored.local.clone(), ExtraOutcome::Pulled));
        Self {
            content: Some(NewContent {
                stored,
                local,
                executable,
            }),
            outcome,
            approval: String::new(),
        }
    }

    pub(crate) fn is_executable(&self) -> bool {
        self.content.as_ref().is_some_and(|new| new.executable)
    }

    /// Returns true if changes of this machine are not part of the new content.
    pub(crate) fn replaces_changes(&self, versions: &Versions) -> bool {
        versions.has_local_changes() && self.outcome != ExtraOutcome::Merged
    }

    /// Changes the file, which must still have the stamp `expected`, and records its new base.
    pub(crate) fn apply(
        &self,
        journal: &Journal,
        file: OwnerFile<'_>,
        expected: Option<FileStamp>,
        state: &mut ExtrasState,
    ) -> Result<(), SyncError> {
        let (directory, path) = (&file.owner.name, file.owner.path(file.name));
        let Some(new) = &self.content else {
            if let Some(expected) = expected {
                journal.remove(&path, &expected)?;
                fail_point("an extras file is removed");
            }
            return Ok(state.record(directory, file.name, None, None)?);
        };

        let text = text_to_write(&path, &new.local);
        let is_written = expected.is_some()
            && file.executable().is_none_or(|now| now == new.executable)
            && crate::sys::fs::read(&path).is_ok_and(|present| present == text.as_bytes());
        let stamp = if is_written {
            expected
        } else {
            Some(journal.write_text(&path, expected.as_ref(), &text, new.executable)?)
        };
        fail_point("an extras file is written");

        state.record(directory, file.name, stamp, Some(&new.stored))?;
        let scanned = ScannedFile {
            stamp,
            hash: Some(hash(&new.local)),
            executable: new.executable && knows_executables(),
            exclude_reason: None,
        };
        state.record_scan(directory, file.name, scanned);
        Ok(())
    }
}
