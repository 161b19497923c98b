//! A machine whose clocks the test moves, also under running processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::harness::client::{Client, wait_for};
use crate::harness::{Machine, ONE, Run, TestEnv, questions};

/// A machine with the stand-in client, and with clocks that the test moves.
pub(crate) struct Station<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) client: Client<'a>,
    pub(crate) remote: PathBuf,
}

impl<'a> Station<'a> {
    pub(crate) fn new(machine: &'a Machine, env: &TestEnv) -> Self {
        Self {
            machine,
            client: Client::install(machine),
            remote: env.remote_of_pair(),
        }
    }

    /// Moves the clocks of every process on this machine that many seconds ahead.
    pub(crate) fn clock_ahead(&self, seconds: u64) {
        let new = self.clock().with_extension("new");
        fs::write(&new, seconds.to_string()).unwrap();
        // In one step, so that a reader sees either the old or the new time.
        fs::rename(new, self.clock()).unwrap();
    }

    fn clock(&self) -> PathBuf {
        self.machine.home.join(".clock")
    }

    pub(crate) fn command(&self, args: &[&str], says: &str) -> Command {
        let mut command = self.client.command(args, says);
        command.env("CCSYNC_CLOCK_AHEAD", self.clock());
        command
    }

    pub(crate) fn run(&self, args: &[&str], says: &str) -> Run {
        self.machine.run(&mut self.command(args, says))
    }

    pub(crate) fn resume(&self, says: &str) -> Run {
        self.run(&["resume", ONE], says)
    }

    /// Continues the session with a client that stays.
    pub(crate) fn hold(&self, says: &str) -> Child {
        self.client
            .start_command(&mut self.command(&["resume", ONE], says))
    }

    /// Continues the session like [`Self::hold`], with a client that writes when it ends: nothing
    /// is backed up before.
    pub(crate) fn hold_late(&self, says: &str) -> Child {
        let mut command = self.command(&["resume", ONE], says);
        self.client.start_command(command.env("CLIENT_LATE", "1"))
    }

    /// Lets the client end, and waits for ccsync.
    pub(crate) fn end(&self, child: Child) -> Run {
        self.client.finish();
        self.machine.ended(child)
    }

    /// Moves the clocks so that a heartbeat is due, and waits for it.
    pub(crate) fn heartbeat(&self, ahead: u64) {
        let before = self.lock();
        self.clock_ahead(ahead);
        wait_for("a sign of life", || self.lock() != before);
        // The remote has answered, too.
        wait_for("the answer", || !self.lease().contains("pending"));
    }

    /// Returns this machine's lease.
    pub(crate) fn lease(&self) -> String {
        fs::read_to_string(
            self.machine
                .home
                .join(format!(".local/state/ccsync/locks/{ONE}.json")),
        )
        .unwrap_or_default()
    }

    /// Returns the lock on the remote.
    pub(crate) fn lock(&self) -> Option<String> {
        reference(&self.remote, &format!("ccsync/lock/{ONE}"))
    }

    pub(crate) fn said(&self) -> Vec<Vec<String>> {
        let mut all: Vec<_> = self
            .machine
            .sessions()
            .iter()
            .map(|id| questions(&self.machine.text(id)))
            .collect();
        all.sort();
        all
    }

    pub(crate) fn session(&self) -> Vec<String> {
        questions(&self.machine.text(ONE))
    }
}

pub(crate) fn reference(remote: &Path, branch: &str) -> Option<String> {
    let remote = git2::Repository::open_bare(remote).ok()?;
    remote
        .refname_to_id(&format!("refs/heads/{branch}"))
        .ok()
        .map(|commit| commit.to_string())
}
