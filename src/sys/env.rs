//! The environment, read once at the start of the process into a value.
//!
//! Owns every access to environment variables, directories of the platform, the host's name and
//! the terminal. Must not be read a second time: later code gets the value.

use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::client_program::find_client;
use super::hook_env::HookEnv;
use crate::domain::{CommitAuthor, System, UserError, secret_text::SecretText};

/// The variable with the key of the store.
pub const KEY_VARIABLE: &str = "CCSYNC_KEY";

/// Everything that the process was started with.
#[derive(Debug, Clone)]
pub struct Env {
    /// The user's home directory.
    pub home: PathBuf,
    /// The system whose path rules apply here.
    pub system: System,
    /// The host's name without its domain.
    pub host_name: String,
    /// The directory that the process was started in, if it is known.
    pub directory: Option<PathBuf>,
    /// Distinguishes this host from another host with a copy of its files, if the system can.
    pub host_mark: Option<String>,
    /// The directory in which the client keeps its files.
    pub claude_dir: PathBuf,
    /// The name of the one project directory that the client uses for all projects, if it does
    /// (`CLAUDE_CODE_PROJECT_DIR_NAME` with `CLAUDE_CONFIG_DIR`; client 2.1.332).
    pub project_dir_name: Option<String>,
    /// The client's program: `claude` on the PATH, else the path used by the client's installer.
    pub client: PathBuf,
    /// The variable that turns the client's hooks off, if one is set (client 2.1.332).
    pub no_client_hooks: Option<&'static str>,
    /// This program's own file, if the system knows it.
    pub program: Option<PathBuf>,
    /// The directories of the PATH, in order.
    pub search_path: Vec<PathBuf>,
    /// Name or path of the user's login shell, if the system tells.
    pub shell: Option<PathBuf>,
    /// Directory in which programs look for data files of the user's.
    pub data_home: PathBuf,
    /// The directories in which this program keeps its files.
    pub dirs: Dirs,
    /// Standard input is a terminal, so that the user can answer.
    pub stdin_is_terminal: bool,
    /// Standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// Colours are unwanted (`NO_COLOR`, <https://no-color.org>; `TERM=dumb`).
    pub no_color: bool,
    /// The terminal cannot move its cursor (`TERM=dumb`) and is written line by line.
    pub only_lines: bool,
    /// Width of the terminal, if there is one.
    pub columns: Option<usize>,
    /// Height of the terminal, if there is one.
    pub rows: Option<usize>,
    /// The key of the store, if one is given (`CCSYNC_KEY`). No program that is started gets the
    /// variable, except the daemon.
    pub store_key: Option<SecretText>,
    /// Settings for running `git`.
    pub git: GitEnv,
    /// The committer that git's variables name, if they do.
    pub committer: Option<CommitAuthor>,
    /// The client that runs this process as a hook.
    pub hook: HookEnv,
}

/// The directories of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Written by the user: `config.toml`.
    pub config: PathBuf,
    /// The store.
    pub data: PathBuf,
    /// Files that can be lost without losing a session: caches, the process lock.
    pub state: PathBuf,
}

impl Dirs {
    /// Returns the directory of the mirror, which an encrypted store has.
    pub fn mirror(&self) -> PathBuf {
        self.data.join("sealed.git")
    }
}

/// The part of the environment that concerns `git`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitEnv {
    /// The user has set an ssh command (`GIT_SSH_COMMAND` or `GIT_SSH`), which is kept.
    pub own_ssh_command: bool,
    /// Time after which a silent remote is given up, if the user has set one.
    pub silence_limit: Option<Duration>,
    /// While this file exists, a silent remote is given up within seconds.
    pub hurry_file: Option<Arc<Path>>,
}

/// The reason why the environment is unusable.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// The variable with the home directory is not set.
    #[error("cannot find the home directory: {variable} is not set")]
    NoHome {
        /// The variable to set.
        variable: &'static str,
    },
    /// A directory must not depend on the current one.
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

    /// Reads what follows from variables alone. `get` returns the value of a variable, or `None`
    /// if it is unset or empty.
    fn from_variables(get: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, EnvError> {
        let home = home(get)?;
        let claude_dir = match get("CLAUDE_CONFIG_DIR") {
            Some(dir) => absolute("CLAUDE_CONFIG_DIR", dir.into())?,
            None => home.join(".claude"),
        };
        let client = find_client(get, &home, &claude_dir);
        let only_lines = get("TERM").is_some_and(|t| t == "dumb");
        let size = |name: &str| {
            get(name)
                .and_then(|size| size.to_str()?.parse().ok())
                .filter(|size| *size > 0)
        };
        Ok(Self {
            dirs: Dirs::from_variables(get, &home)?,
            shell: get("SHELL").map(PathBuf::from),
            data_home: data_home(get, &home),
            home,
            system: System::current(),
            host_name: String::new(),
            directory: None,
            host_mark: None,
            client,
            claude_dir,
            project_dir_name: project_dir_name(get),
            program: None,
            search_path: std::env::split_paths(&get("PATH").unwrap_or_default()).collect(),
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            no_color: get("NO_COLOR").is_some() || only_lines,
            only_lines,
            columns: size("COLUMNS"),
            rows: size("LINES"),
            store_key: get(KEY_VARIABLE)
                .and_then(|key| key.into_string().ok())
                .map(SecretText::new),
            git: GitEnv::from_variables(get),
            committer: committer(get),
            hook: HookEnv::from_variables(get),
            no_client_hooks: no_client_hooks(get),
        })
    }
}

