//! Reading one commit of the store.
//!
//! Any program may have written it. Sizes are checked before text is loaded and names before they
//! are used. A session that fails a check does not affect others. Must not write.

mod bundles;
mod open;
mod records;
mod sessions;
mod tombstones;

pub use open::Snapshot;
pub use sessions::SessionState;
