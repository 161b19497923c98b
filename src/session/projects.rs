//! Which directories the client has worked in on this machine: what its own list and its sessions name.
//!
//! Reads as little as possible: of each project directory the beginning of a few transcripts. Must not say what lies in those directories.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::discover::projects_dir;
use super::extras::project_directories;
use super::facts::working_directories;
use crate::sys::fs::FileStamp;

/// More directories no person has worked in.
const MOST: usize = 2000;

/// How many transcripts of one directory are looked into: a sub-directory's and a worktree's may be among them.
const TRANSCRIPTS: usize = 3;

/// The first records of a transcript name the working directory, unless they are of an odd size.
const BEGINNING: u64 = 256 << 10;

/// A list longer than this is none of the client's.
const LONGEST_LIST: u64 = 64 << 20;

/// Directories in which the client has worked, as it knows them; some may be gone. What cannot be read names none.
pub fn known_directories(claude_dir: &Path, home: &Path) -> Vec<PathBuf> {
    let mut found = of_sessions(&projects_dir(claude_dir));
    found.extend(of_list(&list_path(claude_dir, home)));
    found.retain(|directory| directory.is_absolute());
    found.sort();
    found.dedup();
    found.truncate(MOST);
    found
}

/// What tells cheaply whether [`known_directories`] may find others than before.
pub fn known_directories_stamp(claude_dir: &Path, home: &Path) -> String {
    let projects = projects_dir(claude_dir);
    // A directory's stamp changes with every session that is begun in it.
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

/// `.claude.json` lies beside `.claude`, or in the directory that `CLAUDE_CONFIG_DIR` names (client 2.1.329).
fn list_path(claude_dir: &Path, home: &Path) -> PathBuf {
    let parent = if claude_dir == home.join(".claude") {
        home
    } else {
        claude_dir
    };
    parent.join(".claude.json")
}

/// Of the client's own file nothing but the names of the projects is looked at.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    projects: BTreeMap<String, IgnoredAny>,
}

fn of_list(path: &Path) -> Vec<PathBuf> {
    let read = || {
        let mut json = Vec::new();
        File::open(path)
            .ok()?
            .take(LONGEST_LIST)
            .read_to_end(&mut json)
            .ok()?;
        serde_json::from_slice::<List>(&json).ok()
    };
    read()
        .into_iter()
        .flat_map(|list| list.projects.into_keys())
        .map(PathBuf::from)
        .collect()
}

fn of_sessions(projects: &Path) -> Vec<PathBuf> {
    let Ok(directories) = fs::read_dir(projects) else {
        return Vec::new();
    };
    let directories = directories
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories
        .take(MOST)
        .flat_map(|entry| of_some_transcripts(&entry.path()))
        .collect()
}

fn of_some_transcripts(project: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(project) else {
        return Vec::new();
    };
    let transcripts = entries.flatten().filter(|entry| {
        Path::new(&entry.file_name())
            .extension()
            .is_some_and(|extension| extension == "jsonl")
            && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    transcripts
        .take(TRANSCRIPTS)
        .flat_map(|entry| of_transcript(&entry.path()))
        .map(PathBuf::from)
        .collect()
}

fn of_transcript(path: &Path) -> Vec<String> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut text));
    if read.is_ok() {
        working_directories(&text)
    } else {
        Vec::new()
    }
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
