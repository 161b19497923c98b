//! The prose that claude-session-sync keeps in `shared_config/`: whose it is, and who is said to have written it.
//!
//! That program copies `CLAUDE.md`, plans and the directory `memory/` of each project byte for byte, without placeholders; a memory's directory
//! has the client's name of the path with placeholders. Its own `memory/_paths.json` was made from directory names, in which a `-` may have
//! been anything: the paths that sessions name come first.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};
use serde_json::Value;

use crate::domain::client_dir::client_dir_name;
use crate::domain::extras::ExtraKind as Kinds;
use crate::domain::path::RelativeName;
use crate::extras::foreign_text::{ForeignProject, ForeignText};
use crate::import::directory::{Directory, Kind, Named};
use crate::import::origin::Origin;
use crate::session::extras::{ExtraText, extra_path, list_memory, read_text};
use crate::store::machine::Machine;

const DIRECTORY: &str = "shared_config";
/// More text than this is nobody's notes, and is not kept in memory at once.
const MOST_BYTES: u64 = 256 << 20;
/// Nobody has brought one text to more machines.
const MOST_WRITERS: usize = 16;
const CLAUDE_MD: &str = "CLAUDE.md";

/// One text.
struct Text {
    /// The name of the directory whose memory it is; none: the user's own.
    directory: Option<String>,
    name: RelativeName,
    text: String,
    /// Which machine wrote it last, and when, where the source says so.
    edited: Edited,
}

/// What that program notes of a text.
#[derive(Default)]
struct Edited {
    machine: Option<String>,
    day: Option<NaiveDate>,
}

/// Everything that was found.
#[derive(Default)]
pub(crate) struct ExtraKind {
    texts: Vec<Text>,
    /// Bytes of all texts.
    bytes: u64,
    /// Path with placeholders by directory, as far as that program could tell.
    guesses: BTreeMap<String, String>,
}

impl ExtraKind {
    /// Reads what `directory` holds; what is not taken is noted in `left`, what cannot be read in `refused`.
    pub(crate) fn read(directory: &Directory, left: &mut Named, refused: &mut Named) -> Self {
        let mut found = Self::default();
        if !directory.is_directory(DIRECTORY) {
            if directory.kind(DIRECTORY).is_some() {
                refused.note(DIRECTORY, "not a directory (links are not followed)");
            }
            return found;
        }
        for entry in directory.entries(&directory.root().join(DIRECTORY), refused) {
            match (entry.name.as_str(), entry.kind) {
                (CLAUDE_MD, Kind::File(_)) => found.claude_md(directory, left, refused),
                ("memory", Kind::Directory) => found.memories(directory, left, refused),
                ("plans", Kind::Directory) => found.plans(directory, left, refused),
                // What they say of the texts is looked up with each; the times in them decide nothing.
                ("claude_md_meta.json" | "plans_meta.json", Kind::File(_))
                | ("memory_meta", Kind::Directory) => {}
                (name, kind) => {
                    let reason = match (name, kind) {
                        (_, Kind::Other) => "not a plain file (links are not followed)",
                        _ => "not one of that program's files",
                    };
                    let files = directory.files_below(&entry.path, refused);
                    files.into_iter().for_each(|file| left.note(file, reason));
                }
            }
        }
        found
    }

    /// The machines that are said to have written something.
    pub(crate) fn editors(&self) -> impl Iterator<Item = String> {
        self.texts
            .iter()
            .filter_map(|text| text.edited.machine.clone())
    }

    fn claude_md(&mut self, directory: &Directory, left: &mut Named, refused: &mut Named) {
        let meta = meta(directory, "claude_md_meta.json", refused);
        let name = RelativeName::new(CLAUDE_MD).expect("a plain name is safe");
        self.text(directory, None, name, edited(&meta), left, refused);
    }

    fn plans(&mut self, directory: &Directory, left: &mut Named, refused: &mut Named) {
        let meta = meta(directory, "plans_meta.json", refused);
        for (path, _) in
            directory.plain_files_below(&directory.root().join(DIRECTORY).join("plans"), refused)
        {
            let below = path
                .strip_prefix(directory.root().join(DIRECTORY))
                .ok()
                .and_then(|below| below.to_str());
            let name = below.filter(|name| Kinds::from_user_file(name).is_some());
            match name.and_then(|name| RelativeName::new(name).ok()) {
                Some(name) => {
                    let edited = edited(&meta["files"][name.as_str().trim_start_matches("plans/")]);
                    self.text(directory, None, name, edited, left, refused);
                }
                None => left.note(directory.name_of(&path), "no plan of the client's"),
            }
        }
    }

    fn memories(&mut self, directory: &Directory, left: &mut Named, refused: &mut Named) {
        let root = directory.root().join(DIRECTORY).join("memory");
        for entry in directory.entries(&root, refused) {
            match entry.kind {
                Kind::Directory => self.memory(directory, &entry.name, left, refused),
                Kind::File(_) if entry.name == "_paths.json" => {
                    let json = directory.json(&entry.path, refused).unwrap_or_default();
                    let paths = json.as_object().into_iter().flatten();
                    let paths = paths
                        .filter_map(|(name, path)| Some((name.clone(), path.as_str()?.to_owned())));
                    self.guesses = paths.collect();
                }
                Kind::File(_) => left.note(
                    directory.name_of(&entry.path),
                    "not one of that program's files",
                ),
                Kind::Other => {
                    refused.note(
                        directory.name_of(&entry.path),
                        "not a plain file (links are not followed)",
                    );
                }
            }
        }
    }

