//! The exit codes, and the code of each result. Pure.

use std::process::ExitCode;

use crate::domain::ErrorKind;
use crate::report::transfer::{ExtraOutcome, Outcome, RemoteState, Report};
use crate::report::verification::{RemoteStatus, SessionCheck, SyncStatus, Verification};

/// Exit code of a run. Scripts rely on the numbers, so their meaning never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for is on the remote, or on this machine for a pull.
    Done,
    /// The command failed.
    Failed,
    /// The command line is invalid.
    Usage,
    /// Some sessions were skipped; the report names them.
    Skipped,
    /// Another machine or process holds the lock of the session.
    Locked,
    /// A session was continued on two machines: both versions are kept, one under a new id.
    Diverged,
    /// Committed here, not yet on the remote.
    Queued,
    /// A bug in this program.
    Internal,
    /// Another `ccsync` is running on this machine.
    Busy,
    /// Interrupted by Ctrl-C or termination.
    Interrupted,
    /// `resume` and `start` ran Claude Code, which ended with this code.
    Client(u8),
}

impl Exit {
    /// All codes of this program itself, in the order of their numbers.
    pub(crate) const ALL: [Self; 10] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Skipped,
        Self::Locked,
        Self::Diverged,
        Self::Queued,
        Self::Internal,
        Self::Busy,
        Self::Interrupted,
    ];

    /// Returns the number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Skipped => 3,
            Self::Locked => 4,
            Self::Diverged => 5,
            Self::Queued => 6,
            Self::Internal => 70,
            Self::Busy => 75,
            Self::Interrupted => 130,
            Self::Client(code) => code,
        }
    }

    /// Returns the meaning, for the help.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "wrong usage",
            Self::Skipped => "some sessions were skipped",
            Self::Locked => "the session is locked by another machine or process",
            Self::Diverged => "diverged: both versions are kept, one as a fork",
            Self::Queued => "queued: committed here, not yet sent",
            Self::Internal => "internal error",
            Self::Busy => "another ccsync is running",
            Self::Interrupted => "interrupted",
            Self::Client(_) => "the exit code of Claude Code",
        }
    }

    /// Returns the code of an error.
    pub(crate) fn from_error(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Failed | ErrorKind::Remote | ErrorKind::DamagedStore => Self::Failed,
            ErrorKind::Declined => Self::Done,
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Interrupted => Self::Interrupted,
            ErrorKind::Internal => Self::Internal,
        }
    }

    /// Returns the code of a report. Work that was not done is more severe than a fork.
    pub(crate) fn from_report(report: &Report) -> Self {
        let any = |kind: fn(&Outcome) -> bool| report.sessions.iter().any(|s| kind(&s.outcome));
        let remote = Self::from_remote(&report.remote);
        let is_incomplete = any(|o| matches!(o, Outcome::Skipped { .. }))
            || !report.skipped_files.is_empty()
            || !report.refusals.is_empty()
            || report.any_extra(|o| matches!(o, ExtraOutcome::Skipped { .. }));
        let skipped = if is_incomplete {
            Self::Skipped
        } else {
            Self::Done
        };
        let has_conflict = report.any_extra(|o| matches!(o, ExtraOutcome::Conflict));
        let forked = if has_conflict || any(|o| matches!(o, Outcome::Forked { .. })) {
            Self::Diverged
        } else {
            Self::Done
        };
        remote.max_severity(skipped).max_severity(forked)
    }

    /// Returns the code of the state of the remote.
    pub(crate) fn from_remote(remote: &RemoteState) -> Self {
        match remote {
            // There is nothing to push, so nothing is queued: the command did not do its
            // work.
            RemoteState::Queued { commits: 0, .. } => Self::Failed,
            RemoteState::Refused { commits: 0, .. } => Self::Failed,
            RemoteState::Queued { .. } | RemoteState::Refused { .. } => Self::Queued,
            RemoteState::NotContacted
            | RemoteState::UpToDate { .. }
            | RemoteState::SavedOnDisk { .. } => Self::Done,
        }
    }

    /// Returns the code of a verification. Damage is a failure. A difference has the code
    /// of the push or pull that would resolve it.
    pub(crate) fn from_verification(found: &Verification) -> Self {
        let any = |kind: fn(&SessionCheck) -> bool| found.sessions.iter().any(kind);
        let when = |is_so: bool, exit: Self| if is_so { exit } else { Self::Done };
        let damaged = found
            .objects
            .as_ref()
            .is_some_and(|objects| !objects.damaged.is_empty())
            || found.remote_damage.is_some()
            || found
                .extras
                .as_ref()
                .is_some_and(|extras| !extras.damage.is_empty())
            || any(|session| !session.damage.is_empty());
        let (lost, waiting, unseen) = match found.remote {
            RemoteStatus::UpToDate { .. } | RemoteStatus::SavedOnDisk { .. } => (false, 0, false),
            RemoteStatus::Behind { commits, .. } => (false, commits, false),
            RemoteStatus::Ahead { commits, .. } | RemoteStatus::NotReached { commits, .. } => {
                (false, commits, true)
            }
            RemoteStatus::Lost { commits, .. } => (true, commits, false),
        };
        let is_diverged = |s: &SessionCheck| s.statuses().contains(&&SyncStatus::Diverged);
        let open = any(|s| !s.agrees() && !matches!(s.here_to_store, SyncStatus::Diverged));
        let diverged = found.sessions.iter().any(is_diverged);
        when(damaged || lost, Self::Failed)
            .max_severity(when(waiting > 0, Self::Queued))
            .max_severity(when(
                open || unseen || !found.skipped_files.is_empty(),
                Self::Skipped,
            ))
            .max_severity(when(diverged, Self::Diverged))
    }

    /// Returns the more severe exit code.
    pub(crate) fn max_severity(self, other: Self) -> Self {
        if self.rank() >= other.rank() {
            self
        } else {
            other
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Diverged => 1,
            Self::Skipped => 2,
            Self::Queued => 3,
            Self::Failed | Self::Locked | Self::Client(_) => 4,
            Self::Busy => 5,
            Self::Usage => 6,
            Self::Interrupted => 7,
            Self::Internal => 8,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::transfer::SessionReport;

    fn report(outcomes: &[Outcome], remote: RemoteState) -> Report {
        let session = |outcome: &Outcome| SessionReport::new("a".parse().unwrap(), outcome.clone());
        Report {
            sessions: outcomes.iter().map(session).collect(),
            remote,
            ..Report::default()
        }
    }

    fn code(outcomes: &[Outcome], remote: RemoteState) -> u8 {
        Exit::from_report(&report(outcomes, remote)).code()
    }

    fn queued(commits: u64) -> RemoteState {
        RemoteState::Queued {
            commits,
            reason: String::new(),
        }
    }

    fn added() -> Outcome {
        Outcome::Added { lines: 1, bytes: 1 }
    }
    fn forked() -> Outcome {
        Outcome::Forked {
            fork: "b".parse().unwrap(),
            lines: 1,
        }
    }
    fn skipped() -> Outcome {
        Outcome::Skipped {
            reason: String::new(),
        }
    }

    #[test]
    fn exit_codes_are_stable() {
        assert_eq!(
            Exit::ALL.map(Exit::code),
            [0, 1, 2, 3, 4, 5, 6, 70, 75, 130]
        );
    }

    #[test]
    fn exit_success_is_0() {
        let listed = Outcome::NotPulled {
            reason: String::new(),
        };
        assert_eq!(code(&[], RemoteState::NotContacted), 0);
        assert_eq!(
            code(
                &[added(), Outcome::Ahead, Outcome::Behind, listed],
                RemoteState::UpToDate { commit: None }
            ),
            0
        );
    }

    #[test]
    fn exit_unreachable_remote_with_empty_queue_is_1() {
        assert_eq!(code(&[skipped(), forked()], queued(0)), 1);
    }

    #[test]
    fn exit_skipped_session_is_3() {
        assert_eq!(
            code(&[added(), skipped(), forked()], RemoteState::NotContacted),
            3
        );
    }

    #[test]
    fn exit_diverged_session_is_5() {
        assert_eq!(code(&[forked(), added()], RemoteState::NotContacted), 5);
    }

    #[test]
    fn exit_queued_push_is_6() {
        assert_eq!(code(&[skipped(), forked()], queued(2)), 6);
    }

    #[test]
    fn exit_more_severe_code_wins_in_either_order() {
        let order = [
            Exit::Done,
            Exit::Diverged,
            Exit::Skipped,
            Exit::Queued,
            Exit::Failed,
        ];
        for (at, one) in order.into_iter().enumerate() {
            for other in &order[at..] {
                assert_eq!(
                    (one.max_severity(*other), other.max_severity(one)),
                    (*other, *other)
                );
            }
        }
    }
}
