//! Machines write, look, push, pull, undo, delete, rewrite, and lose files, the network and
//! half a line, exclude a project, share their directory with other hosts, and meet rules of the
//! remote, in any order: no line is lost, doubled or reordered, every line stays
//! in the conversation it was written to, and machines that sync in turns come to rest.
//!
//! The library runs in this process, with real git and real files; a ledger has every
//! written line.

mod by_itself;
mod surroundings;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ccsync::browse::list::{ListFilter, list};
use ccsync::check::verify::{VerifyRequest, verify};
use ccsync::domain::id::SessionId;
use ccsync::domain::progress::Silent;
use ccsync::domain::url::RemoteUrl;
use ccsync::flows::pull::pull;
use ccsync::flows::pull_options::PullRequest;
use ccsync::flows::push::push;
use ccsync::history::undo::undo;
use ccsync::keeper::send::finish;
use ccsync::leasing::acquire::acquire;
use ccsync::lock::TakeOver;
use ccsync::machine::set_up::{SetUp, set_up};
use ccsync::report::transfer::{Outcome, RemoteState, Report, SessionReport};
use ccsync::report::verification::{RemoteStatus, SessionCheck};
use ccsync::session::journal::JournalKind;
use ccsync::sys::clock::{Clock, SystemClock};
use ccsync::sys::env::{Dirs, Env};
use ccsync::workspace::context::Context;
use ccsync::workspace::error::SyncError;
use ccsync::workspace::filter::Selection;
use proptest::prelude::*;

use self::surroundings::{Rule, all_objects, refuses, session_id};
use crate::harness::library::{context_of, environment};
use crate::harness::{Conversations, Ledger, Tree, conversations, tree as tree_of};

#[derive(Debug, Clone)]
enum Act {
    /// Appends a record to the `n`-th session.
    Append(usize),
    /// Begins the session of this number, which another machine may have begun, too.
    Begin(usize),
    /// Appends a record to a sub-agent's transcript.
    Agent(usize),
    /// Appends a title, which is a record without an id.
    Title(usize),
    /// The user only looks: the client appends a record that is no turn.
    Look(usize),
    /// The client writes a task of a session in place.
    Task(usize),
    /// The client writes the state of a workflow in place.
    Workflow(usize),
    /// The client deletes a finished list of tasks.
    FinishTasks(usize),
    /// A client dies in the middle of a line; the next one writes a line end first, as
    /// client 2.1.329 does.
    Tear(usize),
    /// Cuts off stored lines; the session continues from there, or not.
    Rewind {
        session: usize,
        kept: usize,
        goes_on: bool,
    },
    /// The client's own clean-up removes a stored session.
    Delete(usize),
    /// The directory of the client is lost, and everything in it is stored.
    Wipe,
    Push,
    Pull,
    Undo,
    /// The user continues a session, with a lock if the remote permits it.
    Resume(usize),
    /// The user excludes a project, or no longer.
    Exclude(bool),
    /// The administrator of the remote sets a rule.
    Rule(Rule),
    /// A client of another host opens a session in this machine's directory.
    OpenElsewhere(usize),
    CloseElsewhere,
    /// The remote becomes unreachable, or reachable again.
    Network,
    /// Removes a cache.
    DropIndex,
    /// Removes the list of checkouts.
    DropCheckouts,
}

/// An action of one machine.
type Op = (usize, Act);

fn op() -> impl Strategy<Value = Op> {
    let session = 0..5usize;
    let act = prop_oneof![
        8 => session.clone().prop_map(Act::Append),
        2 => (0..5usize).prop_map(Act::Begin),
        2 => session.clone().prop_map(Act::Agent),
        1 => session.clone().prop_map(Act::Title),
        1 => session.clone().prop_map(Act::Look),
        2 => session.clone().prop_map(Act::Task),
        1 => session.clone().prop_map(Act::Workflow),
        1 => session.clone().prop_map(Act::FinishTasks),
        1 => session.clone().prop_map(Act::Resume),
        1 => session.clone().prop_map(Act::OpenElsewhere),
        1 => Just(Act::CloseElsewhere),
        2 => any::<bool>().prop_map(Act::Exclude),
        1 => rule().prop_map(Act::Rule),
        1 => session.clone().prop_map(Act::Tear),
        1 => (session.clone(), 0..6usize, any::<bool>())
            .prop_map(|(session, kept, goes_on)| Act::Rewind { session, kept, goes_on }),
        1 => session.prop_map(Act::Delete),
        7 => Just(Act::Push),
        6 => Just(Act::Pull),
        2 => Just(Act::Undo),
        1 => Just(Act::Wipe),
        1 => Just(Act::Network),
        1 => Just(Act::DropIndex),
        1 => Just(Act::DropCheckouts),
    ];
    (0..3usize, act)
}

