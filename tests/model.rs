//! Machines that append, push, pull, lose the network and tear lines, in any order: no line is lost, doubled or reordered, and every line
//! keeps the conversation it was written into.
//!
//! The library runs in this process, over real git and real files. A line is known by its `uuid`; what a person cares about is that
//! wherever the line ends up, exactly the lines that stood before it when it was written stand before it still.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ccsync::config::{Config, Overrides, Settings};
use ccsync::domain::progress::Silent;
use ccsync::domain::root::System;
use ccsync::sync::report::{Outcome, RemoteState, Report};
use ccsync::sync::verification::{RemoteStanding, SessionCheck};
use ccsync::sync::{self, Context, PullRequest, SetUp, VerifyRequest};
use ccsync::sys::clock::SystemClock;
use ccsync::sys::env::{Dirs, Env, GitEnv};
use ccsync::transport::url::RemoteUrl;
use proptest::prelude::*;

const SESSION: &str = "5e551011-0000-4000-8000-000000000001";

#[derive(Debug, Clone)]
enum Op {
    /// A machine writes a record into its `n`-th session.
    Append {
        machine: usize,
        session: usize,
    },
    /// A client dies in the middle of a line; the next one puts a line end first, as client 2.1.329 does.
    Tear {
        machine: usize,
        session: usize,
    },
    Push {
        machine: usize,
    },
    Pull {
        machine: usize,
    },
    /// The remote goes away, or comes back.
    Network,
    /// A cache is lost.
    DropIndex {
        machine: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let machine = 0..3usize;
    prop_oneof![
        6 => (machine.clone(), 0..4usize).prop_map(|(machine, session)| Op::Append { machine, session }),
        1 => (machine.clone(), 0..4usize).prop_map(|(machine, session)| Op::Tear { machine, session }),
        5 => machine.clone().prop_map(|machine| Op::Push { machine }),
        4 => machine.clone().prop_map(|machine| Op::Pull { machine }),
        1 => Just(Op::Network),
        1 => machine.prop_map(|machine| Op::DropIndex { machine }),
    ]
}

struct Machine {
    env: Env,
}

/// What stood before a line when it was written, by its marker.
type Written = BTreeMap<String, Vec<String>>;

struct World {
    root: tempfile::TempDir,
    machines: Vec<Machine>,
    written: Written,
    next: u32,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let remote = root.path().join("remote.git");
        git2_init_bare(&remote);
        let homes = ["one/home/al", "two/Users/bo", "three/srv/people/cy"];
        let machines = homes.map(|home| Machine::new(&root.path().join(home), &remote));
        let mut world = Self { root, machines: machines.into(), written: Written::new(), next: 0 };
        world.machines[0].create_session();
        world.append(0, 0);
        world
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Append { machine, session } => self.append(*machine, *session),
            Op::Tear { machine, session } => self.machines[*machine].tear(*session),
            Op::Push { machine } => self.machines[*machine].push(),
            Op::Pull { machine } => self.machines[*machine].pull(),
            Op::Network => self.toggle_network(),
            Op::DropIndex { machine } => {
                drop(fs::remove_file(self.machines[*machine].env.dirs.state.join("index.json")));
            }
        }
    }

    fn append(&mut self, machine: usize, session: usize) {
        let Some(path) = self.machines[machine].nth_session(session) else { return };
        let before = markers(&path);
        let marker = format!("line-{}", self.next);
        self.next += 1;
        let home = self.machines[machine].env.home.display();
        let id = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read(&path).unwrap();
        let end = if text.is_empty() || text.ends_with(b"\n") { "" } else { "\n" };
        let line = format!(
            r#"{{"type":"user","uuid":"{marker}","message":{{"content":"see {home}/x and \"{home}\""}},"cwd":"{home}/app","sessionId":"{id}","timestamp":"2026-11-01T00:00:{:02}.000Z"}}"#,
            self.next % 60
        );
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(format!("{end}{line}\n").as_bytes()).unwrap();
        self.written.insert(marker, before);
    }

    fn toggle_network(&self) {
        let (here, away) = (self.root.path().join("remote.git"), self.root.path().join("away.git"));
        if here.exists() { fs::rename(here, away).unwrap() } else { fs::rename(away, here).unwrap() }
    }

    /// Everybody comes home and synchronises until nothing changes.
    fn settle(&self) {
        if !self.root.path().join("remote.git").exists() {
            self.toggle_network();
        }
        for _ in 0..3 {
            for machine in &self.machines {
                machine.push();
                machine.pull();
            }
        }
    }

    fn check(&self) {
        let all: Vec<Vec<Vec<String>>> = self.machines.iter().map(Machine::conversations).collect();
        for (machine, conversations) in self.machines.iter().zip(&all) {
            for (marker, before) in &self.written {
                let kept = conversations
                    .iter()
                    .any(|lines| lines.iter().position(|m| m == marker).is_some_and(|at| lines[..at] == before[..]));
                assert!(kept, "{marker} after {before:?} is not on {}: {conversations:#?}", machine.env.home.display());
            }
            for lines in conversations {
                let distinct: BTreeSet<_> = lines.iter().collect();
                assert_eq!(distinct.len(), lines.len(), "a line twice in one session: {lines:?}");
            }
            let mut mine: Vec<_> = conversations.clone();
            let mut first = all[0].clone();
            mine.sort();
            first.sort();
            assert_eq!(mine, first, "machines hold different conversations");
            machine.verify();
        }
    }
}

