//! The store: the local git repository that holds all sessions.
//!
//! Owns the format of the store (`docs/dev/format.md`) and is the only user of `git2` besides
//! `project`. Reads git objects, not the working tree, which is for users. Must not touch the
//! network, rewrite text or know Claude Code's files.

mod author;
mod create;
mod damage;
mod error;
mod format;
mod history;
mod kept;
mod layout;
mod lock_commits;
mod milestones;
mod mirror;
mod object_check;
mod objects;
mod open;
mod purge;
mod repository;
mod restack;
mod rewrite;
mod snapshot;
mod stale;
mod transaction;
mod worktree;

pub use author::Author;
pub use create::{
    RepositoryKind, belongs_to_remote, create_bare_repository, create_embedded_remote,
    repository_kind,
};
pub use error::{FetchedCommit, StoreError};
pub use format::json::{FORMAT, ManifestError};
pub use format::{bundle, machine, manifest, milestone, note, segment, tombstone};
pub use history::{ChangedSession, Commit, CommitChanges, History, SessionStep, Steps};
pub use layout::BRANCH;
pub use lock_commits::{LOCK_BRANCHES, MAX_LOCK_BYTES, RemoteLocks, lock_ref};
pub use milestones::Milestones;
pub use mirror::{
    CommitPlace, Mirror, MirrorError, SealedFault, complete_record, record_header,
    record_new_history, recorded_header, remote_header, share_packs,
};
pub use object_check::{DamagedObject, ObjectCheck};
pub use purge::PurgedHistory;
pub use repository::{MAX_LOOSE_OBJECTS, MAX_PACKS, Store, needs_repack};
pub use restack::CommitForm;
pub use rewrite::RemoteMove;
pub use snapshot::{SessionState, Snapshot};
pub use stale::{
    remove_stale_files, remove_stale_locks, remove_stale_locks_of_remote,
    remove_unfinished_repositories,
};
pub use transaction::{RenamedMilestone, Transaction};
pub use worktree::checkout::{Checkout, SessionFiles};