/// The first session of the project that is excluded now and then.
const FIRST_SECRET: usize = 3;

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        Just(Rule::AcceptAll),
        Just(Rule::KeepLocks),
        Just(Rule::CreateNoLocks),
        (0..5usize).prop_map(Rule::RefuseSession),
    ]
}

struct Machine {
    env: Env,
    root: PathBuf,
    clock: Arc<dyn Clock>,
    /// The lines of the excluded project that were here when it was not excluded.
    permitted: RefCell<BTreeSet<String>>,
}

struct World {
    root: tempfile::TempDir,
    machines: Vec<Machine>,
    ledger: Ledger,
    /// Number of tasks and states of workflows that were written.
    tasks: usize,
}

impl World {
    fn new() -> Self {
        let clock = || Arc::new(SystemClock::default()) as Arc<dyn Clock>;
        Self::with_clocks([clock(), clock(), clock()])
    }

    fn with_clocks(clocks: [Arc<dyn Clock>; 3]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let remote = root.path().join("remote.git");
        ccsync::store::create_embedded_remote(&remote).unwrap();
        let homes = ["one/home/al", "two/Users/bo", "three/srv/users/cy"];
        let machines = homes.iter().zip(clocks);
        let machines =
            machines.map(|(home, clock)| Machine::new(root.path(), home, &remote, clock));
        let mut world = Self {
            machines: machines.collect(),
            root,
            ledger: Ledger::default(),
            tasks: 0,
        };
        world.run(&(0, Act::Begin(0)));
        world.run(&(0, Act::Begin(FIRST_SECRET)));
        world
    }

    fn run(&mut self, (machine_number, act): &Op) {
        let machine = &self.machines[*machine_number];
        let home = &machine.env.home;
        let nth = |session: &usize| machine.nth_session(*session);
        match act {
            Act::Append(session) => drop(nth(session).map(|path| self.ledger.write(home, &path))),
            Act::Begin(number) => drop(self.ledger.write(home, &machine.transcript(*number))),
            Act::Agent(session) => {
                let path = nth(session)
                    .map(|path| path.with_extension("").join("subagents/agent-1.jsonl"));
                path.map(|path| self.ledger.write(home, &path));
            }
            Act::Title(session) => drop(nth(session).map(|path| self.ledger.write_title(&path))),
            Act::Look(session) => drop(nth(session).map(|path| look(&path))),
            Act::Task(session) => {
                let Some(path) = nth(session) else { return };
                self.tasks += 1;
                machine.write_task(&path, self.tasks);
            }
            Act::Workflow(session) => {
                let Some(path) = nth(session) else { return };
                self.tasks += 1;
                write_workflow(&path, self.tasks);
            }
            Act::FinishTasks(session) => {
                let Some(path) = nth(session) else { return };
                drop(fs::remove_file(machine.task_path(&path)));
            }
            Act::Tear(session) => drop(nth(session).map(|path| tear(&path))),
            Act::Rewind { .. } | Act::Delete(_) | Act::Wipe => self.remove(*machine_number, act),
            Act::Resume(session) => {
                let Some(path) = nth(session) else { return };
                machine.resume(&path, || drop(self.ledger.write(home, &path)));
            }
            Act::Exclude(excludes) => machine.set_excluding(*excludes),
            Act::Rule(rule) => rule.set(&machine.remote()),
            Act::OpenElsewhere(session) => {
                let Some(path) = nth(session) else { return };
                machine.open_elsewhere(&path);
            }
            Act::CloseElsewhere => machine.close_elsewhere(),
            Act::Push => machine.push(),
            Act::Pull => machine.pull(&[]),
            Act::Undo => machine.undo(),
            Act::Network => self.toggle_network(),
            Act::DropIndex => drop(fs::remove_file(machine.env.dirs.state.join("index.json"))),
            Act::DropCheckouts => drop(fs::remove_file(
                machine.env.dirs.state.join("checkouts.json"),
            )),
        }
    }

