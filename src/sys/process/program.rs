//! A program with its arguments and environment, and its run.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::error::ProcessError;
use super::job::ChildJob;
use super::listen::{self, End, Listener, SilenceLimit};
use super::running::Running;
use super::status::was_interrupted;
use crate::sys::env::KEY_VARIABLE;
use crate::sys::fs;
use crate::sys::signal::{self, Interrupted};

/// The variables that [`Program::bare_env`] keeps.
const NEEDED_VARIABLES: [&str; 6] = ["PATH", "TMPDIR", "TEMP", "TMP", "SystemRoot", "PATHEXT"];

/// A program with its arguments and environment, not yet started.
#[derive(Debug, Clone)]
pub struct Program {
    name: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    bare: bool,
    dir: Option<PathBuf>,
    silence: Option<Duration>,
    hurry: Option<Arc<Path>>,
    may_ask: bool,
    has_store_key: bool,
}

/// The result of a finished program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramOutput {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error; of overwritten lines (`\r`) only the last state.
    pub stderr: String,
}

impl Program {
    /// Creates a program that is found on the PATH, or at this path.
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            bare: false,
            dir: None,
            silence: None,
            hurry: None,
            may_ask: false,
            has_store_key: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args
            .extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes all variables except those that are needed to find programs and a temporary
    /// directory.
    #[must_use]
    pub fn bare_env(mut self) -> Self {
        self.bare = true;
        self
    }

    /// Removes a variable from its environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), None));
        self
    }

    /// Lets it have the variable with the key of the store, if this process has it.
    #[must_use]
    pub fn with_store_key(mut self) -> Self {
        self.has_store_key = true;
        self
    }

    /// Sets the directory it starts in.
    #[must_use]
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Stops it if it writes nothing to either stream for this long, and nothing that it sends
    /// leaves this machine.
    #[must_use]
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.silence = Some(limit);
        self
    }

    /// Stops it after a few seconds of silence while this file exists.
    #[must_use]
    pub fn hurry_file(mut self, file: Option<Arc<Path>>) -> Self {
        self.hurry = file;
        self
    }

    /// Does not count the time in which it waits for an answer of the user.
    #[must_use]
    pub fn may_ask_user(mut self) -> Self {
        self.may_ask = true;
        self
    }

    /// Returns the name and the arguments, for tests and messages.
    pub fn argv(&self) -> impl Iterator<Item = &OsStr> {
        std::iter::once(self.name.as_os_str()).chain(self.args.iter().map(OsString::as_os_str))
    }

    /// Runs it to its end and captures both output streams.
    ///
    /// # Errors
    /// [`ProcessError`]; an exit status other than 0 is no error here.
    pub fn run(&self) -> Result<ProgramOutput, ProcessError> {
        self.run_watched(&mut |_| ())
    }

    /// Runs it like [`Program::run`]. `on_line` gets each line of standard error at once, also
    /// lines that are overwritten later.
    ///
    /// An interruption that arrives during the run stops the program; an earlier one does not, so
    /// that locks can still be released.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_watched(
        &self,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<ProgramOutput, ProcessError> {
        let signals_before = signal::count();
        let mut command = self.command();
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn(&mut command)?;
        let _job = ChildJob::new(&child);
        let mut listener = Listener::connect(&mut child);
        let limit = self.silence.map(|limit| SilenceLimit {
            limit,
            may_ask: self.may_ask,
            hurry_file: self.hurry.as_deref(),
        });
        let end = listener.listen(&mut child, limit, signals_before, on_line);
        let (stdout, stderr) = (listener.stdout, listener.stderr);
        match end {
            // The terminal sends Ctrl-C to the child, too, which may end before ours is seen.
            Ok(End::Exited(status)) if was_interrupted(status) => Err(Interrupted.into()),
            Ok(End::Exited(status)) => Ok(ProgramOutput {
                status,
                stdout,
                stderr,
            }),
            Ok(End::Interrupted) => Err(Interrupted.into()),
            Ok(End::Silent(after)) => Err(ProcessError::Silent {
                program: self.display_name(),
                after,
                stderr,
            }),
            Err(source) => {
                listen::stop(&mut child);
                Err(self.failed(source))
            }
        }
    }

    /// Starts it in this process's terminal, where it reads and writes itself.
    ///
    /// # Errors
    /// [`ProcessError`] if it cannot be started.
    pub fn start_in_terminal(&self) -> Result<Running, ProcessError> {
        let child = self.spawn_in_group(&mut self.command())?;
        Ok(Running::new(child, self.display_name()))
    }

    /// Starts it without a terminal, to outlive this process.
    ///
    /// It belongs to no other process group: an end of this one's group does not reach it.
    ///
    /// # Errors
    /// [`ProcessError`] if it cannot be started.
    pub fn start_in_background(&self) -> Result<(), ProcessError> {
        let mut command = self.command();
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        hide_from_terminal(&mut command);
        self.spawn_in_group(&mut command).map(drop)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts processes and passes variables on"
    )]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.args);
        if self.bare {
            command.env_clear().envs(
                NEEDED_VARIABLES
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            );
        }
        if !self.has_store_key {
            command.env_remove(KEY_VARIABLE);
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    fn spawn(&self, command: &mut Command) -> Result<Child, ProcessError> {
        self.spawn_in_group(shield_from_terminal(command))
    }

    /// Starts it in the process group that `command` says.
    fn spawn_in_group(&self, command: &mut Command) -> Result<Child, ProcessError> {
        let spawned = {
            let _umask = fs::users_umask();
            command.spawn()
        };
        spawned.map_err(|source| match source.kind() {
            // The system reports a missing working directory with the same kind.
            io::ErrorKind::NotFound if self.dir.as_ref().is_none_or(|d| d.is_dir()) => {
                ProcessError::NotFound {
                    program: self.display_name(),
                }
            }
            _ => self.failed(source),
        })
    }

    fn display_name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    fn failed(&self, source: io::Error) -> ProcessError {
        ProcessError::Failed {
            program: self.display_name(),
            source,
        }
    }
}

/// While another program has the terminal, keeps the signals of the terminal from the child:
/// Ctrl-C is meant for that program.
#[cfg(unix)]
fn shield_from_terminal(command: &mut Command) -> &mut Command {
    if signal::terminal_is_lent() {
        std::os::unix::process::CommandExt::process_group(command, 0);
    }
    command
}

/// Keeps Ctrl-C from the child, for which a group of its own ignores it (Process Creation Flags,
/// `CREATE_NEW_PROCESS_GROUP`).
#[cfg(windows)]
fn shield_from_terminal(command: &mut Command) -> &mut Command {
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0200;
    if signal::terminal_is_lent() {
        std::os::windows::process::CommandExt::creation_flags(command, CREATE_NEW_PROCESS_GROUP);
    }
    command
}

/// On Unix, the process leaves the terminal itself ([`super::leave_terminal`]).
#[cfg(unix)]
fn hide_from_terminal(command: &mut Command) {
    shield_from_terminal(command);
}

/// Gives the child a console of its own without a window: without any, each of its children would
/// open one (Process Creation Flags, `CREATE_NO_WINDOW`).
#[cfg(windows)]
fn hide_from_terminal(command: &mut Command) {
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    std::os::windows::process::CommandExt::creation_flags(command, CREATE_NO_WINDOW);
}
