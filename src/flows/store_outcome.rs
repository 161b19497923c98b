//! Storing sessions in one transaction, which goes on without a session that fails.

use crate::domain::error::{UserError, error_chain};
use crate::store::Transaction;
use crate::workspace::error::SyncError;

/// The result of storing one session in a transaction.
pub(crate) enum StoreOutcome<T> {
    /// The session is in the transaction.
    Stored(T),
    /// The transaction has already changed the session; store it in the next one.
    Retry,
    /// The session failed for this reason. Nothing of it is in the transaction.
    Skipped(String),
}

/// Why a session cannot be stored in a transaction.
pub(crate) enum NotStored {
    /// See [`StoreOutcome::Retry`].
    Retry,
    /// It failed, or the whole command did.
    Failed(SyncError),
}

impl<E: Into<SyncError>> From<E> for NotStored {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Calls `store` for one session. If it fails, takes back what it added to `tx`.
///
/// # Errors
/// [`SyncError`] if the other sessions cannot be stored either.
pub(crate) fn store_or_skip<T>(
    tx: &mut Transaction<'_>,
    store: impl FnOnce(&mut Transaction<'_>) -> Result<T, NotStored>,
) -> Result<StoreOutcome<T>, SyncError> {
    let outcome = match store(tx) {
        Ok(stored) => return Ok(StoreOutcome::Stored(stored)),
        Err(NotStored::Retry) => StoreOutcome::Retry,
        Err(NotStored::Failed(e)) if e.is_about_one_session() => {
            StoreOutcome::Skipped(error_chain(&e))
        }
        Err(NotStored::Failed(e)) => return Err(e),
    };
    tx.discard_incomplete_sessions()?;
    Ok(outcome)
}
