//! The sessions that are open here, as hooks and the client's own files tell.
//!
//! Hooks tell at once, but may be off; the files of running clients say the same a moment later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::spool::SpoolEntry;
use super::status::{Elsewhere, SessionStatus};
use crate::domain::{HookEvent, SessionId};
use crate::flows::turns_elsewhere::TurnsElsewhere;
use crate::lock::lease::Holder;
use crate::session::discover::find_transcript;
use crate::session::live::{directory_of_client, live_sessions};
use crate::sys::fs::FileStamp;

/// Time after the last event at which a session counts as ended, if its client is of a version that
/// writes no file about itself.
const MAX_QUIET: TimeDelta = TimeDelta::hours(6);

/// Time between two searches of all directories for a transcript.
const SEARCH_PAUSE: TimeDelta = TimeDelta::seconds(2);

/// The lock of an open session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LockState {
    /// To be taken.
    #[default]
    Wanted,
    /// Held by the daemon since this time.
    Held(DateTime<Utc>),
    /// Another machine or process holds it. Asked again from time to time.
    Foreign,
    /// No lock: the session stays here, or the remote allows no locks.
    None,
}

/// A session that is open here.
#[derive(Debug, Default)]
pub(super) struct OpenSession {
    pub(super) directory: Option<PathBuf>,
    pub(super) lock: LockState,
    pub(super) elsewhere: Option<Elsewhere>,
    /// Turns since the last push.
    pub(super) queued_turns: u64,
    transcript: Option<PathBuf>,
    stamp: Option<FileStamp>,
    /// When all directories were searched for the transcript.
    searched: Option<DateTime<Utc>>,
    headless: bool,
    has_prompt: bool,
    /// A running client has said that it has the session open.
    was_live: bool,
    /// The client of the last event, if its hook knew it.
    client: Option<Holder>,
    last_event: Option<DateTime<Utc>>,
    has_ended: bool,
    /// Its lock is released, and its last turns are pushed.
    is_finished: bool,
}

/// The sessions that are open here.
#[derive(Debug, Default)]
pub(super) struct Clients {
    open: BTreeMap<SessionId, OpenSession>,
}

/// Changes since the last look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// A client was started, or opened another session.
    pub(super) begun: bool,
    /// There may be something to push.
    pub(super) changed: bool,
}

impl Clients {
    /// Takes in the events of hooks and the present state of the client's files.
    pub(super) fn observe(
        &mut self,
        claude_dir: &Path,
        events: Vec<SpoolEntry>,
        now: DateTime<Utc>,
    ) -> Seen {
        let mut seen = Seen::default();
        let live = live_sessions(claude_dir);
        for event in events {
            let is_live = live.contains_key(&event.session);
            self.add_event(event, is_live, &mut seen);
        }
        for (id, client) in live.iter().filter(|(_, client)| !client.is_foreign) {
            seen.begun |= !self.open.contains_key(id);
            let session = self.open.entry(id.clone()).or_default();
            session.was_live = true;
            if session.directory.is_none() {
                session.directory = directory_of_client(claude_dir, client.pid);
            }
        }
        self.open
            .retain(|id, session| !session.is_finished || live.contains_key(id));
        for (id, session) in &mut self.open {
            let is_gone = !live.contains_key(id) && session.has_no_client(now);
            if is_gone && !session.has_ended {
                session.has_ended = true;
                seen.changed |= session.exists() || session.has_lock();
            }
            // A spare process of the client has no transcript, and nothing to send.
            session.is_finished |= session.has_ended && !session.exists() && !session.has_lock();
            session.find_transcript(claude_dir, id, now);
            seen.changed |= session.has_changed();
        }
        seen
    }

    /// Takes in one event. `is_live`: a running client says that it has the session open.
    fn add_event(&mut self, entry: SpoolEntry, is_live: bool, seen: &mut Seen) {
        let session = self.open.entry(entry.session).or_default();
        // Several clients may have it open: one with a user counts.
        let is_first = session.last_event.is_none() && !session.was_live;
        session.headless = entry.headless && (is_first || session.headless);
        session.last_event = Some(entry.time);
        session.client = entry.client.or(session.client.take());
        session.transcript = entry.transcript.or(session.transcript.take());
        session.directory = entry.directory.or(session.directory.take());
        match entry.event {
            HookEvent::SessionStart => {
                (session.has_ended, session.is_finished) = (false, false);
                seen.begun = true;
            }
            HookEvent::UserPromptSubmit => session.has_prompt = true,
            HookEvent::Stop => session.queued_turns += 1,
            HookEvent::PreCompact => {}
            // A client that is still there, or another one, has the session open.
            HookEvent::SessionEnd => session.has_ended = !is_live,
        }
        let is_begin = entry.event == HookEvent::SessionStart;
        seen.changed |= !is_begin && (session.exists() || session.has_lock());
    }

    /// Returns the sessions whose lock is to be taken, with their directories: one of an unknown
    /// directory may be excluded.
    pub(super) fn without_lock(&self) -> Vec<(SessionId, PathBuf)> {
        let wanted = self.open.iter().filter(|(_, session)| {
            session.lock == LockState::Wanted
                && !session.has_ended
                && !session.headless
                && (session.has_prompt || session.exists())
        });
        wanted
            .filter_map(|(id, session)| Some((id.clone(), session.directory.clone()?)))
            .collect()
    }

    /// Returns the sessions that have ended and are not finished yet.
    pub(super) fn ended(&self) -> Vec<SessionId> {
        self.ids(|session| session.has_ended && !session.is_finished)
    }

