//! The sessions that a keeper keeps, as hooks and the client's own files tell.
//!
//! Hooks tell at once, but may be off; the files of running clients say the same a moment later.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::client_event::ClientEvent;
use super::session_status::{Elsewhere, SessionStatus};
use crate::domain::{HookEvent, SessionId};
use crate::flows::turns_elsewhere::TurnsElsewhere;
use crate::lock::lease::Holder;
use crate::session::discover::find_transcript;
use crate::session::live::{ClientProcess, directory_of_client};
use crate::sys::fs::FileStamp;

/// Time after the last event at which a session counts as ended, if its client is of a version that
/// writes no file about itself.
const MAX_QUIET: TimeDelta = TimeDelta::hours(6);

/// Time between two searches of all directories for a transcript.
const SEARCH_PAUSE: TimeDelta = TimeDelta::seconds(2);

/// The lock of an open session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LockState {
    /// To be taken.
    #[default]
    Wanted,
    /// Held by this process since this time.
    Held(DateTime<Utc>),
    /// Another machine holds it. Asked again from time to time.
    Foreign,
    /// Another process of this machine holds it, and keeps the session.
    OtherProcess,
    /// No lock: the session stays here, or the remote allows no locks.
    None,
}

/// A session that is open here.
#[derive(Debug, Default)]
pub struct OpenSession {
    directory: Option<PathBuf>,
    pub(crate) lock: LockState,
    pub(crate) elsewhere: Option<Elsewhere>,
    /// Turns since the last push.
    queued_turns: u64,
    transcript: Option<PathBuf>,
    stamp: Option<FileStamp>,
    /// There may be something to push.
    is_changed: bool,
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

/// The sessions of a keeper.
#[derive(Debug, Default)]
pub struct OpenSessions {
    open: BTreeMap<SessionId, OpenSession>,
}

/// Changes since the last look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// A client was started, or opened another session.
    pub(crate) begun: bool,
    /// There may be something to push.
    pub(crate) changed: bool,
}

impl OpenSessions {
    /// Adds a session of a client in `directory`, with its lock. All of it is sent already.
    pub fn open(&mut self, claude_dir: &Path, id: &SessionId, directory: &Path, lock: LockState) {
        let session = self.open.entry(id.clone()).or_default();
        session.directory = Some(directory.to_owned());
        session.lock = lock;
        session.transcript = find_transcript(claude_dir, id);
        session.stamp = session.present_stamp();
    }

    /// Takes in the events of hooks, the sessions of running clients, and the present state of
    /// their files. `is_kept`: another process of this machine keeps the session.
    pub(crate) fn observe(
        &mut self,
        claude_dir: &Path,
        live: &BTreeMap<SessionId, ClientProcess>,
        events: Vec<ClientEvent>,
        now: DateTime<Utc>,
        is_kept: impl Fn(&SessionId) -> bool,
    ) -> Seen {
        let mut seen = Seen::default();
        for event in events {
            let is_live = live.contains_key(&event.session);
            self.add_event(event, is_live, &mut seen);
        }
        for (id, client) in live.iter().filter(|(_, client)| !client.is_foreign) {
            seen.begun |= !self.open.contains_key(id);
            let session = self.open.entry(id.clone()).or_default();
            session.record_user(client.is_headless);
            session.was_live = true;
            if session.directory.is_none() {
                session.directory = directory_of_client(claude_dir, client.pid);
            }
        }
        self.open
            .retain(|id, session| !session.is_finished || live.contains_key(id));
        for (id, session) in &mut self.open {
            session.find_transcript(claude_dir, id, now);
            session.record_change();
            session.record_end(live.contains_key(id), now);
            session.leave_to_other_process(|| is_kept(id));
            if session.lock != LockState::OtherProcess {
                seen.changed |= std::mem::take(&mut session.is_changed);
                // A spare process of the client has no transcript, and nothing to send.
                session.is_finished |= session.has_ended && !session.has_anything();
            }
        }
        seen
    }

    /// Takes in one event. `is_live`: a running client says that it has the session open.
    fn add_event(&mut self, entry: ClientEvent, is_live: bool, seen: &mut Seen) {
        let session = self.open.entry(entry.session).or_default();
        session.record_user(entry.headless);
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
        session.is_changed |= !is_begin && session.has_anything();
    }

    /// Returns the sessions whose lock is to be taken, with their directories: one of an unknown
    /// directory may be excluded. A spare process of the client has neither a file about itself nor
    /// a transcript, and gets no prompt.
    pub(crate) fn without_lock(&self) -> Vec<(SessionId, PathBuf)> {
        let wanted = self.open.iter().filter(|(_, session)| {
            session.lock == LockState::Wanted
                && !session.has_ended
                && !session.headless
                && (session.was_live || session.has_prompt || session.exists())
        });
        wanted
            .filter_map(|(id, session)| Some((id.clone(), session.directory.clone()?)))
            .collect()
    }

    /// Returns the sessions that have ended and are not finished yet.
    pub(crate) fn ended(&self) -> BTreeSet<SessionId> {
        self.ids(|session| session.has_ended && !session.is_finished)
    }

