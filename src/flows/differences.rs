//! The differences between a session on this machine and the stored one, as data. Must not read
//! the store.

use std::collections::BTreeMap;

use crate::domain::session_file::SessionFile;
use crate::flows::diverged_tail::{local_lines_before, local_tail};
use crate::localize::{StoredLine, collect::Continuation, local_copy::LocalCopy};
use crate::session::LocalSession;
use crate::workspace::error::SyncError;

/// Differences between a session here and the stored one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Content that only this machine has.
    pub(crate) to_push: FilePushes,
    /// Content that only the store has.
    pub(crate) to_pull: BTreeMap<SessionFile, FilePull>,
    /// Set if the two were continued differently; then `to_push` is the content of the
    /// fork.
    pub(crate) divergence: Option<Divergence>,
    /// Lines with choices of the user, from an end of the transcript that has no turns and gives
    /// way to the other one: they follow it.
    pub(crate) choices: Choices,
    /// True if the transcript has an end without turns here that is not to be sent, because another
    /// machine continues the session.
    pub(crate) waits: bool,
}

/// Lines with choices of the user that follow the end of a transcript.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    /// Local lines, to be written after what is pulled.
    pub(crate) local: Vec<u8>,
    /// Stored lines, to be stored after what is pushed.
    pub(crate) stored: Vec<StoredLine>,
}

/// Content to store, by file.
pub(crate) type FilePushes = BTreeMap<SessionFile, FilePush>;

/// Content to store of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilePush {
    /// All of it: it is new, or replaces the stored one.
    Whole,
    /// The lines after the stored lines, or after the lines in common.
    Continue(Continuation),
    /// Nothing: Claude Code has removed the file, because it is finished.
    Remove,
}

/// Content to write of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilePull {
    /// All of it. The journal keeps what was there.
    Whole,
    /// The lines after the first `lines` stored ones, which end at `offset`. A part of
    /// the next line may be in the local file.
    Extend { lines: u64, offset: u64 },
    /// Nothing: the file is removed. The journal keeps it.
    Remove,
}

/// The point from which a local file and the stored one differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Divergence {
    pub(crate) file: SessionFile,
    /// Lines in common.
    pub(crate) lines: u64,
    /// The offset at which they end in the local file.
    pub(crate) offset: u64,
}

impl Differences {
    /// Returns all files of a session that the store does not have.
    pub(crate) fn all_new(session: &LocalSession) -> Self {
        let files = session.files.keys();
        Self {
            to_push: files.map(|file| (file.clone(), FilePush::Whole)).collect(),
            ..Self::default()
        }
    }

    /// Returns true if the session is in sync.
    pub(crate) fn is_empty(&self) -> bool {
        self.to_push.is_empty()
            && self.to_pull.is_empty()
            && self.divergence.is_none()
            && !self.waits
    }

    /// Returns true if the session was only opened and left: it has nothing to push but an end of
    /// the transcript without turns and without a new choice of the user.
    pub(super) fn are_of_a_look(&self, local: &LocalCopy<'_>) -> Result<bool, SyncError> {
        let transcript = SessionFile::Transcript;
        let is_other = self.to_push.len() > 1 || !self.are_resolved_by_push();
        let Some(FilePush::Continue(from)) = self.to_push.get(&transcript).filter(|_| !is_other)
        else {
            return Ok(false);
        };
        let tail = local_tail(local, &transcript, from.offset)?;
        if tail.has_turns() {
            return Ok(false);
        }
        let before = local_lines_before(local, &transcript, from.offset)?;
        Ok(!tail.has_new_choices(&before))
    }

    /// Returns true if the session is in sync once `to_push` is stored.
    pub(crate) fn are_resolved_by_push(&self) -> bool {
        self.to_pull.is_empty()
            && self.divergence.is_none()
            && self.choices.stored.is_empty()
            && !self.waits
    }

    /// Treats a longer local file as diverged at the end of the stored one: only another machine
    /// may continue the session. An end without turns waits until it may be sent.
    pub(super) fn into_divergence_at_end(
        mut self,
        local: &LocalCopy<'_>,
    ) -> Result<Self, SyncError> {
        if let Some(FilePush::Continue(from)) = self.to_push.get(&SessionFile::Transcript)
            && self.divergence.is_none()
            && !local_tail(local, &SessionFile::Transcript, from.offset)?.has_turns()
        {
            self.to_push.remove(&SessionFile::Transcript);
            self.choices = Choices::default();
            self.waits = true;
        }
        let longer = self.to_push.iter().find_map(|(file, push)| match push {
            FilePush::Continue(from) => Some(Divergence {
                file: file.clone(),
                lines: from.lines,
                offset: from.offset,
            }),
            FilePush::Whole | FilePush::Remove => None,
        });
        self.divergence = self.divergence.or(longer);
        if self.divergence.is_none() && !self.to_push.is_empty() {
            // Files that are rewritten in place: the other machine has the present ones.
            self.to_push.clear();
            self.waits = true;
        }
        Ok(self)
    }

    pub(super) fn continue_file(
        &mut self,
        file: SessionFile,
        lines: u64,
        close: bool,
        offset: u64,
    ) {
        let from = Continuation {
            lines,
            close,
            offset,
        };
        self.to_push.insert(file, FilePush::Continue(from));
    }
}