    fn memory(&mut self, directory: &Directory, name: &str, left: &mut Named, refused: &mut Named) {
        let files = list_memory(&directory.root().join(DIRECTORY).join("memory").join(name));
        files
            .skipped
            .iter()
            .for_each(|(path, reason)| left.note(directory.name_of(path), reason.clone()));
        let meta = meta(directory, &format!("memory_meta/{name}.json"), refused);
        for file in files.files.into_keys() {
            let edited = edited(&meta["files"][file.as_str()]);
            self.text(
                directory,
                Some(name.to_owned()),
                file,
                edited,
                left,
                refused,
            );
        }
    }

    fn text(
        &mut self,
        source: &Directory,
        directory: Option<String>,
        name: RelativeName,
        edited: Edited,
        left: &mut Named,
        refused: &mut Named,
    ) {
        let place = source.root().join(DIRECTORY);
        let place = directory.as_ref().map_or_else(
            || place.clone(),
            |directory| place.join("memory").join(directory),
        );
        let path = extra_path(&place, &name);
        match read_text(&path) {
            Ok(ExtraText::Text(text)) if self.bytes + text.len() as u64 > MOST_BYTES => {
                left.note(
                    source.name_of(&path),
                    "there is more text than anybody's notes",
                );
            }
            Ok(ExtraText::Text(text)) => {
                self.bytes += text.len() as u64;
                self.texts.push(Text {
                    directory,
                    name,
                    text,
                    edited,
                });
            }
            Ok(ExtraText::Unsuitable(reason)) => left.note(source.name_of(&path), reason),
            Err(e) => refused.note(source.name_of(&path), e.source.to_string()),
        }
    }

    /// The texts with the projects and machines they belong to. `spelled` are paths of projects, with placeholders; a text of which nothing
    /// says whose it is is noted in `left`.
    pub(crate) fn assigned(
        self,
        spelled: &[String],
        origins: &[Origin],
        left: &mut Named,
    ) -> Vec<ForeignText> {
        let mut assigned = Vec::new();
        for text in self.texts {
            let editor = origins
                .iter()
                .position(|origin| text.edited.machine.as_ref() == Some(&origin.name));
            let machines = machines_of(&text.text, origins, editor);
            let project = match &text.directory {
                None => None,
                Some(directory) => {
                    match project(directory, spelled, &self.guesses, (&machines, origins)) {
                        Some(project) => Some(project),
                        None => {
                            let file = format!("{DIRECTORY}/memory/{directory}/{}", text.name);
                            left.note(file, "nothing says which project it belongs to");
                            continue;
                        }
                    }
                }
            };
            let writers: Vec<Machine> = machines
                .into_iter()
                .map(|origin| origin.machine.clone())
                .collect();
            let (name, text, day) = (text.name, text.text, text.edited.day);
            assigned.push(ForeignText {
                project,
                name,
                text,
                day,
                writers,
            });
        }
        assigned
    }
}

/// Who may have written a text, the likeliest first: whoever is said to have, else one whose directories it names. That program brings a
/// text from one machine to the other as it is, so that any of them may have written a line.
fn machines_of<'o>(text: &str, origins: &'o [Origin], editor: Option<usize>) -> Vec<&'o Origin> {
    let named = |origin: &Origin| {
        origin
            .paths
            .values()
            .any(|path| path.len() > 1 && text.contains(path.as_str()))
    };
    let mut machines: Vec<(usize, &Origin)> = origins.iter().enumerate().collect();
    machines.sort_by_key(|(at, origin)| (Some(*at) != editor, !named(origin), !origin.this, *at));
    machines
        .into_iter()
        .map(|(_, origin)| origin)
        .take(MOST_WRITERS)
        .collect()
}

fn project(
    directory: &str,
    spelled: &[String],
    guesses: &BTreeMap<String, String>,
    (likely, all): (&[&Origin], &[Origin]),
) -> Option<ForeignProject> {
    let portable = |spelled: &str| {
        likely
            .iter()
            .copied()
            .chain(all)
            .find_map(|origin| origin.portable(spelled))
    };
    let named = spelled
        .iter()
        .flat_map(|path| ancestors(path))
        .find(|path| client_dir_name(path) == directory);
    if let Some(path) = named.and_then(portable) {
        return Some(ForeignProject {
            path,
            directory: None,
        });
    }
    let path = portable(guesses.get(directory)?)?;
    Some(ForeignProject {
        path,
        directory: Some(directory.to_owned()),
    })
}

/// A path and the directories it lies in, whichever separators it has.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| {
        path.rfind(['/', '\\'])
            .map(|end| &path[..end])
            .filter(|up| !up.is_empty())
    })
}

/// What that program notes of its own texts; nothing where it is not there.
fn meta(directory: &Directory, name: &str, refused: &mut Named) -> Value {
    let name = format!("{DIRECTORY}/{name}");
    let is_there = directory.kind(&name).is_some();
    let json = is_there
        .then(|| directory.json(&directory.root().join(&name), refused))
        .flatten();
    json.unwrap_or_default()
}

fn edited(meta: &Value) -> Edited {
    let name = meta["last_editor"]
        .as_str()
        .filter(|name| name.len() <= crate::import::foreign::LONGEST);
    let seconds = meta["last_modified"]
        .as_f64()
        .filter(|seconds| seconds.abs() < 1e11);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "no more than the fraction of a second is cut off"
    )]
    let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds as i64, 0));
    Edited {
        machine: name.map(str::to_owned),
        day: time.map(|time| time.date_naive()),
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
