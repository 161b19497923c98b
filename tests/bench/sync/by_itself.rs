//! The cost of working by itself: hooks, the status line, the time until a turn is on the remote,
//! and a daemon that only waits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::archive::{Amount, Author, Shape};
use super::machine::{Gc, Machine};
use super::measure::Cost;
use super::memory::resident;
use super::os;
use super::place::Place;
use super::table::{Results, megabytes, seconds};
use super::transport::Transport;

/// Maximum time of a hook, of the hook that may refuse a prompt, and of the status line.
const HOOK: f64 = 0.050;
const GUARD: f64 = 0.020;
const STATUS_LINE: f64 = 0.010;
/// Maximum memory of a hook.
const HOOK_MEMORY: u64 = 15_000_000;
/// Maximum time until a turn is on the remote, at the median.
const ARRIVAL: f64 = 3.0;
/// Maximum memory of a daemon that waits, and the part of a core that it uses.
const IDLE_MEMORY: u64 = 20_000_000;
const IDLE_CORE: f64 = 0.001;

/// Time after which a daemon has done everything that it does at its start.
const START: Duration = Duration::from_secs(30);
/// Longest wait for something that a daemon does by itself.
const LIMIT: Duration = Duration::from_secs(60);

/// The unit of processor times in `/proc`.
const TICKS_PER_SECOND: f64 = 100.0;

/// One working step in a session.
const STEP: Amount = Amount::Records(20);

pub(crate) struct ByItself {
    /// The sessions beside a hook.
    pub(crate) shape: Shape,
    /// How often short work is repeated.
    pub(crate) repeat: usize,
    /// Number of small sessions beside the daemon that waits.
    pub(crate) idle_sessions: usize,
    /// How long it is watched.
    pub(crate) idle: Duration,
}

impl ByItself {
    pub(crate) fn measure(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        self.beside_client(place, transport, results);
        self.wait(place, transport, results);
    }

    /// Two machines have one session open, and the first one holds its lock.
    fn beside_client(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        let scene = place.scene("by-itself", transport);
        place.populate(&scene, "desk", self.shape);
        let (desk, laptop) = (
            scene.machine("desk", Gc::Off),
            scene.machine("laptop", Gc::Off),
        );
        let remote = scene.remote(&desk, "remote.git");
        let mut author = Author::new(&desk.home);
        let transcript = author.begin(&desk.projects(), 200_000);
        desk.init(&remote);
        desk.ccsync(["push"]);
        laptop.init(&remote);
        laptop.ccsync(["pull", &session_of(&transcript)]);
        let here = Client::start(&desk, &transcript);
        here.hook("session-start", "resume");
        here.wait_until("the lock is taken", |status| {
            status.contains("locked_since\": \"")
        });
        os::settle();

        self.hooks(&here, results);
        self.arrivals(&here, &remote.path, &mut author, results);
        let there = Client::start(&laptop, &transcript_of(&laptop, &transcript));
        there.hook("session-start", "resume");
        there.wait_until("the lock is seen", |status| status.contains("holds_lock"));
        self.guard(&there, results);
    }

    fn hooks(&self, client: &Client<'_>, results: &mut Results) {
        for event in [
            "session-start",
            "user-prompt-submit",
            "stop",
            "pre-compact",
            "session-end",
        ] {
            let cost = self.median(|| client.hook(event, "compact"));
            check_time(results, &format!("hook {event}"), cost, HOOK);
            let memory = cost.usage.own.resident;
            results.check(
                format!("hook {event}: at most {} MB", megabytes(HOOK_MEMORY)),
                format!("{} MB", megabytes(memory)),
                memory <= HOOK_MEMORY,
            );
        }
        let cost = self.median(|| client.run(&["statusline"], "", ""));
        check_time(results, "status line", cost, STATUS_LINE);
        let start = self.median(|| {
            client.machine.ccsync(["daemon", "--stop"]);
            client.hook("stop", "")
        });
        check_time(results, "hook that starts the daemon", start, HOOK);
        client.wait_until("the lock is taken", |status| {
            status.contains("locked_since\": \"")
        });
    }

    fn guard(&self, client: &Client<'_>, results: &mut Results) {
        let cost = self.median(|| {
            // Another start, another warning.
            client.hook("session-start", "resume");
            client.refused_prompt()
        });
        check_time(results, "prompt that the guard refuses", cost, GUARD);
    }

    /// Measures the time from the end of a turn until the remote has it.
    fn arrivals(
        &self,
        client: &Client<'_>,
        remote: &Path,
        author: &mut Author,
        results: &mut Results,
    ) {
        let turn = || {
            // Apart from the push before.
            sleep(Duration::from_secs(3));
            let before = head(remote);
            author.append(&client.transcript, STEP);
            let began = Instant::now();
            client.hook("stop", "");
            while head(remote) == before {
                assert!(began.elapsed() < LIMIT, "the turn does not arrive");
                sleep(Duration::from_millis(5));
            }
            Cost {
                seconds: began.elapsed().as_secs_f64(),
                ..Cost::default()
            }
        };
        let cost = self.median(turn);
        check_time(results, "turn is on the remote", cost, ARRIVAL);
    }

