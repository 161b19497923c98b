//! The remote that is a repository on this disk: the store reaches it by itself, where git would do no more.
//!
//! Joins what `transport` asks to what `store` can do; neither knows the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::id::CommitId;
use crate::domain::progress::Progress;
use crate::store::neighbour::{Address, Move, Moved, NotDone};
use crate::store::{BRANCH, Store};
use crate::transport::remote::{NotTaken, PushOutcome, RefUpdate, Shortcut};

/// From a store to its neighbours.
pub struct ByStore {
    /// Where the store is.
    pub store: PathBuf,
    /// Is told how far a transfer is.
    pub progress: Arc<dyn Progress + Send + Sync>,
}

impl Shortcut for ByStore {
    fn fetch(
        &self,
        address: &str,
        path: &Path,
        branch: &str,
    ) -> Result<Option<CommitId>, NotTaken> {
        if branch != BRANCH {
            return Err(NotTaken::LeftToGit);
        }
        let fetched = self.open()?.fetch_from_neighbour(
            Address {
                text: address,
                path,
            },
            &*self.progress,
        );
        Ok(fetched?)
    }

    fn push(
        &self,
        address: &str,
        path: &Path,
        updates: &[RefUpdate],
    ) -> Result<PushOutcome, NotTaken> {
        let moves: Vec<_> = updates.iter().map(as_move).collect();
        let moved = self.open()?.push_to_neighbour(
            Address {
                text: address,
                path,
            },
            &moves,
            &*self.progress,
        );
        Ok(match moved? {
            Moved::Done => PushOutcome::Done,
            // In git's words.
            Moved::NotAsExpected(name) => PushOutcome::Refused {
                reason: format!("{name}: stale info"),
            },
        })
    }
}

impl ByStore {
    fn open(&self) -> Result<Store, NotTaken> {
        Store::open_another(&self.store).map_err(|_| NotTaken::LeftToGit)
    }
}

impl From<NotDone> for NotTaken {
    fn from(why: NotDone) -> Self {
        match why {
            NotDone::LeaveToGit => Self::LeftToGit,
            NotDone::Interrupted => Self::Interrupted,
        }
    }
}

fn as_move(update: &RefUpdate) -> Move<'_> {
    Move {
        name: &update.name,
        new: update.new.as_ref(),
        expected: update.expected.as_ref(),
    }
}