    /// Returns the sessions that are open and can be behind another machine.
    pub(crate) fn running(&self) -> BTreeSet<SessionId> {
        self.ids(|session| !session.has_ended)
    }

    /// Returns true if a session is open that no running client names: it must not be written.
    pub(crate) fn are_unknown_to_clients(&self) -> bool {
        let mut sessions = self.open.values();
        sessions.any(|session| !session.has_ended && !session.was_live)
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> BTreeSet<SessionId> {
        self.ids(|_| true)
    }

    fn ids(&self, is_wanted: impl Fn(&OpenSession) -> bool) -> BTreeSet<SessionId> {
        let wanted = self.open.iter().filter(|(_, session)| is_wanted(session));
        wanted.map(|(id, _)| id.clone()).collect()
    }

    /// Returns true if this process holds a lock.
    pub(crate) fn has_locks(&self) -> bool {
        self.open.values().any(OpenSession::has_lock)
    }

    /// Returns true if this process holds the lock of a session.
    pub(crate) fn holds_lock(&self, session: &SessionId) -> bool {
        self.open.get(session).is_some_and(OpenSession::has_lock)
    }

    /// Returns true if no client runs and nothing is left to do for one that has ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.values().all(|session| session.is_finished)
    }

    /// Returns true if the session is known to be open.
    pub(crate) fn contains(&self, id: &SessionId) -> bool {
        self.open.contains_key(id)
    }

    pub(crate) fn get_mut(&mut self, id: &SessionId) -> Option<&mut OpenSession> {
        self.open.get_mut(id)
    }

    /// Asks again for locks that others held.
    pub(crate) fn want_foreign_locks(&mut self) {
        for session in self.open.values_mut() {
            if session.lock == LockState::Foreign {
                session.lock = LockState::Wanted;
            }
        }
    }

    /// Asks again for the locks of sessions that were taken over.
    pub(crate) fn want_locks_of(&mut self, sessions: &BTreeSet<SessionId>) {
        self.set_locks(sessions, LockState::Wanted);
    }

    /// Records that these sessions are open without a lock.
    pub(crate) fn go_without_lock(&mut self, sessions: &BTreeSet<SessionId>) {
        self.set_locks(sessions, LockState::None);
    }

    fn set_locks(&mut self, sessions: &BTreeSet<SessionId>, lock: LockState) {
        for id in sessions {
            if let Some(session) = self.open.get_mut(id) {
                session.lock = lock;
            }
        }
    }

    /// Records the turns of other machines that are not here, as a pull has left them.
    pub(crate) fn record_turns_elsewhere(&mut self, turns: &BTreeMap<SessionId, TurnsElsewhere>) {
        for (id, session) in self
            .open
            .iter_mut()
            .filter(|(_, session)| !session.has_ended)
        {
            session.record_turns_elsewhere(turns.get(id));
        }
    }

    /// Records that the remote has all turns.
    pub(crate) fn record_pushed(&mut self) {
        for session in self.open.values_mut() {
            session.queued_turns = 0;
        }
    }

    /// Records that sessions are finished. Returns true if another machine continues one of them.
    pub(crate) fn record_finished(&mut self, ids: &BTreeSet<SessionId>) -> bool {
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
    pub(crate) fn status(&self) -> BTreeMap<SessionId, SessionStatus> {
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

    /// Returns true if there is something to send or to release.
    fn has_anything(&self) -> bool {
        self.exists() || self.has_lock()
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

    /// Records whether a user is at a client that has it open. Several clients may have it open:
    /// one with a user counts.
    fn record_user(&mut self, is_headless: bool) {
        let is_first = self.last_event.is_none() && !self.was_live;
        self.headless = is_headless && (is_first || self.headless);
    }

    fn has_lock(&self) -> bool {
        matches!(self.lock, LockState::Held(_))
    }

    /// Records the turns of another machine that are not here.
    fn record_turns_elsewhere(&mut self, turns: Option<&TurnsElsewhere>) {
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

    fn present_stamp(&self) -> Option<FileStamp> {
        FileStamp::read_if_exists(self.transcript.as_deref()?).ok()?
    }

    fn record_change(&mut self) {
        let stamp = self.present_stamp();
        self.is_changed |= stamp.is_some() && stamp != self.stamp;
        self.stamp = stamp.or(self.stamp);
    }

    fn record_end(&mut self, is_live: bool, now: DateTime<Utc>) {
        if !is_live && self.has_no_client(now) && !self.has_ended {
            self.has_ended = true;
            self.is_changed |= self.has_anything();
        }
    }

    /// Records if another process keeps the session. What changes meanwhile is for that process,
    /// and for this one if it dies.
    fn leave_to_other_process(&mut self, is_kept: impl FnOnce() -> bool) {
        if !self.has_lock() && is_kept() {
            self.lock = LockState::OtherProcess;
        } else if self.lock == LockState::OtherProcess {
            self.lock = LockState::Wanted;
        }
    }

    fn status(&self) -> SessionStatus {
        SessionStatus {
            locked_since: match self.lock {
                LockState::Held(since) => Some(since),
                _ => None,
            },
            queued_turns: self.queued_turns,
            elsewhere: self.elsewhere.clone(),
        }
    }
}
