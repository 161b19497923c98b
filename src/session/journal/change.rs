//! One line of a journal: a change that is about to be made, or its result.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sys::fs::FileStamp;

/// A line of a journal without the stamp of the file before the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub(super) enum JournalChange {
    /// A new file.
    Created { path: PathBuf },
    /// A file that was `from` bytes long.
    Extended { path: PathBuf, from: u64 },
    /// A file with former contents in the file `kept`.
    Replaced { path: PathBuf, kept: String },
    /// A removed file with its contents in the file `kept`.
    Removed { path: PathBuf, kept: String },
    /// The last change of `path` was made and left this file.
    Done { path: PathBuf, stamp: FileStamp },
    /// An undo went through this journal; the following lines are those that it left.
    Undone,
}

impl JournalChange {
    /// Returns the changed file; `Done` and `Undone` change none.
    pub(super) fn changed_path(&self) -> Option<&Path> {
        match self {
            Self::Created { path }
            | Self::Extended { path, .. }
            | Self::Replaced { path, .. }
            | Self::Removed { path, .. } => Some(path),
            Self::Done { .. } | Self::Undone => None,
        }
    }

    /// Returns the name of the file with the former contents, if they are kept.
    pub(super) fn kept(&self) -> Option<&str> {
        match self {
            Self::Replaced { kept, .. } | Self::Removed { kept, .. } => Some(kept),
            _ => None,
        }
    }

    /// Returns true if the change overwrites or extends a file.
    pub(super) fn has_former_file(&self) -> bool {
        self.kept().is_some() || matches!(self, Self::Extended { .. })
    }
}

/// A line of a journal.
#[derive(Serialize, Deserialize)]
pub(super) struct JournalLine<C> {
    #[serde(flatten)]
    pub(super) change: C,
    /// The file before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<FileStamp>,
}

/// Formats a value as a line of JSON.
pub(super) fn to_line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
