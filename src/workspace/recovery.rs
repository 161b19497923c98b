//! What a ccsync that was killed left half-made: cleared away by the next one, before it
//! looks at anything.
//!
//! Only under the process lock, so that no other ccsync is at work; and in the store only
//! once no `git` lives on that the dead one had started.

use std::path::Path;
use std::time::Duration;

use crate::domain::url::RemoteKind;
use crate::session::files::session_directories;
use crate::store;
use crate::sys::fail_point::fail_point;
use crate::sys::fs::remove_file_if_exists;
use crate::sys::process_lock::{ChildProcessLock, ProcessLock};
use crate::sys::temp::{StagingDir, temp_files};
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::paths::{embedded_remote_path, remote_url, store_path};

/// How long to wait for a `git` that outlived its ccsync. Nobody reads what it writes, so
/// that it ends with its next message; what it leaves running for others (a cache of
/// passwords) may live on for long.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Many times what it takes to write the configuration, which needs no lock.
const CONFIG_WRITE: Duration = Duration::from_millis(500);

/// Clears away what the former holder of `lock` left, if it died. The lock that is
/// returned tells the next one of the programs that this process starts.
pub(crate) fn recover(
    ctx: &Context<'_>,
    lock: &mut ProcessLock,
) -> Result<ChildProcessLock, SyncError> {
    let dirs = &ctx.env.dirs;
    let patience = if lock.was_abandoned() {
        TIMEOUT
    } else {
        Duration::ZERO
    };
    let family = ChildProcessLock::acquire(&dirs.state.join("lock-children"), patience, ctx.clock)?;
    if ctx.settings.remote.is_none() {
        // Other machines may use it as their remote, and nobody else looks after it.
        store::remove_stale_locks(&embedded_remote_path(ctx.env))?;
    }
    if !lock.was_abandoned() {
        return Ok(family);
    }
    fail_point("before stale files are removed");
    remove_stale_files(&dirs.state, || ());
    session_directories(&ctx.env.claude_dir).for_each(|place| remove_stale_files(&place, || ()));
    StagingDir::remove_stale(&dirs.state, ctx.clock.now());
    remove_stale_files(&dirs.config, || ctx.clock.sleep(CONFIG_WRITE));
    if let RemoteKind::Local(remote) = remote_url(ctx.env, ctx.settings.remote.as_deref())?.kind() {
        store::remove_stale_locks_of_remote(remote)?;
    }
    if family.is_alone() {
        store::remove_stale_files(&store_path(ctx.env))?;
        lock.mark_clean();
    }
    fail_point("stale files are removed");
    Ok(family)
}

/// Removes the temporary files below `place` that are still there after `pause`. One that
/// cannot be removed is in nobody's way.
fn remove_stale_files(place: &Path, pause: impl FnOnce()) {
    let found = temp_files(place);
    if !found.is_empty() {
        pause();
    }
    for path in found {
        let _ = remove_file_if_exists(&path);
    }
}