    /// Removes something that is stored.
    fn remove(&mut self, machine: usize, act: &Act) {
        let machine = &self.machines[machine];
        machine.push();
        let nth = |session: &usize| {
            let path = machine.nth_session(*session);
            path.filter(|path| machine.can_store(path))
        };
        match act {
            Act::Rewind {
                session,
                kept,
                goes_on,
            } => {
                let Some(path) = nth(session) else { return };
                cut(&path, *kept);
                if *goes_on {
                    self.ledger.write(&machine.env.home, &path);
                }
            }
            Act::Delete(session) => {
                let Some(path) = nth(session) else { return };
                fs::remove_file(&path).unwrap();
                drop(fs::remove_dir_all(path.with_extension("")));
            }
            _ => {
                if machine
                    .sessions()
                    .iter()
                    .all(|path| machine.can_store(path))
                {
                    drop(fs::remove_dir_all(&machine.env.claude_dir));
                }
            }
        }
    }

    fn toggle_network(&self) {
        let (here, away) = (self.remote(), self.root.path().join("away.git"));
        if here.exists() {
            fs::rename(here, away).unwrap();
        } else {
            fs::rename(away, here).unwrap();
        }
    }

    /// Syncs every machine until nothing changes, and pulls deleted sessions by id.
    fn settle(&self) {
        if !self.root.path().join("remote.git").exists() {
            self.toggle_network();
        }
        self.check_excluded();
        Rule::AcceptAll.set(&self.remote());
        for machine in &self.machines {
            machine.close_elsewhere();
            machine.set_excluding(false);
        }
        for _ in 0..3 {
            for machine in &self.machines {
                machine.push();
                machine.pull(&[]);
            }
        }
        for machine in &self.machines {
            machine.pull(&machine.all_sessions());
        }
    }

    /// Checks that another round of syncs changes nothing anywhere.
    fn check_rest(&self) {
        let state = || {
            let files = |machine: &Machine| tree(&machine.env.claude_dir);
            let all: Vec<_> = self.machines.iter().map(files).collect();
            (self.remote_head(), all)
        };
        let before = state();
        for machine in &self.machines {
            machine.push();
            machine.pull(&[]);
        }
        let after = state();
        assert_eq!(before.0, after.0, "the remote does not come to rest");
        assert!(before.1 == after.1, "the files do not come to rest");
    }

    /// Checks that no line is on the remote that was excluded whenever its machine synced.
    fn check_excluded(&self) {
        let lines = self.machines.iter().flat_map(Machine::secret_lines);
        let permitted: BTreeSet<String> = self
            .machines
            .iter()
            .flat_map(|machine| machine.permitted.borrow().clone())
            .collect();
        let objects = all_objects(&self.remote());
        for line in lines.filter(|line| !permitted.contains(line)) {
            assert!(!objects.contains(&format!("\"{line}\"")), "{line} was sent");
        }
    }

    fn remote(&self) -> PathBuf {
        self.root.path().join("remote.git")
    }

    fn remote_head(&self) -> Option<String> {
        let remote = git2::Repository::open_bare(self.remote()).unwrap();
        let head = remote.refname_to_id("refs/heads/main").ok()?;
        Some(head.to_string())
    }

    fn check(&self) {
        let first = self.machines[0].conversations();
        let (tasks, titles) = (self.machines[0].tasks(), self.machines[0].titles());
        for machine in &self.machines {
            let conversations = machine.conversations();
            self.ledger
                .check_all(&conversations, &machine.env.home.display().to_string());
            assert_eq!(
                conversations, first,
                "machines hold different conversations"
            );
            assert_eq!(machine.tasks(), tasks, "machines hold different tasks");
            assert_eq!(machine.titles(), titles, "machines show different titles");
            machine.verify();
        }
    }
}

/// Returns every file below a directory, which may be missing.
fn tree(directory: &Path) -> Tree {
    if directory.exists() {
        tree_of(directory)
    } else {
        Tree::new()
    }
}