    /// Returns the sessions that are open and can be behind another machine.
    pub(super) fn running(&self) -> Vec<SessionId> {
        self.ids(|session| !session.has_ended)
    }

    /// Returns true if a session is open that no running client names: it must not be written.
    pub(super) fn are_unknown_to_clients(&self) -> bool {
        let mut sessions = self.open.values();
        sessions.any(|session| !session.has_ended && !session.was_live)
    }

    /// Returns all of them.
    pub(super) fn all(&self) -> Vec<SessionId> {
        self.ids(|_| true)
    }

    fn ids(&self, is_wanted: impl Fn(&OpenSession) -> bool) -> Vec<SessionId> {
        let wanted = self.open.iter().filter(|(_, session)| is_wanted(session));
        wanted.map(|(id, _)| id.clone()).collect()
    }

    /// Returns true if the daemon holds a lock.
    pub(super) fn has_locks(&self) -> bool {
        self.open.values().any(OpenSession::has_lock)
    }

    /// Returns true if the daemon holds the lock of a session.
    pub(super) fn holds_lock(&self, session: &SessionId) -> bool {
        self.open.get(session).is_some_and(OpenSession::has_lock)
    }

    /// Returns true if no client runs and nothing is left to do for one that has ended.
    pub(super) fn is_empty(&self) -> bool {
        self.open.values().all(|session| session.is_finished)
    }

    pub(super) fn get_mut(&mut self, id: &SessionId) -> Option<&mut OpenSession> {
        self.open.get_mut(id)
    }

    /// Asks again for locks that others held.
    pub(super) fn want_foreign_locks(&mut self) {
        for session in self.open.values_mut() {
            if session.lock == LockState::Foreign {
                session.lock = LockState::Wanted;
            }
        }
    }

    /// Asks again for the locks of sessions that were taken over.
    pub(super) fn want_locks_of(&mut self, sessions: &[SessionId]) {
        for id in sessions {
            if let Some(session) = self.open.get_mut(id) {
                session.lock = LockState::Wanted;
            }
        }
    }

    /// Records that the remote has all turns.
    pub(super) fn record_pushed(&mut self) {
        for session in self.open.values_mut() {
            session.queued_turns = 0;
        }
    }

    /// Records that sessions are finished. Returns true if another machine continues one of them.
    pub(super) fn record_finished(&mut self, ids: &[SessionId]) -> bool {
        let mut is_elsewhere = false;
        for id in ids {
            if let Some(session) = self.open.get_mut(id) {
                session.is_finished = true;
                session.lock = LockState::Wanted;
                is_elsewhere |= session.elsewhere.take().is_some();
            }
        }
        is_elsewhere
    }

    /// Returns what the status file says of them.
    pub(super) fn status(&self) -> BTreeMap<SessionId, SessionStatus> {
        let running = self.open.iter().filter(|(_, session)| !session.has_ended);
        running
            .map(|(id, session)| (id.clone(), session.status()))
            .collect()
    }
}

impl OpenSession {
    /// Returns true if there is a transcript: a spare process of the client never gets one.
    fn exists(&self) -> bool {
        self.stamp.is_some() || self.transcript.as_ref().is_some_and(|path| path.is_file())
    }

    /// Returns true if no client has it open, although none says that it has.
    fn has_no_client(&self, now: DateTime<Utc>) -> bool {
        match &self.client {
            _ if self.was_live => true,
            Some(client) if !client.is_foreign() => !client.is_alive(),
            // A client of a version that writes no file about itself.
            _ => self.last_event.is_none_or(|time| now - time > MAX_QUIET),
        }
    }

    fn has_lock(&self) -> bool {
        matches!(self.lock, LockState::Held(_))
    }

    /// Records the turns of another machine that are not here, as a pull has left them.
    pub(super) fn record_turns_elsewhere(&mut self, turns: Option<&TurnsElsewhere>) {
        match (turns, &mut self.elsewhere) {
            (Some(turns), Some(elsewhere)) => elsewhere.turns = turns.turns,
            (Some(turns), none) => {
                *none = Some(Elsewhere {
                    machine: turns.machine.clone(),
                    since: turns.last_activity,
                    turns: turns.turns,
                    holds_lock: false,
                });
            }
            (None, Some(elsewhere)) if elsewhere.holds_lock => elsewhere.turns = 0,
            (None, elsewhere) => *elsewhere = None,
        }
    }

    /// Finds the transcript, if the hook has not named it or the client has moved it.
    fn find_transcript(&mut self, claude_dir: &Path, id: &SessionId, now: DateTime<Utc>) {
        let is_there = self.transcript.as_ref().is_some_and(|path| path.exists());
        let is_time = self
            .searched
            .is_none_or(|time| (now - time).abs() > SEARCH_PAUSE);
        if !is_there && is_time {
            self.searched = Some(now);
            self.transcript = find_transcript(claude_dir, id).or(self.transcript.take());
        }
    }

    /// Returns true if the transcript has changed since the last look.
    fn has_changed(&mut self) -> bool {
        let path = self.transcript.as_deref();
        let stamp = path.and_then(|path| FileStamp::read_if_exists(path).ok().flatten());
        let has_changed = stamp.is_some() && stamp != self.stamp;
        self.stamp = stamp.or(self.stamp);
        has_changed
    }

    fn status(&self) -> SessionStatus {
        SessionStatus {
            locked_since: match self.lock {
                LockState::Held(since) => Some(since),
                LockState::Wanted | LockState::Foreign | LockState::None => None,
            },
            queued_turns: self.queued_turns,
            elsewhere: self.elsewhere.clone(),
        }
    }
}
