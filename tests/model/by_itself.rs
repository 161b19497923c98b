//! Three machines that sync by themselves: clients start, get turns, end and die, daemons die, the
//! network goes, clocks jump. No turn is lost or doubled, no lock stays, and everything
//! comes to rest.
//!
//! Hooks and daemons run in this process, with a time that passes only when the story says so.

mod client;
mod virtual_time;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ccsync::daemon::hook::answer;
use ccsync::daemon::run::{DaemonOptions, run};
use ccsync::daemon::start::{catch_up, stop};
use ccsync::daemon::status::DaemonStatus;
use ccsync::daemon::watch::FileWatch;
use ccsync::domain::HookEvent;
use chrono::TimeDelta;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

use self::client::Client;
use self::virtual_time::VirtualTime;
use super::*;

/// Time between two pulls of a daemon.
const INTERVAL: Duration = Duration::from_secs(300);

/// Time after which a daemon that stays has checked everything.
const FULL_LOOK: Duration = Duration::from_secs(305);

/// Time in which a daemon has done everything, also after many failures.
const LIMIT: Duration = Duration::from_secs(40 * 60);

#[derive(Debug, Clone)]
enum Act {
    /// A client opens a session of this number, or a new one.
    Start {
        session: Option<usize>,
        how: Start,
    },
    /// The user sends a prompt, and the model answers.
    Turn {
        client: usize,
        /// A user whose prompt is refused opens the session again.
        obeys: bool,
    },
    /// The client writes a record that is no turn.
    Look(usize),
    /// The client writes to a sub-agent's transcript.
    Agent(usize),
    /// The user begins a new conversation in the same client.
    Clear(usize),
    End(usize),
    /// The client is killed: no hook runs, and its file stays.
    Kill(usize),
    /// The daemon is killed after so many readings of the clock.
    KillDaemon(u32),
    StopDaemon,
    /// Every process of the machine is killed.
    Reboot,
    Push,
    Pull,
    /// The remote becomes unreachable, or reachable again.
    Network,
    /// The wall clock is set by so many seconds.
    Jump(i64),
    /// Time passes on all machines, in tenths of a second.
    Pass(u64),
}

/// How a client is started.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// Through the shell function, which pulls before.
    catches_up: bool,
    /// Its settings disable hooks.
    without_hooks: bool,
    /// No person is at it.
    headless: bool,
}

type Op = (usize, Act);

fn op() -> impl Strategy<Value = Op> {
    let client = 0..3usize;
    let session = prop_oneof![1 => Just(None), 3 => (0..5usize).prop_map(Some)];
    let rarely = || prop::bool::weighted(0.15);
    let start =
        (prop::bool::ANY, rarely(), rarely()).prop_map(|(catches_up, without_hooks, headless)| {
            Start {
                catches_up,
                without_hooks,
                headless,
            }
        });
    let seconds = prop_oneof![-7200..7200i64, Just(-90_000), Just(90_000)];
    let tenths = prop_oneof![4 => 1..20u64, 3 => 20..300u64, 1 => 300..9000u64];
    let act = prop_oneof![
        6 => (session, start).prop_map(|(session, how)| Act::Start { session, how }),
        12 => (client.clone(), prop::bool::ANY)
            .prop_map(|(client, obeys)| Act::Turn { client, obeys }),
        1 => client.clone().prop_map(Act::Look),
        1 => client.clone().prop_map(Act::Agent),
        1 => client.clone().prop_map(Act::Clear),
        3 => client.clone().prop_map(Act::End),
        3 => client.prop_map(Act::Kill),
        2 => (0..60u32).prop_map(Act::KillDaemon),
        1 => Just(Act::StopDaemon),
        1 => Just(Act::Reboot),
        1 => Just(Act::Push),
        1 => Just(Act::Pull),
        2 => Just(Act::Network),
        1 => seconds.prop_map(Act::Jump),
        12 => tenths.prop_map(Act::Pass),
    ];
    (0..3usize, act)
}

/// A story: on which machines the daemon is a service, and the events.
fn story() -> impl Strategy<Value = ([bool; 3], Vec<Op>)> {
    let service = || prop::bool::weighted(0.3);
    let services = [service(), service(), service()];
    (services, prop::collection::vec(op(), 4..60))
}

