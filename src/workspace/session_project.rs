//! The project of a session on this machine: the directories in which it worked, the git remotes
//! that these had, and the patterns that excluded it.
//!
//! It is remembered with the session, because a clone that is removed, or on a disk that is away,
//! tells nothing any more. A transcript that has only grown is read from its former end on. Must
//! not apply patterns.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::{
    client_dir::client_dir_name, pattern::ProjectPattern, session_file::SessionFile,
};
use crate::localize::{error::StoredDataError, stored_text::LocalText};
use crate::session::{LocalSession, mentions::Mentions};
use crate::sys::fs::FileStamp;
use crate::workspace::index::tail_hash;

/// The project of a session, as its files named it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionProject {
    /// The directory under `projects/` that the session is in.
    project_dir: PathBuf,
    /// The transcripts that were read, by [`SessionFile::key`].
    read: BTreeMap<String, ReadTranscript>,
    #[serde(flatten)]
    pub(crate) mentions: Mentions,
    /// The remote of each directory that could be examined; `None`: it has no remote.
    remotes: BTreeMap<String, Option<String>>,
    /// Patterns that excluded the session.
    pub(crate) excluded_by: BTreeSet<ProjectPattern>,
}

/// A transcript of the session, or of a sub-agent, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ReadTranscript {
    stamp: FileStamp,
    /// The end of the last whole line.
    end: u64,
    /// Hash of the bytes before `end`, which shows whether the file has only grown.
    tail: String,
}

impl SessionProject {
    /// Returns true if the transcripts of `session` are those that were read.
    pub(crate) fn describes(&self, session: &LocalSession) -> bool {
        let mut count = 0;
        let is_read = |(file, stamp): (&SessionFile, &FileStamp)| {
            count += 1;
            let read = self.read.get(file.key());
            read.is_some_and(|read| read.stamp == *stamp)
        };
        self.project_dir == session.directory
            && transcripts(session).all(is_read)
            && count == self.read.len()
    }

    /// Reads what the transcripts of `session` say since `self` was recorded.
    pub(crate) fn read_since(&self, session: &LocalSession) -> Result<Self, StoredDataError> {
        let has_grown = |(file, stamp): (&SessionFile, &FileStamp)| {
            let read = self.read.get(file.key());
            read.is_none_or(|read| read.is_beginning_of(session, file, stamp))
        };
        let is_same = transcripts(session).all(has_grown);
        let mut project = match is_same {
            true => self.clone(),
            false => Self::default(),
        };
        project.project_dir.clone_from(&session.directory);
        project.read.retain(|key, _| {
            let mut files = session.files.keys();
            files.any(|file| file.key() == key)
        });
        for (file, stamp) in transcripts(session) {
            if project
                .read
                .get(file.key())
                .is_some_and(|read| read.stamp == *stamp)
            {
                continue;
            }
            let from = project.read.get(file.key()).map_or(0, |read| read.end);
            let read = project.read_file(session, file, *stamp, from)?;
            project.read.insert(file.key().to_owned(), read);
        }
        Ok(project)
    }

    fn read_file(
        &mut self,
        session: &LocalSession,
        file: &SessionFile,
        stamp: FileStamp,
        from: u64,
    ) -> Result<ReadTranscript, StoredDataError> {
        let path = session.path(file);
        let (mut at, mut end) = (from, from);
        LocalText::open(&path, from, stamp.len)?.each_piece(|piece| {
            self.mentions.absorb(piece);
            if let Some(last) = memchr::memrchr(b'\n', piece) {
                end = at + last as u64 + 1;
            }
            at += piece.len() as u64;
            Ok(())
        })?;
        Ok(ReadTranscript {
            stamp,
            end,
            tail: tail_hash(&path, end),
        })
    }

    /// Returns the working directory that the client named the project directory after; else the
    /// first one.
    pub(crate) fn main_directory(&self) -> Option<&str> {
        let name = self.project_dir.file_name()?.to_str();
        let directories = &self.mentions.directories;
        let named = directories
            .iter()
            .find(|directory| Some(client_dir_name(directory).as_str()) == name);
        named.or_else(|| directories.first()).map(String::as_str)
    }

    /// Returns the name of the directory under `projects/`.
    pub(crate) fn directory_name(&self) -> Option<&str> {
        self.project_dir.file_name()?.to_str()
    }

    /// Returns the remote that a directory has or had; `None`: it is not known.
    pub(crate) fn remote(&self, directory: &str) -> Option<Option<&str>> {
        self.remotes.get(directory).map(Option::as_deref)
    }

    /// Records the remote of a directory. A remote that it had before stays, if it has none now.
    pub(crate) fn record_remote(&mut self, directory: &str, remote: Option<String>) {
        let known = self.remotes.entry(directory.to_owned()).or_default();
        *known = remote.or(known.take());
    }
}

impl ReadTranscript {
    fn is_beginning_of(
        &self,
        session: &LocalSession,
        file: &SessionFile,
        stamp: &FileStamp,
    ) -> bool {
        self.stamp == *stamp
            || stamp.len >= self.stamp.len && tail_hash(&session.path(file), self.end) == self.tail
    }
}

fn transcripts(session: &LocalSession) -> impl Iterator<Item = (&SessionFile, &FileStamp)> {
    let files = session.files.iter();
    files.filter(|(file, _)| file.is_append_only())
}
