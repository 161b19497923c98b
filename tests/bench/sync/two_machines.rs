//! Two machines with an archive of sessions between them: everything that a person does
//! daily, and the first day.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive::{Amount, Author, Shape};
use super::machine::{Gc, Machine};
use super::measure::{Cost, timed};
use super::os;
use super::place::{Place, Scene};
use super::plain::Plain;
use super::table::{Results, megabytes};

/// What one working step adds to a session.
const STEP: Amount = Amount::Records(20);

/// One archive to be measured.
pub(crate) struct TwoMachines<'a> {
    /// Stands before the name of each row.
    pub(crate) label: &'a str,
    pub(crate) shape: Shape,
    /// How often the short work is repeated.
    pub(crate) repeat: usize,
}

/// A desk that pushes and a laptop that pulls, each with this program and with plain git.
struct Pair<'a> {
    desk: &'a Machine,
    laptop: &'a Machine,
    desk_plain: Plain<'a>,
    laptop_plain: Plain<'a>,
}

impl TwoMachines<'_> {
    pub(crate) fn measure(&self, place: &Place, results: &mut Results) {
        let scene = place.scene("two-machines");
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
        let pair = Pair {
            desk: &desk,
            laptop: &laptop,
            desk_plain,
            laptop_plain,
        };
        self.pull_nothing(&pair, results);
        let (median, large) = notable(&desk.projects(), self.shape.large);
        let mut author = Author::new(&desk.home);
        self.one_changed(&pair, &mut author, &median, results);
        if self.shape.large > 0 {
            self.one_changed(&pair, &mut author, &large, results);
        }
    }

    fn first_push<'a>(
        &self,
        desk: &'a Machine,
        remote: &Path,
        plain_remote: &Path,
        results: &mut Results,
    ) -> Plain<'a> {
        let plain = Plain::of_client(desk, plain_remote);
        desk.init(remote);
        os::settle();
        let by_git = plain.push();
        os::settle();
        self.row(results, "first push", by_git, desk.ccsync(["push"]), 0.3);
        plain
    }

    fn push_nothing(&self, desk: &Machine, plain: &Plain<'_>, results: &mut Results) {
        let (by_git, ours) = self.alternately(|| plain.push(), || desk.ccsync(["push"]));
        self.row(results, "push, nothing changed", by_git, ours, 0.5);
        let started = desk.starts_git(&["push"]);
        let found = if started { "it was" } else { "it was not" };
        results.check(
            format!("{}push, nothing changed: no git is started", self.label),
            found,
            !started,
        );
    }

    fn first_pull<'a>(
        &self,
        laptop: &'a Machine,
        remote: &Path,
        plain_remote: &Path,
        results: &mut Results,
    ) -> Plain<'a> {
        os::settle();
        let (plain, by_git) = Plain::clone(laptop, plain_remote);
        os::settle();
        let init = laptop.init(remote);
        let pull = laptop.pull();
        self.row(
            results,
            "first pull: `init` and `pull`",
            by_git,
            init.then(pull),
            1.2,
        );
        self.row(results, "of it `init`", None, init, None);
        self.row(results, "of it `pull`", None, pull, None);
        plain
    }

    fn pull_nothing(&self, pair: &Pair<'_>, results: &mut Results) {
        let (by_git, ours) = self.alternately(|| pair.pull_by_git(), || pair.laptop.pull());
        self.row(results, "pull, nothing new", by_git, ours, 1.0);
    }

    /// The desk appends to one session and pushes; the laptop pulls.
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
        let (mut pushes, mut pulls) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let mut only_tail = true;
        for _ in 0..self.repeat {
            author.append(transcript, STEP);
            os::settle();
            pushes.0.push(pair.desk_plain.push());
            pushes.1.push(pair.desk.ccsync(["push"]));
            let before = Written::read(&here);
            os::settle();
            pulls.0.push(pair.pull_by_git());
            pulls.1.push(pair.laptop.pull());
            only_tail &= Written::read(&here).extends(&before);
        }
        let (push, pull) = (
            format!("push, 20 records appended to a session of {size} MB"),
            format!("pull, 20 records appended to a session of {size} MB"),
        );
        self.row(
            results,
            &push,
            Cost::median(&pushes.0),
            Cost::median(&pushes.1),
            0.5,
        );
        self.row(
            results,
            &pull,
            Cost::median(&pulls.0),
            Cost::median(&pulls.1),
            1.0,
        );
        let found = if only_tail { "it is" } else { "it is replaced" };
        results.check(
            format!("{}{pull}: the file is extended in place", self.label),
            found,
            only_tail,
        );
    }

    /// Both in turns, so that a busy machine slows both; the first turn warms up.
    fn alternately(&self, plain: impl Fn() -> Cost, ccsync: impl Fn() -> Cost) -> (Cost, Cost) {
        os::settle();
        let turns: Vec<(Cost, Cost)> = (0..=self.repeat)
            .map(|_| (plain(), ccsync()))
            .skip(1)
            .collect();
        let (plain, ccsync): (Vec<Cost>, Vec<Cost>) = turns.into_iter().unzip();
        (Cost::median(&plain), Cost::median(&ccsync))
    }

    fn row(
        &self,
        results: &mut Results,
        workspace: &str,
        plain: impl Into<Option<Cost>>,
        ccsync: Cost,
        bound: impl Into<Option<f64>>,
    ) {
        results.row(format!("{}{workspace}", self.label), plain, ccsync, bound);
    }
}

impl Pair<'_> {
    /// What plain git leaves to its user: whatever was pulled must come to where the client looks.
    fn pull_by_git(&self) -> Cost {
        let target = self.laptop.root().join("copied");
        self.laptop_plain
            .pull()
            .then(timed(|| copy_newer(self.laptop_plain.tree(), &target)))
    }
}

/// Copies what is newer than what is there.
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

/// A file as it is now.
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

/// The transcript of median size, and the one closest to `large` bytes.
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

/// One transcript alone on both machines, of a given size.
pub(crate) fn one_transcript(place: &Place, bytes: usize, repeat: usize, results: &mut Results) {
    let scene: Scene = place.scene("one-transcript");
    let (desk, laptop) = (
        scene.machine("desk", Gc::Off),
        scene.machine("laptop", Gc::Off),
    );
    let (remote, plain_remote) = (
        scene.remote(&desk, "remote.git"),
        scene.remote(&desk, "plain-remote.git"),
    );
    let mut author = Author::new(&desk.home);
    let transcript = author.begin(&desk.projects(), bytes);
    let desk_plain = Plain::of_client(&desk, &plain_remote);
    desk_plain.push();
    desk.init(&remote);
    desk.ccsync(["push"]);
    let (laptop_plain, _) = Plain::clone(&laptop, &plain_remote);
    laptop.init(&remote);
    laptop.pull();
    let shape = Shape {
        sessions: 1,
        bytes: bytes as u64,
        large: 0,
    };
    let pair = Pair {
        desk: &desk,
        laptop: &laptop,
        desk_plain,
        laptop_plain,
    };
    TwoMachines {
        label: "one transcript: ",
        shape,
        repeat,
    }
    .one_changed(&pair, &mut author, &transcript, results);
}
