//! What a push or a pull did, session by session. Pure data: `ui` draws it, scripts read
//! it as JSON, the exit code is computed from it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::id::{CommitId, MachineId, SessionId};

/// The outcome of a whole command. Every session looked at is in exactly one of
/// `sessions` and `unchanged`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Sessions that changed, were left out, or need attention; in order of project and title.
    pub sessions: Vec<SessionReport>,
    /// Sessions for which nothing had to be done.
    pub unchanged: u64,
    /// Files that look like parts of sessions and were not taken.
    pub skipped_files: Vec<SkippedFile>,
    /// pull: notes from other machines that were not shown here yet, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<ReceivedNote>,
    /// What else a person should know, about no session in particular. May hold untrusted text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What happened to prose and settings beside sessions, by their owner; owners for
    /// whom nothing had to be done are not named.
    pub extras: Vec<BundleReport>,
    /// True if this is a plan (`--dry-run`): nothing was done.
    pub dry_run: bool,
    /// What became of the remote.
    pub remote: RemoteState,
}

/// A file that looks like a part of a session and was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedFile {
    /// Where it lies; unsanitised.
    pub path: String,
    /// Why it was not taken.
    pub reason: String,
}

/// What happened to one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionReport {
    /// The session.
    pub session: SessionId,
    /// Its project, where known: the portable path of its place on this machine, else as
    /// it is known by its remote. Unsanitised.
    pub project: Option<String>,
    /// Its title as the client would show it, unsanitised: never print it raw.
    pub title: Option<String>,
    /// What was done, or why nothing was.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Turns of a person among the lines that came, where they were counted.
    pub turns: Option<u64>,
    /// pull: the machines that wrote those lines, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<MachineName>,
    /// Time of the newest record that the store has, RFC 3339.
    pub last_activity: Option<String>,
    /// Things a person should know though the session travelled: a piece stored verbatim,
    /// a conflict kept in history.
    pub warnings: Vec<String>,
}

/// A note that somebody left on a machine. All text in it is untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivedNote {
    /// Its id.
    pub id: String,
    /// When it was written, by the clock of its machine.
    pub time: DateTime<Utc>,
    /// Who wrote it.
    pub machine: MachineName,
    /// For whom it is; none: for all other machines.
    #[serde(rename = "for")]
    pub for_machine: Option<MachineName>,
    /// What it says.
    pub text: String,
}

/// A machine as a person knows it, and as nothing else is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MachineName {
    /// Its id.
    pub id: MachineId,
    /// Its name, unsanitised; none where the store does not know the machine.
    pub name: Option<String>,
}

impl SessionReport {
    /// A report of a session of which no more is known.
    pub fn new(session: SessionId, outcome: Outcome) -> Self {
        Self {
            session,
            project: None,
            title: None,
            outcome,
            turns: None,
            machines: Vec::new(),
            last_activity: None,
            warnings: Vec::new(),
        }
    }

    /// A report of a session that could not be handled.
    pub fn skipped(session: SessionId, reason: String) -> Self {
        Self::new(session, Outcome::Skipped { reason })
    }
}

/// What was done with one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// push: new in the store. pull: new on this machine.
    Added {
        /// Transcript lines.
        lines: u64,
        /// Bytes of all files as they lie on this machine.
        bytes: u64,
    },
    /// The transcript grew, or files beside it were added or replaced (then `lines` may be 0).
    Extended {
        /// Transcript lines added.
        lines: u64,
        /// Bytes added, all files.
        bytes: u64,
    },
    /// Both sides continued the session: the stored one keeps the id, this machine's tail
    /// became `fork`.
    Forked {
        /// The id under which this machine's tail goes on.
        fork: SessionId,
        /// Lines that only the fork has.
        lines: u64,
    },
    /// pull: this machine has more than the store; `ccsync push` sends it.
    Ahead,
    /// push: the store has more than this machine; `ccsync pull` brings it.
    Behind,
    /// pull: in the store, deliberately not brought here (too old, or no place for its project).
    NotPulled {
        /// Why, with the command that brings it.
        reason: String,
    },
    /// The settings leave it out.
    Excluded {
        /// Why, with the command that changes it.
        reason: String,
        /// The store has it from before, and keeps it.
        stored: bool,
    },
    /// Could not be handled; the others went on.
    Skipped {
        /// Why, with the command that helps where there is one.
        reason: String,
    },
}

