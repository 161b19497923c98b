//! Sessions as people name them: by the whole id, or by a beginning that only one has.

use crate::domain::id::SessionId;
use crate::workspace::error::SyncError;

/// The one of `all` that `name` stands for; `None` if there is none.
///
/// # Errors
/// [`SyncError::AmbiguousName`] if several begin with it and none is it.
pub(crate) fn session_named<'a>(
    name: &SessionId,
    all: impl IntoIterator<Item = &'a SessionId>,
) -> Result<Option<SessionId>, SyncError> {
    let found: Vec<_> = all
        .into_iter()
        .filter(|id| id.as_str().starts_with(name.as_str()))
        .collect();
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some((*only).clone())),
        several if several.contains(&name) => Ok(Some(name.clone())),
        _ => Err(SyncError::AmbiguousName {
            session: name.clone(),
        }),
    }
}

/// The one of the stored sessions `all` that `name` stands for.
///
/// # Errors
/// [`SyncError::NoSuchSession`], [`SyncError::AmbiguousName`].
pub(crate) fn stored_named<'a>(
    name: &SessionId,
    all: impl IntoIterator<Item = &'a SessionId>,
) -> Result<SessionId, SyncError> {
    session_named(name, all)?.ok_or_else(|| SyncError::NoSuchSession {
        session: name.clone(),
    })
}
