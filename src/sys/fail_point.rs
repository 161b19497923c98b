//! Named moments at which a test can kill this process, to check that the next run recovers.
//!
//! Does nothing without the Cargo feature `fail-points`. With it, `CCSYNC_KILL_AT=NAME` or
//! `NAME:N` makes the process kill itself when it passes the point of that name (for the N-th
//! time), and `CCSYNC_POINTS_TO=FILE` records each point that it passes.

#[cfg(feature = "fail-points")]
pub use armed::{POINTS, fail_point};

/// A moment at which a process might be killed.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub fn fail_point(_: &'static str) {}

#[cfg(feature = "fail-points")]
mod armed {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::sync::{LazyLock, Mutex};

    /// The names of all points, in about the order in which a process passes them.
    pub const POINTS: &[&str] = &[
        "the lock is taken",
        "before stale files are removed",
        "stale files are removed",
        "a repository is prepared",
        "a repository is in its place",
        "the index is discarded",
        "the working tree is discarded",
        "the working tree is rewritten",
        "the store is open",
        "before a fetch",
        "after a fetch",
        "before the remote's head is recorded",
        "the remote's head is recorded",
        "commits are sealed",
        "commits are unsealed",
        "before a merge is committed",
        "the key is saved",
        "the store is known to be encrypted",
        "before a deletion is committed",
        "a deletion is committed",
        "a purge is prepared",
        "before a purge is sent",
        "a purge is sent",
        "a purge is followed",
        "the configuration is saved",
        "before the machine is registered",
        "the sessions are found",
        "the push is planned",
        "the pull is planned",
        "a restore is planned",
        "local changes are stored before a restore",
        "restored forks are stored",
        "a session is restored",
        "a file is removed",
        "newer files of a session are removed",
        "before a milestone is created",
        "a file of the working tree is half written",
        "a file of the store is written",
        "a pack is started",
        "a pack is complete",
        "a pack and its index are on the disk",
        "a pack has its name",
        "the index of a pack has its name",
        "the objects are written",
        "the working tree is marked",
        "the head has moved",
        "files are removed from the working tree",
        "before git's index is written",
        "git's index is written",
        "the mark is removed",
        "before a push to the remote",
        "after a push to the remote",
        "before a part is sent",
        "a part is sent",
        "refused parts are kept",
        "a new key is saved",
        "before the new history is sent",
        "the new history is sent",
        "the former mirror is removed",
        "the new mirror is in its place",
        "a lease is written",
        "a lock has moved on the remote",
        "a lease is removed",
        "the leases are settled",
        "the path notice is written",
        "before Claude Code starts",
        "Claude Code has ended",
        "a temporary file is created",
        "a temporary file is written",
        "a temporary file has its name",
        "before a file is extended",
        "a part is appended",
        "a file is extended",
        "a former file is kept",
        "before a journal entry",
        "a journal entry is written",
        "a change is undone",
        "before a journal is replaced",
        "extras are committed",
        "an extras file is written",
        "an extras file is restored",
        "an extras file is removed",
        "deleted sessions are saved",
        "ccsync's index is saved",
    ];

    struct Armed {
        victim: Option<(String, u32)>,
        log: Option<Mutex<std::fs::File>>,
        counts: Mutex<BTreeMap<&'static str, u32>>,
    }

    static ARMED: LazyLock<Armed> = LazyLock::new(Armed::from_environment);

    /// A moment at which a process might be killed.
    pub fn fail_point(name: &'static str) {
        debug_assert!(POINTS.contains(&name), "{name} is not in the list");
        ARMED.pass(name);
    }

    impl Armed {
        #[expect(
            clippy::disallowed_methods,
            reason = "exists in tests only, and has to work before anything is set up"
        )]
        fn from_environment() -> Self {
            let victim = std::env::var("CCSYNC_KILL_AT")
                .ok()
                .map(|at| match at.rsplit_once(':') {
                    Some((name, time)) => (name.to_owned(), time.parse().expect("NAME:N")),
                    None => (at, 1),
                });
            let open = |path| {
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)
                    .expect("a log")
            };
            let log = std::env::var_os("CCSYNC_POINTS_TO").map(|path| Mutex::new(open(path)));
            Self {
                victim,
                log,
                counts: Mutex::default(),
            }
        }

        fn pass(&self, name: &'static str) {
            let time = {
                let mut counts = self.counts.lock().expect("counting does not panic");
                let count = counts.entry(name).or_default();
                *count += 1;
                *count
            };
            if let Some(log) = &self.log {
                writeln!(log.lock().expect("writing does not panic"), "{name}")
                    .expect("the log can be written");
            }
            if self
                .victim
                .as_ref()
                .is_some_and(|(victim, at)| victim == name && *at == time)
            {
                die();
            }
        }
    }

    /// Ends the process as the kernel does: no destructor runs.
    fn die() -> ! {
        #[cfg(unix)]
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort()
    }
}
