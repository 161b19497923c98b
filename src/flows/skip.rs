//! Handling one session of many: what concerns only this session is a reason to skip it.

use crate::domain::{UserError, error::error_chain};
use crate::report::Outcome;
use crate::store::Transaction;
use crate::workspace::SyncError;

/// The result of handling one session of many.
pub(crate) enum Attempt<T> {
    Done(T),
    /// It was skipped, for this reason. The others continue.
    Skipped(String),
}

impl<T> Attempt<T> {
    /// Turns an error that concerns only one session into the reason to skip it.
    pub(crate) fn new(result: Result<T, SyncError>) -> Result<Self, SyncError> {
        match result {
            Ok(value) => Ok(Self::Done(value)),
            Err(e) if e.is_about_one_session() => Ok(Self::Skipped(error_chain(&e))),
            Err(e) => Err(e),
        }
    }

    /// Stores one session in `tx`. If it is skipped, nothing of it stays there.
    pub(crate) fn in_transaction(
        tx: &mut Transaction<'_>,
        store: impl FnOnce(&mut Transaction<'_>) -> Result<T, SyncError>,
    ) -> Result<Self, SyncError> {
        let attempt = Self::new(store(tx))?;
        if let Self::Skipped(_) = attempt {
            tx.discard_incomplete_sessions()?;
        }
        Ok(attempt)
    }
}

impl Attempt<Outcome> {
    /// Returns the outcome of the session.
    pub(crate) fn into_outcome(self) -> Outcome {
        match self {
            Self::Done(outcome) => outcome,
            Self::Skipped(reason) => Outcome::Skipped { reason },
        }
    }
}
