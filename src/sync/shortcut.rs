//! The remote that is a repository on this disk: the store reaches it by itself, where git would do no more.
//!
//! Joins what `transport` asks to what `store` can do; neither knows the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::id::CommitId;
use crate::domain::progress::Progress;
use crate::store::neighbour::{Address, Move, Moved};
use crate::store::{BRANCH, Store};
use crate::transport::remote::{PushOutcome, RefUpdate, Shortcut};

/// From a store to its neighbours.
pub struct ByStore {
    /// Where the store is.
    pub store: PathBuf,
    /// Is told how far a transfer is.
    pub progress: Arc<dyn Progress + Send + Sync>,
}

impl Shortcut for ByStore {
    fn fetch(&self, address: &str, path: &Path, branch: &str) -> Option<Option<CommitId>> {
        let store = Store::open_another(&self.store).ok().filter(|_| branch == BRANCH)?;
        store.fetch_from_neighbour(Address { text: address, path }, &*self.progress).ok()
    }

    fn push(&self, address: &str, path: &Path, updates: &[RefUpdate]) -> Option<PushOutcome> {
        let store = Store::open_another(&self.store).ok()?;
        let moves: Vec<_> = updates.iter().map(as_move).collect();
        match store.push_to_neighbour(Address { text: address, path }, &moves, &*self.progress).ok()? {
            Moved::Done => Some(PushOutcome::Done),
            // In git's words.
            Moved::NotAsExpected(name) => Some(PushOutcome::Refused { reason: format!("{name}: stale info") }),
        }
    }
}

fn as_move(update: &RefUpdate) -> Move<'_> {
    Move { name: &update.name, new: update.new.as_ref(), expected: update.expected.as_ref() }
}
