//! Shows a report of push, pull or import: sessions grouped by project, then the counts.
//!
//! A report fills at most one screen; lines that need attention are never dropped silently.

mod fit;
mod lines;
mod sessions;
mod summary;

pub(crate) use fit::at_most;
pub(crate) use lines::{lines, notices, skipped_file};
pub(crate) use sessions::{details, machine, outcome, title};
pub(crate) use summary::{at_most_of, deleted, excluded, queue_reason, remote};
