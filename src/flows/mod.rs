//! Push and pull: the only code that moves sessions between machine, store and remote.

pub mod collapse_context;
pub mod fork;
pub mod merge;
pub mod parallel;
pub mod plan;
pub mod pull;
pub mod push;
pub mod remote_sync;
pub mod store_session;
pub mod write_session;
