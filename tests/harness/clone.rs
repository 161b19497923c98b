//! A clone of the remote that is changed with plain git.

use std::fs;
use std::path::{Path, PathBuf};

use super::machine::Machine;

/// A clone of the remote, used without ccsync, perhaps by an attacker.
pub(crate) struct Clone<'a> {
    machine: &'a Machine,
    pub(crate) path: PathBuf,
}

impl<'a> Clone<'a> {
    pub(crate) fn new(remote: &Path, machine: &'a Machine) -> Self {
        let path = machine.home.join("clone");
        machine
            .run(
                machine
                    .program("git")
                    .args(["clone", "--quiet"])
                    .args([remote, &path]),
            )
            .success();
        let clone = Self { machine, path };
        clone.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        clone
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.machine
            .run(
                self.machine
                    .program("git")
                    .arg("-C")
                    .arg(&self.path)
                    .args(args),
            )
            .success()
            .stdout
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let file = self.path.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self.git(&["add", "--force", path]);
    }

    /// Commits the index, and only that.
    pub(crate) fn push(&self) {
        self.git(&["commit", "--quiet", "--message", "by hand"]);
        self.git(&["push", "--quiet", "origin", "main"]);
    }

    pub(crate) fn pull(&self) {
        self.git(&["fetch", "--quiet", "origin", "main"]);
        self.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
    }

    /// Returns the id of a blob with this content.
    pub(crate) fn blob(&self, text: &str) -> String {
        fs::write(self.path.join("scratch"), text).unwrap();
        self.git(&["hash-object", "-w", "scratch"])
            .trim()
            .to_owned()
    }

    pub(crate) fn add(&self, mode: &str, id: &str, path: &str) {
        self.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("{mode},{id},{path}"),
        ]);
    }
}
