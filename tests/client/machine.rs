//! A machine of the test: a private home, a directory for projects, and `ccsync`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::client::shown;

/// Exit codes of `ccsync` that the tests use.
pub mod exit {
    /// The command did everything.
    pub const DONE: i32 = 0;
    /// Some sessions were skipped.
    pub const SKIPPED: i32 = 3;
    /// Another machine holds the lock.
    #[cfg(feature = "fail-points")]
    pub const LOCKED: i32 = 4;
    /// Both sides continued a session, and one became a fork.
    pub const DIVERGED: i32 = 5;
}

/// One machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name in the remote.
    pub name: String,
    /// The user's home.
    pub home: PathBuf,
    /// The directory that the placeholder `PROJECTS` stands for.
    pub projects: PathBuf,
    /// `CLAUDE_CONFIG_DIR`, where it is set.
    pub config_dir: Option<PathBuf>,
}

impl Machine {
    /// Returns an empty machine.
    pub fn new(name: &str, home: &Path, projects: &str) -> Self {
        let projects = home.join(projects);
        for directory in [home, &projects, &home.join(".tmp")] {
            fs::create_dir_all(directory).expect("make a home");
        }
        Self {
            name: name.into(),
            home: home.into(),
            projects,
            config_dir: None,
        }
    }

    /// Moves the clocks of this machine's `ccsync` ahead of the others', also for a
    /// running one. Needs the feature `fail-points`.
    #[cfg(feature = "fail-points")]
    pub fn clock_ahead(&self, seconds: u64) {
        fs::write(self.clock(), seconds.to_string()).expect("set the clock");
    }

    fn clock(&self) -> PathBuf {
        self.home.join(".clock-ahead")
    }

