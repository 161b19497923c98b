//! A remote that fails when told to, around any other. For tests only.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::domain::id::CommitId;

use super::remote::{GitSaid, Missing, PushOutcome, RefUpdate, Remote, RemoteError};

/// When in a call the connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaks {
    /// Before the remote has done anything.
    Before,
    /// After the remote has done it: only the answer is lost.
    After,
}

/// Passes calls on; the `n`th one (counted from 1) fails as if the network had.
#[derive(Debug)]
pub struct FailingRemote<R> {
    inner: R,
    at: u32,
    breaks: Breaks,
    calls: AtomicU32,
}

impl<R: Remote> FailingRemote<R> {
    /// Fails at call `at`, once.
    pub fn new(inner: R, at: u32, breaks: Breaks) -> Self {
        Self { inner, at, breaks, calls: AtomicU32::new(0) }
    }

    /// How many calls there have been.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    fn pass<T>(&self, call: impl FnOnce(&R) -> Result<T, RemoteError>) -> Result<T, RemoteError> {
        let fails = self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.at;
        if fails && self.breaks == Breaks::Before {
            return Err(broken());
        }
        let result = call(&self.inner);
        if fails { Err(broken()) } else { result }
    }
}

fn broken() -> RemoteError {
    let said = GitSaid::new("fatal: the remote end hung up unexpectedly");
    RemoteError::Unreachable { remote: "the test's remote".to_owned(), why: Missing::Connection, said }
}

impl<R: Remote> Remote for FailingRemote<R> {
    fn refs(&self) -> Result<BTreeMap<String, CommitId>, RemoteError> {
        self.pass(Remote::refs)
    }

    fn fetch(&self, branch: &str) -> Result<Option<CommitId>, RemoteError> {
        self.pass(|inner| inner.fetch(branch))
    }

    fn push(&self, updates: &[RefUpdate]) -> Result<PushOutcome, RemoteError> {
        self.pass(|inner| inner.push(updates))
    }
}
