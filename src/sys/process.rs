//! Child processes: started, listened to, stopped.
//!
//! Owns the only use of `std::process::Command`. Must not know which program it runs or what the output means.
//!
//! Both output streams are read on threads of their own, so that neither can fill its pipe and block the child; the
//! calling thread waits for what they read, for an interruption, and for the child's silence to last too long.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::clock::{Clock, SystemClock};
use super::{fs, signal};

/// How often a waiting caller looks at the interruption flag.
const TICK: Duration = Duration::from_millis(50);
/// How long a child that was asked to end may take before it is killed: `git` removes its lock files meanwhile.
const GRACE: Duration = Duration::from_secs(2);
/// How long output may still arrive after the child has ended. A grandchild (a shared ssh connection that stays open) can
/// hold the pipes for hours; what the child wrote itself is in them already.
const LINGER: Duration = Duration::from_millis(300);

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
    #[error("`{program}` was interrupted")]
    Interrupted {
        /// Its name.
        program: String,
    },
}

impl Program {
    /// A program found on the PATH, or at this path.
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref().to_owned();
        Self { name, args: Vec::new(), env: Vec::new(), bare: false, dir: None, stdin: None, silence: None }
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
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
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

    /// Like [`Program::run`]; `on_line` gets each line of standard error as it comes, also those that overwrite each other.
    ///
    /// An interruption that arrives during the run stops the program; an earlier one does not, so that locks can still be
    /// given back.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_watched(&self, on_line: &mut dyn FnMut(&str)) -> Result<Output, ProcessError> {
        let signals_before = signal::count();
        let mut command = self.command();
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn(&mut command)?;
        let events = self.connect(&mut child);
        let mut heard = Heard::default();
        let end = listen(&mut child, &events, &mut heard, self.silence, signals_before, on_line);
        match end {
            Ok(End::Exited(status)) => Ok(Output { status, stdout: heard.stdout, stderr: heard.stderr }),
            Ok(End::Interrupted) => Err(ProcessError::Interrupted { program: self.display_name() }),
            Ok(End::Silent(after)) => {
                Err(ProcessError::Silent { program: self.display_name(), after, stderr: heard.stderr })
            }
            Err(source) => {
                stop(&mut child);
                Err(self.failed(source))
            }
        }
    }

    /// Starts it with this process's terminal: it reads and writes there itself.
    ///
    /// # Errors
    /// [`ProcessError`] if it cannot be started.
    pub fn start_in_terminal(&self) -> Result<Running, ProcessError> {
        let child = self.spawn(&mut self.command())?;
        Ok(Running { child, program: self.display_name() })
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that starts processes and hands variables on unread")]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.args);
        if self.bare {
            command.env_clear().envs(NEEDED_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
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
        let spawned = {
            let _as_the_user_set_it = fs::users_umask();
            command.spawn()
        };
        spawned.map_err(|source| match source.kind() {
            // A missing working directory is reported with the same kind.
            io::ErrorKind::NotFound if self.dir.as_ref().is_none_or(|d| d.is_dir()) => {
                ProcessError::NotFound { program: self.display_name() }
            }
            _ => self.failed(source),
        })
    }

    /// Puts a thread on each of the child's streams.
    fn connect(&self, child: &mut Child) -> Receiver<Event> {
        let (sender, events) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            let sender = sender.clone();
            thread::spawn(move || read_chunks(stdout, &sender));
        }
        if let Some(stderr) = child.stderr.take() {
            thread::spawn(move || read_lines(stderr, &sender));
        }
        if let (Some(mut stdin), Some(bytes)) = (child.stdin.take(), self.stdin.clone()) {
            // A child that does not read its input is free to do so; the write then fails, and that is all.
            thread::spawn(move || stdin.write_all(&bytes));
        }
        events
    }

    fn display_name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    fn failed(&self, source: io::Error) -> ProcessError {
        ProcessError::Failed { program: self.display_name(), source }
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
        self.child.try_wait().map_err(|source| ProcessError::Failed { program: self.program.clone(), source })
    }

    /// Waits for its end, whatever signals arrive.
    ///
    /// # Errors
    /// [`ProcessError::Failed`] if the system does not say.
    pub fn wait(mut self) -> Result<ExitStatus, ProcessError> {
        self.child.wait().map_err(|source| ProcessError::Failed { program: self.program, source })
    }
}

