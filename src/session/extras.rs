//! Where prose and settings lie beside the sessions, and to which project a memory belongs.
//!
//! The client keeps the memory of a project in `projects/<name>/memory/`, where `<name>` is that of the git main checkout (client
//! 2.1.329), and the user's own files in its configuration directory. One `stat` per file; texts are read elsewhere. Links are not
//! followed, and names that begin with a dot are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::discover::projects_dir;
use crate::domain::extras::{ExtraKind, MOST_PLANS};
use crate::domain::path::RelativeName;
use crate::sys::fs::{FileStamp, PathError, is_executable, is_leftover};

/// The longest text that is taken.
pub const MAX_BYTES: u64 = 1 << 20;

/// Directories deeper than this hold no notes.
const DEEPEST: usize = 8;

/// More entries than these are not looked at.
const MOST_ENTRIES: usize = 10_000;

/// The files of one owner on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Whether the directory is there: without it, nothing says that a missing file was removed on purpose.
    pub is_there: bool,
    /// Which directory it is; none: it is not there.
    pub mark: Option<DirectoryMark>,
    /// The files, by their name below the directory.
    pub files: BTreeMap<RelativeName, FileStamp>,
    /// Plans that are older than the newest [`MOST_PLANS`]: of interest only where the store has them.
    pub older: BTreeMap<RelativeName, FileStamp>,
    /// Those of a skill that their owner may run, where the system knows of that.
    pub executable: BTreeSet<RelativeName>,
    /// What is not taken, with the reason.
    pub left: Vec<(PathBuf, String)>,
}

/// Tells a directory from another one that was made later in its place: what is missing in that was not removed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryMark {
    inode: u64,
    /// When it was made, in nanoseconds since 1970, where the file system knows.
    made_ns: Option<u64>,
}

impl DirectoryMark {
    fn of(metadata: &fs::Metadata) -> Self {
        let made = metadata
            .created()
            .ok()
            .and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made_ns = made.and_then(|made| u64::try_from(made.as_nanos()).ok());
        Self {
            inode: FileStamp::of(metadata).inode,
            made_ns,
        }
    }
}

/// The names of the directories under `projects/` that hold a memory, sorted.
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

/// The memory of the project directory `name`.
pub fn memory_directory(claude_dir: &Path, name: &str) -> PathBuf {
    projects_dir(claude_dir).join(name).join("memory")
}

/// Everything in a memory's directory.
pub fn memory(directory: &Path) -> Listing {
    let mut listing = Listing::of(directory);
    listing.add_below(directory, "");
    listing
}

/// The user's own files of these kinds.
pub fn users_files(claude_dir: &Path, kinds: &BTreeSet<ExtraKind>) -> Listing {
    let mut listing = Listing::of(claude_dir);
    for kind in kinds {
        match kind {
            ExtraKind::Memory => {}
            ExtraKind::ClaudeMd => listing.add(&claude_dir.join("CLAUDE.md"), "CLAUDE.md"),
            ExtraKind::Settings => listing.add(&claude_dir.join("settings.json"), "settings.json"),
            ExtraKind::Plans | ExtraKind::Commands | ExtraKind::Agents | ExtraKind::Skills => {
                let directory = claude_dir.join(kind.name());
                match fs::symlink_metadata(&directory) {
                    Ok(metadata) if metadata.is_dir() && *kind == ExtraKind::Plans => {
                        listing.add_plans(&directory);
                    }
                    Ok(metadata) if metadata.is_dir() => {
                        listing.add_below(&directory, &format!("{}/", kind.name()));
                    }
                    Ok(_) => listing.leave(&directory, NOT_PLAIN),
                    Err(_) => {}
                }
            }
        }
    }
    listing
}

const NOT_PLAIN: &str = "not a plain file or directory (links are not followed)";

impl Listing {
    /// One without files.
    fn of(directory: &Path) -> Self {
        let metadata = fs::metadata(directory).ok().filter(fs::Metadata::is_dir);
        Self {
            is_there: metadata.is_some(),
            mark: metadata.as_ref().map(DirectoryMark::of),
            ..Self::default()
        }
    }

    /// The stamp of a file that is here.
    pub fn stamp(&self, name: &RelativeName) -> Option<FileStamp> {
        self.files
            .get(name)
            .or_else(|| self.older.get(name))
            .copied()
    }

