//! The trait through which long work reports itself; `ui` draws it, tests and scripts ignore it.

/// Receives the progress of one phase at a time. Implementations must be cheap: they are called for every file.
pub trait Progress {
    /// A phase begins. `files` and `bytes` are totals where they are known, else 0.
    fn begin(&self, phase: Phase, files: u64, bytes: u64);
    /// `files` and `bytes` more are done.
    fn advance(&self, files: u64, bytes: u64);
    /// The phase is over; nothing of it stays on the screen.
    fn end(&self);
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looking for sessions that changed.
    Scan,
    /// Reading, rewriting, proving and storing sessions.
    Store,
    /// Writing the git pack, index and commit.
    Commit,
    /// Talking to the remote, upward.
    Send,
    /// Talking to the remote, downward.
    Fetch,
    /// Writing sessions where the client looks for them.
    Materialise,
    /// Reading what is there and checking it.
    Check,
}

/// Reports to nobody.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Phase, _: u64, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
    fn end(&self) {}
}
