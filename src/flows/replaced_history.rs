//! The remote has another history than before, and no purge of ccsync made it: the user decides
//! what follows from that.

use crate::domain::UserError;
use crate::report::count::count;
use crate::store::RemoteMove;
use crate::workspace::SyncError;

/// Error: another program has replaced the history of the remote.
#[derive(Debug, thiserror::Error)]
#[error(
    "another program has changed the history of the remote: {}; it has {} less than before",
    text(*.moved), count(*.missing, "session")
)]
pub struct ReplacedHistory {
    /// Relation of the new history to the former one.
    pub moved: RemoteMove,
    /// Number of sessions that it does not have any more.
    pub missing: u64,
}

fn text(moved: RemoteMove) -> &'static str {
    match moved {
        RemoteMove::Back => "it has gone back to an earlier state",
        RemoteMove::Replaced => "it begins again",
        RemoteMove::Forward | RemoteMove::Purged | RemoteMove::Rewritten => "it was rewritten",
    }
}

impl UserError for ReplacedHistory {
    fn hints(&self) -> Vec<String> {
        vec![
            "if that was intended, keep out what is missing: `ccsync recover --follow`".to_owned(),
            "if not, send again what is missing: `ccsync recover --refill`".to_owned(),
        ]
    }

    fn needs_history_choice(&self) -> bool {
        true
    }
}

impl From<ReplacedHistory> for SyncError {
    fn from(error: ReplacedHistory) -> Self {
        Self::Operation(Box::new(error))
    }
}