fn look(path: &Path) {
    let id = path.file_stem().unwrap().to_str().unwrap();
    let text = fs::read(path).unwrap();
    let end = if text.is_empty() || text.ends_with(b"\n") {
        ""
    } else {
        "\n"
    };
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    let record = format!(r#"{end}{{"type":"mode","mode":"normal","sessionId":"{id}"}}"#);
    file.write_all(format!("{record}\n").as_bytes()).unwrap();
}

fn tear(path: &Path) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(br#"{"type":"assistant","uuid":"never-"#)
        .unwrap();
}

/// Writes the state of the one workflow of a session.
fn write_workflow(transcript: &Path, number: usize) {
    let path = transcript.with_extension("").join("workflows/wf_1.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!(r#"{{"id":"wf_1","step":{number}}}"#)).unwrap();
}

fn is_transcript(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "jsonl")
}

/// Keeps the first lines of a transcript.
fn cut(path: &Path, lines: usize) {
    let text = fs::read(path).unwrap();
    let kept: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').take(lines).collect();
    fs::write(path, kept.concat()).unwrap();
}

impl Machine {
    fn new(root: &Path, home: &str, remote: &Path, clock: Arc<dyn Clock>) -> Self {
        let home = root.join(home);
        fs::create_dir_all(home.join("app")).unwrap();
        let env = environment(&home, Dirs::below(&home.join(".ccsync")));
        let request = SetUp {
            remote: Some(RemoteUrl::parse(remote.to_str().unwrap(), &home).unwrap()),
            ..SetUp::default()
        };
        set_up(&env, &*clock, Arc::new(Silent), false, request).unwrap();
        Self {
            env,
            root: root.to_owned(),
            clock,
            permitted: RefCell::default(),
        }
    }

    /// Returns the remote, wherever it is at the moment.
    fn remote(&self) -> PathBuf {
        let here = self.root.join("remote.git");
        if here.exists() {
            here
        } else {
            self.root.join("away.git")
        }
    }

    fn transcript(&self, number: usize) -> PathBuf {
        let project = if number < FIRST_SECRET {
            "work/app"
        } else {
            "secret/app"
        };
        let project = self.env.home.join(project);
        let name = ccsync::domain::client_dir::client_dir_name(project.to_str().unwrap());
        self.projects()
            .join(name)
            .join(format!("{}.jsonl", session_id(number)))
    }

    fn projects(&self) -> PathBuf {
        self.env.claude_dir.join("projects")
    }

    /// Returns the path of the one task of a session.
    fn task_path(&self, transcript: &Path) -> PathBuf {
        let session = transcript.file_stem().unwrap();
        self.env
            .claude_dir
            .join("tasks")
            .join(session)
            .join("1.json")
    }

    fn write_task(&self, transcript: &Path, number: usize) {
        let path = self.task_path(transcript);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let task = format!(r#"{{"id":"1","subject":"task-{number}","status":"pending"}}"#);
        fs::write(path, task).unwrap();
    }

    /// Returns the tasks and states of workflows of all sessions.
    fn tasks(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = tree(&self.env.claude_dir).into_iter();
        let tasks = files.filter_map(|(path, (_, text))| {
            let path = match path.strip_prefix("projects") {
                Ok(below) => below.iter().skip(1).collect(),
                Err(_) => path,
            };
            let is_task = path.starts_with("tasks") || path.iter().any(|part| part == "workflows");
            (is_task && path.extension().is_some_and(|e| e == "json")).then_some((path, text))
        });
        tasks.collect()
    }

    /// Returns the titles that the user gave.
    fn titles(&self) -> BTreeSet<(SessionId, String)> {
        let rows = list(&self.context(), &ListFilter::default()).unwrap();
        let titles = rows
            .into_iter()
            .filter_map(|row| Some((row.session, row.title?)));
        titles
            .filter(|(_, title)| title.starts_with("title-"))
            .collect()
    }

    fn sessions(&self) -> Vec<PathBuf> {
        let projects = walkdir::WalkDir::new(self.projects())
            .max_depth(2)
            .sort_by_file_name();
        let files = projects
            .into_iter()
            .flatten()
            .map(walkdir::DirEntry::into_path);
        files.filter(|path| is_transcript(path)).collect()
    }

    fn nth_session(&self, n: usize) -> Option<PathBuf> {
        let sessions = self.sessions();
        (!sessions.is_empty()).then(|| sessions[n % sessions.len()].clone())
    }

    fn context(&self) -> Context<'_> {
        context_of(&self.env, &*self.clock)
    }

    fn push(&self) {
        let report = self.sync(|ctx| push(ctx, &Selection::default(), false));
        self.check_report(&report.unwrap());
    }

    fn pull(&self, sessions: &[SessionId]) {
        let request = PullRequest {
            days: Some(30_000),
            sessions: sessions.to_vec(),
            ..PullRequest::default()
        };
        self.check_result(self.sync(|ctx| pull(ctx, &request)));
    }

    fn undo(&self) {
        let undone = self.run_beside_others(|| undo(&self.context(), JournalKind::Change, false));
        drop(undone.unwrap());
    }

    /// Continues a session as far as the lock permits it. Offline, only pushes.
    fn resume(&self, transcript: &Path, turn: impl FnOnce()) {
        let session: SessionId = transcript
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        match self.sync(|ctx| acquire(ctx, &session, TakeOver::No)) {
            Ok(_) => turn(),
            Err(SyncError::Remote(_)) => {}
            Err(e) => panic!("{e}"),
        }
        let finished = self.sync(|ctx| finish(ctx, &[session].into()));
        self.check_result(finished.map(|finished| finished.report));
    }

    /// Runs a command that may send.
    fn sync<T>(&self, command: impl FnOnce(&Context<'_>) -> T) -> T {
        if !self.is_excluding() {
            self.permitted.borrow_mut().extend(self.secret_lines());
        }
        self.run_beside_others(|| command(&self.context()))
    }

    fn check_result(&self, result: Result<Report, SyncError>) {
        match result {
            Ok(report) => self.check_report(&report),
            Err(SyncError::Remote(_)) => {}
            Err(e) => panic!("{e}"),
        }
    }

    /// Checks that everything is synced that this machine and the remote permit.
    fn check_report(&self, report: &Report) {
        let open = self.open_session();
        let is_expected = |session: &SessionReport| match &session.outcome {
            Outcome::Skipped { .. } => {
                open.as_ref() == Some(&session.session) || refuses(&self.remote(), &session.session)
            }
            Outcome::NotPulled { .. } => false,
            _ => true,
        };
        let is_refused = matches!(report.remote, RemoteState::Refused { .. });
        let offline = matches!(report.remote, RemoteState::Queued { .. });
        assert!(
            !offline || !self.root.join("remote.git").exists(),
            "{report:#?}"
        );
        assert!(
            !is_refused && report.sessions.iter().all(is_expected),
            "{report:#?}"
        );
    }

    /// Checks that the files here, the store and the remote agree in every byte.
    fn verify(&self) {
        let found = verify(
            &self.context(),
            &VerifyRequest {
                full: true,
                ..VerifyRequest::default()
            },
        )
        .unwrap();
        let whole = found
            .objects
            .as_ref()
            .is_some_and(|objects| objects.damaged.is_empty());
        let up_to_date = matches!(found.remote, RemoteStatus::UpToDate { .. });
        let agree = found.sessions.iter().all(SessionCheck::agrees);
        assert!(
            whole && up_to_date && agree && found.remote_damage.is_none(),
            "{found:#?}"
        );
    }

    fn all_sessions(&self) -> Vec<SessionId> {
        let filter = ListFilter {
            fetch: true,
            ..ListFilter::default()
        };
        list(&self.context(), &filter)
            .unwrap()
            .into_iter()
            .map(|row| row.session)
            .collect()
    }

    fn conversations(&self) -> Conversations {
        conversations(&self.projects())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn model_random_commands_lose_and_duplicate_no_line(ops in prop::collection::vec(op(), 4..40)) {
        let mut world = World::new();
        for op in &ops {
            world.run(op);
        }
        world.settle();
        world.check();
        world.check_rest();
    }
}

/// Returns the number of cases; `CCSYNC_MODEL_CASES` asks for a longer run.
fn cases() -> u32 {
    std::env::var("CCSYNC_MODEL_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(16)
}
