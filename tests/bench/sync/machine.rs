//! One machine: a private home, and commands run on it that see nothing of the user's own settings.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::rc::Rc;

use super::measure::{Cost, run};
use super::place::Remote;
use super::servers::trace::Started;
use super::transport::Transport;

/// The command that pulls every session, however old.
pub(crate) const PULL: [&str; 3] = ["pull", "--days", "36500"];

/// The setting for git's automatic clean-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gc {
    /// Off: it would run in the background of the next measurement.
    Off,
    /// Git's default.
    Default,
}

pub(crate) struct Machine {
    name: String,
    root: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) gc: Gc,
    transport: Rc<Transport>,
}

impl Machine {
    /// Returns a machine whose home is `root/name/home`.
    pub(crate) fn new(root: &Path, name: &str, gc: Gc, transport: &Rc<Transport>) -> Self {
        let root = root.join(name);
        let machine = Self {
            name: name.to_owned(),
            home: home(&root),
            root,
            gc,
            transport: Rc::clone(transport),
        };
        for directory in [machine.projects(), machine.root.join("tmp")] {
            fs::create_dir_all(directory).expect("the benchmark's directory can be written");
        }
        let gc = if gc == Gc::Off {
            "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
        } else {
            ""
        };
        let config = format!(
            "[user]\n\tname = T\n\temail = t@example.invalid\n[init]\n\tdefaultBranch = main\n{gc}"
        );
        fs::write(machine.home.join(".gitconfig"), config)
            .expect("the benchmark's directory can be written");
        machine
    }

    /// The client's directory of project directories.
    pub(crate) fn projects(&self) -> PathBuf {
        self.home.join(".claude/projects")
    }

    /// Returns the directory for files that are not in the home directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Runs this program, which must succeed.
    pub(crate) fn ccsync<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Cost {
        self.succeed(self.command(env!("CARGO_BIN_EXE_ccsync")).args(args))
    }

    /// Sets this machine up with a remote, under its own name.
    pub(crate) fn init(&self, remote: &Remote) -> Cost {
        let args = ["init", "--yes", "--name", &self.name, "--remote"];
        self.ccsync(args.into_iter().chain([remote.url.as_str()]))
    }

    /// Pulls every session, however old.
    pub(crate) fn pull(&self) -> Cost {
        self.ccsync(PULL)
    }

    /// Returns the git processes and connections of ccsync with these arguments.
    pub(crate) fn started_by_ccsync(&self, args: &[&str]) -> Started {
        self.started_by(self.command(env!("CARGO_BIN_EXE_ccsync")).args(args))
    }

    /// Returns the git processes and connections of a command.
    pub(crate) fn started_by(&self, command: &mut Command) -> Started {
        Started::from_run(
            command,
            &self.root.join("traces"),
            || self.transport.connections(),
            |command| {
                self.succeed(command);
            },
        )
    }

    /// Runs git in a directory; it must succeed.
    pub(crate) fn git<S: AsRef<OsStr>>(
        &self,
        directory: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Cost {
        self.succeed(self.command("git").current_dir(directory).args(args))
    }

    /// Runs git in a directory, whether it succeeds or not.
    pub(crate) fn try_git<S: AsRef<OsStr>>(
        &self,
        directory: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Cost {
        run(
            self.command("git").current_dir(directory).args(args),
            &self.log(),
        )
        .1
    }

    /// Runs a program that ends with exit code 1 if it finds nothing.
    pub(crate) fn finds(&self, program: &str, directory: &Path, args: &[&str]) -> Cost {
        let (status, cost) = run(
            self.command(program).current_dir(directory).args(args),
            &self.log(),
        );
        assert!(
            matches!(status.code(), Some(0 | 1)),
            "on {}: {program} {args:?}: {status}",
            self.name
        );
        cost
    }

    /// Returns what git prints.
    pub(crate) fn git_says(&self, directory: &Path, args: &[&str]) -> String {
        self.git(directory, args);
        fs::read_to_string(self.log()).expect("git prints text")
    }

    /// The working tree of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.ccsync(["status", "--json"]);
        let status = fs::read(self.log()).expect("the output was just written");
        let status: serde_json::Value =
            serde_json::from_slice(&status).expect("status prints JSON");
        status["store"]
            .as_str()
            .expect("status names the store")
            .into()
    }

    /// Runs a command of this machine, whether it succeeds or not.
    pub(crate) fn try_run(&self, command: &mut Command) -> (ExitStatus, Cost) {
        run(command, &self.log())
    }

    /// Runs a command of this machine, which must succeed.
    pub(crate) fn succeed(&self, command: &mut Command) -> Cost {
        let (status, cost) = self.try_run(command);
        if !status.success() {
            let said = fs::read_to_string(self.log()).unwrap_or_default();
            panic!("on {}: {command:?}: {status}\n{said}", self.name);
        }
        cost
    }

    fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .current_dir(&self.home)
            .stdin(Stdio::null());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.transport.bin().to_owned());
        let paths = std::env::join_paths(paths.chain(std::env::split_paths(&path)));
        command.env("PATH", paths.expect("the PATH can be extended"));
        if let Some(value) = std::env::var_os("SystemRoot") {
            command.env("SystemRoot", value);
        }
        command
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join(".config"))
            .env("XDG_DATA_HOME", self.home.join(".local/share"))
            .env("XDG_STATE_HOME", self.home.join(".local/state"))
            .env("XDG_CACHE_HOME", self.home.join(".cache"))
            .env("TMPDIR", self.root.join("tmp"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ALLOW_PROTOCOL", "file:ssh:http")
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8");
        command
    }
}

/// Returns the home of a machine in `root`.
pub(crate) fn home(root: &Path) -> PathBuf {
    root.join("home")
}
