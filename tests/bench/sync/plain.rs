//! The same work with plain git: the client's directory as a repository, committed
//! unchanged.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::machine::Machine;
use super::measure::Cost;
use super::place::Remote;

pub(crate) struct Plain<'a> {
    machine: &'a Machine,
    git_dir: PathBuf,
    tree: PathBuf,
}

impl<'a> Plain<'a> {
    /// Makes the client's own directory a repository. Its `.git` is in another directory:
    /// the client's directory stays unchanged.
    pub(crate) fn for_client(machine: &'a Machine, remote: &Remote) -> Self {
        let plain = Self {
            machine,
            git_dir: machine.root().join("plain.git"),
            tree: machine.projects(),
        };
        plain.git(["init", "--quiet"]);
        plain.git(["remote", "add", "origin", &remote.url]);
        plain
    }

    /// Clones the remote into a new directory.
    pub(crate) fn clone(machine: &'a Machine, remote: &Remote) -> (Self, Cost) {
        let tree = machine.root().join("plain");
        let tree_name = tree
            .to_str()
            .expect("the benchmark's directory has a UTF-8 name");
        let cost = machine.git(machine.root(), ["clone", "--quiet", &remote.url, tree_name]);
        (
            Self {
                machine,
                git_dir: tree.join(".git"),
                tree,
            },
            cost,
        )
    }

    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Adds, commits and pushes all changes.
    pub(crate) fn push(&self) -> Cost {
        let added = self.git(["add", "--all"]);
        // Fails if there is nothing to commit.
        let committed = self.machine.try_git(
            &self.tree,
            self.args(&["commit", "--quiet", "--message", "push"]),
        );
        added
            .then(committed)
            .then(self.git(["push", "--quiet", "origin", "HEAD:main"]))
    }

    pub(crate) fn pull(&self) -> Cost {
        self.git(["pull", "--quiet"])
    }

    fn git<const N: usize>(&self, args: [&str; N]) -> Cost {
        self.machine.git(&self.tree, self.args(&args))
    }

    fn args(&self, args: &[&str]) -> Vec<OsString> {
        let places = [
            OsString::from("--git-dir"),
            self.git_dir.clone().into(),
            "--work-tree".into(),
            self.tree.clone().into(),
        ];
        places
            .into_iter()
            .chain(args.iter().map(OsString::from))
            .collect()
    }
}