impl GitEnv {
    fn from_variables(get: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let seconds = |text: OsString| text.to_str()?.parse().ok();
        let limit = get("CCSYNC_REMOTE_TIMEOUT").and_then(seconds);
        Self {
            own_ssh_command: get("GIT_SSH_COMMAND").or_else(|| get("GIT_SSH")).is_some(),
            silence_limit: limit.filter(|s| *s > 0).map(Duration::from_secs),
            hurry_file: None,
        }
    }
}

impl Dirs {
    /// Puts all of them below one directory.
    pub fn below(base: &Path) -> Self {
        Self {
            config: base.join("config"),
            data: base.join("data"),
            state: base.join("state"),
        }
    }

    /// Uses `CCSYNC_HOME` if it is set; else each `XDG_*_HOME` that is set, also on macOS and
    /// Windows; else the platform's directories.
    fn from_variables(
        get: &dyn Fn(&str) -> Option<OsString>,
        home: &Path,
    ) -> Result<Self, EnvError> {
        if let Some(base) = get("CCSYNC_HOME") {
            return Ok(Self::below(&absolute("CCSYNC_HOME", base.into())?));
        }
        let standard = Self::for_platform(home);
        // A relative value is invalid and must be ignored (XDG Base Directory Specification 0.8).
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

    fn for_platform(home: &Path) -> Self {
        match directories::ProjectDirs::from("", "", "ccsync") {
            Some(dirs) => Self {
                config: dirs.config_local_dir().to_owned(),
                // Not in the profile that Windows copies at each logon, in a domain.
                data: dirs.data_local_dir().to_owned(),
                state: dirs
                    .state_dir()
                    .map_or_else(|| dirs.data_local_dir().join("state"), Path::to_owned),
            },
            None => Self::below(&home.join(".ccsync")),
        }
    }
}

fn no_client_hooks(get: &dyn Fn(&str) -> Option<OsString>) -> Option<&'static str> {
    let is_on = |name: &&str| {
        let value = get(name).map(|value| value.to_string_lossy().to_lowercase());
        value.is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.trim()))
    };
    ["CLAUDE_CODE_SIMPLE", "CLAUDE_CODE_SAFE_MODE"]
        .into_iter()
        .find(is_on)
}

/// Returns the committer of `GIT_COMMITTER_EMAIL` and `GIT_COMMITTER_NAME`. Git sets neither for
/// its hooks, so both are the user's wish.
fn committer(get: &dyn Fn(&str) -> Option<OsString>) -> Option<CommitAuthor> {
    let address = get("GIT_COMMITTER_EMAIL")?.into_string().ok()?;
    let name = get("GIT_COMMITTER_NAME").and_then(|name| name.into_string().ok());
    let name = name.unwrap_or_else(|| "ccsync".to_owned());
    CommitAuthor::new(format!("{name} <{address}>")).ok()
}

/// Returns `$XDG_DATA_HOME`, or the default of the system.
fn data_home(get: &dyn Fn(&str) -> Option<OsString>, home: &Path) -> PathBuf {
    let given = get("XDG_DATA_HOME").map(PathBuf::from);
    let windows = || directories::BaseDirs::new().map(|dirs| dirs.data_dir().to_owned());
    let standard = || home.join(".local").join("share");
    match given.filter(|path| path.is_absolute()) {
        Some(given) => given,
        None if cfg!(windows) => windows().unwrap_or_else(standard),
        None => standard(),
    }
}

/// The client ignores the variable without `CLAUDE_CONFIG_DIR`, and a name with other characters.
fn project_dir_name(get: &dyn Fn(&str) -> Option<OsString>) -> Option<String> {
    get("CLAUDE_CONFIG_DIR")?;
    let name = get("CLAUDE_CODE_PROJECT_DIR_NAME")?.into_string().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (name.bytes().all(is_plain)).then_some(name)
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

/// Returns the system of the build, or WSL: WSL 1 and 2 name Microsoft in the kernel's release.
fn system() -> System {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match System::current() {
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

/// The random id that Linux systems get at their installation (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";

/// Hashes the id, which must stay confidential (machine-id(5)): the hash distinguishes two hosts
/// and reveals nothing.
fn host_mark(machine_id: &Path) -> Option<String> {
    let id = std::fs::read_to_string(machine_id).ok()?;
    let id = id.trim();
    // It is empty in the image of a container, and `uninitialized` before the first start.
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

/// Returns rows and columns.
fn terminal_size() -> Option<(usize, usize)> {
    let stdout_size = dialoguer::console::Term::stdout().size_checked();
    let size = stdout_size.or_else(|| dialoguer::console::Term::stderr().size_checked());
    size.map(|(rows, columns)| (rows.into(), columns.into()))
        .filter(|(rows, columns)| *rows > 0 && *columns > 0)
}

impl UserError for EnvError {
    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoHome { variable } => {
                format!("set it with `export {variable}=/path/to/your/home`")
            }
            Self::Relative { variable, .. } => {
                format!("unset it, or run `export {variable}=/an/absolute/path`")
            }
        }]
    }
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
            "cannot find the home directory: HOME is not set"
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
            ("CCSYNC_REMOTE_TIMEOUT", "300"),
            ("COLUMNS", "77"),
        ])
        .unwrap();
        assert!(small.no_color && small.git.own_ssh_command);
        assert_eq!(small.columns, Some(77));
        assert_eq!(small.git.silence_limit, Some(Duration::from_secs(300)));
        assert!(!host_name().is_empty());
    }
}
