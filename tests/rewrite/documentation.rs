//! The examples of `docs/dev/rewriting.md`, executed.

use std::collections::HashMap;

use ccsync::domain::placeholder::{Placeholders, System};
use ccsync::rewrite::{Expander, TextKind, View};

use super::{collapse, expand, placeholders, read};

const DOCUMENT: &str = include_str!("../../docs/dev/rewriting.md");

/// A machine of the document, with the working directories for which directory names are known.
type Machine = (Placeholders, Vec<String>);

#[test]
fn rewrite_every_documented_example_holds() {
    let machines = machines();
    let mut journey = None;
    let mut examples = 0;
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            journey = Journey::of_heading(heading, &machines);
        }
        match (cells(line).as_slice(), &journey) {
            ([local, portable], _) => check_collapse(&machines["linux"], local, portable),
            ([written, portable, local], Some(journey)) => journey.check(written, portable, local),
            _ => continue,
        }
        examples += 1;
    }
    assert!(examples > 40, "{examples} examples");
}

/// From one machine to another, as a heading names them: `linux → mac, original`.
struct Journey<'m> {
    origin: &'m Machine,
    target: &'m Machine,
    view: View,
}

impl<'m> Journey<'m> {
    fn of_heading(heading: &str, machines: &'m HashMap<String, Machine>) -> Option<Self> {
        let (origin, target) = heading.trim_start_matches('#').trim().split_once(" → ")?;
        let (target, view) = target
            .strip_suffix(", original")
            .map_or((target, View::Local), |name| (name, View::Original));
        Some(Self {
            origin: &machines[origin],
            target: &machines[target],
            view,
        })
    }

    fn check(&self, written: &str, portable: &str, local: &str) {
        check_collapse(self.origin, written, portable);
        let read = read(
            &self.origin.0,
            &self.target.0,
            self.view,
            kind_of(written),
            portable.as_bytes(),
        );
        assert_eq!(
            String::from_utf8_lossy(&read),
            local,
            "{written} via {portable}"
        );
    }
}

fn check_collapse((origin, directories): &Machine, written: &str, portable: &str) {
    let kind = kind_of(written);
    let collapsed = collapse(origin, directories, kind, written.as_bytes());
    assert_eq!(String::from_utf8_lossy(&collapsed), portable, "{written}");
    assert_eq!(
        expand(&Expander::exact(origin), kind, &collapsed),
        written.as_bytes()
    );
}

fn kind_of(text: &str) -> TextKind {
    if serde_json::from_str::<serde_json::Value>(text).is_ok() {
        TextKind::Json
    } else {
        TextKind::Plain
    }
}

fn machines() -> HashMap<String, Machine> {
    let rows = DOCUMENT
        .lines()
        .filter_map(|line| match cells(line).as_slice() {
            [name, system, home, projects, directories @ ..] => {
                let placeholders = placeholders(
                    system_of(system)?,
                    &[("HOME", home), ("PROJECTS", projects)],
                );
                Some((
                    (*name).to_owned(),
                    (
                        placeholders,
                        directories.iter().map(|d| (*d).to_owned()).collect(),
                    ),
                ))
            }
            _ => None,
        });
    rows.collect()
}

fn system_of(name: &str) -> Option<System> {
    serde_json::from_value(serde_json::Value::from(name)).ok()
}

/// Returns the texts of a table's row, if all of its cells are code; skips empty cells.
fn cells(line: &str) -> Vec<&str> {
    let Some(row) = line
        .strip_prefix("| ")
        .and_then(|row| row.strip_suffix('|'))
    else {
        return Vec::new();
    };
    let texts = row
        .split(" | ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty());
    let texts = texts.map(|cell| {
        cell.strip_prefix('`')
            .and_then(|cell| cell.strip_suffix('`'))
    });
    texts.collect::<Option<Vec<_>>>().unwrap_or_default()
}
