//! What a verification found. Pure data, like a report: `cli` draws it, scripts read it
//! as JSON, the exit code is computed from it.

use serde::Serialize;

use crate::domain::id::{CommitId, SessionId};
use crate::domain::path::RelativeName;
use crate::report::transfer::SkippedFile;
use crate::store::ObjectCheck;

/// True if this machine's files, the store and the remote agree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Every byte was read, instead of trusting the index and the manifests.
    pub full: bool,
    /// What lies on this machine.
    pub here: Total,
    /// What the store holds.
    pub store: Total,
    /// What the remote holds, as far as it was fetched.
    pub remote_total: Total,
    /// Head of the store.
    pub head: Option<CommitId>,
    /// How the remote stands to the store.
    pub remote: RemoteStatus,
    /// The objects of the store; absent where they were not read.
    pub objects: Option<ObjectCheck>,
    /// What git finds wrong with the objects of a remote on this disk.
    pub remote_damage: Option<String>,
    /// What the store holds beside sessions; absent where only some sessions were looked at.
    pub extras: Option<ExtrasCheck>,
    /// Every session that was looked at, by id.
    pub sessions: Vec<SessionCheck>,
    /// Files that look like parts of sessions and are not taken.
    pub skipped_files: Vec<SkippedFile>,
}

/// What one place holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Sessions.
    pub sessions: u64,
    /// Lines of their transcripts.
    pub lines: u64,
    /// Bytes of all their files.
    pub bytes: u64,
}

/// What the store holds beside sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExtrasCheck {
    /// Texts that can be read.
    pub files: u64,
    /// Their bytes in the store.
    pub bytes: u64,
    /// What is wrong with the others, unsanitised.
    pub damage: Vec<String>,
}

/// What one place holds of one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Lines of the transcript.
    pub lines: u64,
    /// Bytes of all files: here, as they lie on this machine; in the store and on the
    /// remote, as their machines wrote them.
    pub bytes: u64,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionCheck {
    /// The session.
    pub session: SessionId,
    /// Portable path of its project, where known.
    pub project: Option<String>,
    /// Its title, unsanitised: never print it raw.
    pub title: Option<String>,
    /// A client on this machine has it open: only its whole lines count.
    pub running: bool,
    /// What lies here; none: it is not here, which is no difference.
    pub here: Option<Amount>,
    /// What the store holds.
    pub store: Option<Amount>,
    /// What the remote holds, as far as it was fetched.
    pub remote: Option<Amount>,
    /// This machine's files beside the stored ones.
    pub here_to_store: SyncStatus,
    /// The stored files beside those of the remote.
    pub store_to_remote: SyncStatus,
    /// What is wrong with the stored files.
    pub damage: Vec<Damage>,
    /// Lines of the transcript here that are no records, as far as it was read.
    pub damaged_lines: u64,
    /// Why the settings leave the session out, if they do: then it is no difference that
    /// more is here than in the store, or less.
    pub excluded: Option<String>,
}

/// How one place stands to the next.
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
    /// Each has files or lines that the other lacks, and neither contradicts the other.
    AheadAndBehind,
    /// They went on differently.
    Diverged,
    /// They could not be compared.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// A stored file that cannot be had as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Which file below `<session id>/`; none: the transcript, or all.
    pub file: Option<RelativeName>,
    /// Which segment, where one is to blame.
    pub segment: Option<u64>,
    /// What is wrong.
    pub message: String,
}

/// How the remote's branch stands to the store's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RemoteStatus {
    /// Both are at this commit; none: both are empty.
    UpToDate {
        /// The commit.
        commit: Option<CommitId>,
    },
    /// The remote lacks commits of the store.
    Behind {
        /// Where the remote is.
        commit: Option<CommitId>,
        /// How many it lacks.
        commits: u64,
    },
    /// The remote has commits that are not in the store; it may lack others.
    Ahead {
        /// Where the remote is.
        commit: CommitId,
        /// How many commits of the store it lacks.
        commits: u64,
    },
    /// The remote no longer has commits that it had.
    Lost {
        /// Where the remote is.
        commit: Option<CommitId>,
        /// How many commits of the store it lacks.
        commits: u64,
    },
    /// It could not be asked: all that is said of it is as of the last fetch.
    NotReached {
        /// Why.
        reason: String,
        /// How many commits of the store it lacked.
        commits: u64,
    },
}

impl Default for RemoteStatus {
    fn default() -> Self {
        Self::UpToDate { commit: None }
    }
}

impl Damage {
    /// Damage of a session as a whole.
    pub fn of_session(message: String) -> Self {
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

    /// Returns true if all places have of it what they should, whole.
    pub fn agrees(&self) -> bool {
        self.statuses()
            .iter()
            .all(|status| **status == SyncStatus::Same)
            && self.damage.is_empty()
    }

    /// How the places stand to each other that should agree.
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
