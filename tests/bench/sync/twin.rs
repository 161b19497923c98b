//! Plain git moving the same commits as ccsync, between copies of its repositories.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine::Machine;
use super::measure::Cost;
use super::place::{Remote, Scene, copy};

/// A remote that gets the same commits as the real one, by a bare `git push`.
pub(crate) struct Twin<'a> {
    desk: &'a Machine,
    remote: Remote,
    store: PathBuf,
}

impl<'a> Twin<'a> {
    /// Copies the remote, which has everything that the desk has.
    pub(crate) fn new(scene: &Scene, remote: &Remote, desk: &'a Machine) -> Self {
        Self {
            desk,
            remote: scene.copy_of(remote, "twin-remote.git"),
            store: desk.store().join(".git"),
        }
    }

    /// Pushes the newest commit of the desk.
    pub(crate) fn push(&self) -> Cost {
        self.desk.succeed(&mut self.push_command())
    }

    pub(crate) fn push_command(&self) -> Command {
        let args = ["push", "--quiet", &self.remote.url, "main:main"];
        bare_git(self.desk, &self.store, &args)
    }

    /// Makes a clone that fetches from this remote, as a copy of the laptop's store.
    pub(crate) fn clone_of(&self, laptop: &'a Machine) -> TwinClone<'a> {
        let git_dir = laptop.root().join("twin.git");
        copy(&laptop.store().join(".git"), &git_dir);
        TwinClone {
            laptop,
            url: self.remote.url.clone(),
            git_dir,
        }
    }
}

/// A clone that gets the commits of a [`Twin`], by a bare `git fetch`.
pub(crate) struct TwinClone<'a> {
    laptop: &'a Machine,
    url: String,
    git_dir: PathBuf,
}

impl TwinClone<'_> {
    /// Fetches the pushed commits.
    pub(crate) fn fetch(&self) -> Cost {
        self.laptop.succeed(&mut self.fetch_command())
    }

    pub(crate) fn fetch_command(&self) -> Command {
        let refspec = "+main:refs/remotes/origin/main";
        let args = ["fetch", "--quiet", &self.url, refspec];
        bare_git(self.laptop, &self.git_dir, &args)
    }
}

fn bare_git(machine: &Machine, git_dir: &Path, args: &[&str]) -> Command {
    let mut command = machine.command("git");
    command.arg("--git-dir").arg(git_dir).args(args);
    command
}
