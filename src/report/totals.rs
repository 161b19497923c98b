//! The sums of a report.

use serde::Serialize;

/// Sums over the sessions that were stored or written, and the time taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// New turns, as far as they were counted.
    pub turns: u64,
    /// Bytes added on this machine or in the store. Those of forks are not counted.
    pub bytes: u64,
    /// Time taken, in milliseconds.
    pub duration_ms: u64,
}
