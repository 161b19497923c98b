//! The directories that the client has worked in on this machine, from its own list and its
//! sessions.
//!
//! Reads as little as possible: the beginning of a few transcripts of each project directory. Must
//! not look into those directories.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::extras::project_directories;
use super::facts::working_directories;
use super::files::projects_dir;
use crate::domain::path::without_dots;
use crate::sys::fs::{FileStamp, open_plain_file};

/// Maximum number of directories listed.
const MAX_DIRECTORIES: usize = 2000;

/// Maximum number of transcripts read in one project directory: some may be of a subdirectory or a
/// worktree.
const MAX_TRANSCRIPTS: usize = 3;

/// Bytes read of a transcript. The working directory is in its first records, which are small.
const MAX_TRANSCRIPT_BYTES: u64 = 256 << 10;

/// Maximum size of the client's own list, in bytes.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// Lists the directories in which the client has worked; some may no longer exist. Unreadable
/// files are ignored.
pub fn known_directories(claude_dir: &Path, home: &Path) -> Vec<PathBuf> {
    let mut found = directories_of_sessions(&projects_dir(claude_dir));
    found.extend(listed_directories(&list_path(claude_dir, home)));
    found.retain(|directory| directory.is_absolute());
    found.iter_mut().for_each(remove_dots);
    found.sort();
    found.dedup();
    found.truncate(MAX_DIRECTORIES);
    found
}

/// Removes `.` and `..`: a directory that is missing cannot be resolved.
fn remove_dots(directory: &mut PathBuf) {
    let plain = directory
        .to_str()
        .and_then(|path| without_dots(path, cfg!(windows)));
    if let Some(plain) = plain {
        *directory = plain.into();
    }
}

/// Returns a text that is equal as long as [`known_directories`] returns the same.
pub fn known_directories_stamp(claude_dir: &Path, home: &Path) -> String {
    let projects = projects_dir(claude_dir);
    // The stamp of a directory changes with every new session in it.
    let with_stamp =
        |name: String| format!("{name} {:?}", FileStamp::read(&projects.join(&name)).ok());
    let names: Vec<String> = project_directories(claude_dir)
        .unwrap_or_default()
        .into_iter()
        .map(with_stamp)
        .collect();
    let names = names.join("/");
    let stamp = FileStamp::read(&list_path(claude_dir, home)).ok();
    let text = format!("{names} {stamp:?}");
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

/// Returns the path of the client's list: next to `.claude`, or in the directory that
/// `CLAUDE_CONFIG_DIR` names (client 2.1.329).
fn list_path(claude_dir: &Path, home: &Path) -> PathBuf {
    let parent = if claude_dir == home.join(".claude") {
        home
    } else {
        claude_dir
    };
    parent.join(".claude.json")
}

/// The used part of the client's own file: the names of the projects.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    projects: BTreeMap<String, IgnoredAny>,
}

fn listed_directories(path: &Path) -> Vec<PathBuf> {
    let list = read_start(path, MAX_LIST_BYTES)
        .and_then(|json| serde_json::from_slice::<List>(&json).ok());
    let projects = list.into_iter().flat_map(|list| list.projects.into_keys());
    projects.map(PathBuf::from).collect()
}

fn directories_of_sessions(projects: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(projects).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .take(MAX_DIRECTORIES)
        .flat_map(|entry| directories_of_project(&entry.path()))
        .collect()
}

fn directories_of_project(project: &Path) -> Vec<PathBuf> {
    let is_transcript = |entry: &fs::DirEntry| {
        let name = PathBuf::from(entry.file_name());
        name.extension().is_some_and(|e| e == "jsonl")
            && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    let entries = fs::read_dir(project).into_iter().flatten().flatten();
    entries
        .filter(is_transcript)
        .take(MAX_TRANSCRIPTS)
        .filter_map(|entry| read_start(&entry.path(), MAX_TRANSCRIPT_BYTES))
        .flat_map(|text| working_directories(&text))
        .map(PathBuf::from)
        .collect()
}

/// Reads at most `limit` bytes of a file.
fn read_start(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    open_plain_file(path)?
        .take(limit)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_directories_come_from_list_and_sessions() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        let project = home.join(".claude/projects/-a");
        fs::create_dir_all(&project).unwrap();
        crate::sys::fs::write_atomic(
            &project.join("x.jsonl"),
            b"{\"cwd\":\"/a/b\"}\n{\"cwd\":\"c\"}\n",
        )
        .unwrap();
        let list = br#"{"oauth":1,"projects":{"/d e":{"x":[1]},"relative":{}}}"#;
        crate::sys::fs::write_atomic(&home.join(".claude.json"), list).unwrap();
        let known = || known_directories(&home.join(".claude"), home);
        assert_eq!(known(), [PathBuf::from("/a/b"), "/d e".into()]);
        crate::sys::fs::write_atomic(&home.join(".claude.json"), b"{\"projects\":[").unwrap();
        assert_eq!(known(), [PathBuf::from("/a/b")]);
    }
}
