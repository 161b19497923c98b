//! The environment, read once at the start of the process into a value.
//!
//! Owns every look at environment variables, directories of the platform, the host's name and the terminal. Must not be
//! read a second time: later code gets the value and sees one truth.

use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::path::{Path, PathBuf};

use crate::domain::placeholder::System;

/// What the process was started with.
#[derive(Debug, Clone)]
pub struct Env {
    /// The user's home directory.
    pub home: PathBuf,
    /// Whose path rules hold here.
    pub system: System,
    /// The host's name without its domain.
    pub host_name: String,
    /// The directory that the process was started in, if it can be told.
    pub directory: Option<PathBuf>,
    /// What tells this host from a copy of its files on another one, where the system has such a thing.
    pub host_mark: Option<String>,
    /// Where the client keeps its files.
    pub claude_dir: PathBuf,
    /// The client's program: `claude` as the PATH has it, or else where the client's own installer puts it.
    pub client: PathBuf,
    /// This program's own file, where the system tells.
    pub program: Option<PathBuf>,
    /// Where programs are looked for, in order.
    pub search_path: Vec<PathBuf>,
    /// Where this program keeps its files.
    pub dirs: Dirs,
    /// Whether somebody can answer.
    pub stdin_is_terminal: bool,
    /// Whether somebody reads the results.
    pub stdout_is_terminal: bool,
    /// Whether somebody reads the messages.
    pub stderr_is_terminal: bool,
    /// Whether colours are unwanted (`NO_COLOR`, <https://no-color.org>; `TERM=dumb`).
    pub no_color: bool,
    /// Whether the terminal cannot move its cursor (`TERM=dumb`), so that it can only be written line by line.
    pub only_lines: bool,
    /// Width of the terminal, where there is one.
    pub columns: Option<usize>,
    /// Its height.
    pub rows: Option<usize>,
    /// What decides how `git` is run.
    pub git: GitEnv,
}

/// The directories of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Written by people: `config.toml`.
    pub config: PathBuf,
    /// The store.
    pub data: PathBuf,
    /// What can be lost without losing a session: caches, the process lock.
    pub state: PathBuf,
}

/// What the environment says about running `git`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GitEnv {
    /// The user has an ssh command of their own (`GIT_SSH_COMMAND` or `GIT_SSH`): it is left alone.
    pub own_ssh_command: bool,
}

/// Why the environment is not usable.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// Neither `HOME` nor its equivalent says where the user lives.
    #[error("the home directory is unknown: set {variable}")]
    NoHome {
        /// The variable to set.
        variable: &'static str,
    },
    /// A directory must not depend on where the program is started.
    #[error("{variable} must be an absolute path, not `{}`", path.display())]
    Relative {
        /// The variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
    },
}

impl Env {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// [`EnvError`]
    pub fn read() -> Result<Self, EnvError> {
        let read = Self::from_variables(&variable)?;
        Ok(Self {
            system: system(),
            host_name: host_name(),
            directory: std::env::current_dir().ok(),
            program: std::env::current_exe().ok(),
            host_mark: host_mark(Path::new(MACHINE_ID)),
            stdin_is_terminal: stdin().is_terminal(),
            stdout_is_terminal: stdout().is_terminal(),
            stderr_is_terminal: stderr().is_terminal(),
            columns: read
                .columns
                .or_else(|| terminal_size().map(|(_, columns)| columns)),
            rows: read.rows.or_else(|| terminal_size().map(|(rows, _)| rows)),
            ..read
        })
    }

    /// What follows from variables alone. `get` gives a variable's value, `None` if unset or empty.
    fn from_variables(get: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, EnvError> {
        let home = home(get)?;
        let claude_dir = match get("CLAUDE_CONFIG_DIR") {
            Some(dir) => absolute("CLAUDE_CONFIG_DIR", dir.into())?,
            None => home.join(".claude"),
        };
        let only_lines = get("TERM").is_some_and(|t| t == "dumb");
        let size = |name: &str| {
            get(name)
                .and_then(|size| size.to_str()?.parse().ok())
                .filter(|size| *size > 0)
        };
        Ok(Self {
            dirs: Dirs::from_variables(get, &home)?,
            home,
            system: System::of_build(),
            host_name: String::new(),
            directory: None,
            host_mark: None,
            client: client(get, &claude_dir),
            claude_dir,
            program: None,
            search_path: std::env::split_paths(&get("PATH").unwrap_or_default()).collect(),
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            no_color: get("NO_COLOR").is_some() || only_lines,
            only_lines,
            columns: size("COLUMNS"),
            rows: size("LINES"),
            git: GitEnv::from_variables(get),
        })
    }
}

impl GitEnv {
    fn from_variables(get: &dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            own_ssh_command: get("GIT_SSH_COMMAND").or_else(|| get("GIT_SSH")).is_some(),
        }
    }
}

impl Dirs {
    /// All below one directory.
    pub fn below(base: &Path) -> Self {
        Self {
            config: base.join("config"),
            data: base.join("data"),
            state: base.join("state"),
        }
    }