impl Outcome {
    /// Returns true if the session was stored, or written here.
    pub fn is_stored(&self) -> bool {
        matches!(
            self,
            Self::Added { .. } | Self::Extended { .. } | Self::Forked { .. }
        )
    }
}

/// What happened to the prose and the settings of one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleReport {
    /// The project whose memory it is, by its remote or its portable path, unsanitised;
    /// none: the user's own files.
    pub project: Option<String>,
    /// Why all of it stays in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_pulled: Option<String>,
    /// The files, by name.
    pub files: Vec<ExtraReport>,
}

/// What happened to one file beside sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExtraReport {
    /// Its name below the owner's directory, or its path if it cannot be named so; unsanitised.
    pub name: String,
    /// What was done, or why nothing was.
    #[serde(flatten)]
    pub outcome: ExtraOutcome,
    /// push: how many lines of it are stored verbatim, because rewriting them could not
    /// be undone exactly.
    #[serde(skip_serializing_if = "is_zero")]
    pub verbatim: u64,
}

impl BundleReport {
    /// A report on one file.
    pub(crate) fn single(project: Option<String>, file: ExtraReport) -> Self {
        Self {
            project,
            not_pulled: None,
            files: vec![file],
        }
    }
}

impl ExtraReport {
    pub(crate) fn new(name: impl Into<String>, outcome: ExtraOutcome) -> Self {
        Self {
            name: name.into(),
            outcome,
            verbatim: 0,
        }
    }

