//! The order of the folders of `src`: which may use which, and that no files use each other in a
//! circle.
//!
//! To see every upward use and every circle with the names that cause it:
//! `CCSYNC_LAYERS=print cargo test --test main layers`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::source::{package, program_sources};
use imports::ImportGraph;

mod imports;

/// The folders that know nothing of a whole sync.
const BASE: &str =
    "domain sys rewrite config secrets encryption session store transport remote lock project";

/// From bottom to top: a folder of `src`, and the folders that it may use besides itself.
const ALLOWED: [(&str, &[&str]); 31] = [
    ("domain", &[]),
    ("sys", &["domain"]),
    ("rewrite", &["domain"]),
    ("config", &["domain sys"]),
    ("secrets", &["domain sys rewrite config"]),
    ("encryption", &["domain"]),
    ("session", &["domain sys"]),
    ("store", &["domain sys encryption"]),
    ("transport", &["domain sys"]),
    ("remote", &["domain sys encryption store transport"]),
    ("lock", &["domain sys store transport"]),
    ("project", &["domain sys transport"]),
    ("report", &["domain store"]),
    ("checkouts", &[BASE]),
    ("localize", &[BASE, "checkouts"]),
    ("workspace", &[BASE, "report checkouts localize"]),
    ("extras", &[BASE, "report checkouts localize workspace"]),
    (
        "flows",
        &[BASE, "report checkouts localize workspace extras"],
    ),
    (
        "leasing",
        &[BASE, "report checkouts localize workspace flows"],
    ),
    (
        "deletion",
        &[
            BASE,
            "report checkouts localize workspace extras flows leasing",
        ],
    ),
    (
        "history",
        &[BASE, "report checkouts localize workspace extras flows"],
    ),
    (
        "browse",
        &[
            BASE,
            "report checkouts localize workspace extras flows leasing",
        ],
    ),
    (
        "check",
        &[BASE, "report checkouts localize workspace extras flows"],
    ),
    (
        "import",
        &[BASE, "report checkouts localize workspace extras flows"],
    ),
    (
        "machine",
        &[BASE, "report checkouts localize workspace flows leasing"],
    ),
    (
        "handoff",
        &[
            BASE,
            "report checkouts localize workspace flows leasing browse",
        ],
    ),
    ("keeper", &[BASE, "report workspace flows leasing"]),
    (
        "daemon",
        &[BASE, "report workspace flows leasing handoff keeper"],
    ),
    ("ui", &["domain sys report"]),
    // Its commands and its list of errors name those of every folder.
    (
        "cli",
        &[
            BASE,
            "report checkouts localize workspace extras flows",
            ABOVE_FLOWS,
            "ui",
        ],
    ),
    ("lib", &[BASE, "cli"]),
];

const ABOVE_FLOWS: &str =
    "leasing deletion history browse check import machine handoff keeper daemon";

/// The largest folder holds at most one line of `src` in this many.
const MIN_PARTS: usize = 5;

/// Code that belongs to some places only: a pattern, the folders or files, and the reason.
const RESERVED: [(&str, &[&str], &str); 4] = [
    // `project` reads the user's repositories with it: one process of git for each stored session
    // would cost more than storing it.
    (
        r"\bgit2::",
        &["store", "project"],
        "the library behind the store must be replaceable",
    ),
    (
        r"\bstd::process::(Command|Child|Stdio)\b",
        &["sys"],
        "processes are started by `sys::process`",
    ),
    (
        r"\be?print(ln)?!|\bio::std(out|err)\b|\bstd(out|err)\(\)",
        &["ui", "cli", "sys/env.rs"],
        "only `ui` and `cli` print",
    ),
    (
        r"\bdialoguer::(Input|Confirm|Select|MultiSelect)\b",
        &["ui"],
        "only `ui` asks",
    ),
];

static GRAPH: LazyLock<ImportGraph> = LazyLock::new(ImportGraph::read);

#[test]
fn layers_folder_uses_only_allowed_folders() {
    let upward = upward_uses(&GRAPH);
    print_if_wanted("upward uses", &upward);
    assert!(upward.is_empty(), "\n{upward}");
}

#[test]
fn layers_files_form_no_circle() {
    let circles = GRAPH.circles();

    let mut details = String::new();
    for circle in &circles {
        writeln!(details, "circle of {} files", circle.len()).unwrap();
        for file in circle {
            details += &uses_in_circle(&GRAPH, *file, circle);
        }
    }
    print_if_wanted("circles", &details);

    let files = |circle: &Vec<usize>| {
        let names = circle
            .iter()
            .map(|file| GRAPH.files[*file].to_str().unwrap());
        format!("circle: {}", names.collect::<Vec<_>>().join(" "))
    };
    let summary: Vec<_> = circles.iter().map(files).collect();
    assert!(summary.is_empty(), "\n{}", summary.join("\n"));
}