    /// `CCSYNC_HOME` if set; else each `XDG_*_HOME` that is set, also on macOS and Windows; else the platform's places.
    fn from_variables(
        get: &dyn Fn(&str) -> Option<OsString>,
        home: &Path,
    ) -> Result<Self, EnvError> {
        if let Some(base) = get("CCSYNC_HOME") {
            return Ok(Self::below(&absolute("CCSYNC_HOME", base.into())?));
        }
        let standard = Self::of_platform(home);
        // A relative value is invalid and to be ignored (XDG Base Directory Specification 0.8).
        let xdg = |name: &str| {
            get(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
                .map(|p| p.join("ccsync"))
        };
        let data = xdg("XDG_DATA_HOME");
        let state = xdg("XDG_STATE_HOME").or_else(|| {
            data.as_ref()
                .map(|d| d.join("state"))
                .filter(|_| !cfg!(target_os = "linux"))
        });
        Ok(Self {
            config: xdg("XDG_CONFIG_HOME").unwrap_or(standard.config),
            data: data.unwrap_or(standard.data),
            state: state.unwrap_or(standard.state),
        })
    }

    fn of_platform(home: &Path) -> Self {
        match directories::ProjectDirs::from("", "", "ccsync") {
            Some(dirs) => Self {
                config: dirs.config_dir().to_owned(),
                data: dirs.data_dir().to_owned(),
                state: dirs
                    .state_dir()
                    .map_or_else(|| dirs.data_dir().join("state"), Path::to_owned),
            },
            None => Self::below(&home.join(".ccsync")),
        }
    }
}

fn client(get: &dyn Fn(&str) -> Option<OsString>, claude_dir: &Path) -> PathBuf {
    const NAME: &str = "claude";
    let path = get("PATH").unwrap_or_default();
    let local = claude_dir.join("local").join(NAME);
    let is_on_path =
        || std::env::split_paths(&path).any(|directory| directory.join(NAME).is_file());
    if local.is_file() && !is_on_path() {
        local
    } else {
        NAME.into()
    }
}

const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

fn home(get: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, EnvError> {
    let home = get(HOME).ok_or(EnvError::NoHome { variable: HOME })?;
    absolute(HOME, home.into())
}

fn absolute(variable: &'static str, path: PathBuf) -> Result<PathBuf, EnvError> {
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(EnvError::Relative { variable, path })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The system of the build, or WSL: both WSL 1 and 2 name Microsoft in the kernel's release.
fn system() -> System {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match System::of_build() {
        System::Linux if release.to_ascii_lowercase().contains("microsoft") => System::Wsl,
        system => system,
    }
}

fn host_name() -> String {
    let full = full_host_name();
    let name: String = full
        .split('.')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    }
}

#[cfg(unix)]
fn full_host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(not(unix))]
fn full_host_name() -> String {
    variable("COMPUTERNAME")
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Where Linux systems keep a random id that was made when they were installed (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";

/// The id itself is not for others (machine-id(5)): what is kept of it tells two hosts apart and leads nowhere.
fn host_mark(machine_id: &Path) -> Option<String> {
    let id = std::fs::read_to_string(machine_id).ok()?;
    let id = id.trim();
    // An image of a container has an empty one, one that was not started yet the word `uninitialized`.
    let is_id = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| {
        blake3::Hash::from(blake3::derive_key(
            "ccsync host mark, version 1",
            id.as_bytes(),
        ))
        .to_hex()[..16]
            .to_owned()
    })
}

/// Rows and columns.
fn terminal_size() -> Option<(usize, usize)> {
    let stdout_size = dialoguer::console::Term::stdout().size_checked();
    let size = stdout_size.or_else(|| dialoguer::console::Term::stderr().size_checked());
    size.map(|(rows, columns)| (rows.into(), columns.into()))
        .filter(|(rows, columns)| *rows > 0 && *columns > 0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Result<Env, EnvError> {
        Env::from_variables(&|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.into())
        })
    }

    #[test]
    fn env_ccsync_home_sets_all_directories() {
        let env = env(&[
            ("HOME", "/home/al"),
            ("CCSYNC_HOME", "/x"),
            ("XDG_DATA_HOME", "/y"),
        ])
        .unwrap();
        assert_eq!(env.dirs, Dirs::below(Path::new("/x")));
        assert_eq!(
            (env.dirs.config, env.claude_dir),
            ("/x/config".into(), "/home/al/.claude".into())
        );
    }

    #[test]
    fn env_xdg_variables_apply_unless_relative() {
        let env = env(&[
            ("HOME", "/home/al"),
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_DATA_HOME", "d"),
        ])
        .unwrap();
        assert_eq!(env.dirs.config, Path::new("/c/ccsync"));
        assert!(
            env.dirs.data.is_absolute() && env.dirs.data.ends_with("ccsync"),
            "{:?}",
            env.dirs.data
        );
    }

    #[test]
    fn env_missing_home_and_relative_path_are_refused() {
        assert_eq!(
            env(&[]).unwrap_err().to_string(),
            "the home directory is unknown: set HOME"
        );
        let relative = env(&[("HOME", "/h"), ("CLAUDE_CONFIG_DIR", "x")]).unwrap_err();
        assert_eq!(
            relative.to_string(),
            "CLAUDE_CONFIG_DIR must be an absolute path, not `x`"
        );
    }

    #[test]
    fn env_host_mark_comes_from_machine_id() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("machine-id");
        let mark = |text: &str| {
            crate::sys::fs::write_atomic(&file, text.as_bytes()).unwrap();
            host_mark(&file)
        };
        let (one, two) = (
            mark(&"0123456789abcdef".repeat(2)),
            mark(&"1123456789abcdef".repeat(2)),
        );
        assert!(one.is_some() && one != two);
        assert_eq!(
            (mark(""), mark("uninitialized\n"), host_mark(dir.path())),
            (None, None, None)
        );
    }

    #[test]
    fn env_flags_and_columns_are_read() {
        let small = env(&[
            ("HOME", "/h"),
            ("NO_COLOR", "1"),
            ("GIT_SSH", "plink"),
            ("COLUMNS", "77"),
        ])
        .unwrap();
        assert!(small.no_color && small.git.own_ssh_command);
        assert_eq!(small.columns, Some(77));
        assert!(!host_name().is_empty());
    }
}
