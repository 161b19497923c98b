//! One session on this machine: its directory and the stamps of its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{file_path, team_of, transcript_path};
use crate::domain::{SessionFile, SessionId};
use crate::sys::fs::FileStamp;

/// A session on this machine.
#[derive(Debug, Clone)]
pub struct LocalSession {
    /// Its id.
    pub id: SessionId,
    /// Its project directory, `projects/<name>`.
    pub directory: PathBuf,
    /// All files that the client keeps of it.
    pub files: BTreeMap<SessionFile, FileStamp>,
    /// The transcript of a copy, if it is not in the place of one.
    pub copied_transcript: Option<PathBuf>,
}

impl LocalSession {
    /// Returns the path of a file of the session.
    pub fn path(&self, file: &SessionFile) -> PathBuf {
        if file.is_transcript() {
            return self.transcript_path();
        }
        file_path(&self.directory, &self.id, file)
    }

    /// Returns the path of the transcript.
    pub fn transcript_path(&self) -> PathBuf {
        match &self.copied_transcript {
            Some(path) => path.clone(),
            None => transcript_path(&self.directory, &self.id),
        }
    }

    /// Returns the name of the project directory; empty if it is not UTF-8 (the client writes
    /// ASCII).
    pub fn directory_name(&self) -> &str {
        self.directory
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }

    /// Returns true if the client still keeps the list of a task, perhaps an empty one. Of a team's
    /// list, another file must be there: the list may belong to another session now.
    pub fn has_task_list(&self, task: &SessionFile) -> bool {
        match team_of(task) {
            Some(team) => self.files.keys().any(|file| team_of(file) == Some(team)),
            None => self.path(task).parent().is_some_and(Path::is_dir),
        }
    }

    /// Returns the bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|stamp| stamp.len).sum()
    }
}
