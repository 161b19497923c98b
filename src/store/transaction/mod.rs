//! Writing one commit of the store: segments, manifests and other files in, a commit out.
//!
//! Nothing is visible to git before [`Transaction::commit`]. A transaction that is dropped leaves
//! only files in the working tree, which the next command removes. Must not rewrite text.

mod bundles;
mod commit;
mod records;
mod sessions;
mod take;
mod tombstones;

pub use commit::Transaction;
pub use take::RenamedMilestone;
