//! Listening to a child process until its end.
//!
//! Each output stream is read by a thread of its own, so that neither can fill its pipe and block
//! the child. The calling thread waits for their events, for an interruption, and for the limit of
//! the child's silence. A child that asks the user, or whose bytes still leave this machine, is not
//! silent.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::descendants::{Activity, Descendants, Traffic};
use crate::sys::{clock::Clock, clock::SystemClock, signal};

/// Interval at which a waiting caller checks the interruption flag.
const TICK: Duration = Duration::from_millis(50);
/// Time that a child has to end before it is killed; `git` removes its lock files meanwhile.
const GRACE: Duration = Duration::from_secs(2);
/// Time in which output may still arrive after the child has ended.
///
/// A grandchild (a shared ssh connection that stays open) can hold the pipes for hours; the
/// output of the child itself is in them already.
const LINGER: Duration = Duration::from_millis(300);
/// Limit of a child's silence in a hurry.
const HURRIED: Duration = Duration::from_secs(5);
/// Looks at a silent child until it is stopped.
const LOOKS: u32 = 4;
/// Multiple of the limit that a child may be silent that may ask the user, on a system that does
/// not show it.
const UNSEEN: u32 = 10;
/// Bytes of standard error that are kept: a hostile server may send any number.
const MAX_STDERR: usize = 256 * 1024;

/// Bytes of one line of standard error.
const MAX_LINE: usize = 16 * 1024;

/// The output of a child so far, and the source of more.
pub(super) struct Listener {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
    events: Receiver<Event>,
}

/// The reason why listening ended.
pub(super) enum End {
    Exited(ExitStatus),
    Interrupted,
    Silent(Duration),
}

/// The time that a child may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct SilenceLimit<'a> {
    pub(super) limit: Duration,
    /// It may wait for an answer of the user.
    pub(super) may_ask: bool,
    /// While this file exists, the time is short.
    pub(super) hurry_file: Option<&'a Path>,
}

impl SilenceLimit<'_> {
    /// Returns the limit as it is after so much silence.
    fn after(self, quiet_for: Duration) -> Duration {
        let is_hurried = || self.hurry_file.is_some_and(Path::exists);
        match quiet_for >= HURRIED && is_hurried() {
            true => self.limit.min(HURRIED),
            false => self.limit,
        }
    }
}

/// A silence of a child that is being measured.
struct Silence {
    since: Duration,
    /// How long it had lasted at the last look.
    looked: Duration,
    seen: Option<Traffic>,
}

impl Silence {
    fn begin(now: Duration) -> Self {
        Self {
            since: now,
            looked: Duration::ZERO,
            seen: None,
        }
    }

    /// Returns true if the child has been silent for too long. Looks at it a few times meanwhile.
    fn is_over(&mut self, silence: SilenceLimit<'_>, pid: u32, now: Duration) -> bool {
        let quiet_for = now.saturating_sub(self.since);
        let limit = silence.after(quiet_for);
        if quiet_for < self.looked + limit / LOOKS {
            return false;
        }
        self.looked = quiet_for;
        let traffic = match Descendants::of(pid).activity() {
            Activity::Asks if silence.may_ask => {
                *self = Self::begin(now);
                return false;
            }
            Activity::Unknown if silence.may_ask => return quiet_for >= limit * UNSEEN,
            Activity::Asks | Activity::Unknown => return quiet_for >= limit,
            Activity::Works(traffic) => traffic,
        };
        let earlier = self.seen.replace(traffic);
        if let (Some(now_seen), Some(earlier)) = (&self.seen, earlier)
            && now_seen.has_moved_since(&earlier)
        {
            let seen = self.seen.take();
            *self = Self {
                seen,
                ..Self::begin(now)
            };
            return false;
        }
        quiet_for >= limit
    }
}

enum Event {
    Stdout(Vec<u8>),
    /// A line of standard error; `is_final` if it ended in a line feed, not a carriage return.
    Stderr {
        line: String,
        is_final: bool,
    },
}

