//! Machines that exist only in a temporary directory, and commands of ccsync on them.
//!
//! Owns the isolation: a cleared environment, private home, temporary and XDG directories
//! per machine, a private git configuration, and no network (git may only use the `file`
//! protocol). No variable exists for the tests' sake: ids, hashes and ages are normalised
//! where they are shown.
//!
//! ```text
//! let env = TestEnv::new();
//! let (a, b) = (env.machine("a"), env.machine("b"));     // homes at different depths
//! a.init(&env.bare_remote());
//! a.session(ONE).project("work/app").turn("hello").write();
//! a.ccsync(["push"]).success();
//! ```

#[cfg(target_os = "linux")]
pub(crate) mod client;
mod clone;
#[cfg(unix)]
mod github;
mod ledger;
pub(crate) mod library;
mod machine;
mod output;
#[cfg(unix)]
#[allow(dead_code, reason = "unit tests use it, too, and need other keys")]
mod terminal;
mod transcript;
#[cfg(unix)]
pub(crate) mod world;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use clone::Clone;
#[cfg(unix)]
pub(crate) use github::GitHub;
pub(crate) use ledger::{Conversations, Ledger, append, conversations, markers};
pub(crate) use machine::{Machine, Tree, tree};
#[cfg(target_os = "linux")]
pub(crate) use machine::{mark_running, say_headless};
pub(crate) use output::Run;
#[cfg(unix)]
pub(crate) use terminal::{CTRL_C, DOWN, ENTER, ESCAPE, Ended, TAB, Terminal, UP};
pub(crate) use transcript::{chain_is_whole, questions};

/// Session ids that stay unchanged in normalised output.
pub(crate) const ONE: &str = "11111111-0000-4000-8000-000000000001";
pub(crate) const TWO: &str = "22222222-0000-4000-8000-000000000002";

/// Returns a machine at a fixed place. The caller keeps other tests from that place.
#[cfg(target_os = "linux")]
pub(crate) fn machine_at(root: &Path, name: &str, home: &str) -> Machine {
    Machine::new(name, root, home)
}

/// A temporary directory with machines and remotes. Removed when dropped.
pub(crate) struct TestEnv {
    /// Links resolved, as the client does.
    root: PathBuf,
    remotes: RefCell<u32>,
    _dir: tempfile::TempDir,
}

impl TestEnv {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        Self {
            root,
            remotes: RefCell::new(0),
            _dir: dir,
        }
    }

    /// Returns a machine. `a` and `b` have homes of different depth and name; each other
    /// name has its own home.
    pub(crate) fn machine(&self, name: &str) -> Machine {
        let home = match name {
            "a" => "a/home/al".to_owned(),
            "b" => "b/Users/alex/deep.er".to_owned(),
            other => format!("{other}/home/{other}"),
        };
        Machine::new(name, &self.root, &home)
    }

    /// Creates an empty bare repository.
    pub(crate) fn bare_remote(&self) -> PathBuf {
        *self.remotes.borrow_mut() += 1;
        let path = self
            .root
            .join(format!("remote-{}.git", self.remotes.borrow()));
        let git = Command::new("git")
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(&path)
            .status();
        assert!(git.unwrap().success());
        path
    }

    /// Returns the remote of [`Self::pair`], which is the first of this environment.
    pub(crate) fn remote_of_pair(&self) -> PathBuf {
        self.root.join("remote-1.git")
    }

    /// Sets up two machines with one remote.
    pub(crate) fn pair(&self) -> (Machine, Machine) {
        let remote = self.bare_remote();
        let (a, b) = (self.machine("a"), self.machine("b"));
        a.init(&remote);
        b.init(&remote);
        (a, b)
    }

    /// Sets up two machines with one encrypted store.
    pub(crate) fn encrypted_pair(&self) -> (Machine, Machine) {
        let remote = self.bare_remote();
        let (a, b) = (self.machine("a"), self.machine("b"));
        a.init_with(&remote, ["--encrypt"]);
        a.give_key(&b);
        b.init(&remote);
        (a, b)
    }

    /// Sets up two machines with one remote, both with the session `ONE`, in which
    /// `hello` was asked on `a`.
    pub(crate) fn pair_with_session(&self) -> (Machine, Machine) {
        let (a, b) = self.pair();
        a.session(ONE).turn("hello").write();
        a.ccsync(["push"]).success();
        b.ccsync(["pull"]).success();
        (a, b)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}
