//! Extras on this machine: the memory of projects, and the user's own files.
//!
//! The client keeps the memory of a project in `projects/<name>/memory/`, where `<name>` is that of
//! the git main checkout (client 2.1.329), and the user's own files in its configuration
//! directory. Listing costs one `stat` per file. Links are not followed, and names that begin with
//! a dot are ignored, except in skills; so are the files of other programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::client_settings::{with_own_parts_of, without_own_parts};
use super::files::{first_link_below, join_parts, projects_dir};
use crate::domain::{
    ExtraKind, RelativeName, extras::MAX_PLANS, hidden_name::HiddenName, hidden_name::is_litter,
    path::path_below,
};
use crate::sys::fs::{
    FileStamp, PathError, file_number, is_executable, real_path, reuses_creation_times,
};
use crate::sys::temp::is_temp_name;

/// Size of the longest text that is synced, in bytes.
pub const MAX_EXTRA_BYTES: u64 = 1 << 20;

/// The reason why a longer text is skipped.
pub const TOO_LARGE: &str = "larger than 1 MB";

/// Maximum depth of directories.
const MAX_DEPTH: usize = 8;

/// Maximum number of entries in one directory and below.
const MAX_ENTRIES: usize = 10_000;

/// The files of one owner on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtrasListing {
    /// The directory exists. Without it, a missing file need not have been removed on purpose.
    pub exists: bool,
    /// The identity of the directory, if it exists.
    pub mark: Option<DirectoryMark>,
    /// The files by their name below the directory.
    pub files: BTreeMap<RelativeName, FileStamp>,
    /// Plans older than the newest [`MAX_PLANS`], which matter only if the store has them.
    pub older_plans: BTreeMap<RelativeName, FileStamp>,
    /// Files of skills that their owner may run, on systems with such a right.
    pub executable: BTreeSet<RelativeName>,
    /// Skipped files, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
}

/// The identity of a directory. Files that are missing in a directory created later in its place
/// were not removed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryMark {
    inode: u64,
    /// Time of its creation, in nanoseconds since 1970, if the file system knows it.
    made_ns: Option<u64>,
}

impl DirectoryMark {
    /// Returns the mark of the directory at a path, if there is one.
    pub fn read(directory: &Path) -> Option<Self> {
        let metadata = fs::metadata(directory).ok().filter(fs::Metadata::is_dir)?;
        let made = metadata.created().ok().filter(|_| !reuses_creation_times());
        let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        Some(Self {
            inode: file_number(directory, &metadata).unwrap_or(0),
            made_ns: made.and_then(|made| u64::try_from(made.as_nanos()).ok()),
        })
    }
}

/// Lists the names of the directories under `projects/` with a memory, sorted.
///
/// # Errors
/// If `projects/` exists but cannot be listed.
pub fn directories_with_memory(claude_dir: &Path) -> Result<Vec<String>, PathError> {
    let names = project_directories(claude_dir)?;
    let has_memory = |name: &String| {
        fs::symlink_metadata(memory_directory(claude_dir, name)).is_ok_and(|m| m.is_dir())
    };
    Ok(names.into_iter().filter(has_memory).collect())
}

/// Lists the paths of memories that are links, sorted. Links are not followed.
///
/// # Errors
/// If `projects/` exists but cannot be listed.
pub fn linked_memories(claude_dir: &Path) -> Result<Vec<PathBuf>, PathError> {
    let names = project_directories(claude_dir)?;
    let paths = names.iter().map(|name| memory_directory(claude_dir, name));
    let is_link =
        |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    Ok(paths.filter(is_link).collect())
}

/// Returns the directory of the memory of the project directory `name`.
pub fn memory_directory(claude_dir: &Path, name: &str) -> PathBuf {
    projects_dir(claude_dir).join(name).join("memory")
}

/// Lists a memory.
pub fn list_memory(directory: &Path) -> ExtrasListing {
    let mut listing = ExtrasListing::new(directory);
    listing.walk(directory, "", MAX_DEPTH);
    listing
}

