//! The result of a verification. `cli` prints it, scripts read it as JSON, and the exit code
//! follows from it.

use serde::Serialize;

use crate::domain::{CommitId, RelativeName, SessionId};
use crate::report::transfer::SkippedFile;
use crate::store::ObjectCheck;

/// Comparison of this machine's files, the store and the remote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Every byte was read, instead of trusting the index and the manifests.
    pub full: bool,
    /// Sessions on this machine.
    pub here: Total,
    /// Sessions in the store.
    pub store: Total,
    /// Sessions on the remote, as of the last fetch.
    pub remote_total: Total,
    /// Head of the store.
    pub head: Option<CommitId>,
    /// Comparison of the remote with the store.
    pub remote: RemoteStatus,
    /// The objects of the store; `None`: they were not read.
    pub objects: Option<ObjectCheck>,
    /// Damage that git found in a remote on this disk.
    pub remote_damage: Option<String>,
    /// Extras in the store; `None`: only some sessions were checked.
    pub extras: Option<ExtrasCheck>,
    /// The checked sessions, by id.
    pub sessions: Vec<SessionCheck>,
    /// Files that look like parts of sessions and are not synced.
    pub skipped_files: Vec<SkippedFile>,
}

/// Amount of data in one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Number of sessions.
    pub sessions: u64,
    /// Number of lines of their transcripts.
    pub lines: u64,
    /// Number of bytes of all their files.
    pub bytes: u64,
}

/// Extras in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExtrasCheck {
    /// Number of files that can be read.
    pub files: u64,
    /// Their bytes in the store.
    pub bytes: u64,
    /// Damage of the other files, unsanitised.
    pub damage: Vec<String>,
}

/// Amount of data of one session in one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Lines of the transcript.
    pub lines: u64,
    /// Bytes of all files: on this machine their size here, else the size on the machine
    /// that wrote them.
    pub bytes: u64,
}

/// Comparison of one session in all places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionCheck {
    /// The session.
    pub session: SessionId,
    /// Portable path of its project, if known.
    pub project: Option<String>,
    /// Its title, unsanitised: never print it raw.
    pub title: Option<String>,
    /// A client on this machine has it open; only complete lines count.
    pub running: bool,
    /// `None`: it is not on this machine, which is not a difference.
    pub here: Option<Amount>,
    /// `None`: it is not in the store.
    pub store: Option<Amount>,
    /// As of the last fetch; `None`: it is not on the remote.
    pub remote: Option<Amount>,
    /// This machine's files compared with the stored ones.
    pub here_to_store: SyncStatus,
    /// The stored files compared with those of the remote.
    pub store_to_remote: SyncStatus,
    /// Damaged files in the store.
    pub damage: Vec<Damage>,
    /// Number of lines read from the local transcript that are not records.
    pub damaged_lines: u64,
    /// The reason if the settings exclude the session. It may then differ from the store.
    pub excluded: Option<String>,
}

/// Comparison of one place with the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum SyncStatus {
    /// They agree, or the session is not on this machine.
    #[default]
    Same,
    /// The first has more.
    Ahead,
    /// The second has more.
    Behind,
    /// Each has files or lines that are missing in the other, without a conflict.
    AheadAndBehind,
    /// They were continued differently.
    Diverged,
    /// They could not be compared.
    Unknown {
        /// The reason.
        reason: String,
    },
}

/// A stored file that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file below `<session id>/`; `None`: the transcript, or the whole session.
    pub file: Option<RelativeName>,
    /// Number of the damaged segment, if it is one.
    pub segment: Option<u64>,
    /// Description of the damage.
    pub message: String,
}

/// Comparison of the remote's branch with the store's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RemoteStatus {
    /// Both have the same head.
    UpToDate {
        /// `None`: both are empty.
        commit: Option<CommitId>,
    },
    /// The repository on this disk, in place of a remote, has the same head.
    #[serde(rename = "up-to-date")]
    SavedOnDisk {
        /// The head.
        commit: CommitId,
    },
    /// Commits of the store are missing on the remote.
    Behind {
        /// Head of the remote.
        commit: Option<CommitId>,
        /// Number of missing commits.
        commits: u64,
    },
    /// The remote has commits that are not in the store.
    Ahead {
        /// Head of the remote.
        commit: CommitId,
        /// Number of commits of the store that are missing on the remote.
        commits: u64,
    },
    /// The remote no longer has commits that it had.
    Lost {
        /// Head of the remote.
        commit: Option<CommitId>,
        /// Number of commits of the store that are missing on the remote.
        commits: u64,
    },
    /// The remote was not reached; its values are as of the last fetch.
    NotReached {
        /// The reason.
        reason: String,
        /// Number of commits of the store that were missing at the last fetch.
        commits: u64,
    },
}

impl Default for RemoteStatus {
    fn default() -> Self {
        Self::UpToDate { commit: None }
    }
}

impl Damage {
    /// Creates the damage of a whole session.
    pub fn for_session(message: String) -> Self {
        Self {
            file: None,
            segment: None,
            message,
        }
    }
}

impl Total {
    fn add(&mut self, amount: Option<Amount>) {
        if let Some(amount) = amount {
            self.sessions += 1;
            self.lines += amount.lines;
            self.bytes += amount.bytes;
        }
    }
}

impl SessionCheck {
    pub(crate) fn new(session: SessionId, running: bool) -> Self {
        Self {
            session,
            project: None,
            title: None,
            running,
            here: None,
            store: None,
            remote: None,
            here_to_store: SyncStatus::Same,
            store_to_remote: SyncStatus::Same,
            damage: Vec::new(),
            damaged_lines: 0,
            excluded: None,
        }
    }

    /// Returns true if all places have the same, undamaged session.
    pub fn agrees(&self) -> bool {
        self.statuses()
            .iter()
            .all(|status| **status == SyncStatus::Same)
            && self.damage.is_empty()
    }

    /// Returns the comparisons that should find no difference.
    pub fn statuses(&self) -> Vec<&SyncStatus> {
        let here = (self.excluded.is_none()).then_some(&self.here_to_store);
        here.into_iter().chain([&self.store_to_remote]).collect()
    }
}

impl Verification {
    pub(crate) fn add(&mut self, check: SessionCheck) {
        self.here.add(check.here);
        self.store.add(check.store);
        self.remote_total.add(check.remote);
        self.sessions.push(check);
    }
}