struct Story {
    world: World,
    time: Arc<VirtualTime>,
    /// Machines whose daemon never ends by itself.
    services: [bool; 3],
    clients: [Vec<Client>; 3],
    /// The sessions that clients have had open.
    opened: BTreeSet<String>,
    sessions: usize,
}

impl Story {
    fn new(services: [bool; 3]) -> Self {
        let time = VirtualTime::new(3);
        let clocks = [0, 1, 2].map(|machine| Arc::new(time.clock(machine)) as Arc<dyn Clock>);
        let mut story = Self {
            world: World::with_clocks(clocks),
            time,
            services,
            clients: Default::default(),
            opened: BTreeSet::new(),
            sessions: 2,
        };
        (0..3).for_each(|machine| story.start_service(machine));
        story
    }

    fn machine(&self, machine: usize) -> &Machine {
        &self.world.machines[machine]
    }

    fn run(&mut self, (machine, act): &Op) {
        let machine = *machine;
        match act {
            Act::Start { session, how } => {
                self.open(machine, *session, *how);
            }
            Act::Turn { client, obeys } => self.turn(machine, *client, *obeys),
            Act::Look(client) => self.write(machine, *client, |_, path| look(path)),
            Act::Agent(client) => {
                let home = self.machine(machine).env.home.clone();
                self.write(machine, *client, |ledger, path| {
                    let path = path.with_extension("").join("subagents/agent-1.jsonl");
                    ledger.write(&home, &path);
                });
            }
            Act::Clear(client) => self.clear(machine, *client),
            Act::End(client) => self.end(machine, *client),
            Act::Kill(client) => self.kill(machine, *client),
            Act::KillDaemon(after) => self.kill_daemon(machine, *after),
            Act::StopDaemon => {
                let Machine { env, clock, .. } = self.machine(machine);
                stop(env, &**clock).unwrap();
                self.start_service(machine);
            }
            Act::Reboot => {
                while !self.clients[machine].is_empty() {
                    self.kill(machine, 0);
                }
                self.kill_daemon(machine, 0);
            }
            Act::Push => {
                let selection = Selection::default();
                self.command(machine, |ctx| push(ctx, &selection, false).map(drop));
            }
            Act::Pull => {
                let request = PullRequest::default();
                self.command(machine, |ctx| pull(ctx, &request).map(drop));
            }
            Act::Network => self.world.toggle_network(),
            Act::Jump(seconds) => self.time.jump(machine, TimeDelta::seconds(*seconds)),
            Act::Pass(tenths) => self.time.pass(Duration::from_millis(100 * tenths)),
        }
    }