    /// What is said last of a file holds; that two versions met in it is still so when it
    /// has travelled on.
    fn follow(&mut self, former: &Self) {
        use ExtraOutcome::{Conflict, Merged, Pulled, Pushed};
        if let (Conflict, Pushed | Pulled | Merged) | (Merged, Pushed | Pulled) =
            (&former.outcome, &self.outcome)
        {
            self.outcome = former.outcome.clone();
        }
        self.verbatim = self.verbatim.max(former.verbatim);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What was done with one file beside sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum ExtraOutcome {
    /// push: new in the store, or changed there.
    Pushed,
    /// pull: new here, or changed here.
    Pulled,
    /// Changed here and elsewhere, in different places: both changes are in it.
    Merged,
    /// Changed here and elsewhere in the same lines: both versions stand in it, and
    /// somebody should choose.
    Conflict,
    /// restore: as it was then. It is a change of this machine, which the next push sends.
    Restored,
    /// Removed: by a push from the store, by a pull from this machine.
    Removed,
    /// pull: it can run programs, and waits for a yes (`ccsync apply`).
    NeedsApproval {
        /// The name of the machine it comes from, unsanitised.
        from: String,
    },
    /// It stays on this machine, on purpose.
    Excluded {
        /// Why.
        reason: String,
    },
    /// Could not be handled; the others went on.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// What became of the remote during a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RemoteState {
    /// Not contacted: there was no need to, or the command is a plan.
    #[default]
    NotContacted,
    /// The remote holds everything this machine has committed; `commit` is its head
    /// (none: the remote is empty).
    UpToDate {
        /// Head of the remote.
        commit: Option<CommitId>,
    },
    /// The remote could not be reached or refused: committed work waits here and the next
    /// command sends it.
    Queued {
        /// Commits waiting.
        commits: u64,
        /// Why, in the words of git where git said something.
        reason: String,
    },
}

impl Report {
    /// How many sessions had this kind of outcome.
    pub fn count(&self, kind: impl Fn(&Outcome) -> bool) -> u64 {
        self.sessions.iter().filter(|s| kind(&s.outcome)).count() as u64
    }

    /// Returns the report of a session, if it is named.
    pub(crate) fn session_mut(&mut self, id: &SessionId) -> Option<&mut SessionReport> {
        self.sessions
            .iter_mut()
            .find(|report| report.session == *id)
    }

    /// Reports a session otherwise than it was reported so far.
    pub(crate) fn replace(&mut self, session: SessionReport) {
        match self.session_mut(&session.session) {
            Some(there) => there.outcome = session.outcome,
            None => {
                self.unchanged = self.unchanged.saturating_sub(1);
                self.sessions.push(session);
            }
        }
    }

    /// Adds what happened next to files beside sessions. An owner may have several
    /// directories here, each with a report of its own.
    pub(crate) fn add_extras(&mut self, mut next: Vec<BundleReport>) {
        let mut former = std::mem::take(&mut self.extras);
        for bundle in &mut former {
            let later = next
                .iter_mut()
                .filter(|later| later.project == bundle.project);
            let mut later: Vec<&mut ExtraReport> =
                later.flat_map(|later| &mut later.files).collect();
            bundle.files.retain(|file| {
                let same = later.iter_mut().filter(|later| later.name == file.name);
                same.map(|later| later.follow(file)).count() == 0
            });
        }
        for bundle in former {
            match next
                .iter_mut()
                .find(|later| later.project == bundle.project)
            {
                Some(later) => {
                    later.files.extend(bundle.files);
                    later.not_pulled = later.not_pulled.take().or(bundle.not_pulled);
                }
                None => self.extras.push(bundle),
            }
        }
        self.extras.extend(next);
        self.extras
            .iter_mut()
            .for_each(|bundle| bundle.files.sort_by(|a, b| a.name.cmp(&b.name)));
        self.extras.sort_by(|a, b| a.project.cmp(&b.project));
    }

    /// Returns true if any file beside sessions had this kind of outcome.
    pub fn any_extra(&self, kind: impl Fn(&ExtraOutcome) -> bool) -> bool {
        self.extras
            .iter()
            .flat_map(|bundle| &bundle.files)
            .any(|file| kind(&file.outcome))
    }

    /// Puts the sessions in order of project, title and id.
    pub(crate) fn sort(&mut self) {
        self.sessions.sort_by(|a, b| {
            (&a.project, &a.title, &a.session).cmp(&(&b.project, &b.title, &b.session))
        });
    }

    /// All sessions looked at.
    pub fn total(&self) -> u64 {
        self.sessions.len() as u64 + self.unchanged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &[(&str, ExtraOutcome)]) -> BundleReport {
        let file = |(name, outcome): &(&str, ExtraOutcome)| ExtraReport {
            name: (*name).to_owned(),
            outcome: outcome.clone(),
            verbatim: 0,
        };
        BundleReport {
            project: Some("app".to_owned()),
            not_pulled: None,
            files: files.iter().map(file).collect(),
        }
    }

    #[test]
    fn report_keeps_latest_outcome_and_merge_status() {
        use ExtraOutcome::{Conflict, Merged, Pulled, Pushed};
        let skipped = || ExtraOutcome::Skipped {
            reason: "no room".to_owned(),
        };
        for (former, next, holds) in [
            (Pushed, Conflict, Conflict),
            (Merged, Conflict, Conflict),
            (Merged, Pulled, Merged),
            (Conflict, Pulled, Conflict),
            (Conflict, Merged, Conflict),
            (Conflict, skipped(), skipped()),
            (skipped(), Pulled, Pulled),
        ] {
            let mut report = Report {
                extras: vec![bundle(&[("a", former), ("b", Pushed)])],
                ..Report::default()
            };
            // Two directories of one owner.
            report.add_extras(vec![bundle(&[("a", next)]), bundle(&[("a", skipped())])]);
            assert_eq!(
                report.extras,
                [
                    bundle(&[("a", holds), ("b", Pushed)]),
                    bundle(&[("a", skipped())])
                ]
            );
        }
    }

    #[test]
    fn report_does_not_join_directories_of_one_owner() {
        let both = || {
            vec![
                bundle(&[("a", ExtraOutcome::Pulled)]),
                bundle(&[("a", ExtraOutcome::Merged)]),
            ]
        };
        let mut report = Report {
            extras: both(),
            ..Report::default()
        };
        report.add_extras(Vec::new());
        assert_eq!(report.extras, both());
    }
}
