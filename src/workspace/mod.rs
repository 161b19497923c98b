//! The opened state of one run: store, index, filter, leases and caches. Must not contact a remote.

pub mod context;
pub mod deleted;
pub mod error;
pub mod filter;
pub mod index;
pub mod leases;
pub mod lookup;
pub mod message;
pub mod open;
pub mod paths;
pub mod pinned;
pub mod read_only;
pub mod recovery;
pub mod session_map;
