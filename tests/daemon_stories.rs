//! Stories with real hooks and daemons on three machines: clients begin, continue and end sessions,
//! clients and daemons are killed, the remote goes away, the user types commands.
//!
//! `model_daemons` tells many more, in one process. `CCSYNC_PROCESS_STORIES` sets their number
//! here, and `CCSYNC_PROCESS_SEED` repeats one as far as moments can be repeated.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::world::{assert_remote_in_order, id};
use crate::harness::{Ledger, Machine, TestEnv};

/// Events in a story.
const EVENTS: usize = 30;

/// Sessions in a story, and a few more that only one machine begins.
const SESSIONS: usize = 4;

/// Time in which all daemons have done everything.
const LIMIT: Duration = Duration::from_secs(180);

#[test]
fn daemon_processes_lose_no_turn() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let stories = number("CCSYNC_PROCESS_STORIES").unwrap_or(1);
    let first = number("CCSYNC_PROCESS_SEED").unwrap_or_else(|| fastrand::u64(..));
    for seed in (0..stories).map(|n| first.wrapping_add(n)) {
        let mut story = Story::new(seed);
        (0..EVENTS).for_each(|_| story.go_on());
        story.end();
    }
}

/// A client that runs: a process, the file by which it says so, and what it has read.
struct Client {
    session: String,
    transcript: PathBuf,
    process: Child,
    text: Vec<u8>,
}

struct Story {
    env: TestEnv,
    machines: [Machine; 3],
    remote: PathBuf,
    clients: [Vec<Client>; 3],
    ledger: Ledger,
    rng: Rng,
    /// The events until now, for a failure.
    events: String,
}

impl Story {
    fn new(seed: u64) -> Self {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        let remote = env.remote_of_pair();
        let c = env.machine("c");
        c.init(&remote);
        let machines = [a, b, c];
        for machine in &machines {
            machine.ccsync(["auto", "on"]).success();
        }
        Self {
            env,
            machines,
            remote,
            clients: Default::default(),
            ledger: Ledger::default(),
            rng: Rng::with_seed(seed),
            events: format!("CCSYNC_PROCESS_SEED={seed}"),
        }
    }

    fn go_on(&mut self) {
        let machine = self.rng.usize(..3);
        let client = self.rng.usize(..3);
        match self.rng.u8(..30) {
            0..6 => self.begin(machine),
            6..18 => self.turn(machine, client),
            18..21 => self.leave(machine, client, false),
            21..24 => self.leave(machine, client, true),
            24 => self.kill_daemon(machine),
            25 => self.toggle_network(),
            26 => self.command(machine, &["sync"]),
            27 => self.command(machine, &["push"]),
            _ => self.wait(),
        }
    }

    fn tell(&mut self, machine: usize, what: &str) {
        let name = &self.machines[machine].name;
        write!(self.events, "\n{name}: {what}").unwrap();
    }

    /// Opens a session in a new client.
    fn begin(&mut self, machine: usize) {
        let session = match self.rng.usize(..SESSIONS + 1) {
            SESSIONS => id(10 + self.ledger.len()),
            number => id(number),
        };
        let is_open = |client: &Client| client.session == session;
        if self.clients[machine].iter().any(is_open) {
            return;
        }
        self.tell(machine, &format!("claude --resume {session}"));
        if self.rng.bool() {
            self.machines[machine].ccsync(["catch-up"]).success();
        }
        self.open(machine, session);
    }

    fn open(&mut self, machine: usize, session: String) {
        let this = &self.machines[machine];
        let process = Command::new("sleep").arg("600").spawn().unwrap();
        this.mark_running(&session, process.id());
        // A pull that began before the client was marked has ended when the lock is free; a real
        // client takes longer to start.
        let lock = this.home.join(".local/state/ccsync/lock");
        fs::File::open(lock).unwrap().lock().unwrap();
        let project = this.project_dir("work/app");
        let transcript = project.join(format!("{session}.jsonl"));
        let text = fs::read(&transcript).unwrap_or_default();
        let source = if text.is_empty() { "startup" } else { "resume" };
        self.clients[machine].push(Client {
            session,
            transcript,
            process,
            text,
        });
        let newest = self.clients[machine].len() - 1;
        self.hook(machine, newest, "session-start", source);
    }

    /// Runs a hook of a client. Returns true if it gives the prompt back.
    fn hook(&self, machine: usize, client: usize, event: &str, source: &str) -> bool {
        let (this, client) = (&self.machines[machine], &self.clients[machine][client]);
        let json = serde_json::json!({
            "session_id": client.session, "transcript_path": client.transcript,
            "cwd": this.home.join("work/app"), "source": source,
        });
        let mut command = this.command(["hook", event]);
        command.env("CLAUDE_PID", client.process.id().to_string());
        let run = this.run_with_input(command, &json.to_string());
        assert!(matches!(run.code, Some(0 | 2)), "{}\n{run}", self.events);
        run.code == Some(2)
    }

    /// Returns an open client of a machine, by any number.
    fn client(&self, machine: usize, number: usize) -> Option<usize> {
        let count = self.clients[machine].len();
        (count > 0).then(|| number % count)
    }

