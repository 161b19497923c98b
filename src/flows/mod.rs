//! Push and pull: the only code that moves sessions between this machine, the store and the remote.
//!
//! Must not print, and must not decide which commands exist: commands above call it.

pub(crate) mod changed_key;
pub mod collapse_context;
pub mod compare;
pub mod describe;
pub mod differences;
pub mod diverged_tail;
pub mod foreign_locks;
pub mod fork;
pub mod lock_trial;
pub mod merge;
pub mod merge_notes;
pub mod merge_rewritten;
pub mod merge_session;
pub mod move_session;
pub(crate) mod new_history;
pub mod parallel;
pub mod pull;
pub mod pull_forks;
pub mod pull_options;
pub mod pull_plan;
pub mod pull_planner;
pub mod pull_step;
pub mod pull_write;
pub(crate) mod purged_objects;
pub mod push;
pub mod push_commit;
pub mod push_copies;
pub mod push_plan;
pub mod remote_sync;
pub mod replaced_history;
pub mod send;
pub(crate) mod send_parts;
pub mod session_draft;
pub mod session_pair;
pub mod skip;
pub mod store_session;
pub mod stored_relation;
pub mod turns_elsewhere;
pub mod write_session;

pub(crate) use compare::SessionComparer;
pub use pull_options::PullRequest;
pub(crate) use remote_sync::{FetchMode, RemoteSync};
