//! Checks the pages against the program: commands, options, settings, variables, files
//! and links.
//!
//! `CCSYNC_UPDATE_DOCS=1 cargo test --test main docs` rewrites the generated parts.

mod commands;
mod json;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::harness::{ONE, TestEnv};

/// A page of the manual or of the developer documentation.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: &str) -> Self {
        let path = repository().join(path);
        let text = fs::read_to_string(&path).unwrap();
        Self { path, text }
    }

    /// Returns the path relative to the repository.
    fn name(&self) -> String {
        let name = self.path.strip_prefix(repository()).unwrap();
        name.to_str().unwrap().to_owned()
    }

    /// Returns the anchors of all headings, as GitHub forms them.
    fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for heading in unfenced_lines(&self.text).filter(|line| line.starts_with('#')) {
            let slug = slug(heading.trim_start_matches('#').trim());
            let numbered = (1..).map(|n| format!("{slug}-{n}"));
            let mut names = std::iter::once(slug.clone()).chain(numbered);
            anchors.insert(names.find(|name| !anchors.contains(name)).unwrap());
        }
        anchors
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_update() -> bool {
    std::env::var_os("CCSYNC_UPDATE_DOCS").is_some()
}

/// Returns the README, the changelog and every page below `docs/`.
fn pages() -> Vec<Page> {
    let below_docs = walkdir::WalkDir::new(repository().join("docs")).sort_by_file_name();
    let found = below_docs
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"));
    let top = ["README.md", "CHANGELOG.md"].map(|name| repository().join(name));
    top.into_iter()
        .chain(found)
        .map(|path| Page::read(path.strip_prefix(repository()).unwrap().to_str().unwrap()))
        .collect()
}

/// Returns the lines outside of fenced blocks.
fn unfenced_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    })
}

fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Returns the rows of all tables whose first cell is code, as the text of their cells.
fn code_rows(text: &str) -> Vec<Vec<String>> {
    let rows = unfenced_lines(text).filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells = row.trim_matches(['|', ' ']).split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

/// Returns the texts in backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the part of a page below a heading of level 2.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("\n## {heading}\n")).unwrap() + 1;
    let end = page[start..]
        .find("\n## ")
        .map_or(page.len(), |at| start + at);
    &page[start..end]
}

#[test]
fn docs_links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for page in pages() {
        for found in link.captures_iter(&page.text) {
            let target = &found[1];
            if target.starts_with("https://keepachangelog.com") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => page.path.clone(),
                file => page.path.parent().unwrap().join(file),
            };
            let has_anchor = || {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let path = path.clone();
                Page { path, text }.anchors().contains(anchor)
            };
            if !path.exists() || !anchor.is_empty() && !has_anchor() {
                broken.push(format!("{}: {target}", page.name()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn docs_index_names_every_page() {
    let index = Page::read("docs/README.md").text;
    let missing: Vec<String> = pages()
        .iter()
        .filter_map(|page| page.name().strip_prefix("docs/").map(str::to_owned))
        .filter(|name| name != "README.md" && !index.contains(&format!("({name})")))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn docs_readme_is_short() {
    assert!(Page::read("README.md").text.lines().count() <= 60);
}

#[test]
fn docs_name_no_foreign_package() {
    for page in pages() {
        assert!(
            !page.text.contains("cargo install ccsync"),
            "{}",
            page.name()
        );
    }
}

/// Sources name pages by their path, so that a reader finds them.
#[test]
fn docs_paths_in_sources_exist() {
    let named = Regex::new(r"docs/[a-z/-]+\.md").unwrap();
    let mut missing = BTreeSet::new();
    for directory in ["src", "tests", ".ci"] {
        let files = walkdir::WalkDir::new(repository().join(directory));
        let files = files.into_iter().map(Result::unwrap);
        for file in files.filter(|file| file.file_type().is_file()) {
            let text = fs::read(file.path()).unwrap();
            for found in named.find_iter(&String::from_utf8_lossy(&text)) {
                if !repository().join(found.as_str()).exists() {
                    missing.insert(format!("{}: {}", file.path().display(), found.as_str()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn docs_configuration_names_every_setting() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.ccsync(["init", "--yes"]).success();
    let shown = a.ccsync(["config", "show", "--json"]).success().json();
    let page = Page::read("docs/configuration.md").text;
    let rows = code_rows(section(&page, "Settings"));
    let documented: BTreeSet<&str> = rows.iter().filter_map(|row| code(&row[0]).next()).collect();
    let document = shown.as_object().unwrap().keys().map(String::as_str);
    let not_settings = ["version", "command", "file", "id", "placeholders"];
    let missing: Vec<&str> = document
        .filter(|key| !not_settings.contains(key) && !documented.contains(key))
        .collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
    let values = ["auto", "always", "never"];
    for key in documented.into_iter().filter(|key| !values.contains(key)) {
        assert!(shown.get(key).is_some(), "no setting `{key}`");
    }
}

#[test]
fn docs_configuration_names_every_variable() {
    let source = fs::read_to_string(repository().join("src/sys/env.rs")).unwrap();
    let source = source.split("mod tests").next().unwrap();
    let name = Regex::new(r#""([A-Z][A-Z_]{3,})""#).unwrap();
    let page = Page::read("docs/configuration.md").text;
    let documented: BTreeSet<&str> = code(section(&page, "Environment variables")).collect();
    // The page describes git's variables, which are passed on, as a group; the other one
    // is the host name.
    let is_special = |name: &str| name.starts_with("GIT_") || name == "COMPUTERNAME";
    for found in name.captures_iter(source) {
        let name = found.get(1).unwrap().as_str();
        let is_documented = documented.iter().any(|text| text.starts_with(name));
        assert!(is_documented || is_special(name), "{name}");
    }
}

#[test]
fn docs_configuration_names_every_state_file() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    for machine in [&a, &b] {
        fs::write(machine.home.join(".claude/CLAUDE.md"), "be brief\n").unwrap();
        machine.ccsync(["sync"]);
        machine.ccsync(["note", "hello"]).success();
    }
    a.append(ONE, "more");
    a.ccsync(["sync"]);
    b.ccsync(["sync"]);
    b.ccsync(["restore", ONE, "--at", "2999-01-01"]).success();
    fs::remove_file(b.transcript_path(ONE)).unwrap();
    b.ccsync(["lock", "show"]).success();
    b.ccsync(["sync"]);
    let page = Page::read("docs/configuration.md").text;
    let documented: BTreeSet<&str> = code(section(&page, "Files"))
        .map(|name| name.trim_end_matches('/'))
        .collect();
    for machine in [&a, &b] {
        for file in fs::read_dir(machine.home.join(".local/state/ccsync")).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(
                documented.contains(name.as_str()),
                "not on the page: {name}"
            );
        }
    }
}
