//! The lines after Claude Code has ended: usually one; more only for problems.

use std::collections::BTreeSet;

use super::background::RunningSessions;
use crate::domain::SessionId;
use crate::flows::push::Pushed;
use crate::report::{Outcome, RemoteState, Report, SessionReport};
use crate::ui::{Output, extras, format::count, format::short_id, sanitize::one_line};

/// A run of Claude Code, after the last push.
pub(super) struct FinishedRun<'a> {
    pub(super) finished: &'a Pushed,
    /// The session that was started or continued.
    pub(super) session: &'a SessionId,
    /// That session, and those that Claude Code began meanwhile.
    pub(super) sessions: &'a BTreeSet<SessionId>,
    /// Number of turns that were pushed.
    pub(super) turns: u64,
    /// Warnings of the backups.
    pub(super) warnings: &'a BTreeSet<String>,
    /// This process held the lock of the session.
    pub(super) locked: bool,
    /// The remote is the repository on this disk.
    pub(super) embedded: bool,
    /// Sessions that run on.
    pub(super) running: &'a RunningSessions,
}

/// Returns the number of turns that were pushed, of the sessions that are `own`.
pub(super) fn pushed_turns(report: &Report, is_own: impl Fn(&SessionId) -> bool) -> u64 {
    let own = report.sessions.iter().filter(|s| is_own(&s.session));
    own.filter_map(|session| session.turns).sum()
}

impl FinishedRun<'_> {
    /// Prints the result for the sessions, the extras, the lock and the remote.
    pub(super) fn summarize(&self, out: &mut Output) {
        let report = &self.finished.report;
        let own = || {
            report
                .sessions
                .iter()
                .filter(|s| self.sessions.contains(&s.session))
        };
        own().for_each(|session| explain_session(session, out));
        let warnings = self.warnings.iter().chain(&report.warnings);
        warnings.for_each(|warning| out.attention(&one_line(warning)));
        for line in report
            .extras
            .iter()
            .flat_map(|bundle| extras::lines(bundle, false, true))
        {
            out.attention(&line);
        }
        if self.is_lost() && !own().any(|s| matches!(s.outcome, Outcome::Forked { .. })) {
            // Another command on this machine noticed it first and made the fork.
            out.attention(
                "another machine took the lock over while Claude Code ran; \
                 what was added after that, if anything, is a fork",
            );
            out.hint("to see both: `ccsync list`");
        }

        for (session, client) in self.running {
            out.attention(&format!("session {session} runs on in {client}"));
            out.hint("when it has ended, push the rest with `ccsync recover`");
        }
        match &report.remote {
            RemoteState::Queued { reason, .. } | RemoteState::Refused { reason, .. } => {
                out.attention(&format!("not sent yet: {}", one_line(reason)));
                out.hint("nothing is lost; to send it later: `ccsync recover`");
            }
            _ if own().any(is_left) => {}
            RemoteState::UpToDate { commit } | RemoteState::SavedOnDisk { commit } => {
                out.note(&self.success(commit.as_ref().map(|commit| commit.short())));
            }
            RemoteState::NotContacted => out.note(&self.success(None)),
        }
    }

    /// The lock was taken over by another machine.
    fn is_lost(&self) -> bool {
        !self.finished.lost.is_disjoint(self.sessions)
    }

    fn success(&self, commit: Option<&str>) -> String {
        let what = match self.turns {
            0 => "everything is on".to_owned(),
            turns => format!("{} saved to", count(turns, "turn")),
        };
        let commit = commit.map(|id| format!(" ({id})")).unwrap_or_default();
        let place = match self.embedded {
            true => "this disk",
            false => "the remote",
        };
        let mut text = format!("{what} {place}{commit}");
        if self.locked && !self.is_lost() && self.running.is_empty() {
            let id = short_id(self.session.as_str());
            let anywhere = match self.embedded {
                true => "it",
                false => "anywhere",
            };
            text += &format!("; lock released. Continue {anywhere}: ccsync resume {id}");
        }
        text
    }
}

/// Returns true if turns of the session are only on this machine.
fn is_left(session: &SessionReport) -> bool {
    match &session.outcome {
        Outcome::Skipped { .. } => true,
        Outcome::Excluded { .. } => !session.warnings.is_empty(),
        _ => false,
    }
}

/// Explains the outcome of a session that is not simply on the remote now.
fn explain_session(session: &SessionReport, out: &mut Output) {
    let id = &session.session;
    match &session.outcome {
        Outcome::Forked { fork, lines } => {
            let notes = session
                .warnings
                .iter()
                .map(|note| format!("{}; ", one_line(note)));
            let notes: String = notes.collect();
            let lines = count(*lines, "line");
            out.attention(&format!(
                "{notes}what this machine added ({lines}) is now a fork: {fork}"
            ));
            out.hint(&format!("to continue it: `ccsync resume {fork}`"));
        }
        Outcome::Skipped { reason } => {
            out.attention(&format!("{id} was not pushed: {}", one_line(reason)));
            out.hint(&format!(
                "nothing is lost; check it with `ccsync verify {id}`"
            ));
        }
        Outcome::Excluded { reason, .. } if !session.warnings.is_empty() => {
            out.attention(&format!("{id} was not pushed: {}", one_line(reason)));
            session
                .warnings
                .iter()
                .for_each(|note| out.hint(&one_line(note)));
        }
        _ => {}
    }
}