    /// Returns the whole environment of its programs.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        let mut env: Vec<(&str, OsString)> = vec![
            (
                "PATH",
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
            ),
            ("HOME", self.home.clone().into()),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("SHELL", "/bin/sh".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            // Read only with the feature `fail-points`.
            ("CCSYNC_CLOCK_AHEAD", self.clock().into()),
        ];
        if let Some(directory) = &self.config_dir {
            env.push(("CLAUDE_CONFIG_DIR", directory.clone().into()));
        }
        env
    }

    /// Returns the directory for the client's short-lived files.
    pub fn tmp(&self) -> PathBuf {
        self.home.join(".tmp")
    }

    /// Returns the directory of the project `name`, and creates it if it does not exist.
    pub fn project(&self, name: &str) -> PathBuf {
        let directory = self.projects.join(name);
        fs::create_dir_all(&directory).expect("make a project");
        directory
    }

    /// Runs `ccsync` and expects the exit code `code`. Returns its output of both
    /// streams.
    pub fn ccsync(&self, code: i32, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_ccsync"))
            .args(args)
            .current_dir(&self.home)
            .env_clear()
            .envs(self.env())
            .stdin(Stdio::null())
            .output()
            .expect("start ccsync");
        let name = &self.name;
        assert_eq!(
            output.status.code(),
            Some(code),
            "ccsync {args:?} on {name}: {}",
            shown(&output)
        );
        [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat()
    }

    /// Runs `ccsync init` with `PROJECTS` and these placeholders.
    pub fn init(&self, remote: &Path, placeholders: &[(String, PathBuf)]) {
        let projects = format!("PROJECTS={}", self.projects.display());
        let mut args = vec![
            "init",
            "--remote",
            text(remote),
            "--name",
            &self.name,
            "--yes",
        ];
        args.extend(["--add-placeholder", &projects]);
        let more: Vec<String> = placeholders
            .iter()
            .map(|(name, path)| format!("{name}={}", path.display()))
            .collect();
        args.extend(more.iter().flat_map(|one| ["--add-placeholder", one]));
        self.ccsync(exit::DONE, &args);
    }

    /// Sets the setting `localize`.
    pub fn paths(&self, mode: &str) {
        self.ccsync(exit::DONE, &["config", "set", "localize", mode]);
    }

    /// Pushes everything.
    pub fn push(&self) {
        self.ccsync(exit::DONE, &["push"]);
    }

    /// Pulls everything.
    pub fn pull(&self) {
        self.ccsync(exit::DONE, &["pull"]);
    }

    /// Runs `git` in a project of this machine.
    pub fn git(&self, project: &Path, args: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.invalid"])
            .args(args);
        let output = git
            .current_dir(project)
            .env_clear()
            .envs(self.env())
            .output()
            .expect("start git");
        assert!(output.status.success(), "git {args:?}: {}", shown(&output));
    }

    /// Returns the client's directory for sessions.
    pub fn sessions_dir(&self) -> PathBuf {
        self.config_dir
            .clone()
            .unwrap_or_else(|| self.home.join(".claude"))
            .join("projects")
    }

    /// Returns every transcript of a session, those of sub-agents excluded.
    pub fn transcripts(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = entries(&self.sessions_dir())
            .iter()
            .flat_map(|project| entries(project))
            .filter(|path| path.extension().is_some_and(|end| end == "jsonl") && path.is_file())
            .collect();
        found.sort();
        found
    }

    /// Returns the ids of its sessions, sorted.
    pub fn ids(&self) -> Vec<String> {
        let paths = self.transcripts();
        let mut ids: Vec<_> = paths
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        ids.sort();
        ids
    }

    /// Returns true if the session `id` holds the prompt of the turn `mark`.
    pub fn has_prompt(&self, id: &str, mark: &str) -> bool {
        let word = format!("[[{mark}]]");
        let said = |record: &Value| {
            record["type"] == "user" && record["message"].to_string().contains(&word)
        };
        self.records(id).iter().any(said)
    }

    /// Returns the one transcript of the session `id`.
    pub fn transcript(&self, id: &str) -> PathBuf {
        let all = self.transcripts();
        let mut found = all
            .iter()
            .filter(|path| path.file_stem().is_some_and(|stem| stem == id));
        match (found.next(), found.next()) {
            (Some(path), None) => path.clone(),
            (first, _) => {
                panic!(
                    "{} has {} transcripts of {id}: {all:?}",
                    self.name,
                    if first.is_none() { 0 } else { 2 }
                )
            }
        }
    }

    /// Returns the records of a session that are JSON objects.
    pub fn records(&self, id: &str) -> Vec<Value> {
        let bytes = fs::read(self.transcript(id)).expect("read a transcript");
        bytes
            .split(|b| *b == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}

/// Two machines with different users and directories, and a remote between them.
pub struct Pair {
    /// The machine on which sessions are made.
    pub a: Machine,
    /// The machine on which sessions continue.
    pub b: Machine,
    /// The remote of both.
    pub remote: PathBuf,
    _root: tempfile::TempDir,
}

impl Pair {
    /// Sets up both machines. `mode` is the setting `localize` of B, `None` its default.
    pub fn new(mode: Option<&str>) -> Self {
        let pair = Self::prepare(|_| {});
        if let Some(mode) = mode {
            pair.b.paths(mode);
        }
        pair
    }

    /// Sets up both machines. The home of B is a link.
    pub fn with_linked_home() -> Self {
        Self::prepare(|home| {
            let disk = home.with_file_name("disk");
            fs::create_dir_all(&disk).expect("make a disk");
            std::os::unix::fs::symlink(disk, home).expect("link the home");
        })
    }

    /// Sets up both machines, after the home of B.
    fn prepare(make_home: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let base = root.path().canonicalize().expect("just made");
        let remote = bare_repository(&base.join("remote.git"));
        let a = Machine::new("a", &base.join("laptop/home/alice"), "projects");
        let home = base.join("desk/Users/bob.b");
        make_home(&home);
        let b = Machine::new("b", &home, "src/my work");
        for machine in [&a, &b] {
            machine.init(&remote, &[]);
        }
        Self {
            a,
            b,
            remote,
            _root: root,
        }
    }

    /// Returns the number of commits of the sessions on the remote.
    pub fn commits(&self) -> usize {
        let remote = git2::Repository::open_bare(&self.remote).expect("the remote");
        let mut walk = remote.revwalk().expect("a walk");
        walk.push_ref("refs/heads/main").expect("the branch");
        walk.count()
    }

    /// Returns the sessions that are locked on the remote, sorted.
    pub fn locks(&self) -> Vec<String> {
        let remote = git2::Repository::open_bare(&self.remote).expect("the remote");
        let locks = remote
            .references_glob("refs/heads/ccsync/lock/*")
            .expect("references of the remote");
        let names = locks.map(|lock| lock.expect("a lock").name().expect("text").to_owned());
        let mut ids: Vec<String> = names
            .filter_map(|name| Some(name.rsplit_once('/')?.1.to_owned()))
            .collect();
        ids.sort();
        ids
    }
}

/// Creates an empty bare repository at `path`.
pub fn bare_repository(path: &Path) -> PathBuf {
    git2::Repository::init_bare(path).expect("make a bare repository");
    path.to_path_buf()
}

/// Returns the entries of a directory; nothing if it does not exist.
pub fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .map(|list| list.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

/// Returns a path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the test is text")
}