enum Event {
    Stdout(Vec<u8>),
    /// A line of standard error; `lasting` if it ended in a line feed, not in a carriage return.
    Stderr {
        line: String,
        lasting: bool,
    },
}

#[derive(Default)]
struct Heard {
    stdout: Vec<u8>,
    stderr: String,
}

enum End {
    Exited(ExitStatus),
    Interrupted,
    Silent(Duration),
}

fn listen(
    child: &mut Child,
    events: &Receiver<Event>,
    heard: &mut Heard,
    silence: Option<Duration>,
    signals_before: usize,
    on_line: &mut dyn FnMut(&str),
) -> io::Result<End> {
    let clock = SystemClock::default();
    let mut last_heard = clock.monotonic();
    let mut exited = None;
    loop {
        if exited.is_none() && signal::count() > signals_before {
            stop(child);
            return Ok(End::Interrupted);
        }
        let received = events.recv_timeout(TICK);
        let closed = matches!(received, Err(RecvTimeoutError::Disconnected));
        if let Ok(event) = received {
            last_heard = clock.monotonic();
            heard.add(event, on_line);
            continue;
        }
        if exited.is_none() {
            exited = if closed { try_wait_briefly(child, &clock)? } else { child.try_wait()? };
        }
        let quiet_for = clock.monotonic().saturating_sub(last_heard);
        match exited {
            Some(status) if closed || quiet_for > LINGER => return Ok(End::Exited(status)),
            None if silence.is_some_and(|limit| quiet_for >= limit) => {
                stop(child);
                return Ok(End::Silent(quiet_for));
            }
            _ => {}
        }
    }
}

/// After its streams are closed a child ends within moments; looking often here keeps a short command short.
fn try_wait_briefly(child: &mut Child, clock: &SystemClock) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_micros(50);
    while pause < TICK {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        clock.sleep(pause);
        pause *= 2;
    }
    Ok(None)
}

impl Heard {
    fn add(&mut self, event: Event, on_line: &mut dyn FnMut(&str)) {
        match event {
            Event::Stdout(bytes) => self.stdout.extend_from_slice(&bytes),
            Event::Stderr { line, lasting } => {
                on_line(&line);
                if lasting {
                    self.stderr.push_str(&line);
                    self.stderr.push('\n');
                }
            }
        }
    }
}

fn read_chunks(mut stream: impl Read, events: &Sender<Event>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) if events.send(Event::Stdout(buffer[..n].to_vec())).is_ok() => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// Splits at `\n` and `\r`: a progress line ends in the latter and is overwritten by the next.
fn read_lines(stream: impl Read, events: &Sender<Event>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        let available = match stream.fill_buf() {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => &[],
        };
        let ended = available.is_empty();
        let end = available.iter().position(|b| matches!(b, b'\n' | b'\r'));
        line.extend_from_slice(&available[..end.unwrap_or(available.len())]);
        let lasting = end.is_none_or(|at| available[at] == b'\n');
        let used = end.map_or(available.len(), |at| at + 1);
        stream.consume(used);
        if !line.is_empty() && (end.is_some() || ended) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if events.send(Event::Stderr { line: text, lasting }).is_err() {
                return;
            }
        }
        if ended {
            return;
        }
    }
}

/// Asks the child to end, then makes it.
fn stop(child: &mut Child) {
    if ask_to_end(child) {
        let clock = SystemClock::default();
        while clock.monotonic() < GRACE {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return;
            }
            clock.sleep(Duration::from_millis(10));
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(unix)]
fn ask_to_end(child: &Child) -> bool {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok())
}

#[cfg(not(unix))]
fn ask_to_end(_: &Child) -> bool {
    false
}

/// Whether a process of this id exists, whoever owns it. Where the system does not say, it counts as alive.
#[cfg(unix)]
pub fn pid_is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// Whether a process of this id exists, whoever owns it. Where the system does not say, it counts as alive.
#[cfg(not(unix))]
pub fn pid_is_alive(pid: u32) -> bool {
    let filter = format!("PID eq {pid}");
    let listing = Program::new("tasklist").args(["/FI", &filter, "/NH", "/FO", "CSV"]).run();
    listing.map_or(true, |out| {
        !out.status.success() || String::from_utf8_lossy(&out.stdout).contains(&format!("\"{pid}\""))
    })
}