impl Listener {
    /// Starts a thread for each of the child's streams.
    pub(super) fn connect(child: &mut Child) -> Self {
        let (sender, events) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            let sender = sender.clone();
            thread::spawn(move || read_chunks(stdout, &sender));
        }
        if let Some(stderr) = child.stderr.take() {
            thread::spawn(move || read_lines(stderr, &sender));
        }
        Self {
            stdout: Vec::new(),
            stderr: String::new(),
            events,
        }
    }

    /// Waits for the child's end, or stops it.
    pub(super) fn listen(
        &mut self,
        child: &mut Child,
        limit: Option<SilenceLimit<'_>>,
        signals_before: usize,
        on_line: &mut dyn FnMut(&str),
    ) -> io::Result<End> {
        let clock = SystemClock::default();
        let mut silence = Silence::begin(clock.monotonic());
        let mut exited = None;
        loop {
            if exited.is_none() && signal::count() > signals_before {
                stop(child);
                return Ok(End::Interrupted);
            }
            let received = self.events.recv_timeout(TICK);
            let closed = matches!(received, Err(RecvTimeoutError::Disconnected));
            if let Ok(event) = received {
                silence = Silence::begin(clock.monotonic());
                self.add(event, on_line);
                continue;
            }
            if exited.is_none() {
                exited = if closed {
                    try_wait_briefly(child, &clock)?
                } else {
                    child.try_wait()?
                };
                if exited.is_some() {
                    // Its last output may still arrive, however long it was silent before.
                    silence = Silence::begin(clock.monotonic());
                }
            }
            let now = clock.monotonic();
            let quiet_for = now.saturating_sub(silence.since);
            match exited {
                Some(status) if closed || quiet_for > LINGER => return Ok(End::Exited(status)),
                None if limit.is_some_and(|limit| silence.is_over(limit, child.id(), now)) => {
                    stop(child);
                    return Ok(End::Silent(quiet_for));
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, event: Event, on_line: &mut dyn FnMut(&str)) {
        match event {
            Event::Stdout(bytes) => self.stdout.extend_from_slice(&bytes),
            Event::Stderr { line, is_final } => {
                on_line(&line);
                if is_final && self.stderr.len() < MAX_STDERR {
                    self.stderr.push_str(&line);
                    self.stderr.push('\n');
                }
            }
        }
    }
}

/// Checks often for the end: a child ends soon after its streams are closed, and a short command
/// must stay short.
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

/// Splits at `\n` and `\r`: a progress line ends in `\r` and is overwritten by the next one. A
/// line of `ssh` ends in both, and is no progress.
fn read_lines(stream: impl Read, events: &Sender<Event>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    // A line that ended in a carriage return; the next byte decides if it is final.
    let mut returned: Option<String> = None;
    loop {
        let available = match stream.fill_buf() {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => &[],
        };
        let ended = available.is_empty();
        if let Some(line) = returned.take() {
            let is_final = ended || available[0] == b'\n';
            if events.send(Event::Stderr { line, is_final }).is_err() {
                return;
            }
        }
        let end = available.iter().position(|b| matches!(b, b'\n' | b'\r'));
        line.extend_from_slice(&available[..end.unwrap_or(available.len())]);
        let is_final = end.is_none_or(|at| available[at] == b'\n');
        let used = end.map_or(available.len(), |at| at + 1);
        stream.consume(used);
        if !line.is_empty() && (end.is_some() || ended || line.len() >= MAX_LINE) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if !is_final {
                returned = Some(text);
                continue;
            }
            let line = text;
            if events.send(Event::Stderr { line, is_final }).is_err() {
                return;
            }
        }
        if ended {
            return;
        }
    }
}

/// Asks the child to end, and kills it if it does not. The programs that it has started end, too:
/// an `ssh` that waits for its server would outlive `git`.
pub(super) fn stop(child: &mut Child) {
    let started = Descendants::of(child.id());
    if ask_to_end(child) {
        wait_while(|| matches!(child.try_wait(), Ok(None)));
    }
    let _ = child.kill();
    end_others(&started);
    // A process that waits for a dead disk cannot even be killed.
    wait_while(|| matches!(child.try_wait(), Ok(None)));
}

/// Ends what a child has started. A `git` of a remote on this disk removes its lock files first.
#[cfg(unix)]
fn end_others(started: &Descendants) {
    use rustix::process::Signal;
    started.signal_others(Signal::TERM);
    wait_while(|| started.others_are_alive());
    started.signal_others(Signal::KILL);
}

#[cfg(not(unix))]
fn end_others(_: &Descendants) {}

/// Waits up to [`GRACE`].
fn wait_while(mut condition: impl FnMut() -> bool) {
    let clock = SystemClock::default();
    while condition() && clock.monotonic() < GRACE {
        clock.sleep(Duration::from_millis(10));
    }
}

#[cfg(unix)]
pub(super) fn ask_to_end(child: &Child) -> bool {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok())
}

#[cfg(not(unix))]
pub(super) fn ask_to_end(_: &Child) -> bool {
    false
}