    /// Runs a command as the user types it.
    fn command(&self, machine: usize, command: impl FnOnce(&Context<'_>) -> Result<(), SyncError>) {
        match command(&self.machine(machine).context()) {
            Ok(()) | Err(SyncError::Remote(_)) => {}
            Err(e) => panic!("{e}"),
        }
    }

    /// Returns a client of a machine that is open, by any number.
    fn client(&self, machine: usize, number: usize) -> Option<usize> {
        let count = self.clients[machine].len();
        (count > 0).then(|| number % count)
    }

    /// Opens a session in a new client, if none has it open.
    fn open(&mut self, machine: usize, session: Option<usize>, how: Start) {
        if how.catches_up {
            self.catch_up(machine);
        }
        let found = session.and_then(|number| self.machine(machine).nth_session(number));
        let source = if found.is_some() { "resume" } else { "startup" };
        let transcript = found.unwrap_or_else(|| self.new_transcript(machine));
        let has_it = |client: &Client| client.transcript == transcript;
        if self.clients[machine].iter().any(has_it) {
            return;
        }
        self.start(machine, transcript, how, source);
    }

    /// Starts a client. Returns its number.
    fn start(&mut self, machine: usize, transcript: PathBuf, how: Start, source: &str) -> usize {
        let client = Client::start(&self.machine(machine).env.home, transcript, how);
        self.opened.insert(client.session().to_owned());
        self.clients[machine].push(client);
        let number = self.clients[machine].len() - 1;
        self.hook(machine, number, HookEvent::SessionStart, source);
        number
    }

    fn new_transcript(&mut self, machine: usize) -> PathBuf {
        self.sessions += 1;
        let name = format!("5e55{:04}-0000-4000-8000-000000000000.jsonl", self.sessions);
        let first = self.machine(machine).transcript(0);
        first.with_file_name(name)
    }

    /// Runs a hook of a client. Returns true if it gives the prompt back.
    fn hook(&mut self, machine: usize, client: usize, event: HookEvent, source: &str) -> bool {
        let client = &self.clients[machine][client];
        if client.how.without_hooks {
            return false;
        }
        let this = self.machine(machine);
        let mut env = this.env.clone();
        env.hook.headless = client.how.headless;
        env.hook.client_pid = Some(client.pid());
        let json = serde_json::json!({
            "session_id": client.session(), "transcript_path": client.transcript,
            "cwd": env.home.join("work/app"), "source": source,
        });
        let json = json.to_string();
        let context = this.context();
        let answered = answer(&env, &*this.clock, event, json.as_bytes(), Some(&context));
        drop(context);
        self.start_daemon(machine);
        answered.refusal.is_some()
    }

    fn turn(&mut self, machine: usize, client: usize, obeys: bool) {
        let Some(mut client) = self.client(machine, client) else {
            return;
        };
        if self.hook(machine, client, HookEvent::UserPromptSubmit, "") {
            if obeys {
                client = self.reopen(machine, client);
            }
            self.hook(machine, client, HookEvent::UserPromptSubmit, "");
        }
        let home = self.machine(machine).env.home.clone();
        self.write(machine, client, |ledger, path| {
            ledger.write(&home, path);
        });
        self.hook(machine, client, HookEvent::Stop, "");
    }

    /// Leaves a client and opens its session again through the shell function.
    fn reopen(&mut self, machine: usize, client: usize) -> usize {
        let Client {
            transcript, how, ..
        } = &self.clients[machine][client];
        let (transcript, how) = (transcript.clone(), *how);
        self.end(machine, client);
        self.catch_up(machine);
        self.start(machine, transcript, how, "resume")
    }

    /// Lets a client write to its session.
    fn write(&mut self, machine: usize, client: usize, write: impl FnOnce(&mut Ledger, &Path)) {
        let Some(client) = self.client(machine, client) else {
            return;
        };
        let client = &mut self.clients[machine][client];
        client.assert_untouched();
        let transcript = client.transcript.clone();
        if !transcript.exists() {
            let home = &self.world.machines[machine].env.home;
            self.world.ledger.write(home, &transcript);
        }
        write(&mut self.world.ledger, &transcript);
        client.remember();
    }

    fn clear(&mut self, machine: usize, client: usize) {
        let Some(client) = self.client(machine, client) else {
            return;
        };
        self.live_for_a_look(machine, client);
        let transcript = self.new_transcript(machine);
        self.hook(machine, client, HookEvent::SessionEnd, "");
        let home = self.machine(machine).env.home.clone();
        let client_here = &mut self.clients[machine][client];
        client_here.clear(&home, transcript);
        self.opened.insert(client_here.session().to_owned());
        self.hook(machine, client, HookEvent::SessionStart, "clear");
    }

    fn end(&mut self, machine: usize, client: usize) {
        let Some(number) = self.client(machine, client) else {
            return;
        };
        self.live_for_a_look(machine, number);
        self.hook(machine, number, HookEvent::SessionEnd, "");
        self.clients[machine].remove(number).end();
    }

    /// Without hooks, only a client that lives for more than a moment is noticed.
    fn live_for_a_look(&self, machine: usize, client: usize) {
        if self.clients[machine][client].how.without_hooks {
            self.time.pass(Duration::from_millis(300));
        }
    }

    fn kill(&mut self, machine: usize, client: usize) {
        let Some(number) = self.client(machine, client) else {
            return;
        };
        self.live_for_a_look(machine, number);
        self.clients[machine].remove(number).kill();
    }

    /// Starts the daemon if none runs.
    fn start_daemon(&mut self, machine: usize) {
        if self.time.runs(machine) {
            return;
        }
        let options = DaemonOptions {
            interval: INTERVAL,
            push_only: false,
            on_demand: !self.services[machine],
        };
        let (env, clock) = (self.machine(machine).env.clone(), self.time.clock(machine));
        self.time.start(machine, move || {
            let context = || Ok(context_of(&env, &clock));
            run(&env, &clock, &context, options, FileWatch::off()).unwrap();
        });
        self.time.pass(Duration::ZERO);
    }

    /// Starts the daemon where the system does that.
    fn start_service(&mut self, machine: usize) {
        if self.services[machine] {
            self.start_daemon(machine);
        }
    }

    fn kill_daemon(&mut self, machine: usize, after: u32) {
        if self.time.kill(machine, after) {
            self.machine(machine).mark_holders_dead();
        }
        self.start_service(machine);
    }

    /// Pulls as the shell function does before the client starts.
    fn catch_up(&mut self, machine: usize) {
        self.start_daemon(machine);
        let Machine { env, clock, .. } = self.machine(machine);
        catch_up(env, &**clock, Duration::from_secs(3)).unwrap();
    }

    /// Ends everything, and lets every machine sync by itself until nothing is left to do.
    fn settle(&mut self) {
        if !self.world.remote().exists() {
            self.world.toggle_network();
        }
        for machine in 0..3 {
            while !self.clients[machine].is_empty() {
                self.end(machine, 0);
            }
        }
        self.pass_until_idle();
        if self.services.contains(&true) {
            // Nothing is watched here: turns of a client that ended at once are found then.
            self.time.pass(FULL_LOOK);
        }
        for _ in 0..3 {
            self.look_around();
        }
    }

    /// Lets a client start and end on each machine.
    fn look_around(&mut self) {
        for machine in 0..3 {
            self.catch_up(machine);
            self.time.pass(Duration::from_secs(5));
        }
        self.pass_until_idle();
    }

    /// Waits until every daemon has ended that ends by itself, and the others have nothing to do.
    fn pass_until_idle(&self) {
        let mut passed = Duration::ZERO;
        let step = Duration::from_secs(5);
        let is_idle = |machine: usize| match self.services[machine] {
            true => self.machine(machine).has_synced(),
            false => !self.time.runs(machine),
        };
        while !(0..3).all(is_idle) {
            self.time.pass(step);
            passed += step;
            assert!(passed < LIMIT, "daemons do not rest: {}", self.logs());
        }
    }

    fn logs(&self) -> String {
        let log = |machine: &Machine| {
            let log = fs::read_to_string(machine.env.dirs.state.join("daemon/log"));
            let log = log.unwrap_or_default();
            let (home, status) = (&machine.env.home, DaemonStatus::read(&machine.env));
            let leases = machine.leases();
            format!("\n{}\n{log}\n{status:?}\n{leases:?}", home.display())
        };
        self.world.machines.iter().map(log).collect()
    }

    fn check(&mut self) {
        self.world.check();
        for machine in &self.world.machines {
            machine.assert_nothing_is_doubled(&self.opened);
        }
        assert_eq!(self.locks(), Vec::<String>::new(), "{}", self.logs());
        let state = |story: &Self| {
            let files = |machine: &Machine| tree(&machine.projects());
            let all: Vec<_> = story.world.machines.iter().map(files).collect();
            (story.world.remote_head(), all)
        };
        let before = state(self);
        self.look_around();
        assert_eq!(before.0, state(self).0, "no rest: {}", self.logs());
        assert!(before.1 == state(self).1, "no rest: {}", self.logs());
    }

    /// Returns the locks on the remote, and those that a machine believes to hold.
    fn locks(&self) -> Vec<String> {
        let remote = git2::Repository::open_bare(self.world.remote()).unwrap();
        let references = remote.references_glob("refs/heads/ccsync/lock/*").unwrap();
        let names = references.map(|reference| reference.unwrap().name().unwrap().to_owned());
        let leases = self.world.machines.iter().flat_map(Machine::leases);
        names
            .chain(leases.map(|path| path.display().to_string()))
            .collect()
    }
}

impl Drop for Story {
    /// Ends the threads of the daemons.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let conversations = self.world.machines.iter().map(Machine::conversations);
            let conversations: Vec<_> = conversations.collect();
            trace(|| format!("{conversations:#?}{}", self.logs()));
            self.time.abandon();
        } else {
            for machine in 0..3 {
                self.time.kill(machine, 0);
            }
        }
    }
}