    /// Watches a daemon that has nothing to do but to look and to pull from time to time.
    fn wait(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        let (_scene, desk) = place.pushed_scene("waiting", transport, self.idle_sessions);
        let daemon = Service::start(&desk);
        sleep(START.min(self.idle));
        let (before, began) = (daemon.cpu_seconds(), Instant::now());
        sleep(self.idle);
        let used = daemon.cpu_seconds() - before;
        let core = used / began.elapsed().as_secs_f64();
        let memory = daemon.resident();
        let name = format!("daemon that waits beside {} sessions", self.idle_sessions);
        results.check(
            format!("{name}: at most {} MB", megabytes(IDLE_MEMORY)),
            format!("{} MB", megabytes(memory)),
            memory <= IDLE_MEMORY,
        );
        let seconds = began.elapsed().as_secs();
        results.check(
            format!("{name}: at most {} % of a core", IDLE_CORE * 100.0),
            format!("{:.3} % in {seconds} s", core * 100.0),
            core <= IDLE_CORE,
        );
    }

    fn median(&self, mut work: impl FnMut() -> Cost) -> Cost {
        let costs: Vec<Cost> = (0..self.repeat).map(|_| work()).collect();
        Cost::median(&costs)
    }
}

fn check_time(results: &mut Results, what: &str, cost: Cost, bound: f64) {
    let what = format!("{what}: at most {} s", seconds(bound));
    results.check(what, seconds(cost.seconds), cost.seconds <= bound);
}

fn session_of(transcript: &Path) -> String {
    let stem = transcript.file_stem().and_then(|stem| stem.to_str());
    stem.expect("a transcript is named by its session")
        .to_owned()
}

/// Returns the transcript of the same session on another machine.
fn transcript_of(machine: &Machine, transcript: &Path) -> PathBuf {
    let name = transcript.file_name().expect("a transcript has a name");
    let entries = walkdir::WalkDir::new(machine.projects());
    let mut paths = entries.into_iter().flatten().map(|entry| entry.into_path());
    let found = paths.find(|path| path.file_name() == Some(name));
    found.expect("the session was pulled")
}

fn head(remote: &Path) -> Option<git2::Oid> {
    let remote = git2::Repository::open_bare(remote).ok()?;
    remote.refname_to_id("refs/heads/main").ok()
}

/// A stand-in for Claude Code: a process, and the file that says what it has open.
struct Client<'a> {
    machine: &'a Machine,
    transcript: PathBuf,
    process: Child,
}

impl<'a> Client<'a> {
    fn start(machine: &'a Machine, transcript: &Path) -> Self {
        machine.ccsync(["auto", "on"]);
        let process = Command::new("sleep").arg("3600").spawn();
        let process = process.expect("sleep can be started");
        let record = serde_json::json!({
            "pid": process.id(), "sessionId": session_of(transcript), "cwd": machine.home,
        });
        let sessions = machine.home.join(".claude/sessions");
        fs::create_dir_all(&sessions).expect("the benchmark's directory can be written");
        let file = sessions.join(format!("{}.json", process.id()));
        fs::write(file, record.to_string()).expect("the benchmark's directory can be written");
        Self {
            machine,
            transcript: transcript.to_owned(),
            process,
        }
    }

    fn hook(&self, event: &str, source: &str) -> Cost {
        self.run(&["hook", event], event, source)
    }

    fn refused_prompt(&self) -> Cost {
        let mut command = self.command(&["hook", "user-prompt-submit"], "UserPromptSubmit", "");
        let (status, cost) = self.machine.try_run(&mut command);
        assert_eq!(status.code(), Some(2), "the guard refuses the prompt");
        cost
    }

    fn run(&self, args: &[&str], event: &str, source: &str) -> Cost {
        self.machine.succeed(&mut self.command(args, event, source))
    }

    /// Returns a command that reads an event.
    fn command(&self, args: &[&str], event: &str, source: &str) -> Command {
        let event = serde_json::json!({
            "session_id": session_of(&self.transcript), "transcript_path": self.transcript,
            "cwd": self.machine.home, "hook_event_name": event, "source": source,
        });
        let input = self.machine.root().join("event.json");
        fs::write(&input, event.to_string()).expect("the benchmark's directory can be written");
        let mut command = self.machine.command(env!("CARGO_BIN_EXE_ccsync"));
        command.args(args);
        command.env("CLAUDE_PID", self.process.id().to_string());
        command.stdin(fs::File::open(input).expect("the file was just written"));
        command
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let status = self
            .machine
            .home
            .join(".local/state/ccsync/daemon/status.json");
        let began = Instant::now();
        while !fs::read_to_string(&status).is_ok_and(|text| is_so(&text)) {
            assert!(began.elapsed() < LIMIT, "waited in vain until {what}");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.machine.ccsync(["daemon", "--stop"]);
    }
}

/// A daemon that runs until it is dropped.
struct Service<'a> {
    machine: &'a Machine,
    process: Child,
}

impl<'a> Service<'a> {
    fn start(machine: &'a Machine) -> Self {
        let mut command = machine.command(env!("CARGO_BIN_EXE_ccsync"));
        command.arg("daemon").stdin(Stdio::null());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("the program can be started");
        Self { machine, process }
    }

    /// Returns the processor time that it has used, its ended children included.
    fn cpu_seconds(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = fs::read_to_string(path).unwrap_or_default();
        let fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let ticks = fields
            .skip(11)
            .take(4)
            .filter_map(|ticks| ticks.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS_PER_SECOND
    }

    fn resident(&self) -> u64 {
        resident(self.process.id()).unwrap_or_default()
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        self.machine.ccsync(["daemon", "--stop"]);
        let _ = self.process.wait();
    }
}
