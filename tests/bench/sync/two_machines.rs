//! Two machines with an archive of sessions between them: the daily work of a user, and
//! the first day.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::archive::{Amount, Author, Shape};
use super::machine::{Gc, Machine, PULL};
use super::measure::{Cost, Pairs, timed};
use super::os;
use super::place::{Place, Remote, Scene};
use super::plain::Plain;
use super::servers::trace::Started;
use super::table::{Results, commands, megabytes};
use super::transport::Transport;
use super::twin::{Twin, TwinClone};

/// One working step in a session.
const STEP: Amount = Amount::Records(20);

/// One archive to be measured.
pub(crate) struct TwoMachines<'a> {
    /// Precedes the name of each row.
    pub(crate) label: &'a str,
    pub(crate) shape: Shape,
    /// Repetitions of the short work.
    pub(crate) repeat: usize,
}

/// A desk that pushes and a laptop that pulls, and plain git doing the same.
struct Pair<'a> {
    desk: &'a Machine,
    laptop: &'a Machine,
    twin: Twin<'a>,
    clone: TwinClone<'a>,
}

impl TwoMachines<'_> {
    pub(crate) fn measure(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        let scene = place.scene("two-machines", transport);
        let extent = place.populate(&scene, "desk", self.shape);
        println!(
            "{} sessions, {} files, {} MB",
            self.shape.sessions,
            extent.files,
            megabytes(extent.bytes)
        );
        let (desk, laptop) = (
            scene.machine("desk", Gc::Off),
            scene.machine("laptop", Gc::Off),
        );
        let (remote, plain_remote) = (
            scene.remote(&desk, "remote.git"),
            scene.remote(&desk, "plain-remote.git"),
        );
        let desk_plain = self.first_push(&desk, &remote, &plain_remote, results);
        self.push_nothing(&desk, &desk_plain, results);
        let laptop_plain = self.first_pull(&laptop, &remote, &plain_remote, results);
        self.pull_nothing(&laptop, &laptop_plain, results);
        // The laptop has added itself to the store.
        desk.pull();
        let pair = Pair::new(&scene, &remote, &desk, &laptop);
        let (median, large) = notable(&desk.projects(), self.shape.large);
        let mut author = Author::new(&desk.home);
        self.one_changed(&pair, &mut author, &median, results);
        if self.shape.large > 0 {
            self.one_changed(&pair, &mut author, &large, results);
        }
        self.count(&pair, &mut author, &median, results);
    }

    fn first_push<'a>(
        &self,
        desk: &'a Machine,
        remote: &Remote,
        plain_remote: &Remote,
        results: &mut Results,
    ) -> Plain<'a> {
        let plain = Plain::for_client(desk, plain_remote);
        desk.init(remote);
        os::settle();
        let by_git = plain.push();
        os::settle();
        let pairs = Pairs::one(by_git, desk.ccsync(["push"]));
        self.row(results, "first push", pairs, 0.5);
        plain
    }

    fn push_nothing(&self, desk: &Machine, plain: &Plain<'_>, results: &mut Results) {
        let pairs = self.alternately(|| plain.push(), || desk.ccsync(["push"]));
        self.row(results, "push, nothing changed", pairs, 0.5);
        let started = desk.started_by_ccsync(&["push"]);
        results.check(
            format!("{}push, nothing changed: no process is started", self.label),
            commands(&started),
            started.processes == 0 && started.connections == 0,
        );
    }

    fn first_pull<'a>(
        &self,
        laptop: &'a Machine,
        remote: &Remote,
        plain_remote: &Remote,
        results: &mut Results,
    ) -> Plain<'a> {
        os::settle();
        let (plain, by_git) = Plain::clone(laptop, plain_remote);
        os::settle();
        let init = laptop.init(remote);
        let ours = init.then(laptop.pull());
        let work = "first pull: `init` and `pull`";
        self.row(results, work, Pairs::one(by_git, ours), 1.2);
        plain
    }

    fn pull_nothing(&self, laptop: &Machine, plain: &Plain<'_>, results: &mut Results) {
        let copied = laptop.root().join("copied");
        // With plain git, the user copies the files to where the client looks.
        let by_git = || {
            let pulled = plain.pull();
            pulled.then(timed(|| copy_newer(plain.tree(), &copied)))
        };
        let pairs = self.alternately(by_git, || laptop.pull());
        self.row(results, "pull, nothing new", pairs, 1.0);
    }

    /// The desk appends to one session and pushes; the laptop pulls. Plain git moves the
    /// same commit.
    fn one_changed(
        &self,
        pair: &Pair<'_>,
        author: &mut Author,
        transcript: &Path,
        results: &mut Results,
    ) {
        let size = megabytes(
            fs::metadata(transcript)
                .expect("the transcript is there")
                .len(),
        );
        let here = transcript_with_name_of(transcript, &pair.laptop.projects());
        let (mut pushes, mut pulls) = (Pairs::default(), Pairs::default());
        let mut only_tail = true;
        for turn in 0..self.repeat {
            author.append(transcript, STEP);
            os::settle();
            let ours = pair.desk.ccsync(["push"]);
            os::settle();
            pushes.push(pair.twin.push(), ours);
            let before = Written::read(&here);
            pulls.add(pair.pull(turn % 2 == 0));
            only_tail &= Written::read(&here).extends(&before);
        }
        let pull = format!("pull, 20 records appended to a session of {size} MB");
        let push = format!("push, 20 records appended to a session of {size} MB");
        self.row(results, &push, pushes, 1.25);
        self.row(results, &pull, pulls, 1.25);
        let found = if only_tail { "it is" } else { "it is replaced" };
        results.check(
            format!("{}{pull}: the file is extended in place", self.label),
            found,
            only_tail,
        );
    }

    /// Counts processes and connections of one more step, which is not timed.
    fn count(
        &self,
        pair: &Pair<'_>,
        author: &mut Author,
        transcript: &Path,
        results: &mut Results,
    ) {
        author.append(transcript, STEP);
        let push = pair.desk.started_by_ccsync(&["push"]);
        let by_git = pair.desk.started_by(&mut pair.twin.push_command());
        self.count_row(results, "push, 20 records", by_git, push);
        for command in ["pull, 20 records", "pull, nothing new"] {
            let pull = pair.laptop.started_by_ccsync(&PULL);
            let by_git = pair.laptop.started_by(&mut pair.clone.fetch_command());
            self.count_row(results, command, by_git, pull);
        }
    }

    fn count_row(&self, results: &mut Results, command: &str, plain: Started, ccsync: Started) {
        let is_one = ccsync.connections <= 1 && ccsync.connections == plain.connections;
        results.check(
            format!("{}{command}: one connection at most", self.label),
            ccsync.connections.to_string(),
            is_one,
        );
        results.count(format!("{}{command}", self.label), plain, ccsync);
    }

    /// Runs both in turns, so that a busy machine slows both; the first turn warms up.
    fn alternately(&self, plain: impl Fn() -> Cost, ccsync: impl Fn() -> Cost) -> Pairs {
        os::settle();
        plain();
        ccsync();
        let mut pairs = Pairs::default();
        for turn in 0..self.repeat {
            pairs.add(in_turn(turn % 2 == 0, &plain, &ccsync));
        }
        pairs
    }

    fn row(&self, results: &mut Results, work: &str, pairs: Pairs, bound: f64) {
        results.row(format!("{}{work}", self.label), pairs, bound);
    }
}

