//! A private home, remotes and stores in a temporary directory.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use ccsync::domain::id::CommitId;
use ccsync::domain::url::RemoteUrl;
use ccsync::sys::clock::ManualClock;
use ccsync::sys::env::GitEnv;
use ccsync::sys::fs::write_atomic;
use ccsync::transport::git_cli::GitCli;
use ccsync::transport::remote::{PushOutcome, RefUpdate, RemoteError};

/// The branch most tests push.
pub(super) const MAIN: &str = "refs/heads/main";

/// Removed when dropped.
pub(super) struct World {
    dir: tempfile::TempDir,
    variables: Vec<(OsString, OsString)>,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let mut world = Self {
            variables: Vec::new(),
            dir,
        };
        world.set("HOME", &home);
        world.set("XDG_CONFIG_HOME", home.join(".config"));
        world.set("GIT_CONFIG_NOSYSTEM", "1");
        world.set("no_proxy", "127.0.0.1");
        world
    }

    /// Lets every git of this world inherit a variable.
    pub(super) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.push((name.into(), value.into()));
    }

    pub(super) fn root(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        write_atomic(&path, text.as_bytes()).unwrap();
        path
    }

    pub(super) fn gitconfig(&self, text: &str) {
        self.write("home/.gitconfig", text);
    }

    #[cfg(unix)]
    pub(super) fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub(super) fn bare(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).initial_head("main");
        git2::Repository::init_opts(&path, &options).unwrap();
        path
    }

    /// Returns a store whose remote is `url`; it cannot ask the user.
    pub(super) fn store(&self, name: &str, url: &str) -> Store {
        let repo = git2::Repository::init(self.path(name)).unwrap();
        let url = RemoteUrl::parse(url, self.dir.path()).unwrap();
        let own_ssh_command = self
            .variables
            .iter()
            .any(|(name, _)| name == "GIT_SSH_COMMAND");
        // Waiting on this clock takes no time.
        let clock = Arc::new(ManualClock::new(chrono::DateTime::UNIX_EPOCH));
        let mut git = GitCli::new(
            repo.path(),
            url,
            GitEnv {
                own_ssh_command,
                ..GitEnv::default()
            },
            false,
        )
        .with_clock(clock);
        for (name, value) in &self.variables {
            git = git.inheriting(name, value);
        }
        Store { repo, git }
    }
}

pub(super) struct Store {
    pub(super) repo: git2::Repository,
    pub(super) git: GitCli,
}

impl Store {
    /// Makes a commit that differs from every other store's.
    pub(super) fn commit(&self, parent: Option<&CommitId>, text: &str) -> CommitId {
        let who = git2::Signature::new("al", "al@example.org", &git2::Time::new(0, 0)).unwrap();
        let blob = self.repo.blob(text.as_bytes()).unwrap();
        let mut tree = self.repo.treebuilder(None).unwrap();
        tree.insert("file", blob, 0o100_644).unwrap();
        let tree = self.repo.find_tree(tree.write().unwrap()).unwrap();
        let parent = parent.map(|id| {
            self.repo
                .find_commit(git2::Oid::from_str(id.as_str()).unwrap())
                .unwrap()
        });
        let parents: Vec<_> = parent.iter().collect();
        self.repo
            .commit(None, &who, &who, text, &tree, &parents)
            .unwrap()
            .to_string()
            .parse()
            .unwrap()
    }

    pub(super) fn push(
        &self,
        new: &CommitId,
        expected: Option<&CommitId>,
    ) -> Result<PushOutcome, RemoteError> {
        self.git.push(&[update(MAIN, Some(new), expected)])
    }

    /// Pushes a first commit, fetches it back and finds it in the list.
    pub(super) fn round_trip(&self) -> CommitId {
        let first = self.commit(None, "first");
        assert_eq!(self.git.fetch("main").unwrap(), None);
        assert_eq!(self.push(&first, None).unwrap(), PushOutcome::Done);
        assert_eq!(self.git.fetch("main").unwrap().as_ref(), Some(&first));
        assert_eq!(self.git.fetch("main").unwrap().as_ref(), Some(&first));
        assert_eq!(self.git.refs().unwrap().get(MAIN), Some(&first));
        let tracked = self.repo.refname_to_id("refs/remotes/origin/main").unwrap();
        assert_eq!(tracked.to_string(), first.as_str());
        first
    }
}

pub(super) fn update(name: &str, new: Option<&CommitId>, expected: Option<&CommitId>) -> RefUpdate {
    RefUpdate {
        name: name.to_owned(),
        new: new.cloned(),
        expected: expected.cloned(),
    }
}

pub(super) fn is_refused(result: &Result<PushOutcome, RemoteError>) -> bool {
    matches!(result, Ok(PushOutcome::Refused { .. }))
}

/// Returns the error and its causes on one line, without the parts that differ between
/// runs.
pub(super) fn shown(error: &RemoteError, world: &World) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text} / {error}");
        cause = error.source();
    }
    text.replace(world.root(), "$WORLD").replace('\n', " | ")
}

/// Prints past the test harness, which hides the output of a passing test.
pub(super) fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
