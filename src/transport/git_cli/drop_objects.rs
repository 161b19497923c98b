//! Removes objects that no reference needs, so that what was purged is gone from a repository.

use std::collections::BTreeSet;

use super::super::caller::{GitCommand, git_dir_of};
use super::super::remote::{GitMessage, ObjectNames, RemoteError};
use super::{GitCli, text};
use crate::domain::{CommitId, Phase, error::error_chain, url::RemoteKind};
use crate::sys::fs::remove_file_if_exists;
use crate::sys::process::ProgramOutput;

impl GitCli {
    /// Removes every object of the local repository that no reference needs, and its reflogs.
    ///
    /// No other program may write to the repository meanwhile.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn drop_unreferenced(&self) -> Result<(), RemoteError> {
        self.expire_reflogs("--all")?;
        self.housekeep("repack", &["-a", "-d", "-q"])?;
        self.housekeep("prune", &["--expire=now"])?;
        Ok(())
    }

    /// Returns the objects of a commit of a remote that is a directory, to drop them when its
    /// references have moved; `None` if it is another kind of remote.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn objects_of_remote(&self, commit: &CommitId) -> Result<Option<ObjectNames>, RemoteError> {
        let Some(remote) = self.in_remote_directory() else {
            return Ok(None);
        };
        let objects = remote.objects(&[commit.as_str()])?;
        Ok(Some(ObjectNames(objects)))
    }

    /// Removes those of `objects` that no reference of the remote, a directory, needs any more.
    ///
    /// Other machines may be pushing: only what was there before is removed.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn drop_from_remote(&self, branch: &str, objects: &ObjectNames) -> Result<(), RemoteError> {
        let Some(remote) = self.in_remote_directory() else {
            return Ok(());
        };
        // A bare repository has no reflogs. Those of other branches stay.
        let _ = remote.expire_reflogs(&format!("refs/heads/{branch}"));
        remote.housekeep("repack", &["-A", "-d", "-q"])?;
        let needed = remote.objects(&["--all", "--reflog"])?;
        for name in objects.0.difference(&needed) {
            let path = remote.caller.git_dir().join("objects");
            let path = path.join(&name[..2]).join(&name[2..]);
            remove_file_if_exists(&path).map_err(|e| RemoteError::Failed {
                command: "prune",
                status: error_chain(&e),
                message: GitMessage::new(""),
            })?;
        }
        Ok(())
    }

    fn expire_reflogs(&self, which: &str) -> Result<ProgramOutput, RemoteError> {
        let options = ["expire", "--expire=now", "--expire-unreachable=now", which];
        self.housekeep("reflog", &options)
    }

    fn housekeep(
        &self,
        name: &'static str,
        options: &[&str],
    ) -> Result<ProgramOutput, RemoteError> {
        let command = GitCommand::new(name, Some(Phase::Check)).args(options.iter().copied());
        let out = self.run(&command)?;
        if out.status.success() {
            Ok(out)
        } else {
            Err(self.failed(name, &out))
        }
    }

    /// Lists the names of all objects that these revisions need.
    fn objects(&self, revisions: &[&str]) -> Result<BTreeSet<String>, RemoteError> {
        let options = [&["--objects", "--no-object-names"], revisions].concat();
        let out = self.housekeep("rev-list", &options)?;
        Ok(text(&out.stdout).lines().map(str::to_owned).collect())
    }

    /// Returns this program for the repository of the remote, if that is a directory.
    fn in_remote_directory(&self) -> Option<Self> {
        let RemoteKind::Local(path) = self.url.kind() else {
            return None;
        };
        let mut remote = self.clone();
        remote.caller = remote.caller.at(&git_dir_of(path));
        Some(remote)
    }
}
