//! News for the picker from other threads: what a fetch found, the turns of a preview, the end of
//! a change. Each wakes the picker at once.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use chrono::{DateTime, Utc};

use super::item::{Fetched, Item};
use super::row::{PickerRow, rows};
use crate::domain::{SessionId, Turn};

/// One piece of news.
#[derive(Debug)]
pub(super) enum Update {
    /// All sessions, or the reason why they could not be fetched.
    Fetched(Result<Vec<PickerRow>, String>),
    Turns(SessionId, Result<Vec<Turn>, String>),
    Renamed(SessionId, Result<String, String>),
    /// No more previews: their thread has ended.
    Ended,
}

/// Sends news; any number of threads may have one.
#[derive(Clone)]
pub(crate) struct UpdateSender {
    updates: Sender<Update>,
    /// A byte in this pipe is something to wait for next to the keyboard.
    wake: Arc<PipeWriter>,
    now: DateTime<Utc>,
}

/// A fetch that is about to begin.
pub(crate) struct Fetch {
    sender: UpdateSender,
    /// Closed when it may begin.
    may_begin: Receiver<()>,
}

/// Receives news.
pub(crate) struct Updates {
    received: Receiver<Update>,
    /// Keeps a fetch waiting.
    holds_fetch: Option<Sender<()>>,
    pub(super) wake: PipeReader,
    pub(super) sender: UpdateSender,
    pub(super) is_fetching: bool,
}

impl Updates {
    /// `now`: the present time, to which ages refer.
    ///
    /// # Errors
    /// If the system has no more pipes.
    pub(crate) fn new(now: DateTime<Utc>) -> io::Result<Self> {
        let (updates, received) = mpsc::channel();
        let (wake, writer) = io::pipe()?;
        Ok(Self {
            received,
            holds_fetch: None,
            wake,
            sender: UpdateSender {
                updates,
                wake: Arc::new(writer),
                now,
            },
            is_fetching: false,
        })
    }

    /// Returns a fetch, which the list announces until it has ended. It begins when the list is on
    /// the screen: all cores draw that first.
    pub(crate) fn announce_fetch(&mut self) -> Fetch {
        let (sender, may_begin) = mpsc::channel();
        self.holds_fetch = Some(sender);
        self.is_fetching = true;
        Fetch {
            sender: self.sender.clone(),
            may_begin,
        }
    }

    /// Lets the fetch begin.
    pub(super) fn begin_fetch(&mut self) {
        self.holds_fetch = None;
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.sender.now
    }

    /// Returns the next piece of news, if any.
    pub(super) fn next(&mut self) -> Option<Update> {
        let update = self.received.try_recv().ok()?;
        // Each piece of news has its byte, which is written after it.
        let _ = self.wake.read(&mut [0]);
        Some(update)
    }
}

impl Fetch {
    /// Waits until it may begin, and tells the result of `fetch`.
    pub(crate) fn run(self, fetch: impl FnOnce() -> Fetched) {
        // Nothing is ever sent: the list is drawn, or has ended.
        let _ = self.may_begin.recv();
        let prepared = fetch().map(|items: Vec<Item>| rows(items, self.sender.now));
        self.sender.send(Update::Fetched(prepared));
    }
}

impl UpdateSender {
    pub(super) fn send(&self, update: Update) {
        // The picker may have ended.
        if self.updates.send(update).is_ok() {
            let _ = (&*self.wake).write(&[0]);
        }
    }
}
