//! Progress of long work; `ui` draws it, tests and scripts ignore it.

/// Receives the progress of one phase at a time. Must be cheap: it is called for every file.
pub trait Progress {
    /// Begins a phase. `files` and `bytes` are totals; 0 if they are unknown.
    fn begin(&self, phase: Phase, files: u64, bytes: u64);
    /// Adds to what is done.
    fn advance(&self, files: u64, bytes: u64);
    /// Ends the phase and removes its display.
    fn end(&self);
}

/// A phase of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looking for sessions that changed.
    Scan,
    /// Reading, rewriting, checking and storing sessions.
    Store,
    /// Writing the git pack, index and commit.
    Commit,
    /// Pushing to the remote.
    Send,
    /// Fetching from the remote.
    Fetch,
    /// Writing sessions to the client's directory.
    Materialise,
    /// Reading and checking stored files.
    Check,
}

/// Ignores all progress.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Phase, _: u64, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
    fn end(&self) {}
}
