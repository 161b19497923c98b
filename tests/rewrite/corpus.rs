//! Real sessions, if they are available: `CCSYNC_CORPUS_DIR` names a directory of cases
//! as the client wrote them, each with a `case.json` that names the projects of its
//! sessions.

use std::path::Path;

use ccsync::domain::placeholder::{Placeholders, System};
use ccsync::rewrite::{Expander, TextKind, View};
use walkdir::WalkDir;

use super::{collapse, expand, placeholders, read};

/// The home directories under which the corpus was made.
const HOMES: [&str; 2] = ["/home/alice", "/home/bob"];

#[test]
#[allow(clippy::print_stderr)]
fn rewrite_every_corpus_file_round_trips() {
    let Some(corpus) = std::env::var_os("CCSYNC_CORPUS_DIR") else {
        eprintln!("skipped: CCSYNC_CORPUS_DIR is not set");
        return;
    };
    let mut files = 0;
    for case in std::fs::read_dir(corpus)
        .expect("the corpus")
        .map(|entry| entry.expect("a case").path())
    {
        if case.join("case.json").is_file() {
            files += check_case(&case);
        }
    }
    assert!(files > 100, "{files} files");
}

fn check_case(case: &Path) -> usize {
    let directories = projects(&case.join("case.json"));
    let mut files = 0;
    for entry in WalkDir::new(case)
        .into_iter()
        .map(|entry| entry.expect("an entry"))
    {
        if entry.file_type().is_file() {
            for home in HOMES {
                check_file(entry.path(), &machine(home), &directories);
            }
            files += 1;
        }
    }
    files
}

fn machine(home: &str) -> Placeholders {
    placeholders(
        System::Linux,
        &[("HOME", home), ("PROJECTS", &format!("{home}/projects"))],
    )
}

fn projects(case: &Path) -> Vec<String> {
    let case: serde_json::Value =
        serde_json::from_slice(&std::fs::read(case).expect("case.json")).expect("JSON");
    let sessions = case["sessions"]
        .as_object()
        .into_iter()
        .flat_map(|sessions| sessions.values());
    sessions
        .filter_map(|session| Some(session["project"].as_str()?.to_owned()))
        .collect()
}

fn check_file(path: &Path, origin: &Placeholders, directories: &[String]) {
    let text = std::fs::read(path).expect("a file");
    let is_json = path
        .extension()
        .is_some_and(|extension| extension == "jsonl" || extension == "json");
    let kind = if is_json {
        TextKind::Json
    } else {
        TextKind::Plain
    };
    let portable = collapse(origin, directories, kind, &text);
    assert!(
        expand(&Expander::exact(origin), kind, &portable) == text,
        "{} is not exact",
        path.display()
    );
    let home = &origin.get("HOME").expect("HOME").directory;
    for line in portable.split(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(line);
        for after in [format!("{home}/"), format!("{home}\"")] {
            assert!(
                !line.contains(&format!("\"{after}")),
                "{}: {home} is left",
                path.display()
            );
        }
    }
    let there = placeholders(
        System::Linux,
        &[("HOME", "/srv/someone"), ("PROJECTS", "/srv/someone/code")],
    );
    let local = read(origin, &there, View::Local, kind, &portable);
    assert_eq!(
        is_lines_of_json(&local),
        is_lines_of_json(&text),
        "{}",
        path.display()
    );
}

fn is_lines_of_json(text: &[u8]) -> Vec<bool> {
    text.split(|b| *b == b'\n')
        .map(|line| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok())
        .collect()
}