#[test]
fn layers_largest_folder_is_a_part_of_the_source() {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for (path, text) in crate::source::files_below("src", "rs") {
        *lines.entry(folder_of(&path)).or_default() += text.lines().count();
    }
    let total: usize = lines.values().sum();
    let too_large: Vec<_> = lines
        .iter()
        .filter(|(_, n)| **n > total / MIN_PARTS)
        .collect();
    assert!(
        too_large.is_empty(),
        "over 1/{MIN_PARTS} of {total} lines: {too_large:?}"
    );
}

#[test]
fn layers_reserved_code_stays_in_its_place() {
    let mut wrong = Vec::new();
    for (pattern, places, reason) in RESERVED {
        let pattern = Regex::new(pattern).unwrap();
        for source in program_sources() {
            let folder = folder_of(&source.path);
            let is_allowed = places
                .iter()
                .any(|place| folder == *place || source.path == Path::new("src").join(place));
            if !is_allowed && pattern.is_match(&source.code) {
                wrong.push(format!("{}: {reason}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn layers_files_named_in_lib_exist() {
    let text = std::fs::read_to_string(package().join("src/lib.rs")).unwrap();
    let named = Regex::new(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.rs))`").unwrap();
    let named: Vec<_> = named
        .captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for path in named {
        let is_there = package().join("src").join(&path).exists();
        assert!(is_there || package().join(&path).exists(), "{path}");
    }
}

#[test]
fn layers_main_only_calls_library() {
    let main = fs::read_to_string(package().join("src/main.rs")).unwrap();
    assert!(main.contains("ccsync::cli::main()"), "{main}");
    assert!(main.lines().count() < 10, "{main}");
}

#[test]
fn layers_every_module_has_a_header() {
    let mut sources = program_sources();
    sources.retain(|source| !source.text.starts_with("//! "));
    let paths: Vec<_> = sources.iter().map(|source| &source.path).collect();
    assert!(paths.is_empty(), "no `//!` on the first line: {paths:?}");
}

#[test]
fn layers_every_test_file_is_a_module() {
    let main = fs::read_to_string(package().join("tests/main.rs")).unwrap();
    for entry in fs::read_dir(package().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_module = path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").exists();
        assert!(
            !is_module || name == "main" || main.contains(&format!("\nmod {name};")),
            "tests/main.rs does not name {name}"
        );
    }
}

/// Lists every use of a folder that `ALLOWED` does not name, one a line.
fn upward_uses(graph: &ImportGraph) -> String {
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    let mut unknown = BTreeSet::new();
    let mut upward = String::new();
    for (file, uses) in graph.files.iter().zip(&graph.uses) {
        let folder = folder_of(file);
        let Some(may_use) = allowed.get(folder.as_str()) else {
            unknown.insert(folder);
            continue;
        };
        for (used, paths) in uses {
            for path in paths {
                let target = folder_of(&graph.files[*used]);
                let is_allowed = |name: &str| {
                    name == folder || may_use.iter().any(|m| m.split(' ').any(|m| m == name))
                };
                let written = path
                    .strip_prefix("crate::")
                    .and_then(|p| p.split("::").next());
                if !is_allowed(&target) || !written.is_none_or(is_allowed) {
                    writeln!(
                        upward,
                        "{}: `{folder}` must not use `{path}`",
                        file.display()
                    )
                    .unwrap();
                }
            }
        }
    }
    for folder in unknown {
        writeln!(upward, "src/{folder} is missing in `ALLOWED`").unwrap();
    }
    upward
}

/// Lists what `file` uses of the other files of its `circle`.
fn uses_in_circle(graph: &ImportGraph, file: usize, circle: &[usize]) -> String {
    let mut lines = format!("  {}\n", graph.files[file].display());
    for (used, paths) in &graph.uses[file] {
        if circle.contains(used) {
            let paths: Vec<_> = paths.iter().map(String::as_str).collect();
            let used = graph.files[*used].display();
            writeln!(lines, "    -> {used} ({})", paths.join(", ")).unwrap();
        }
    }
    lines
}

/// Prints `details` past the test harness, which hides the output of a test.
fn print_if_wanted(title: &str, details: &str) {
    if std::env::var_os("CCSYNC_LAYERS").is_some_and(|value| value == "print") {
        let text = format!("== {title}\n{details}");
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
}

/// Returns `sys` for `src/sys/fs.rs`, and `config` for `src/config.rs`.
fn folder_of(path: &Path) -> String {
    let below_src = path.strip_prefix("src").unwrap();
    let first = below_src.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}
