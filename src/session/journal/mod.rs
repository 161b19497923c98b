//! Writing session files where the client finds them, so that it can be undone.
//!
//! Every change is entered in a journal before it is made, and the replaced contents are kept
//! beside the journal. A new or replaced file appears whole or not at all; an extended one is
//! only ever appended to. Must not check for running clients: the caller has done so.

mod change;
mod file;
mod prune;
mod undo;
mod write;

pub use file::JournalKind;
pub use prune::prune;
pub use undo::{SkippedUndo, UndoRequest, Undone, undo};
pub use write::{Journal, WriteBytes};