    /// Lets the user send a prompt, and the model answer.
    fn turn(&mut self, machine: usize, client: usize) {
        let Some(mut client) = self.client(machine, client) else {
            return;
        };
        if self.hook(machine, client, "user-prompt-submit", "") {
            self.tell(machine, "the prompt is refused");
            if self.rng.bool() {
                let session = self.clients[machine][client].session.clone();
                self.leave(machine, client, false);
                self.machines[machine].ccsync(["catch-up"]).success();
                self.open(machine, session);
                client = self.clients[machine].len() - 1;
            }
            self.hook(machine, client, "user-prompt-submit", "");
        }
        let home = self.machines[machine].home.clone();
        let open = &mut self.clients[machine][client];
        open.assert_untouched(&self.events);
        let marker = self.ledger.write(&home, &open.transcript);
        open.text = fs::read(&open.transcript).unwrap();
        let session = open.session.clone();
        self.tell(machine, &format!("{marker} in {session}"));
        self.hook(machine, client, "stop", "");
    }

    fn leave(&mut self, machine: usize, client: usize, is_killed: bool) {
        let Some(number) = self.client(machine, client) else {
            return;
        };
        if !is_killed {
            self.hook(machine, number, "session-end", "");
        }
        let mut client = self.clients[machine].remove(number);
        let how = if is_killed { "killed" } else { "ended" };
        self.tell(machine, &format!("{} {how}", client.session));
        client.assert_untouched(&self.events);
        if !is_killed {
            let file = format!(".claude/sessions/{}.json", client.process.id());
            fs::remove_file(self.machines[machine].home.join(file)).unwrap();
        }
        client.end();
    }

    /// Kills the daemon in whatever it does.
    fn kill_daemon(&mut self, machine: usize) {
        let this = &self.machines[machine];
        let status = fs::read(this.home.join(".local/state/ccsync/daemon/status.json"));
        let status: Option<serde_json::Value> = status
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        let Some(pid) = status.and_then(|status| status["pid"].as_i64()) else {
            return;
        };
        if is_daemon_running(this) {
            // It may end by itself meanwhile.
            let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            let _ = kill_process(pid, Signal::KILL);
            self.tell(machine, "the daemon is killed");
        }
    }

    fn toggle_network(&mut self) {
        let away = self.remote.with_extension("away");
        let is_there = self.remote.exists();
        let (from, to) = match is_there {
            true => (&self.remote, &away),
            false => (&away, &self.remote),
        };
        fs::rename(from, to).unwrap();
        self.tell(0, if is_there { "no network" } else { "network" });
    }

    fn command(&mut self, machine: usize, args: &[&str]) {
        let run = self.machines[machine].ccsync(args);
        self.tell(machine, &format!("{}: {:?}", args[0], run.code));
        // Skipped, forked, or queued.
        let is_done = matches!(run.code, Some(0 | 3 | 5 | 6));
        assert!(is_done || !self.remote.exists(), "{}\n{run}", self.events);
    }

    fn wait(&mut self) {
        thread::sleep(Duration::from_millis(self.rng.u64(..1500)));
    }

    /// Ends every client, and lets the daemons send what is left.
    fn end(&mut self) {
        if !self.remote.exists() {
            self.toggle_network();
        }
        for machine in 0..3 {
            while !self.clients[machine].is_empty() {
                self.leave(machine, 0, false);
            }
        }
        let began = Instant::now();
        while self.machines.iter().any(is_daemon_running) || !self.locks().is_empty() {
            let waited = began.elapsed();
            assert!(
                waited < LIMIT,
                "no rest: {:?}\n{}",
                self.locks(),
                self.events
            );
            for machine in &self.machines {
                machine.ccsync(["catch-up"]).success();
            }
            thread::sleep(Duration::from_secs(6));
        }
        self.check();
    }

    fn check(&self) {
        for machine in self.machines.iter().chain(&self.machines) {
            let run = machine.ccsync(["sync"]);
            assert!(matches!(run.code, Some(0 | 5)), "{}\n{run}", self.events);
        }
        let all: Vec<_> = self.machines.iter().map(Machine::conversations).collect();
        assert!(
            all[0] == all[1] && all[1] == all[2],
            "{}\n{all:#?}",
            self.events
        );
        self.ledger.check_all(&all[0], &self.events);
        for machine in &self.machines {
            machine.assert_in_order(&self.events);
        }
        assert_remote_in_order(&self.env.remote_of_pair(), &self.events);
        assert_eq!(self.locks(), "", "{}", self.events);
    }

    /// Returns the names of the locks on the remote.
    fn locks(&self) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.remote);
        git.args([
            "for-each-ref",
            "--format=%(refname)",
            "refs/heads/ccsync/lock",
        ]);
        String::from_utf8(git.output().unwrap().stdout).unwrap()
    }
}

impl Drop for Story {
    /// Daemons end with their clients.
    fn drop(&mut self) {
        self.clients.iter_mut().flatten().for_each(Client::end);
    }
}

impl Client {
    #[track_caller]
    fn assert_untouched(&self, events: &str) {
        let now = fs::read(&self.transcript).unwrap_or_default();
        let session = &self.session;
        assert!(
            now == self.text,
            "written while it is open: {session}\n{events}"
        );
    }

    /// Ends it as by `kill -9`.
    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_daemon_running(machine: &Machine) -> bool {
    let status = machine.ccsync(["auto", "status", "--json"]).success();
    status.json()["daemon_is_running"] == true
}