impl<'a> Pair<'a> {
    fn new(scene: &Scene, remote: &Remote, desk: &'a Machine, laptop: &'a Machine) -> Self {
        let twin = Twin::new(scene, remote, desk);
        Self {
            desk,
            laptop,
            clone: twin.clone_of(laptop),
            twin,
        }
    }

    /// Pulls with both programs.
    fn pull(&self, plain_first: bool) -> (Cost, Cost) {
        in_turn(
            plain_first,
            || {
                os::settle();
                self.clone.fetch()
            },
            || {
                os::settle();
                self.laptop.pull()
            },
        )
    }
}

/// Runs both; the second may find more in the memory of the system.
fn in_turn(plain_first: bool, plain: impl Fn() -> Cost, ccsync: impl Fn() -> Cost) -> (Cost, Cost) {
    if plain_first {
        let by_git = plain();
        (by_git, ccsync())
    } else {
        let ours = ccsync();
        (plain(), ours)
    }
}

/// Copies the files that are newer than their copies.
fn copy_newer(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .args(["-R", "-u", "-p", "-T"])
        .args([from, to])
        .status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "`cp` copies the files that were pulled"
    );
}

/// A file at one moment.
struct Written {
    identity: u64,
    content: Vec<u8>,
}

impl Written {
    fn read(path: &Path) -> Self {
        let metadata = fs::metadata(path).expect("the session is here");
        Self {
            identity: os::identity(&metadata),
            content: fs::read(path).expect("it can be read"),
        }
    }

    /// Returns true if it is the same file with something appended.
    fn extends(&self, before: &Self) -> bool {
        let longer = self.content.len() > before.content.len();
        longer && self.identity == before.identity && self.content.starts_with(&before.content)
    }
}

/// Returns the transcript of median size, and the one closest to `large` bytes.
fn notable(projects: &Path, large: u64) -> (PathBuf, PathBuf) {
    let length = |path: &PathBuf| fs::metadata(path).expect("it was just listed").len();
    let mut found = transcripts(projects);
    found.sort_by_key(length);
    let closest = found
        .iter()
        .min_by_key(|path| length(path).abs_diff(large))
        .expect("there are sessions")
        .clone();
    (found.swap_remove(found.len() / 2), closest)
}

fn transcript_with_name_of(other: &Path, projects: &Path) -> PathBuf {
    let found = transcripts(projects)
        .into_iter()
        .find(|path| path.file_name() == other.file_name());
    found.unwrap_or_else(|| panic!("{} is not in {}", other.display(), projects.display()))
}

fn transcripts(projects: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(projects)
        .min_depth(2)
        .max_depth(2)
        .sort_by_file_name();
    let paths = entries
        .into_iter()
        .map(|entry| entry.expect("a directory can be listed").into_path());
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect()
}

/// Measures one transcript of a given size alone on both machines.
pub(crate) fn one_transcript(
    place: &Place,
    transport: &Rc<Transport>,
    bytes: usize,
    repeat: usize,
    results: &mut Results,
) {
    let scene: Scene = place.scene("one-transcript", transport);
    let (desk, laptop) = (
        scene.machine("desk", Gc::Off),
        scene.machine("laptop", Gc::Off),
    );
    let remote = scene.remote(&desk, "remote.git");
    let mut author = Author::new(&desk.home);
    let transcript = author.begin(&desk.projects(), bytes);
    desk.init(&remote);
    desk.ccsync(["push"]);
    laptop.init(&remote);
    laptop.pull();
    desk.pull();
    let shape = Shape {
        sessions: 1,
        bytes: bytes as u64,
        large: 0,
    };
    let pair = Pair::new(&scene, &remote, &desk, &laptop);
    TwoMachines {
        label: "one transcript: ",
        shape,
        repeat,
    }
    .one_changed(&pair, &mut author, &transcript, results);
}