/// Lists the user's own files of these kinds.
pub fn list_user_files(claude_dir: &Path, kinds: &BTreeSet<ExtraKind>) -> ExtrasListing {
    let mut listing = ExtrasListing::new(claude_dir);
    for kind in kinds {
        match kind {
            ExtraKind::ClaudeMd => listing.add(&claude_dir.join("CLAUDE.md"), "CLAUDE.md"),
            ExtraKind::Settings => listing.add(&claude_dir.join("settings.json"), "settings.json"),
            _ => {}
        }
        for name in kind.user_directories() {
            let directory = claude_dir.join(name);
            match fs::symlink_metadata(&directory) {
                Ok(metadata) if metadata.is_dir() => listing.add_kind(*kind, &directory, name),
                Ok(_) => listing.skip(&directory, NOT_PLAIN),
                Err(_) => {}
            }
        }
    }
    listing
}

/// The reason why a link is skipped.
pub const NOT_PLAIN: &str = "not a plain file or directory (links are not followed)";

impl ExtrasListing {
    /// Creates a listing without files.
    fn new(directory: &Path) -> Self {
        let mark = DirectoryMark::read(directory);
        Self {
            exists: mark.is_some(),
            mark,
            ..Self::default()
        }
    }

    /// Returns the stamp of a file.
    pub fn stamp(&self, name: &RelativeName) -> Option<FileStamp> {
        self.files
            .get(name)
            .or_else(|| self.older_plans.get(name))
            .copied()
    }

    /// Adds the files of a kind in its directory `name`; ignores other files. Of plans, the newest
    /// are separate from the others.
    fn add_kind(&mut self, kind: ExtraKind, directory: &Path, name: &str) {
        let max_depth = if kind == ExtraKind::Plans {
            1
        } else {
            MAX_DEPTH
        };
        let mut found = Self::default();
        found.walk(directory, &format!("{name}/"), max_depth);
        found
            .files
            .retain(|name, _| ExtraKind::from_user_file(name.as_str()) == Some(kind));
        if kind == ExtraKind::Plans {
            let mut plans: Vec<_> = std::mem::take(&mut found.files).into_iter().collect();
            plans.sort_by_key(|(_, stamp)| std::cmp::Reverse(stamp.modified_ns));
            let older = plans.split_off(plans.len().min(MAX_PLANS));
            self.older_plans = older.into_iter().collect();
            found.files.extend(plans);
        }
        self.files.extend(found.files);
        self.executable.extend(found.executable);
        self.skipped.extend(found.skipped);
    }

    fn walk(&mut self, directory: &Path, prefix: &str, max_depth: usize) {
        let shows_hidden = ExtraKind::Skills
            .user_directories()
            .contains(&prefix.trim_end_matches('/'));
        let mut secrets = Vec::new();
        let walk = walkdir::WalkDir::new(directory)
            .min_depth(1)
            .max_depth(max_depth)
            .sort_by_file_name()
            .into_iter();
        let shown = walk.filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            let hidden = HiddenName::of(&name);
            if shows_hidden && hidden == Some(HiddenName::Secret) {
                secrets.push(entry.path().to_owned());
            }
            let is_shown = !name.starts_with('.') || shows_hidden && hidden.is_none();
            is_shown && !is_litter(&name)
        });
        for (n, entry) in shown.enumerate() {
            if n >= MAX_ENTRIES {
                let reason = format!("it has more than {MAX_ENTRIES} entries");
                return self.skip(directory, &reason);
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(e)
                    if e.io_error()
                        .is_some_and(|e| e.kind() == ErrorKind::NotFound) =>
                {
                    continue;
                }
                Err(e) => {
                    self.skip(e.path().unwrap_or(directory), &e.to_string());
                    continue;
                }
            };
            if entry.file_type().is_dir() || entry.file_name().to_str().is_some_and(is_temp_name) {
                continue;
            }
            match path_below(directory, entry.path()) {
                Some(below) => self.add(entry.path(), &format!("{prefix}{below}")),
                None => self.skip(entry.path(), "its name is not UTF-8"),
            }
        }
        for path in secrets {
            self.skip(&path, "its name is that of a secret");
        }
    }

    fn add(&mut self, path: &Path, name: &str) {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == ErrorKind::NotFound => return,
            Err(e) => return self.skip(path, &e.to_string()),
        };
        match RelativeName::new(name) {
            _ if !metadata.is_file() => self.skip(path, NOT_PLAIN),
            Err(e) => self.skip(path, &e.to_string()),
            Ok(name) => {
                let is_skill = ExtraKind::from_user_file(name.as_str()) == Some(ExtraKind::Skills);
                if is_skill && is_executable(&metadata) == Some(true) {
                    self.executable.insert(name.clone());
                }
                match FileStamp::new(path, &metadata) {
                    Ok(stamp) => drop(self.files.insert(name, stamp)),
                    Err(e) => self.skip(path, &e.to_string()),
                }
            }
        }
    }

    fn skip(&mut self, path: &Path, reason: &str) {
        self.skipped.push((path.to_owned(), reason.to_owned()));
    }
}

