//! The cost of rewriting, compared with copying the same bytes in memory, and of the search for
//! secrets, compared with collapse.
//!
//! ```text
//! cargo bench --bench rewrite -- DIRECTORY [HOME]
//! ```
//!
//! `DIRECTORY` (or `CCSYNC_BENCH_DIR`) holds session files; `HOME` (default `/home/al`) is the home
//! directory that they name. Every file is measured on its own into a reused buffer; of several
//! rounds over all files the best counts.

#![allow(clippy::print_stdout, reason = "its output is its result")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads its arguments and the clock itself"
)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use ccsync::domain::placeholder::{Placeholder, Placeholders, System};
use ccsync::rewrite::{Collapser, Expander, TextKind, View};
use ccsync::secrets::Scanner;

const ROUNDS: usize = 15;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let Some(directory) = arguments
        .first()
        .cloned()
        .or_else(|| std::env::var("CCSYNC_BENCH_DIR").ok())
    else {
        println!(
            "skipped: give a directory of session files as an argument or in CCSYNC_BENCH_DIR"
        );
        return;
    };
    let home = arguments.get(1).map_or("/home/al", String::as_str);
    let files = load(Path::new(&directory));
    let origin = placeholders(System::Linux, home, "/opt/build-cache", '/');
    let directories: Vec<String> = ["work/app", "work/my_app", "src/api"]
        .map(|tail| format!("{home}/{tail}"))
        .to_vec();
    let collapser = Collapser::new(&origin, &directories);
    let portable: Vec<_> = files
        .iter()
        .map(|(kind, text)| {
            let mut out = Vec::new();
            collapser.collapse(text, *kind, &mut out);
            (*kind, out)
        })
        .collect();
    let bytes = files.iter().map(|(_, text)| text.len()).sum::<usize>();
    let found = portable
        .iter()
        .map(|(_, text)| memchr::memmem::find_iter(text, "{{").count())
        .sum::<usize>();
    println!(
        "{} files, {} MB, {found} placeholders",
        files.len(),
        bytes / 1_000_000
    );

    let collapse = measure("collapse", bytes, &files, |kind, text, out| {
        collapser.collapse(text, kind, out);
    });
    let scanner = Scanner::new();
    measure("search for secrets", bytes, &files, |kind, text, _| {
        black_box(scanner.scan(text, kind));
    });
    let both = measure("search, then collapse", bytes, &files, |kind, text, out| {
        black_box(scanner.scan(text, kind));
        collapser.collapse(text, kind, out);
    });
    let ratio = both.saturating_sub(collapse).as_secs_f64() / collapse.as_secs_f64();
    println!("the search adds {ratio:.2} x collapse");
    let macos = placeholders(System::Macos, "/Users/bo", "/opt/cache", '/');
    let windows = placeholders(System::Windows, "C:\\Users\\bo", "D:\\cache", '\\');
    for (name, expander) in [
        ("expand, exact", Expander::exact(&origin)),
        (
            "expand, local, macOS",
            Expander::new(&origin, &macos, View::Local),
        ),
        (
            "expand, local, Windows",
            Expander::new(&origin, &windows, View::Local),
        ),
        (
            "expand, original, macOS",
            Expander::new(&origin, &macos, View::Original),
        ),
    ] {
        measure(name, bytes, &portable, |kind, text, out| {
            expander.expand(text, kind, out);
        });
    }
}

fn placeholders(system: System, home: &str, other: &str, separator: char) -> Placeholders {
    let projects = format!("{home}{separator}work");
    let root = |(name, path): (&str, &str)| {
        Placeholder::new(system, name.parse().expect("name"), path, None).expect("path")
    };
    Placeholders::new(
        system,
        [("HOME", home), ("PROJECTS", &projects), ("CACHE", other)].map(root),
    )
}

fn load(directory: &Path) -> Vec<(TextKind, Vec<u8>)> {
    let files = walkdir::WalkDir::new(directory)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok);
    let sessions = files
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| {
            let kind = match entry.path().extension()?.to_str()? {
                "jsonl" | "json" => TextKind::Json,
                "txt" | "md" => TextKind::Plain,
                _ => return None,
            };
            Some((kind, std::fs::read(entry.path()).ok()?))
        });
    sessions.collect()
}

/// Reports the least time over all rounds that `run` takes for all texts, and that copying them
/// takes. The rounds take turns, so that a busy machine slows both. Returns the time of `run`.
fn measure(
    name: &str,
    bytes: usize,
    texts: &[(TextKind, Vec<u8>)],
    run: impl Fn(TextKind, &[u8], &mut Vec<u8>),
) -> Duration {
    let largest = texts.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
    // Written once, so that no round pays for fresh pages.
    let mut out = vec![1; 2 * largest + 4096];
    let (mut copy, mut time) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        copy = copy.min(round(texts, &mut out, |_, text, out| {
            out.extend_from_slice(text);
        }));
        time = time.min(round(texts, &mut out, &run));
    }
    report(name, bytes, time, copy);
    time
}

fn round(
    texts: &[(TextKind, Vec<u8>)],
    out: &mut Vec<u8>,
    run: impl Fn(TextKind, &[u8], &mut Vec<u8>),
) -> Duration {
    let start = Instant::now();
    for (kind, text) in texts {
        out.clear();
        run(*kind, black_box(text), out);
        black_box(&out);
    }
    start.elapsed()
}

fn report(name: &str, bytes: usize, time: Duration, copy: Duration) {
    let speed = bytes as f64 / time.as_secs_f64() / 1e9;
    let ratio = time.as_secs_f64() / copy.as_secs_f64();
    let copied = bytes as f64 / copy.as_secs_f64() / 1e9;
    println!(
        "{name:24} {:8.1} ms {speed:6.2} GB/s {ratio:5.2} x copy ({copied:.2} GB/s)",
        time.as_secs_f64() * 1e3
    );
}
