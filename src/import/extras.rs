//! Reads the extras that claude-session-sync keeps in `shared_config/`, and finds the owner and
//! the writer of each.
//!
//! That program copies `CLAUDE.md`, plans and the directory `memory/` of each project byte for
//! byte, without placeholders. A memory's directory has the client's name of the path with
//! placeholders. `memory/_paths.json` was derived from directory names, in which a `-` may
//! stand for any character: the paths that sessions name have precedence.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate};
use serde_json::Value;

use crate::domain::{ExtraKind, RelativeName, client_dir::client_dir_name, path::path_below};
use crate::extras::{foreign::ForeignText, project_finder::ForeignProject};
use crate::import::directory::{
    EntryKind, NOT_A_DIRECTORY, NOT_PLAIN, SourceDirectory, UNKNOWN_FILE,
};
use crate::import::metadata::MAX_TEXT_BYTES;
use crate::import::source_machine::SourceMachine;
use crate::session::{
    extras::ExtraText, extras::extra_path, extras::list_memory, extras::read_text,
};

const DIRECTORY: &str = "shared_config";
const CLAUDE_MD: &str = "CLAUDE.md";
/// Maximum size of all texts together, in bytes; they are kept in memory.
const MAX_TOTAL_BYTES: u64 = 256 << 20;
/// Maximum number of machines that a text is attributed to.
const MAX_WRITERS: usize = 16;

struct SourceText {
    /// The directory whose memory it is; `None`: it is the user's own.
    directory: Option<String>,
    name: RelativeName,
    text: String,
    edit: LastEdit,
}

/// The last edit of a text, as far as the source has it.
#[derive(Default)]
struct LastEdit {
    machine: Option<String>,
    day: Option<NaiveDate>,
}

#[derive(Default)]
pub(crate) struct SourceExtras {
    texts: Vec<SourceText>,
    /// Size of all texts, in bytes.
    bytes: u64,
    /// Paths with placeholders by directory, as that program guessed them.
    guesses: BTreeMap<String, String>,
}

impl SourceExtras {
    pub(crate) fn read(source: &mut SourceDirectory) -> Self {
        let mut extras = Self::default();
        let directory = source.root().join(DIRECTORY);
        if !source.is_directory(DIRECTORY) {
            if source.kind(DIRECTORY).is_some() {
                source.skip(&directory, NOT_A_DIRECTORY);
            }
            return extras;
        }
        for entry in source.entries(&directory) {
            match (entry.name.as_str(), entry.kind) {
                (CLAUDE_MD, EntryKind::File(_)) => extras.read_claude_md(source),
                ("memory", EntryKind::Directory) => extras.read_memories(source),
                ("plans", EntryKind::Directory) => extras.read_plans(source),
                // They are read together with the texts.
                ("claude_md_meta.json" | "plans_meta.json", EntryKind::File(_))
                | ("memory_meta", EntryKind::Directory) => {}
                (_, EntryKind::Other) => source.leave_all(&entry.path, NOT_PLAIN),
                _ => source.leave_all(&entry.path, UNKNOWN_FILE),
            }
        }
        extras
    }

    /// Names of the machines that edited something.
    pub(crate) fn editors(&self) -> impl Iterator<Item = &String> {
        self.texts
            .iter()
            .filter_map(|text| text.edit.machine.as_ref())
    }

    fn read_claude_md(&mut self, source: &mut SourceDirectory) {
        let edit = LastEdit::from_json(&read_meta(source, "claude_md_meta.json"));
        let name = RelativeName::new(CLAUDE_MD).expect("a plain name is safe");
        self.read_text(source, None, name, edit);
    }

    fn read_plans(&mut self, source: &mut SourceDirectory) {
        let meta = read_meta(source, "plans_meta.json");
        let directory = source.root().join(DIRECTORY);
        for (path, _) in source.plain_files_below(&directory.join("plans")) {
            let below = path_below(&directory, &path);
            let name = below.filter(|name| ExtraKind::from_user_file(name).is_some());
            let Some(name) = name.and_then(|name| RelativeName::new(name).ok()) else {
                source.leave(&path, "not a plan");
                continue;
            };
            let file = name.as_str().trim_start_matches("plans/");
            let edit = LastEdit::from_json(&meta["files"][file]);
            self.read_text(source, None, name, edit);
        }
    }

    fn read_memories(&mut self, source: &mut SourceDirectory) {
        let root = source.root().join(DIRECTORY).join("memory");
        for entry in source.entries(&root) {
            match entry.kind {
                EntryKind::Directory => self.read_memory(source, &entry.name),
                EntryKind::File(_) if entry.name == "_paths.json" => {
                    let json = source.read_json(&entry.path).unwrap_or_default();
                    for (name, path) in json.as_object().into_iter().flatten() {
                        if let Some(path) = path.as_str() {
                            self.guesses.insert(name.clone(), path.to_owned());
                        }
                    }
                }
                EntryKind::File(_) => source.leave(&entry.path, UNKNOWN_FILE),
                EntryKind::Other => source.skip(&entry.path, NOT_PLAIN),
            }
        }
    }

    fn read_memory(&mut self, source: &mut SourceDirectory, directory: &str) {
        let listing = list_memory(&memory_directory(source, directory));
        for (path, reason) in &listing.skipped {
            source.leave(path, reason.clone());
        }
        let meta = read_meta(source, &format!("memory_meta/{directory}.json"));
        for name in listing.files.into_keys() {
            let edit = LastEdit::from_json(&meta["files"][name.as_str()]);
            self.read_text(source, Some(directory), name, edit);
        }
    }

