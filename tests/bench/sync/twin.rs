//! Plain git moving the very commits that this program moved, between copies of its repositories.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine::Machine;
use super::measure::Cost;
use super::place::{Remote, Scene, copy};

/// A remote that gets what the real one got, by a bare `git push`, and a clone that gets it from
/// there, by a bare `git fetch`.
pub(crate) struct Twin<'a> {
    desk: &'a Machine,
    laptop: &'a Machine,
    remote: Remote,
    desk_store: PathBuf,
    laptop_clone: PathBuf,
}

impl<'a> Twin<'a> {
    /// Copies what lies in the remote and on the laptop, both of which have what the desk has.
    pub(crate) fn of(
        scene: &Scene,
        remote: &Remote,
        desk: &'a Machine,
        laptop: &'a Machine,
    ) -> Self {
        let laptop_clone = laptop.root().join("twin.git");
        copy(&laptop.store().join(".git"), &laptop_clone);
        Self {
            desk,
            laptop,
            remote: scene.copy_of(remote, "twin-remote.git"),
            desk_store: desk.store().join(".git"),
            laptop_clone,
        }
    }

    /// Pushes the newest commit of the desk.
    pub(crate) fn push(&self) -> Cost {
        self.desk.succeed(&mut self.push_command())
    }

    /// Fetches what was pushed.
    pub(crate) fn fetch(&self) -> Cost {
        self.laptop.succeed(&mut self.fetch_command())
    }

    pub(crate) fn push_command(&self) -> Command {
        let args = ["push", "--quiet", &self.remote.url, "main:main"];
        bare_git(self.desk, &self.desk_store, &args)
    }

    pub(crate) fn fetch_command(&self) -> Command {
        let refspec = "+main:refs/remotes/origin/main";
        let args = ["fetch", "--quiet", &self.remote.url, refspec];
        bare_git(self.laptop, &self.laptop_clone, &args)
    }
}

fn bare_git(machine: &Machine, git_dir: &Path, args: &[&str]) -> Command {
    let mut command = machine.command("git");
    command.arg("--git-dir").arg(git_dir).args(args);
    command
}