/// Returns the path of an extra.
pub fn extra_path(directory: &Path, name: &RelativeName) -> PathBuf {
    join_parts(directory.to_owned(), name.as_str())
}

/// Returns the first link in the path of an extra, `directory` and the file included.
pub fn first_extra_link(directory: &Path, name: &RelativeName) -> Option<PathBuf> {
    first_link_below(directory.to_owned(), name.as_str())
}

/// The content of an extra on this machine.
pub enum ExtraText {
    /// A text.
    Text(String),
    /// No text that can be synced, for this reason.
    Unsuitable(&'static str),
}

/// Reads an extra. The hooks of this program in settings are of this machine, and excluded.
///
/// # Errors
/// [`PathError`] if it cannot be read.
pub fn read_text(path: &Path) -> Result<ExtraText, PathError> {
    let bytes = crate::sys::fs::read(path)?;
    if bytes.len() as u64 > MAX_EXTRA_BYTES {
        return Ok(ExtraText::Unsuitable(TOO_LARGE));
    }
    let text = String::from_utf8(bytes).ok();
    let text = text.filter(|text| !text.contains('\0'));
    let text = text.map(|text| match is_settings(path) {
        true => without_own_parts(&text).unwrap_or(text),
        false => text,
    });
    Ok(text.map_or(
        ExtraText::Unsuitable("not a text in UTF-8"),
        ExtraText::Text,
    ))
}

/// Returns the text to write for an extra: settings keep the hooks of this program that the file
/// at `path` has.
pub fn text_to_write(path: &Path, text: &str) -> String {
    let kept = is_settings(path)
        .then(|| crate::sys::fs::read_to_string(path).ok())
        .flatten()
        .and_then(|present| with_own_parts_of(&present, text).ok());
    kept.unwrap_or_else(|| text.to_owned())
}

fn is_settings(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "settings.json")
}

pub(super) fn project_directories(claude_dir: &Path) -> Result<Vec<String>, PathError> {
    let projects = projects_dir(claude_dir);
    let entries = match fs::read_dir(&projects) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(PathError::new("read", &projects, e)),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(without_second_names(&projects, names))
}

/// Removes links to directories that have another name in `projects`.
fn without_second_names(projects: &Path, names: Vec<String>) -> Vec<String> {
    let is_link = |name: &&String| projects.join(name).is_symlink();
    if !names.iter().any(|name| is_link(&name)) {
        return names;
    }
    let real = |name: &String| real_path(&projects.join(name)).ok();
    let mut seen: BTreeSet<PathBuf> = names
        .iter()
        .filter(|name| !is_link(name))
        .filter_map(real)
        .collect();
    let mut kept = names;
    kept.retain(|name| !is_link(&name) || real(name).is_some_and(|real| seen.insert(real)));
    kept
}
