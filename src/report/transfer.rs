//! The report of a push or a pull, by session and by file. `ui` prints it, scripts read it
//! as JSON, and the exit code follows from it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{CommitId, MachineId, SessionId};
use crate::report::{count::is_zero, secret_counts::SecretCounts, totals::Totals};

/// The outcome of a whole command. Every checked session is either in `sessions` or counted
/// in `unchanged`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Sessions that changed, are excluded or need attention, by project and title.
    pub sessions: Vec<SessionReport>,
    /// Number of sessions that were up to date.
    pub unchanged: u64,
    /// pull: number of sessions that were deleted from this machine and stay in the store.
    #[serde(skip_serializing_if = "is_zero")]
    pub deleted: u64,
    /// pull: no session is left on this machine, though some were here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted_all: bool,
    /// Files that look like parts of sessions and were skipped.
    pub skipped_files: Vec<SkippedFile>,
    /// pull: notes of other machines that were not shown here yet, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<ReceivedNote>,
    /// Content that the remote refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// Warnings about no particular session. May contain untrusted text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Extras by owner. Owners whose files were up to date are absent.
    pub extras: Vec<BundleReport>,
    /// True if the user chose the sessions: then notices about them are repeated.
    #[serde(skip)]
    pub is_selection: bool,
    /// True if this is a plan (`--dry-run`): nothing was done.
    pub dry_run: bool,
    /// Sums; missing in a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// State of the remote afterwards.
    pub remote: RemoteState,
}

/// Content that the remote refused: a secret, its size, or another rule of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The sessions that stay on this machine for it.
    pub sessions: Vec<SessionId>,
    /// The bundles of extras that stay, by their directory in the store.
    pub extras: Vec<String>,
    /// The whole message of the server. Untrusted text.
    pub message: String,
}

/// A file that looks like a part of a session and was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedFile {
    /// Its path, unsanitised.
    pub path: String,
    /// The reason.
    pub reason: String,
}

/// The outcome of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionReport {
    /// The session.
    pub session: SessionId,
    /// Its project, if known: the portable path of its directory on this machine, else the
    /// project's remote. Unsanitised.
    pub project: Option<String>,
    /// Its title in the client, unsanitised: never print it raw.
    pub title: Option<String>,
    /// The outcome, with the reason if nothing was done.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Number of new turns, if counted.
    pub turns: Option<u64>,
    /// pull: the machines that wrote the new lines, in the order of the lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<MachineName>,
    /// Time of the newest record in the store, RFC 3339.
    pub last_activity: Option<String>,
    /// Warnings about a session that was synced: lines that were stored verbatim, or a
    /// conflict kept in history.
    pub warnings: Vec<String>,
}

/// A note from a machine. All text in it is untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivedNote {
    /// Its id.
    pub id: String,
    /// When it was written, by the clock of its machine.
    pub time: DateTime<Utc>,
    /// The machine that wrote it.
    pub machine: MachineName,
    /// The recipient; `None`: all other machines.
    #[serde(rename = "for")]
    pub for_machine: Option<MachineName>,
    /// Its text.
    pub text: String,
}

/// A machine by its unique id and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MachineName {
    /// Its id.
    pub id: MachineId,
    /// Its name, unsanitised; `None` if the store does not know the machine.
    pub name: Option<String>,
}

impl SessionReport {
    /// Reports an outcome of a session without details.
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

    /// Reports a session that could not be handled.
    pub fn skipped(session: SessionId, reason: String) -> Self {
        Self::new(session, Outcome::Skipped { reason })
    }
}

/// The kinds of outcome of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// push: new in the store. pull: new on this machine.
    Added {
        /// Transcript lines.
        lines: u64,
        /// Bytes of all files on this machine.
        bytes: u64,
    },
    /// The transcript grew, or other files of the session were added or replaced; `lines`
    /// may then be 0.
    Extended {
        /// Transcript lines added.
        lines: u64,
        /// Bytes added, all files.
        bytes: u64,
    },
    /// Both sides continued the session. The stored one keeps the id; the new lines of this
    /// machine became `fork`.
    Forked {
        /// Id of the fork.
        fork: SessionId,
        /// Lines that only the fork has.
        lines: u64,
    },
    /// pull: this machine has more than the store; `ccsync push` sends it.
    Ahead,
    /// push: the store has more than this machine; `ccsync pull` gets it.
    Behind,
    /// pull: the session stays in the store, because it is too old or its project has no
    /// directory here.
    NotPulled {
        /// The reason, with the command that pulls it.
        reason: String,
    },
    /// The settings exclude it.
    Excluded {
        /// The reason, with the command that changes the setting.
        reason: String,
        /// The store has an earlier state, and keeps it.
        stored: bool,
    },
    /// A problem; the other sessions were handled.
    Skipped {
        /// The reason, with a command that helps, if there is one.
        reason: String,
    },
}

impl Outcome {
    /// Returns true if the session was stored or written.
    pub fn is_stored(&self) -> bool {
        matches!(
            self,
            Self::Added { .. } | Self::Extended { .. } | Self::Forked { .. }
        )
    }
}

/// The outcomes of one owner's extras.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleReport {
    /// The project whose memory it is: its remote or its portable path, unsanitised.
    /// `None`: the user's own files.
    pub project: Option<String>,
    /// The reason if all of it stays in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_pulled: Option<String>,
    /// The files, by name.
    pub files: Vec<ExtraReport>,
}

