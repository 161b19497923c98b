//! Child processes: started, listened to, stopped.
//!
//! Owns the only use of `std::process::Command`. Must not know which program it runs or what the output means.

mod alive;
mod listen;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::fs;
use super::signal::{self, Interrupted};
use listen::{End, Listener};

pub use alive::{pid_is_alive, process_start_ticks};

/// What [`Program::bare_env`] leaves.
const NEEDED_VARIABLES: [&str; 6] = ["PATH", "TMPDIR", "TEMP", "TMP", "SystemRoot", "PATHEXT"];

/// A program with its arguments and environment, not yet started.
#[derive(Debug, Clone)]
pub struct Program {
    name: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    bare: bool,
    dir: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    silence: Option<Duration>,
}

/// What a finished program left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, where lines were overwritten (`\r`) only their last state.
    pub stderr: String,
}

/// Why a program gave no output.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error("`{program}` was not found on the PATH")]
    NotFound {
        /// Its name.
        program: String,
    },
    /// The system refused to start it, or the connection to it broke.
    #[error("cannot run `{program}`")]
    Failed {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It wrote nothing for so long that it was stopped.
    #[error("`{program}` was stopped after {} seconds without a sign of life", after.as_secs())]
    Silent {
        /// Its name.
        program: String,
        /// How long it was silent.
        after: Duration,
        /// What it had written to standard error.
        stderr: String,
    },
    /// The user interrupted; it was stopped.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Program {
    /// A program found on the PATH, or at this path.
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref().to_owned();
        Self {
            name,
            args: Vec::new(),
            env: Vec::new(),
            bare: false,
            dir: None,
            stdin: None,
            silence: None,
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

    /// Gives it nothing of this process's environment but what the system needs to find programs and a temporary directory.
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

    /// Sets the directory it starts in.
    #[must_use]
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Gives it bytes to read; without, its standard input is closed.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Stops it when it writes nothing to either stream for this long.
    #[must_use]
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.silence = Some(limit);
        self
    }

    /// The arguments, for tests and messages.
    pub fn argv(&self) -> impl Iterator<Item = &OsStr> {
        std::iter::once(self.name.as_os_str()).chain(self.args.iter().map(OsString::as_os_str))
    }

    /// Runs it to its end, both output streams captured.
    ///
    /// # Errors
    /// [`ProcessError`]; a program that ends with a status other than 0 is no error here.
    pub fn run(&self) -> Result<Output, ProcessError> {
        self.run_watched(&mut |_| ())
    }

    /// Like [`Program::run`]; `on_line` gets each line of standard error as it comes, also those that overwrite each
    /// other.
    ///
    /// An interruption that arrives during the run stops the program; an earlier one does not, so that locks can still
    /// be given back.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_watched(&self, on_line: &mut dyn FnMut(&str)) -> Result<Output, ProcessError> {
        let signals_before = signal::count();
        let mut command = self.command();
        command.stdin(if self.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn(&mut command)?;
        let mut listener = Listener::connect(&mut child, self.stdin.clone());
        let end = listener.listen(&mut child, self.silence, signals_before, on_line);
        let (stdout, stderr) = (listener.stdout, listener.stderr);
        match end {
            // The terminal sends Ctrl-C to the child too, which may die of it before we have noticed ours.
            Ok(End::Exited(status)) if was_interrupted(status) => Err(Interrupted.into()),
            Ok(End::Exited(status)) => Ok(Output {
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

    /// Starts it with this process's terminal: it reads and writes there itself.
    ///
    /// # Errors
    /// [`ProcessError`] if it cannot be started.
    pub fn start_in_terminal(&self) -> Result<Running, ProcessError> {
        let child = self.spawn_as_is(&mut self.command())?;
        Ok(Running {
            child,
            program: self.display_name(),
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts processes and hands variables on unread"
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
        self.spawn_as_is(out_of_reach(command))
    }

    fn spawn_as_is(&self, command: &mut Command) -> Result<Child, ProcessError> {
        let spawned = {
            let _as_the_user_set_it = fs::users_umask();
            command.spawn()
        };
        spawned.map_err(|source| match source.kind() {
            // A missing working directory is reported with the same kind.
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

/// A program that has the terminal.
#[derive(Debug)]
pub struct Running {
    child: Child,
    program: String,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// [`ProcessError::Failed`] if the system does not say.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child
            .try_wait()
            .map_err(|source| ProcessError::Failed {
                program: self.program.clone(),
                source,
            })
    }

    /// Asks it to end, as `kill` does; what is not there any more needs no asking.
    pub fn ask_to_end(&mut self) {
        let _ = listen::ask_to_end(&self.child);
    }

    /// Ends it.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
    }
}

/// What runs beside a program that has the terminal gets none of the signals that the terminal sends: Ctrl-C is meant for that program.
#[cfg(unix)]
fn out_of_reach(command: &mut Command) -> &mut Command {
    if signal::terminal_is_lent() {
        std::os::unix::process::CommandExt::process_group(command, 0);
    }
    command
}

#[cfg(not(unix))]
fn out_of_reach(command: &mut Command) -> &mut Command {
    command
}

/// The exit code that a shell would give for this status: 128 and the signal for a program that a signal ended.
pub fn shell_code(status: ExitStatus) -> u8 {
    let of_signal = || signal_of(status).map(|signal| 128 + signal);
    let code = status.code().or_else(of_signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

#[cfg(unix)]
fn was_interrupted(status: ExitStatus) -> bool {
    use rustix::process::Signal;
    [Signal::INT, Signal::TERM, Signal::HUP]
        .iter()
        .any(|s| signal_of(status) == Some(s.as_raw()))
}

#[cfg(not(unix))]
fn was_interrupted(_: ExitStatus) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::sys::clock::{Clock, SystemClock};

    fn sh(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    #[test]
    fn process_full_streams_are_both_captured() {
        let out = sh("head -c 300000 /dev/zero; yes | head -c 200000 >&2; exit 3")
            .run()
            .unwrap();
        assert_eq!(
            (out.status.code(), out.stdout.len(), out.stderr.len()),
            (Some(3), 300_000, 200_000)
        );
    }

    #[test]
    fn process_stderr_flood_is_truncated() {
        let out = sh("yes | head -c 3000000 >&2; head -c 3000000 /dev/zero >&2")
            .run()
            .unwrap();
        assert!(
            (100_000..1_000_000).contains(&out.stderr.len()),
            "{}",
            out.stderr.len()
        );
    }

    #[test]
    fn process_line_with_crlf_is_not_progress() {
        let out = sh(r"printf '10%%\r20%%\rdenied\r\nlast\r' >&2")
            .run()
            .unwrap();
        assert_eq!(out.stderr, "denied\nlast\n");
    }

    #[test]
    fn process_stdin_is_closed_or_provided() {
        assert_eq!(sh("cat; echo end").run().unwrap().stdout, b"end\n");
        assert_eq!(sh("cat").stdin("given").run().unwrap().stdout, b"given");
        assert!(
            sh("exit 0")
                .stdin(vec![0; 1_000_000])
                .run()
                .unwrap()
                .status
                .success()
        );
    }

    #[test]
    fn process_overwritten_lines_are_watched_but_not_kept() {
        let mut seen = Vec::new();
        let out = sh("printf 'a\\nb 1\\rb 2\\rb 3\\nc' >&2")
            .run_watched(&mut |l| seen.push(l.to_owned()))
            .unwrap();
        assert_eq!(seen, ["a", "b 1", "b 2", "b 3", "c"]);
        assert_eq!(out.stderr, "a\nb 3\nc\n");
    }

    #[test]
    fn process_environment_and_directory_are_set() {
        let dir = tempfile::tempdir().unwrap();
        let program = sh("echo ${A-unset} ${HOME-unset} $(pwd -P)")
            .env("A", "1")
            .env_remove("HOME");
        let out = program.current_dir(dir.path()).run().unwrap();
        let expected = format!("1 unset {}\n", dir.path().canonicalize().unwrap().display());
        assert_eq!(String::from_utf8(out.stdout).unwrap(), expected);
    }

    #[test]
    fn process_children_keep_user_umask() {
        let umask = || sh("umask").run().unwrap().stdout;
        let before = umask();
        fs::restrict_umask();
        assert_eq!(umask(), before);
    }

    #[test]
    fn process_missing_program_error_names_program() {
        let error = Program::new("ccsync-no-such-program").run().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`ccsync-no-such-program` was not found on the PATH"
        );
        let error = sh("true")
            .current_dir(Path::new("/no/such/dir"))
            .run()
            .unwrap_err();
        assert_eq!(error.to_string(), "cannot run `sh`");
    }

    #[test]
    fn process_silent_program_is_stopped() {
        let limit = Duration::from_millis(200);
        let error = sh("echo hello >&2; sleep 600")
            .silence_limit(limit)
            .run()
            .unwrap_err();
        assert!(
            matches!(&error, ProcessError::Silent { stderr, .. } if stderr == "hello\n"),
            "{error}"
        );
    }

    #[test]
    fn process_interrupted_child_counts_as_interrupted() {
        let error = sh("kill -INT $$").run().unwrap_err();
        assert!(matches!(error, ProcessError::Interrupted(_)), "{error}");
    }

    #[test]
    fn process_grandchild_with_open_pipes_does_not_block() {
        let clock = SystemClock::default();
        let out = sh("sleep 600 & echo done; echo $! >&2").run().unwrap();
        assert_eq!(out.stdout, b"done\n");
        assert!(clock.monotonic() < Duration::from_secs(5));
        Program::new("kill").arg(out.stderr.trim()).run().unwrap();
    }
}
