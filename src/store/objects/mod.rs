//! Git objects: names, packs, deltas, loose objects and trees.
//!
//! Reads and writes them without libgit2, which is several times slower. Must not know the layout
//! of a store, or move refs.

pub(super) mod delta;
pub(super) mod loose;
pub(super) mod name;
pub(super) mod pack;
pub(super) mod pack_index;
pub(super) mod pack_writer;
pub(super) mod reader;
pub(super) mod tree;
pub(super) mod writer;