/// The outcome of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExtraReport {
    /// Its name below the owner's directory, or else its path; unsanitised.
    pub name: String,
    /// The outcome, with the reason if nothing was done.
    #[serde(flatten)]
    pub outcome: ExtraOutcome,
    /// push: number of lines stored verbatim, because they could not be restored exactly.
    #[serde(skip_serializing_if = "is_zero")]
    pub verbatim: u64,
    /// push: secrets in what is new.
    #[serde(flatten)]
    pub secrets: SecretCounts,
}

impl BundleReport {
    /// Reports one file.
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
            secrets: SecretCounts::default(),
        }
    }

    /// Updates the outcome after `former`. The later one counts, but a merge or conflict
    /// stays one when the file is then pushed or pulled.
    fn follow(&mut self, former: &Self) {
        use ExtraOutcome::{Conflict, Merged, Pulled, Pushed};
        if let (Conflict, Pushed | Pulled | Merged) | (Merged, Pushed | Pulled) =
            (&former.outcome, &self.outcome)
        {
            self.outcome = former.outcome.clone();
        }
        self.verbatim = self.verbatim.max(former.verbatim);
        self.secrets = self.secrets.max(former.secrets);
    }
}

/// The kinds of outcome of an extras file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum ExtraOutcome {
    /// push: new or changed in the store.
    Pushed,
    /// pull: new or changed here.
    Pulled,
    /// Two machines changed different lines; the file has both changes.
    Merged,
    /// Two machines changed the same lines; the file has both versions for the user to edit.
    Conflict,
    /// restore: the earlier content, as a change of this machine that the next push sends.
    Restored,
    /// Deleted: by a push from the store, by a pull from this machine.
    Removed,
    /// pull: it can run programs, and `ccsync apply` has to approve it.
    NeedsApproval {
        /// Name of the machine that changed it, unsanitised.
        from: String,
    },
    /// By rule, it stays on this machine.
    Excluded {
        /// The reason.
        reason: String,
    },
    /// A problem; the other sessions were handled.
    Skipped {
        /// The reason.
        reason: String,
    },
}

/// State of the remote after a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RemoteState {
    /// Not contacted, because there was no need or the command is a plan.
    #[default]
    NotContacted,
    /// The remote has every commit of this machine.
    UpToDate {
        /// Head of the remote; `None`: it is empty.
        commit: Option<CommitId>,
    },
    /// The repository on this disk, in place of a remote, has every commit.
    #[serde(rename = "up-to-date")]
    SavedOnDisk {
        /// Its head; `None`: it is empty.
        commit: Option<CommitId>,
    },
    /// The remote was not reached. The next command sends the commits.
    Queued {
        /// Number of queued commits.
        commits: u64,
        /// The reason, with git's message if there is one.
        reason: String,
    },
    /// The remote refuses every push of this machine. Nothing sends the commits before that is
    /// changed.
    Refused {
        /// Number of commits that stay here.
        commits: u64,
        /// The reason, with all that the server said.
        reason: String,
    },
}

impl Report {
    /// Sums up after all was done in this time.
    pub(crate) fn sum_up(&mut self, duration: Duration) {
        let stored = self.sessions.iter().filter(|s| s.outcome.is_stored());
        let bytes = stored.clone().map(|session| match session.outcome {
            Outcome::Added { bytes, .. } | Outcome::Extended { bytes, .. } => bytes,
            _ => 0,
        });
        self.totals = Some(Totals {
            turns: stored.clone().filter_map(|session| session.turns).sum(),
            bytes: bytes.sum(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// Adds what the remote refused: these sessions are not stored.
    pub(crate) fn add_refusals(&mut self, refusals: Vec<Refusal>) {
        for session in refusals.iter().flat_map(|refusal| &refusal.sessions) {
            let reason = "refused by the remote; it stays here, and each push tries it again";
            self.replace(SessionReport::skipped(session.clone(), reason.to_owned()));
        }
        self.refusals.extend(refusals);
    }

    /// Counts the sessions with this kind of outcome.
    pub fn count(&self, kind: impl Fn(&Outcome) -> bool) -> u64 {
        self.sessions.iter().filter(|s| kind(&s.outcome)).count() as u64
    }

    /// Returns the report of a session, if it is named.
    pub(crate) fn session_mut(&mut self, id: &SessionId) -> Option<&mut SessionReport> {
        self.sessions
            .iter_mut()
            .find(|report| report.session == *id)
    }

    /// Replaces the outcome of a session.
    pub(crate) fn replace(&mut self, session: SessionReport) {
        match self.session_mut(&session.session) {
            Some(former) => former.outcome = session.outcome,
            None => {
                self.unchanged = self.unchanged.saturating_sub(1);
                self.sessions.push(session);
            }
        }
    }

    /// Adds the later outcomes of extras. An owner may have several directories here, each
    /// with its own report.
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

    /// Returns true if an extras file had this kind of outcome.
    pub fn any_extra(&self, kind: impl Fn(&ExtraOutcome) -> bool) -> bool {
        self.extras
            .iter()
            .flat_map(|bundle| &bundle.files)
            .any(|file| kind(&file.outcome))
    }

    /// Sorts the sessions by project, title and id.
    pub(crate) fn sort(&mut self) {
        self.sessions.sort_by(|a, b| {
            (&a.project, &a.title, &a.session).cmp(&(&b.project, &b.title, &b.session))
        });
    }

    /// Number of checked sessions.
    pub fn total(&self) -> u64 {
        self.sessions.len() as u64 + self.unchanged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &[(&str, ExtraOutcome)]) -> BundleReport {
        let file =
            |(name, outcome): &(&str, ExtraOutcome)| ExtraReport::new(*name, outcome.clone());
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
