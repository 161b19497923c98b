//! Gives a session on this machine another title, unless another machine continues it.

use crate::domain::SessionId;
use crate::leasing::lock_table::fetched_lock_table;
use crate::lock::LockStatus;
use crate::session::{rename as session_rename, rename::RenameError};
use crate::workspace::{Context, SyncError, Workspace};

/// Renames a session as Claude Code does. Returns the new title.
///
/// The process lock is held meanwhile, so that no pull writes into the same files. Contacts no
/// remote: the locks are those of the last fetch.
///
/// # Errors
/// [`RenameError`]; errors of the whole command.
pub fn rename(ctx: &Context<'_>, session: &SessionId, title: &str) -> Result<String, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let locks = fetched_lock_table(&workspace)?.locks;
    let lock = locks.iter().find(|lock| lock.session == *session);
    let lock = lock.filter(|lock| !lock.is_own());
    let is_held = |status: &LockStatus| matches!(status, LockStatus::Held { .. });
    if let Some(lock) = lock.filter(|lock| lock.status().is_some_and(is_held)) {
        let host = lock.record().map(|record| record.host.clone());
        let holder = RenameError::HeldBy(host.unwrap_or_default());
        return Err(SyncError::Operation(Box::new(holder)));
    }
    session_rename::rename(&ctx.env.claude_dir, session, title, ctx.clock.now())
        .map_err(|e| SyncError::Operation(Box::new(e)))?;
    Ok(title.to_owned())
}
