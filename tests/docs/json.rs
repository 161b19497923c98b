//! `docs/json.md` has every key of every document.
//!
//! A story on two machines produces each document once. Every key in it must have a row
//! on the page, and every row must occur, unless its type says `optional`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use regex::Regex;
use serde_json::Value;

use super::{Page, code, is_update};
use crate::harness::client::Client;
use crate::harness::{ONE, Run, TWO, TestEnv};

/// Marks a row without a description.
const UNDESCRIBED: &str = "(describe)";

/// The rows below one heading.
#[derive(Default)]
struct Section {
    rows: BTreeMap<String, Row>,
    /// The section whose rows belong to this one, too.
    base: Option<String>,
}

struct Row {
    kind: String,
    meaning: String,
}

/// The page as tables, by the anchors of their headings.
struct Tables(BTreeMap<String, Section>);

impl Tables {
    fn parse(text: &str) -> Self {
        let mut sections = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                current = super::slug(heading);
                sections.insert(current.clone(), Section::default());
            }
            let Some(section) = sections.get_mut(&current) else {
                continue;
            };
            if line.starts_with("The fields of") {
                section.base = anchor(line);
            }
            let cells: Vec<&str> = line.split(" | ").collect();
            if let [key, kind, meaning] = cells.as_slice()
                && let Some(key) = code(key).next()
            {
                let row = Row {
                    kind: (*kind).to_owned(),
                    meaning: meaning.trim_end_matches('|').to_owned(),
                };
                section.rows.insert(key.to_owned(), row);
            }
        }
        Self(sections)
    }

    /// Finds a row in a section, or in the section that it is based on. Returns the
    /// section, too.
    fn find(&self, section: &str, path: &str) -> Option<(&str, &Row)> {
        let (name, found) = self.0.get_key_value(section)?;
        match (found.rows.get(path), &found.base) {
            (Some(row), _) => Some((name, row)),
            (None, Some(base)) => self.find(base, path),
            (None, None) => None,
        }
    }

    fn has_rows_below(&self, section: &str, path: &str) -> bool {
        let prefix = format!("{path}.");
        let rows = self.0.get(section).map(|section| &section.rows);
        rows.is_some_and(|rows| rows.keys().any(|key| key.starts_with(&prefix)))
    }
}

/// Returns the anchor that a cell links to.
fn anchor(cell: &str) -> Option<String> {
    let link = Regex::new(r"\]\(#([a-z0-9-]+)\)").unwrap();
    link.captures(cell).map(|found| found[1].to_owned())
}

/// The keys of the documents, compared with the page.
#[derive(Default)]
struct Comparison {
    seen: BTreeSet<(String, String)>,
    /// Keys without a row, with their types.
    missing: BTreeMap<(String, String), &'static str>,
}

impl Comparison {
    fn object(&mut self, tables: &Tables, section: &str, prefix: &str, value: &Value) {
        let Some(object) = value.as_object() else {
            return;
        };
        for (key, value) in object {
            if prefix.is_empty() && matches!(key.as_str(), "version" | "command") {
                continue;
            }
            let path = format!("{prefix}{key}");
            let Some((owner, row)) = tables.find(section, &path) else {
                self.missing
                    .insert((section.to_owned(), path), type_of(value));
                continue;
            };
            self.seen.insert((owner.to_owned(), path.clone()));
            self.nested(tables, owner, &path, row, value);
        }
    }

    fn nested(&mut self, tables: &Tables, section: &str, path: &str, row: &Row, value: &Value) {
        let list = std::slice::from_ref(value);
        let values = value.as_array().map_or(list, Vec::as_slice);
        for value in values.iter().filter(|value| value.is_object()) {
            match anchor(&row.kind) {
                Some(shape) => {
                    self.object(tables, &shape, "", value);
                    // A row may add keys to the shape it refers to.
                    self.forget_missing(tables, &shape, section, path);
                }
                None if row.kind.contains("by name") => {}
                None if tables.has_rows_below(section, path) => {
                    self.object(tables, section, &format!("{path}."), value);
                }
                None => self.described(section, path, row, value),
            }
        }
    }