impl Machine {
    fn new(home: &Path, remote: &Path) -> Self {
        fs::create_dir_all(home.join("app")).unwrap();
        let env = Env {
            home: home.to_owned(),
            system: System::Linux,
            host_name: home.file_name().unwrap().to_str().unwrap().to_owned(),
            claude_dir: home.join(".claude"),
            dirs: Dirs::below(&home.join(".ccsync")),
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            no_color: true,
            columns: None,
            git: GitEnv { own_ssh_command: false },
        };
        let request =
            SetUp { remote: Some(RemoteUrl::parse(remote.to_str().unwrap(), home).unwrap()), ..SetUp::default() };
        sync::set_up(&env, &SystemClock::default(), Arc::new(Silent), false, request).unwrap();
        Self { env }
    }

    fn create_session(&self) {
        let name = ccsync::domain::client_dir::client_dir_name(self.env.home.join("app").to_str().unwrap());
        let directory = self.env.claude_dir.join("projects").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{SESSION}.jsonl")), "").unwrap();
    }

    fn sessions(&self) -> Vec<PathBuf> {
        let projects = walkdir::WalkDir::new(self.env.claude_dir.join("projects")).sort_by_file_name();
        let files = projects.into_iter().flatten().map(walkdir::DirEntry::into_path);
        files.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect()
    }

    fn nth_session(&self, n: usize) -> Option<PathBuf> {
        let sessions = self.sessions();
        (!sessions.is_empty()).then(|| sessions[n % sessions.len()].clone())
    }

    fn tear(&self, session: usize) {
        let Some(path) = self.nth_session(session) else { return };
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(br#"{"type":"assistant","uuid":"never-"#).unwrap();
    }

    fn context(&self) -> Context<'_> {
        let config = Config::load(&sync::config_path(&self.env)).unwrap().unwrap();
        let settings = Settings::resolve(&config, &self.env, Overrides::default()).unwrap();
        Context { env: &self.env, settings, clock: &*CLOCK, progress: Arc::new(Silent), interactive: false }
    }

    fn push(&self) {
        let report = sync::push(&self.context(), false).unwrap();
        let offline = matches!(report.remote, RemoteState::Queued { .. });
        assert!(offline || is_clean(&report), "{report:#?}");
    }

    fn pull(&self) {
        let request = PullRequest { days: Some(30_000), ..PullRequest::default() };
        match sync::pull(&self.context(), &request) {
            Ok(report) => assert!(is_clean(&report), "{report:#?}"),
            Err(sync::SyncError::Remote(_)) => {}
            Err(e) => panic!("{e}"),
        }
    }

    /// Every byte here, in the store and on the remote is what it is said to be.
    fn verify(&self) {
        let found = sync::verify(&self.context(), &VerifyRequest { full: true, ..VerifyRequest::default() }).unwrap();
        let whole = found.objects.as_ref().is_some_and(|objects| objects.damaged.is_empty());
        let up_to_date = matches!(found.remote, RemoteStanding::UpToDate { .. });
        let agree = found.sessions.iter().all(SessionCheck::agrees);
        assert!(whole && up_to_date && agree && found.remote_damage.is_none(), "{found:#?}");
    }

    /// The markers of every session, in order.
    fn conversations(&self) -> Vec<Vec<String>> {
        self.sessions().iter().map(|path| markers(path)).collect()
    }
}

static CLOCK: std::sync::LazyLock<SystemClock> = std::sync::LazyLock::new(SystemClock::default);

fn is_clean(report: &Report) -> bool {
    !report.sessions.iter().any(|s| matches!(s.outcome, Outcome::Skipped { .. } | Outcome::Listed { .. }))
}

fn markers(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let records = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    records.filter_map(|record| record["uuid"].as_str().map(str::to_owned)).collect()
}

fn git2_init_bare(path: &Path) {
    ccsync::store::create_embedded_remote(path).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_is_lost_doubled_or_torn_from_its_conversation(ops in prop::collection::vec(op(), 4..24)) {
        let mut world = World::new();
        for op in &ops {
            world.run(op);
        }
        world.settle();
        world.check();
    }
}

/// `CCSYNC_MODEL_CASES` asks for more than the default, for a long run.
fn cases() -> u32 {
    std::env::var("CCSYNC_MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(16)
}
