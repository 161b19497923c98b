//! Fetches branches of the remote.

use super::super::caller::GitCommand;
use super::super::porcelain;
use super::super::remote::{Missing, RemoteError};
use super::{GitCli, check_name, text};
use crate::domain::{CommitId, Phase};
use crate::sys::process::ProgramOutput;

impl GitCli {
    /// Fetches a branch into `refs/remotes/origin/<branch>` and returns its commit.
    /// `None`: the remote has no such branch; the local reference stays.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn fetch(&self, branch: &str) -> Result<Option<CommitId>, RemoteError> {
        check_name(&format!("refs/heads/{branch}"))?;
        self.retrying(|| self.fetch_once(branch))
    }

    /// Like [`Self::fetch`], but also fetches all branches below `prefix` (which ends
    /// with `/`), with one connection, and prunes deleted ones. `None`: `branch` is
    /// missing; the others are fetched.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn fetch_with(&self, branch: &str, prefix: &str) -> Result<Option<CommitId>, RemoteError> {
        check_name(&format!("refs/heads/{branch}"))?;
        check_name(&format!("refs/heads/{prefix}x"))?;
        self.retrying(|| self.fetch_with_once(branch, prefix))
    }

    fn fetch_once(&self, branch: &str) -> Result<Option<CommitId>, RemoteError> {
        let out = self.fetch_refs("--no-prune", &[tracking(branch)])?;
        if !out.status.success() {
            return self.missing_branch(branch, &out);
        }
        self.local_commit(&local_name(branch)).map(Some)
    }

    fn fetch_with_once(&self, branch: &str, prefix: &str) -> Result<Option<CommitId>, RemoteError> {
        let others = tracking(&format!("{prefix}*"));
        let out = self.fetch_refs("--prune", &[tracking(branch), others.clone()])?;
        if out.status.success() {
            return self.local_commit(&local_name(branch)).map(Some);
        }
        if let Some(commit) = self.missing_branch(branch, &out)? {
            return Ok(Some(commit));
        }
        // Git fetches nothing if one of the names is missing.
        let out = self.fetch_refs("--prune", &[others])?;
        if out.status.success() {
            Ok(None)
        } else {
            Err(self.failed("fetch", &out))
        }
    }

    fn fetch_refs(&self, prune: &str, refspecs: &[String]) -> Result<ProgramOutput, RemoteError> {
        let options = [
            "--no-tags",
            "--no-write-fetch-head",
            prune,
            "--no-recurse-submodules",
            "--no-show-forced-updates",
            "--no-auto-maintenance",
            "--progress",
        ];
        let operands =
            std::iter::once(self.url.as_git_argument()).chain(refspecs.iter().map(String::as_str));
        self.run(
            &GitCommand::new("fetch", Some(Phase::Fetch))
                .args(options)
                .operands(operands),
        )
    }

    /// Returns the commit of a local reference. Runs git only for a packed one: `fetch
    /// --porcelain`, which would print it, needs git 2.41.
    fn local_commit(&self, local: &str) -> Result<CommitId, RemoteError> {
        let loose = self.caller.loose_reference(local);
        if let Some(Ok(commit)) = loose.as_deref().map(porcelain::parse_id) {
            return Ok(commit);
        }
        let out = self.run(
            &GitCommand::new("show-ref", None)
                .args(["--verify", "--hash"])
                .operands([local]),
        )?;
        if !out.status.success() {
            return Err(self.failed("show-ref", &out));
        }
        porcelain::parse_id(&text(&out.stdout)).map_err(|e| self.garbled(&e, &out))
    }

    /// Lists the references to recognise a missing branch. The message does not tell:
    /// over ssh it is that of a broken connection.
    fn missing_branch(
        &self,
        branch: &str,
        out: &ProgramOutput,
    ) -> Result<Option<CommitId>, RemoteError> {
        let failed = self.failed("fetch", out);
        let worth_asking = matches!(
            failed,
            RemoteError::Failed { .. }
                | RemoteError::Unreachable {
                    why: Missing::Connection | Missing::Repository,
                    ..
                }
        );
        if !worth_asking {
            return Err(failed);
        }
        match self.refs_once() {
            Ok(refs) if !refs.contains_key(&format!("refs/heads/{branch}")) => Ok(None),
            Ok(_) | Err(_) => Err(failed),
        }
    }
}

fn local_name(branch: &str) -> String {
    format!("refs/remotes/origin/{branch}")
}

/// Returns the refspec of a branch, or of all that match a final `*`.
fn tracking(branch: &str) -> String {
    format!("+refs/heads/{branch}:{}", local_name(branch))
}
