//! Removes stale files that a killed ccsync left, before anything else is read.
//!
//! Runs only under the process lock, so that no other ccsync works; and in the store only
//! after every `git` that the killed process had started has ended.

use std::path::Path;
use std::time::Duration;

use crate::domain::url::RemoteKind;
use crate::session::files::session_directories;
use crate::store;
use crate::sys::{
    fail_point::fail_point, fs::remove_file_if_exists, process_lock::ChildProcessLock,
    process_lock::ProcessLock, temp::StagingDir, temp::temp_files,
};
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::paths::{embedded_remote_path, remote_url, store_path};

/// Maximum time to wait for a `git` that outlived its ccsync.
///
/// Its output is not read, so it ends with its next message. Programs that it leaves
/// running (a password cache) may live much longer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Many times the duration of writing the configuration, which needs no lock.
const CONFIG_WRITE_TIME: Duration = Duration::from_millis(500);

/// Removes what the previous holder of `lock` left, if it crashed.
///
/// The returned lock shows the next holder which programs of this process still run.
pub(crate) fn recover(
    ctx: &Context<'_>,
    lock: &mut ProcessLock,
) -> Result<ChildProcessLock, SyncError> {
    let dirs = &ctx.env.dirs;
    let timeout = if lock.was_abandoned() {
        TIMEOUT
    } else {
        Duration::ZERO
    };
    let children =
        ChildProcessLock::acquire(&dirs.state.join("lock-children"), timeout, ctx.clock)?;
    if ctx.settings.remote.is_none() {
        // Other machines may use it as their remote, and no other program maintains it.
        store::remove_stale_locks(&embedded_remote_path(ctx.env))?;
    }
    if !lock.was_abandoned() {
        return Ok(children);
    }
    fail_point("before stale files are removed");
    remove_stale_files(&dirs.state, || ());
    session_directories(&ctx.env.claude_dir).for_each(|place| remove_stale_files(&place, || ()));
    StagingDir::remove_stale(&dirs.state, ctx.clock.now());
    remove_stale_settings(ctx);
    if let RemoteKind::Local(remote) = remote_url(ctx.env, ctx.settings.remote.as_deref())?.kind() {
        store::remove_stale_locks_of_remote(remote)?;
    }
    if children.is_alone() {
        store::remove_unfinished_repositories(&dirs.data);
        store::remove_stale_files(&store_path(ctx.env).join(".git"))?;
        store::remove_stale_files(&dirs.mirror())?;
        lock.mark_clean();
    }
    fail_point("stale files are removed");
    Ok(children)
}

/// Removes what a process left that was killed while it wrote settings, which needs no lock.
pub(crate) fn remove_stale_settings(ctx: &Context<'_>) {
    let pause = || ctx.clock.sleep(CONFIG_WRITE_TIME);
    remove_stale_files(&ctx.env.dirs.config, pause);
}

/// Removes the temporary files below `place` that still exist after `pause`. A file that
/// cannot be removed is harmless.
fn remove_stale_files(place: &Path, pause: impl FnOnce()) {
    let found = temp_files(place);
    if !found.is_empty() {
        pause();
    }
    for path in found {
        let _ = remove_file_if_exists(&path);
    }
}
