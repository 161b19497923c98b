//! What whole commands cost, beside plain git doing the same work in the same run.
//!
//! ```text
//! cargo bench --bench sync                    # the table of docs/dev/performance.md
//! cargo bench --bench sync -- --help
//! ```
//!
//! The release build runs on machines with private homes, between them a bare repository
//! on the same disk. What plain git needs for the same files is the measure: each row has
//! a bound as a multiple of it, and a missed one is exit code 1.

#![allow(clippy::print_stdout, reason = "its output is its result")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark makes the files and processes that it measures"
)]

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;

mod archive;
mod growing;
mod machine;
mod measure;
mod memory;
mod os;
mod place;
mod plain;
mod searching;
mod table;
mod two_machines;
mod year;

use archive::Shape;
use growing::Growing;
use place::Place;
use searching::Searching;
use table::{Results, megabytes};
use two_machines::{TwoMachines, one_transcript};
use year::Year;

/// The most that this program itself may have resident.
const MEMORY_BOUND: u64 = 100_000_000;

/// Measures whole commands beside plain git
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench sync --")]
struct Options {
    /// Work here, and find generated sessions here the next time; a temporary directory
    /// if not given
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Leave machines and remotes where they are
    #[arg(long)]
    keep: bool,
    /// How many sessions
    #[arg(long, default_value_t = 2000)]
    sessions: usize,
    /// How many megabytes in all
    #[arg(long, default_value_t = 1100)]
    megabytes: u64,
    /// How often short work is repeated; the median counts
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Let plain git do 10 of the 50 appends to a large transcript, and extrapolate
    #[arg(long)]
    skip_slow_reference: bool,
    /// Instead: archives of 200, 2,000 and 20,000 sessions, transcripts of 1, 10, 50 and 200 MB
    #[arg(long)]
    growth: bool,
    /// Instead: months of pushes by five machines in fast motion
    #[arg(long)]
    year: bool,
    /// Instead: searches, beside `rg`
    #[arg(long)]
    search: bool,
    /// Working days of `--year`
    #[arg(long, default_value_t = 44)]
    days: usize,
    /// All of it with tiny numbers and without bounds: whether the benchmark itself works
    #[arg(long, conflicts_with_all = ["growth", "year", "search"])]
    smoke: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let place = Place::new(options.dir.as_deref(), options.keep);
    println!("{}", surroundings());
    let mut results = Results::new(!options.smoke && !options.growth);
    if options.smoke {
        smoke(&place, &mut results);
    } else if options.growth {
        growth(
            &place,
            &options,
            &[200, 2_000, 20_000],
            &[1, 10, 50, 200],
            &mut results,
        );
    } else if options.year {
        Year {
            machines: 5,
            days: options.days,
            pushes: 8,
        }
        .measure(&place);
    } else if options.search {
        let shape = Shape {
            sessions: options.sessions,
            bytes: options.megabytes * 1_000_000,
            large: 20_000_000,
        };
        Searching {
            shape,
            repeat: options.repeat,
        }
        .measure(&place, &mut results);
    } else {
        daily(&place, &options, &mut results);
    }
    results.print();
    if options.smoke {
        return ExitCode::SUCCESS;
    }
    let missed = results.missed();
    for what in &missed {
        println!("missed: {what}");
    }
    if missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The first day, every day, and a long conversation.
fn daily(place: &Place, options: &Options, results: &mut Results) {
    let bytes = options.megabytes * 1_000_000;
    let shape = Shape {
        sessions: options.sessions,
        bytes,
        large: 20_000_000.min(bytes / 10),
    };
    TwoMachines {
        label: "",
        shape,
        repeat: options.repeat,
    }
    .measure(place, results);
    let by_git = if options.skip_slow_reference { 10 } else { 50 };
    Growing {
        transcript: 20_000_000,
        appends: 50,
        by_git,
    }
    .measure(place, results);
    let used = results.memory();
    let found = format!(
        "{} MB; its largest git {} MB",
        megabytes(used.own.resident),
        megabytes(used.git.resident)
    );
    let what = format!(
        "ccsync itself never needs more than {} MB",
        megabytes(MEMORY_BOUND)
    );
    results.check(what, found, used.own.resident <= MEMORY_BOUND);
}

/// The same work for archives and transcripts of several sizes. The sessions are small,
/// so that only their number differs.
fn growth(
    place: &Place,
    options: &Options,
    archives: &[usize],
    transcripts: &[usize],
    results: &mut Results,
) {
    for &sessions in archives {
        let shape = Shape {
            sessions,
            bytes: sessions as u64 * 20_000,
            large: 0,
        };
        let label = format!("{sessions} sessions: ");
        TwoMachines {
            label: &label,
            shape,
            repeat: options.repeat,
        }
        .measure(place, results);
    }
    for &megabytes in transcripts {
        one_transcript(place, megabytes * 1_000_000, options.repeat.min(3), results);
    }
}

fn smoke(place: &Place, results: &mut Results) {
    let shape = Shape {
        sessions: 20,
        bytes: 600_000,
        large: 100_000,
    };
    TwoMachines {
        label: "",
        shape,
        repeat: 1,
    }
    .measure(place, results);
    Growing {
        transcript: 200_000,
        appends: 3,
        by_git: 2,
    }
    .measure(place, results);
    one_transcript(place, 100_000, 1, results);
    Year {
        machines: 2,
        days: 1,
        pushes: 2,
    }
    .measure(place);
    if Command::new("rg").arg("--version").output().is_ok() {
        Searching { shape, repeat: 1 }.measure(place, results);
    } else {
        println!("skipped: searches, because there is no rg to compare them with");
    }
}

/// What the numbers depend on.
fn surroundings() -> String {
    let git = Command::new("git")
        .arg("--version")
        .output()
        .expect("git is on the PATH")
        .stdout;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let (git, date) = (
        String::from_utf8_lossy(&git),
        chrono::Utc::now().format("%Y-%m-%d"),
    );
    format!(
        "{date}, {}, {cores} cores, load {load} at the start, {}",
        std::env::consts::OS,
        git.trim_end()
    )
}