    /// The plans in a directory, the newest apart from all others. Whatever else lies there is none.
    fn add_plans(&mut self, directory: &Path) {
        let mut plans = Self::default();
        plans.walk(directory, "plans/", 1);
        let is_plan =
            |name: &RelativeName| ExtraKind::of_user_file(name.as_str()) == Some(ExtraKind::Plans);
        let mut found: Vec<_> = plans
            .files
            .into_iter()
            .filter(|(name, _)| is_plan(name))
            .collect();
        found.sort_by_key(|(_, stamp)| std::cmp::Reverse(stamp.modified_ns));
        self.older = found
            .split_off(found.len().min(MOST_PLANS))
            .into_iter()
            .collect();
        self.files.extend(found);
        self.left.extend(plans.left);
    }

    fn add_below(&mut self, directory: &Path, prefix: &str) {
        self.walk(directory, prefix, DEEPEST);
    }

    fn walk(&mut self, directory: &Path, prefix: &str, deepest: usize) {
        let walk = walkdir::WalkDir::new(directory)
            .min_depth(1)
            .max_depth(deepest)
            .sort_by_file_name()
            .into_iter();
        let shown =
            walk.filter_entry(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        for (n, entry) in shown.enumerate() {
            if n >= MOST_ENTRIES {
                return self.leave(directory, "it holds more files than notes or settings do");
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
                    self.leave(e.path().unwrap_or(directory), &e.to_string());
                    continue;
                }
            };
            if entry.file_type().is_dir() || entry.file_name().to_str().is_some_and(is_leftover) {
                continue;
            }
            let below = entry.path().strip_prefix(directory).ok().and_then(|below| {
                let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
                Some(parts?.join("/"))
            });
            match below {
                Some(below) => self.add(entry.path(), &format!("{prefix}{below}")),
                None => self.leave(entry.path(), "its name is not UTF-8"),
            }
        }
    }

    fn add(&mut self, path: &Path, name: &str) {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == ErrorKind::NotFound => return,
            Err(e) => return self.leave(path, &e.to_string()),
        };
        match RelativeName::new(name) {
            _ if !metadata.is_file() => self.leave(path, NOT_PLAIN),
            Err(e) => self.leave(path, &e.to_string()),
            Ok(name) => {
                let is_skill = ExtraKind::of_user_file(name.as_str()) == Some(ExtraKind::Skills);
                if is_skill && is_executable(&metadata) == Some(true) {
                    self.executable.insert(name.clone());
                }
                self.files.insert(name, FileStamp::of(&metadata));
            }
        }
    }

    fn leave(&mut self, path: &Path, reason: &str) {
        self.left.push((path.to_owned(), reason.to_owned()));
    }
}

/// Which directory lies at a path; none: there is none.
pub fn mark_of(directory: &Path) -> Option<DirectoryMark> {
    Listing::of(directory).mark
}

/// Where `name` lies below `directory`.
pub fn path_of(directory: &Path, name: &RelativeName) -> PathBuf {
    name.as_str()
        .split('/')
        .fold(directory.to_owned(), |path, part| path.join(part))
}

/// The first link among the directories that lead from `directory` to `name`, `directory` itself and the file included.
pub fn link_on_the_way(directory: &Path, name: &RelativeName) -> Option<PathBuf> {
    let mut path = directory.to_owned();
    let mut parts = name.as_str().split('/');
    loop {
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
            return Some(path);
        }
        path.push(parts.next()?);
    }
}

/// The text of a file of this machine, or why it is left where it is.
///
/// # Errors
/// [`PathError`] if it cannot be read.
pub fn read_text(path: &Path) -> Result<Result<String, String>, PathError> {
    let bytes = crate::sys::fs::read(path)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Ok(Err(too_large()));
    }
    if memchr::memchr(0, &bytes).is_some() {
        return Ok(Err(NO_TEXT.to_owned()));
    }
    Ok(String::from_utf8(bytes).map_err(|_| NO_TEXT.to_owned()))
}

const NO_TEXT: &str = "no text in UTF-8";

/// Why a file of this size is left where it is.
pub fn too_large() -> String {
    "larger than 1 MiB".to_owned()
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
    Ok(names)
}