/// When a process was started, in the kernel's ticks since boot: together with the pid it names one process for good.
/// `None` where there is no `/proc` or no such process.
pub fn process_start_ticks(pid: u32) -> Option<String> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    start_ticks(&String::from_utf8_lossy(&stat)).map(str::to_owned)
}

/// Field 22 of `/proc/<pid>/stat` (proc(5)). Field 2 is the program's name in parentheses and may hold any character, so
/// counting begins after the last one.
fn start_ticks(stat: &str) -> Option<&str> {
    const FIRST_FIELD_AFTER_NAME: usize = 3;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(22 - FIRST_FIELD_AFTER_NAME)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    #[test]
    fn both_streams_are_captured_however_full() {
        let out = sh("head -c 300000 /dev/zero; head -c 300000 /dev/zero | tr '\\0' x >&2; exit 3").run().unwrap();
        assert_eq!((out.status.code(), out.stdout.len(), out.stderr.len()), (Some(3), 300_000, 300_001));
    }

    #[test]
    fn stdin_is_closed_or_given() {
        assert_eq!(sh("cat; echo end").run().unwrap().stdout, b"end\n");
        assert_eq!(sh("cat").stdin("given").run().unwrap().stdout, b"given");
        assert!(sh("exit 0").stdin(vec![0; 1_000_000]).run().unwrap().status.success());
    }

    #[test]
    fn overwritten_lines_are_seen_but_not_kept() {
        let mut seen = Vec::new();
        let out = sh("printf 'a\\nb 1\\rb 2\\rb 3\\nc' >&2").run_watched(&mut |l| seen.push(l.to_owned())).unwrap();
        assert_eq!(seen, ["a", "b 1", "b 2", "b 3", "c"]);
        assert_eq!(out.stderr, "a\nb 3\nc\n");
    }

    #[test]
    fn environment_and_directory() {
        let dir = tempfile::tempdir().unwrap();
        let program = sh("echo ${A-unset} ${HOME-unset} $(pwd -P)").env("A", "1").env_remove("HOME");
        let out = program.current_dir(dir.path()).run().unwrap();
        let expected = format!("1 unset {}\n", dir.path().canonicalize().unwrap().display());
        assert_eq!(String::from_utf8(out.stdout).unwrap(), expected);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Program::new("ccsync-no-such-program").run().unwrap_err();
        assert_eq!(error.to_string(), "`ccsync-no-such-program` was not found on the PATH");
        let error = sh("true").current_dir(Path::new("/no/such/dir")).run().unwrap_err();
        assert_eq!(error.to_string(), "cannot run `sh`");
    }

    #[test]
    fn a_silent_program_is_stopped() {
        let limit = Duration::from_millis(200);
        let error = sh("echo hello >&2; sleep 600").silence_limit(limit).run().unwrap_err();
        assert!(matches!(&error, ProcessError::Silent { stderr, .. } if stderr == "hello\n"), "{error}");
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipes_open_does_not_hold_us() {
        let clock = SystemClock::default();
        let out = sh("sleep 600 & echo done; echo $! >&2").run().unwrap();
        assert_eq!(out.stdout, b"done\n");
        assert!(clock.monotonic() < Duration::from_secs(5));
        Program::new("kill").arg(out.stderr.trim()).run().unwrap();
    }

    #[test]
    fn the_living_and_the_dead() {
        assert!(pid_is_alive(std::process::id()));
        assert!(pid_is_alive(1));
        assert!(!pid_is_alive(0) && !pid_is_alive(u32::MAX));
        let child = sh("echo $$").run().unwrap();
        let pid: u32 = String::from_utf8(child.stdout).unwrap().trim().parse().unwrap();
        assert!(!pid_is_alive(pid));
    }

    #[test]
    fn start_ticks_survive_a_nasty_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 424242 20 21";
        assert_eq!(start_ticks(&format!("7 (a) b (c) {tail}")), Some("424242"));
        assert_eq!(start_ticks("7 (a"), None);
        assert_eq!(process_start_ticks(std::process::id()).is_some(), cfg!(target_os = "linux"));
    }
}
