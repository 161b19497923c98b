//! Removes objects from a remote that is a directory on this machine.

use super::GitCli;
use crate::domain::url::RemoteKind;
use crate::transport::caller::GitCommand;
use crate::transport::remote::RemoteError;

impl GitCli {
    /// Removes what no reference needs from a remote that is a directory, at once. Returns false
    /// for any other remote.
    ///
    /// # Errors
    /// [`RemoteError`] if git cannot run or reports an error.
    pub fn prune(&self) -> Result<bool, RemoteError> {
        let RemoteKind::Local(path) = self.url.kind() else {
            return Ok(false);
        };
        let git_dir = match path.join(".git") {
            inner if inner.is_dir() => inner,
            _ => path.clone(),
        };
        let there = self.caller.for_housekeeping(&git_dir);
        let expire = ("reflog", vec!["expire", "--expire=now", "--all"]);
        let collect = ("gc", vec!["--prune=now", "--quiet"]);
        for (name, args) in [expire, collect] {
            let command = GitCommand::new(name, None).args(args);
            let out = self.watch(&there.program(&command), None)?;
            if !out.status.success() {
                return Err(self.failed(name, &out));
            }
        }
        Ok(true)
    }
}