    /// Checks keys that the meaning of a row lists in backticks.
    fn described(&mut self, section: &str, path: &str, row: &Row, value: &Value) {
        for (key, value) in value.as_object().unwrap() {
            if !code(&row.meaning).any(|word| word == key) {
                let path = format!("{path}.{key}");
                self.missing
                    .insert((section.to_owned(), path), type_of(value));
            }
        }
    }

    fn forget_missing(&mut self, tables: &Tables, shape: &str, section: &str, path: &str) {
        let is_added = |key: &str| tables.find(section, &format!("{path}.{key}")).is_some();
        let added: Vec<_> = self
            .missing
            .keys()
            .filter(|(owner, key)| owner == shape && is_added(key))
            .cloned()
            .collect();
        for missing in added {
            self.missing.remove(&missing);
            self.seen
                .insert((section.to_owned(), format!("{path}.{}", missing.1)));
        }
    }

    /// Returns the rows that no document has.
    fn stale(&self, tables: &Tables) -> Vec<(String, String)> {
        let rows = tables.0.iter().flat_map(|(name, section)| {
            let required = section.rows.iter();
            let required = required.filter(|(_, row)| !row.kind.contains("optional"));
            required.map(move |(key, _)| (name.clone(), key.clone()))
        });
        rows.filter(|row| !self.seen.contains(row)).collect()
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "text or null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(list) if list.first().is_some_and(Value::is_object) => "list of objects",
        Value::Array(_) => "list of text",
        Value::Object(_) => "object",
    }
}

/// Returns the page with rows for what is missing, and without those that are stale.
fn updated(text: &str, found: &Comparison, stale: &[(String, String)]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut section = String::new();
    let mut pending: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = super::slug(heading);
            let missing = found
                .missing
                .iter()
                .filter(|((owner, _), _)| *owner == section);
            pending = missing
                .map(|((_, key), kind)| format!("| `{key}` | {kind} | {UNDESCRIBED} |"))
                .collect();
        }
        let is_row = line.starts_with("| ") || line.starts_with("|---");
        if !is_row && lines.last().is_some_and(|last| last.starts_with('|')) {
            lines.append(&mut pending);
        }
        let key = code(line).next().filter(|_| line.starts_with("| `"));
        let is_stale = key.is_some_and(|key| stale.contains(&(section.clone(), key.to_owned())));
        if !is_stale {
            lines.push(line.to_owned());
        }
    }
    lines.append(&mut pending);
    lines.join("\n") + "\n"
}