impl Machine {
    fn leases(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.env.dirs.state.join("locks"));
        let files = files.into_iter().flatten().flatten();
        files.map(|file| file.path()).collect()
    }

    /// Lets the leases of a daemon that was killed be those of a dead process: here, it was a
    /// thread.
    fn mark_holders_dead(&self) {
        for path in self.leases() {
            let text = fs::read(&path).unwrap();
            let mut lease: serde_json::Value = serde_json::from_slice(&text).unwrap();
            lease["holder"] = serde_json::json!({"pid": u32::MAX});
            fs::write(&path, lease.to_string()).unwrap();
        }
    }

    /// Returns true if the daemon has nothing left to do.
    fn has_synced(&self) -> bool {
        let status = DaemonStatus::read(&self.env);
        let is_done = status.is_some_and(|s| s.failure.is_none() && s.sessions.is_empty());
        is_done && self.leases().is_empty()
    }

    /// Checks that no conversation is the beginning of another one, unless clients have had it
    /// open: while one of them held its lock, a turn of another one became a fork.
    fn assert_nothing_is_doubled(&self, opened: &BTreeSet<String>) {
        let mut conversations = self.conversations();
        // A fork has the sub-agents of its parent.
        conversations.retain(|path, _| path.iter().count() == 1);
        let was_opened = |path: &Path| opened.contains(path.file_stem().unwrap().to_str().unwrap());
        for (path, lines) in &conversations {
            let is_beginning = |(other, longer): &(&PathBuf, &Vec<String>)| {
                let is_shorter = longer.len() > lines.len() && was_opened(path);
                *other != path && longer.starts_with(lines) && !is_shorter
            };
            let doubled = conversations.iter().find(is_beginning);
            assert!(
                doubled.is_none(),
                "{} {lines:?} is in {doubled:?}",
                path.display()
            );
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

/// Prints a step of a story that is repeated.
#[allow(clippy::print_stderr)]
fn trace(step: impl FnOnce() -> String) {
    if number("CCSYNC_STORY_SEED").is_some() {
        eprintln!("{}", step());
    }
}

/// Tells a story. `CCSYNC_STORY_SEED` repeats it.
fn tell(seed: u64) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let default = ProptestConfig::default();
    let config = ProptestConfig {
        cases: 1,
        max_shrink_iters: default.max_shrink_iters.min(60),
        failure_persistence: None,
        ..default
    };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let result = runner.run(&story(), |(services, ops)| {
        let mut story = Story::new(services);
        for op in &ops {
            trace(|| format!("{:?} {op:?}", story.time.now()));
            story.run(op);
        }
        trace(|| "the end".to_owned());
        story.settle();
        story.check();
        Ok(())
    });
    if let Err(TestError::Fail(reason, (services, ops))) = result {
        let ops: Vec<_> = ops.iter().map(|op| format!("{op:?}")).collect();
        panic!(
            "CCSYNC_STORY_SEED={seed}: {reason}\n{services:?}\n{}",
            ops.join("\n")
        );
    }
}

/// Set in the process that tells the stories.
const STORY_PROCESS: &str = "CCSYNC_STORY_PROCESS";

/// `CCSYNC_STORIES` asks for more stories, `CCSYNC_STORY_SEED` for others.
#[test]
fn model_daemons_lose_and_double_no_turn() {
    if std::env::var_os(STORY_PROCESS).is_none() {
        return tell_in_own_process();
    }
    let seed = number("CCSYNC_STORY_SEED");
    let few = if seed.is_some() { 1 } else { 12 };
    let stories = number("CCSYNC_STORIES").unwrap_or(few);
    let first = seed.unwrap_or(0);
    (first..first + stories).for_each(tell);
}

/// Runs the test in a process without other tests: what these start inherits the locks of the
/// daemons for a moment.
fn tell_in_own_process() {
    let name = std::thread::current().name().unwrap().to_owned();
    let mut test = std::process::Command::new(std::env::current_exe().unwrap());
    let test = test.args(["--exact", &name, "--nocapture"]);
    assert!(test.env(STORY_PROCESS, "1").status().unwrap().success());
}
