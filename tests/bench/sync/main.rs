//! The cost of whole commands, beside plain git doing the same work in the same run.
//!
//! ```text
//! cargo bench --bench sync                        # the tables of docs/dev/performance.md
//! cargo bench --bench sync -- --remote ssh
//! cargo bench --bench sync -- --help
//! ```
//!
//! The release build runs on machines with private homes, between them a bare repository behind an
//! sshd or a web server on the loopback, or on the same disk. What plain git needs for the same
//! work is the measure: each row has a bound as a multiple of it, and a missed one is exit code 1.

#![allow(clippy::print_stdout, reason = "its output is its result")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark makes the files and processes that it measures"
)]

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;

mod archive;
mod by_itself;
mod encrypted;
mod growing;
mod machine;
mod measure;
mod memory;
mod os;
#[cfg(unix)]
mod picking;
mod place;
mod plain;
mod searching;
#[path = "../../servers/mod.rs"]
#[allow(clippy::unwrap_used, dead_code, reason = "made for tests")]
mod servers;
mod table;
mod transport;
mod twin;
mod two_machines;
mod year;

use archive::Shape;
use by_itself::ByItself;
use encrypted::Encrypted;
use growing::Growing;
#[cfg(unix)]
use picking::Picking;
use place::Place;
use searching::Searching;
use table::{Results, megabytes};
use transport::{Kind, Transport};
use two_machines::{TwoMachines, one_transcript};
use year::Year;

/// Maximum resident memory of ccsync.
const MEMORY_BOUND: u64 = 100_000_000;

/// Measures whole commands beside plain git
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench sync --")]
struct Options {
    /// Work here, and find generated sessions here the next time; a temporary directory
    /// if not given
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Ways to reach the remote; the other kinds of benchmark take the first
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["ssh", "http"])]
    remote: Vec<Kind>,
    /// Keep machines and remotes
    #[arg(long)]
    keep: bool,
    /// Number of sessions
    #[arg(long, default_value_t = 2000)]
    sessions: usize,
    /// Total number of megabytes
    #[arg(long, default_value_t = 1100)]
    megabytes: u64,
    /// Repetitions of short work; the median counts
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Let plain git do 10 of the 50 appends to a large transcript, and extrapolate
    #[arg(long)]
    skip_slow_reference: bool,
    /// Only archives of 200, 2,000 and 20,000 sessions, and transcripts of 1, 10, 50 and
    /// 200 MB
    #[arg(long)]
    growth: bool,
    /// Only months of pushes by five machines in fast motion
    #[arg(long)]
    year: bool,
    /// Only searches, beside `rg`
    #[arg(long)]
    search: bool,
    /// Only hooks, the status line, the way of a turn, and a daemon that waits for ten minutes
    #[arg(long)]
    by_itself: bool,
    /// Only an encrypted store beside a plain one, on the same disk: first push, and pushes of
    /// short appends
    #[arg(long)]
    encrypted: bool,
    /// Only the session list of `ccsync resume`: first frame and keys
    #[cfg(unix)]
    #[arg(long)]
    picker: bool,
    /// Working days of `--year`
    #[arg(long, default_value_t = 44)]
    days: usize,
    /// Everything with tiny numbers and without bounds, to test the benchmark itself
    #[arg(long, conflicts_with_all = ["growth", "year", "search", "by_itself", "encrypted"])]
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
    for kind in transports(&options) {
        match place.transport(kind) {
            Err(reason) if options.smoke => println!("skipped: {}: {reason}", kind.name()),
            Err(reason) => {
                println!("no remote over {}: {reason}", kind.name());
                return ExitCode::FAILURE;
            }
            Ok(transport) => {
                results.over(kind);
                measure(&place, &transport, &options, &mut results);
            }
        }
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

/// The daily work is measured over the given transports, the smoke test over all that
/// exist.
fn transports(options: &Options) -> Vec<Kind> {
    if options.smoke {
        return vec![Kind::Ssh, Kind::Http, Kind::Disk];
    }
    #[cfg(unix)]
    if options.picker {
        return options.remote[..1].to_vec();
    }
    if options.encrypted {
        return vec![Kind::Disk];
    }
    let is_one = options.growth || options.year || options.search || options.by_itself;
    let count = if is_one { 1 } else { options.remote.len() };
    options.remote[..count].to_vec()
}

fn measure(place: &Place, transport: &Rc<Transport>, options: &Options, results: &mut Results) {
    #[cfg(unix)]
    if options.picker {
        let picking = Picking {
            first_frame: 1_000,
            typing: 20_000,
            repeat: options.repeat,
        };
        return picking.measure(place, transport, results);
    }
    if options.smoke {
        smoke(place, transport, results);
    } else if options.growth {
        let (archives, transcripts) = ([200, 2_000, 20_000], [1, 10, 50, 200]);
        growth(place, transport, options, &archives, &transcripts, results);
    } else if options.year {
        Year {
            machines: 5,
            days: options.days,
            pushes: 8,
        }
        .measure(place, transport);
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
        .measure(place, transport, results);
    } else if options.encrypted {
        Encrypted {
            shape: Shape {
                sessions: options.sessions,
                bytes: options.megabytes * 1_000_000,
                large: 0,
            },
            repeat: options.repeat,
            appends: 60,
        }
        .measure(place, transport, results);
    } else if options.by_itself {
        ByItself {
            shape: Shape {
                sessions: options.sessions,
                bytes: options.megabytes * 1_000_000,
                large: 0,
            },
            repeat: options.repeat.max(15),
            idle_sessions: 20_000,
            idle: Duration::from_secs(600),
        }
        .measure(place, transport, results);
    } else {
        daily(place, transport, options, results);
    }
}

/// The first day, every day, and a long conversation.
fn daily(place: &Place, transport: &Rc<Transport>, options: &Options, results: &mut Results) {
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
    .measure(place, transport, results);
    let by_git = if options.skip_slow_reference { 10 } else { 50 };
    Growing {
        transcript: 20_000_000,
        appends: 50,
        by_git,
    }
    .measure(place, transport, results);
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

/// The same work for archives and transcripts of several sizes. The sessions are small, so that
/// only their number differs.
fn growth(
    place: &Place,
    transport: &Rc<Transport>,
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
        .measure(place, transport, results);
    }
    for &megabytes in transcripts {
        one_transcript(
            place,
            transport,
            megabytes * 1_000_000,
            options.repeat.min(3),
            results,
        );
    }
}

fn smoke(place: &Place, transport: &Rc<Transport>, results: &mut Results) {
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
    .measure(place, transport, results);
    Growing {
        transcript: 200_000,
        appends: 3,
        by_git: 2,
    }
    .measure(place, transport, results);
    one_transcript(place, transport, 100_000, 1, results);
    #[cfg(unix)]
    Picking {
        first_frame: 20,
        typing: 30,
        repeat: 1,
    }
    .measure(place, transport, results);
    Year {
        machines: 2,
        days: 1,
        pushes: 2,
    }
    .measure(place, transport);
    ByItself {
        shape,
        repeat: 1,
        idle_sessions: 20,
        idle: Duration::from_secs(1),
    }
    .measure(place, transport, results);
    if Command::new("rg").arg("--version").output().is_ok() {
        Searching { shape, repeat: 1 }.measure(place, transport, results);
    } else {
        println!("skipped: searches, because there is no rg to compare them with");
    }
}

/// Returns the facts on which the numbers depend.
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