    fn read_text(
        &mut self,
        source: &mut SourceDirectory,
        directory: Option<&str>,
        name: RelativeName,
        edit: LastEdit,
    ) {
        let parent = match directory {
            Some(directory) => memory_directory(source, directory),
            None => source.root().join(DIRECTORY),
        };
        let path = extra_path(&parent, &name);
        match read_text(&path) {
            Ok(ExtraText::Text(text)) if self.bytes + text.len() as u64 > MAX_TOTAL_BYTES => {
                source.leave(&path, "too much text in total");
            }
            Ok(ExtraText::Text(text)) => {
                self.bytes += text.len() as u64;
                self.texts.push(SourceText {
                    directory: directory.map(str::to_owned),
                    name,
                    text,
                    edit,
                });
            }
            Ok(ExtraText::Unsuitable(reason)) => source.leave(&path, reason),
            Err(e) => source.skip(&path, e.source.to_string()),
        }
    }

    /// Finds the project and the writers of each text. Leaves texts of unknown projects.
    /// `paths` are paths of projects, with placeholders.
    pub(crate) fn into_foreign_texts(
        self,
        paths: &[String],
        machines: &[SourceMachine],
        source: &mut SourceDirectory,
    ) -> Vec<ForeignText> {
        let mut texts = Vec::new();
        for text in self.texts {
            let likely = likely_writers(&text, machines);
            let mut project = None;
            if let Some(directory) = &text.directory {
                let all: Vec<_> = likely.iter().copied().chain(machines).collect();
                project = find_project(directory, paths, &self.guesses, &all);
                if project.is_none() {
                    let path = extra_path(&memory_directory(source, directory), &text.name);
                    source.leave(&path, "nothing says which project it belongs to");
                    continue;
                }
            }
            texts.push(ForeignText {
                project,
                name: text.name,
                text: text.text,
                day: text.edit.day,
                writers: likely.iter().map(|m| m.machine.clone()).collect(),
            });
        }
        texts
    }
}

fn memory_directory(source: &SourceDirectory, directory: &str) -> PathBuf {
    let memories = source.root().join(DIRECTORY).join("memory");
    memories.join(directory)
}

/// Returns the machines that may have written a text, the most likely first: its last editor,
/// then those whose directories it names. That program copies texts between machines, so each
/// of them may have written a line.
fn likely_writers<'m>(text: &SourceText, machines: &'m [SourceMachine]) -> Vec<&'m SourceMachine> {
    let mut writers: Vec<&SourceMachine> = machines.iter().collect();
    writers.sort_by_cached_key(|machine| {
        let is_editor = text.edit.machine.as_ref() == Some(&machine.name);
        let mut paths = machine.paths.values();
        let is_named = paths.any(|path| path.len() > 1 && text.text.contains(path.as_str()));
        (!is_editor, !is_named, !machine.is_this)
    });
    writers.truncate(MAX_WRITERS);
    writers
}

/// Finds the project whose memory is in `directory`: at one of the `paths` or above it, else at
/// the guessed path.
fn find_project(
    directory: &str,
    paths: &[String],
    guesses: &BTreeMap<String, String>,
    machines: &[&SourceMachine],
) -> Option<ForeignProject> {
    let portable = |path: &str| machines.iter().find_map(|machine| machine.portable(path));
    let named = paths
        .iter()
        .flat_map(|path| ancestors(path))
        .find(|path| client_dir_name(path) == directory);
    if let Some(path) = named.and_then(portable) {
        return Some(ForeignProject {
            path,
            directory: None,
        });
    }
    Some(ForeignProject {
        path: portable(guesses.get(directory)?)?,
        directory: Some(directory.to_owned()),
    })
}

/// Returns a path and its parents, with either separator.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| {
        let end = path.rfind(['/', '\\'])?;
        (end > 0).then(|| &path[..end])
    })
}

/// Reads what that program records about texts; `null` if the file is missing.
fn read_meta(source: &mut SourceDirectory, name: &str) -> Value {
    let json = source.read_optional_json(&format!("{DIRECTORY}/{name}"));
    json.unwrap_or_default()
}

impl LastEdit {
    fn from_json(meta: &Value) -> Self {
        let machine = meta["last_editor"].as_str();
        let machine = machine.filter(|name| name.len() <= MAX_TEXT_BYTES);
        let seconds = meta["last_modified"].as_f64();
        let seconds = seconds.filter(|seconds| seconds.abs() < 1e11);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only the fraction of a second is lost"
        )]
        let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds as i64, 0));
        Self {
            machine: machine.map(str::to_owned),
            day: time.map(|time| time.date_naive()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_ancestors_lists_path_and_its_parents() {
        assert_eq!(
            ancestors("{{P}}/a/b").collect::<Vec<_>>(),
            ["{{P}}/a/b", "{{P}}/a", "{{P}}"]
        );
        assert_eq!(
            ancestors(r"{{P}}\a").collect::<Vec<_>>(),
            [r"{{P}}\a", "{{P}}"]
        );
        assert_eq!(ancestors("/a").collect::<Vec<_>>(), ["/a"]);
    }
}