/// The documents of a story, by the headings of the page.
fn documents() -> Vec<(&'static str, Value)> {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let (at_a, _) = (Client::install(&a), Client::install(&b));
    let mut documents = Vec::new();
    let mut add = |name, run: Run| documents.push((name, run.json()));
    let extras = ["config", "set", "extras", "memory,claude-md,settings"];
    for machine in [&a, &b] {
        machine.ccsync(extras);
        add("init", machine.ccsync(["init", "--yes", "--json"]));
    }

    a.session(ONE).turn("fix the login form").write();
    fs::write(a.home.join(".claude/CLAUDE.md"), "be brief\n").unwrap();
    fs::write(a.home.join(".claude/settings.json"), "{}\n").unwrap();
    add("push", a.ccsync(["push", "--json"]));
    add("pull", b.ccsync(["pull", "--json"]));
    add("apply", b.ccsync(["apply", "--json"]));
    add("undo", b.ccsync(["undo", "--json"]));
    b.ccsync(["pull", ONE]).success();
    add("note", a.ccsync(["note", "hello", "--json"]));
    add("notes", a.ccsync(["notes", "--json"]));
    add("pull", b.ccsync(["pull", "--json"]));

    let secret = TestEnv::new();
    let (c, _) = secret.pair();
    let token = format!("ghp{}", "_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R");
    c.session(ONE).turn(&token).write();
    c.ccsync(["push"]).success();
    let list = c.ccsync(["secrets", "list", "--json"]);
    let id = list.json()["secrets"][0]["id"].clone();
    add("secrets-list", list);
    let id = id.as_str().unwrap();
    add("secrets", c.ccsync(["secrets", "ignore", id, "--json"]));

    a.append(ONE, "on a");
    add("status", a.ccsync(["status", "--json"]));
    a.ccsync(["push"]);
    b.append(ONE, "on b");
    add("sync", b.ccsync(["sync", "--json"]));
    add("recover", b.ccsync(["recover", "--json"]));
    add("list", b.ccsync(["list", "--remote", "--json"]));
    add("show", b.ccsync(["show", ONE, "--json"]));
    add("search", b.ccsync(["search", "login", "--json"]));
    let log = b.ccsync(["log", ONE, "--json"]);
    let first = log.json()["entries"].as_array().unwrap().last().unwrap()["commit"].clone();
    add("log", b.ccsync(["log", "--json"]));
    let commit = first.as_str().unwrap();
    add(
        "restore",
        b.ccsync(["restore", ONE, "--at", commit, "--json"]),
    );
    add("milestone", a.ccsync(["milestone", "m1", "--json"]));
    add(
        "milestone---list",
        a.ccsync(["milestone", "--list", "--json"]),
    );

    let child = at_a.start_late(&["resume", ONE], "under a lock");
    add("lock-show", b.ccsync(["lock", "show", "--json"]));
    add("lock-release", b.ccsync(["lock", "release", ONE, "--json"]));
    add("lock-cleanup", b.ccsync(["lock", "cleanup", "--json"]));
    at_a.finish();
    a.ended(child);

    b.session(TWO).turn("torn").raw(b"{\"torn\n").write();
    add("repair", b.ccsync(["repair", TWO, "--json"]));
    add("verify", b.ccsync(["verify", "--full", "--json"]));
    let source = a.home.join(".claude");
    add(
        "import",
        b.ccsync(["import", source.to_str().unwrap(), "--dry-run", "--json"]),
    );
    add("doctor", b.ccsync(["doctor", "--json"]));
    add("config-show", b.ccsync(["config", "show", "--json"]));
    add("machine-list", b.ccsync(["machine", "list", "--json"]));
    add(
        "machine-rename",
        b.ccsync(["machine", "rename", "bb", "--json"]),
    );
    add(
        "machine-forget",
        a.ccsync(["machine", "forget", "bb", "--yes", "--json"]),
    );
    add("delete", a.ccsync(["delete", ONE, "--yes", "--json"]));
    add("delete---list", a.ccsync(["delete", "--list", "--json"]));
    add(
        "delete---undo",
        a.ccsync(["delete", "--undo", ONE, "--json"]),
    );
    a.ccsync(["delete", ONE, "--yes"]).success();
    add("purge", a.ccsync(["purge", "--yes", "--json"]));
    add("encrypt", a.ccsync(["encrypt", "--yes", "--json"]));
    add("key-check", a.ccsync(["key", "check", "--json"]));
    add("key-rotate", a.ccsync(["key", "rotate", "--yes", "--json"]));
    a.ccsync(["auto", "on"]).success();
    add("auto", a.ccsync(["auto", "status", "--json"]));
    a.ccsync(["auto", "off"]).success();
    add("stats", a.ccsync(["stats", "--json"]));
    add("service", a.ccsync(["service", "status", "--json"]));
    // An error is a document on standard error.
    let refused = b.ccsync(["show", "ffff", "--json"]);
    documents.push(("errors", serde_json::from_str(&refused.stderr).unwrap()));
    documents
}

#[test]
fn docs_json_page_has_every_key() {
    let page = Page::read("docs/json.md");
    let tables = Tables::parse(&page.text);
    let mut found = Comparison::default();
    let mut versions = BTreeSet::new();
    for (section, document) in documents() {
        versions.insert(document["version"].to_string());
        found.object(&tables, section, "", &document);
    }

    let stale = found.stale(&tables);
    if is_update() {
        fs::write(&page.path, updated(&page.text, &found, &stale)).unwrap();
        return;
    }
    let missing: Vec<_> = found.missing.keys().collect();
    assert!(missing.is_empty(), "not on the page: {missing:#?}");
    assert!(stale.is_empty(), "in no document: {stale:#?}");
    assert!(
        !page.text.contains(UNDESCRIBED),
        "describe the new rows of docs/json.md"
    );
    for version in versions {
        let row = format!("| `version` | number | {version};");
        assert!(
            page.text.contains(&row),
            "the documents have version {version}"
        );
    }
}
