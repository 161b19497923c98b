//! The cost of a search, beside `rg` counting the matching lines in the same files of the
//! store, in the page cache.

use std::io::Read;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Instant;

use super::archive::{Author, Shape};
use super::machine::{Gc, Machine};
use super::measure::Cost;
use super::os;
use super::place::Place;
use super::table::{Results, megabytes, seconds};
use super::transport::Transport;

/// Maximum time of a search, as a multiple of `rg`.
const BOUND: f64 = 1.5;
/// Maximum time until the first result, in seconds.
const FIRST: f64 = 0.2;

/// Text of a handful of sessions only.
const RARE: &str = "dreiundzwanzig Nadeln";

const NOT_SAID: &str = "quetzalcoatlus";

/// An archive to be searched.
pub(crate) struct Searching {
    pub(crate) shape: Shape,
    /// How often each search is repeated; the median counts.
    pub(crate) repeat: usize,
}

/// The searches: name, text, and true for a regular expression.
const SEARCHES: [(&str, &str, bool); 4] = [
    ("a literal that is rare", RARE, false),
    ("a literal that is frequent", "unused variable", false),
    ("a regular expression", r"fn \w+_token\w*\(", true),
    ("a word that is nowhere", NOT_SAID, false),
];

impl Searching {
    pub(crate) fn measure(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        let scene = place.scene("search", transport);
        let extent = place.populate(&scene, "desk", self.shape);
        println!(
            "{} sessions, {} files, {} MB",
            self.shape.sessions,
            extent.files,
            megabytes(extent.bytes)
        );
        let desk = scene.machine("desk", Gc::Off);
        hide(&desk);
        desk.init(&scene.remote(&desk, "remote.git"));
        desk.ccsync(["push"]);
        os::settle();
        println!(
            "\n| search | rg s | ccsync s | ratio | first result s | ccsync MB |\n|---|---|---|---|---|---|"
        );
        for (name, text, is_regex) in SEARCHES {
            self.one(&desk, name, text, is_regex, results);
        }
    }

    fn one(&self, desk: &Machine, name: &str, text: &str, is_regex: bool, results: &mut Results) {
        let option = if is_regex { "--regex" } else { "--color=never" };
        let kind = if is_regex {
            "--no-fixed-strings"
        } else {
            "--fixed-strings"
        };
        let sessions = desk.store().join("sessions");
        let args = ["search", option, text];
        let mut turns = Vec::new();
        // The first round warms up.
        for _ in 0..=self.repeat {
            let by_rg = desk.finds(
                "rg",
                &sessions,
                &["--count", "--smart-case", kind, "--regexp", text],
            );
            let ours = desk.finds(env!("CARGO_BIN_EXE_ccsync"), &desk.home, &args);
            let first = first_result(desk.command(env!("CARGO_BIN_EXE_ccsync")).args(args));
            turns.push((by_rg, ours, first));
        }
        let median = |of: fn(&(Cost, Cost, Cost)) -> Cost| {
            Cost::median(&turns[1..].iter().map(of).collect::<Vec<_>>())
        };
        let (by_rg, ours, first) = (
            median(|turn| turn.0),
            median(|turn| turn.1),
            median(|turn| turn.2),
        );
        let ratio = ours.seconds / by_rg.seconds;
        println!(
            "| {name} | {} | {} | {ratio:.2} | {} | {} |",
            seconds(by_rg.seconds),
            seconds(ours.seconds),
            seconds(first.seconds),
            megabytes(ours.usage.own.resident)
        );
        results.check(
            format!("search for {name}: at most {BOUND} times rg"),
            format!("{ratio:.2}"),
            ratio <= BOUND,
        );
        // If nothing is found, the end counts as the first result.
        if text != NOT_SAID {
            let is_soon = first.seconds <= FIRST;
            results.check(
                format!("search for {name}: first result in {FIRST} s"),
                seconds(first.seconds),
                is_soon,
            );
        }
    }
}

/// Adds the rare text to three more sessions.
fn hide(desk: &Machine) {
    let mut author = Author::new(&desk.home);
    for _ in 0..3 {
        let transcript = author.begin(&desk.projects(), 40_000);
        author.say(&transcript, &format!("there are {RARE} in this haystack"));
    }
}

/// Returns the time until something is printed, or the command ends.
fn first_result(command: &mut Command) -> Cost {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut stdout = child.stdout.take().expect("its output is piped");
    let _ = stdout.read(&mut [0]);
    let seconds = start.elapsed().as_secs_f64();
    let _ = std::io::copy(&mut stdout, &mut std::io::sink());
    child.wait().expect("a child can be waited for");
    Cost {
        seconds,
        ..Cost::default()
    }
}
