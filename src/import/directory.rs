//! Lists and reads the directory of a source. Must not follow a link, write, or load a file
//! that is too large.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use walkdir::WalkDir;

use crate::domain::{parse::from_json, path::path_below};
use crate::report::SkippedFile;

/// Largest JSON file that is read, in bytes.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// Maximum number of files in a list; a hostile directory may have millions.
const MAX_LISTED: usize = 1000;

pub(crate) const NOT_PLAIN: &str = "not a plain file (links are not followed)";
pub(crate) const NOT_A_DIRECTORY: &str = "not a directory (links are not followed)";
pub(crate) const UNKNOWN_FILE: &str = "not a file of claude-session-sync";

/// The type of an entry, without following a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A plain file of this many bytes.
    File(u64),
    Directory,
    /// A link, device or socket.
    Other,
}

/// An entry of a directory.
#[derive(Debug, Clone)]
pub(crate) struct SourceEntry {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) kind: EntryKind,
}

/// The directory of a source, with what was found in it that is not imported.
#[derive(Debug)]
pub(crate) struct SourceDirectory {
    root: PathBuf,
    /// Files that have no place in this store.
    left: FileList,
    /// Files that cannot be read or understood.
    skipped: FileList,
}

/// Files with a reason each.
#[derive(Debug, Default)]
struct FileList {
    files: Vec<SkippedFile>,
    /// Number of files over [`MAX_LISTED`].
    more: u64,
}

impl FileList {
    fn add(&mut self, path: String, reason: impl Into<String>) {
        if self.files.len() < MAX_LISTED {
            let reason = reason.into();
            self.files.push(SkippedFile { path, reason });
        } else {
            self.more += 1;
        }
    }

    fn into_sorted(mut self) -> Vec<SkippedFile> {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        if self.more > 0 {
            self.files.push(SkippedFile {
                path: format!("{} more", self.more),
                reason: "too many to name".to_owned(),
            });
        }
        self.files
    }
}

impl SourceDirectory {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            left: FileList::default(),
            skipped: FileList::default(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Reports a file that has no place in this store.
    pub(crate) fn leave(&mut self, path: &Path, reason: impl Into<String>) {
        let name = self.name_of(path);
        self.left.add(name, reason);
    }

    /// Reports a file that cannot be read or understood.
    pub(crate) fn skip(&mut self, path: &Path, reason: impl Into<String>) {
        let name = self.name_of(path);
        self.skipped.add(name, reason);
    }

    /// Returns the files that were left, and those that were skipped.
    pub(crate) fn into_lists(self) -> (Vec<SkippedFile>, Vec<SkippedFile>) {
        (self.left.into_sorted(), self.skipped.into_sorted())
    }

    fn name_of(&self, path: &Path) -> String {
        path_below(&self.root, path).unwrap_or_else(|| {
            let below = path.strip_prefix(&self.root).unwrap_or(path);
            below.to_string_lossy().into_owned()
        })
    }

    /// Returns the type of the entry `name`, a path below the top.
    pub(crate) fn kind(&self, name: &str) -> Option<EntryKind> {
        kind_of(&self.root.join(name))
    }

    pub(crate) fn is_directory(&self, name: &str) -> bool {
        self.kind(name) == Some(EntryKind::Directory)
    }

    pub(crate) fn is_file(&self, name: &str) -> bool {
        matches!(self.kind(name), Some(EntryKind::File(_)))
    }

    /// Lists the entries of a directory by name. Skips those that cannot be listed.
    pub(crate) fn entries(&mut self, path: &Path) -> Vec<SourceEntry> {
        let listed = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let listed = match listed {
            Ok(listed) => listed,
            Err(e) => {
                self.skip(path, e.to_string());
                return Vec::new();
            }
        };
        let mut entries = Vec::new();
        for entry in listed {
            let path = entry.path();
            match (entry.file_name().into_string(), kind_of(&path)) {
                (Ok(name), Some(kind)) => entries.push(SourceEntry { name, path, kind }),
                (Err(_), _) => self.skip(&path, "its name is not UTF-8"),
                (_, None) => self.skip(&path, "it cannot be read"),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Reads a JSON file. Skips it if that fails.
    pub(crate) fn read_json(&mut self, path: &Path) -> Option<Value> {
        let json =
            read_bounded(path).and_then(|bytes| from_json(&bytes).map_err(|e| e.to_string()));
        json.map_err(|reason| self.skip(path, reason)).ok()
    }

    /// Reads the JSON file `name`, a path below the top, unless it is missing.
    pub(crate) fn read_optional_json(&mut self, name: &str) -> Option<Value> {
        self.kind(name)?;
        self.read_json(&self.root.join(name))
    }

    /// Lists all plain files below `path` with their size in bytes. Skips everything else.
    pub(crate) fn plain_files_below(&mut self, path: &Path) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        for file in self.walk(path) {
            match kind_of(&file) {
                Some(EntryKind::File(bytes)) => files.push((file, bytes)),
                Some(EntryKind::Directory) => {}
                _ => self.skip(&file, NOT_PLAIN),
            }
        }
        files
    }

    /// Leaves everything at or below `path`, except directories.
    pub(crate) fn leave_all(&mut self, path: &Path, reason: &str) {
        for file in self.walk(path) {
            if kind_of(&file) != Some(EntryKind::Directory) {
                self.leave(&file, reason);
            }
        }
    }

    /// Lists everything at or below `path`, by name.
    fn walk(&mut self, path: &Path) -> Vec<PathBuf> {
        let walk = WalkDir::new(path)
            .follow_links(false)
            .follow_root_links(false)
            .sort_by_file_name();
        let mut paths = Vec::new();
        for entry in walk {
            match entry {
                Ok(entry) => paths.push(entry.into_path()),
                Err(e) => self.skip(e.path().unwrap_or(path), e.to_string()),
            }
        }
        paths
    }
}

fn kind_of(path: &Path) -> Option<EntryKind> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(match metadata.file_type() {
        kind if kind.is_file() => EntryKind::File(metadata.len()),
        kind if kind.is_dir() => EntryKind::Directory,
        _ => EntryKind::Other,
    })
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    match kind_of(path) {
        Some(EntryKind::File(len)) if len <= MAX_JSON_BYTES => {}
        Some(EntryKind::File(len)) => return Err(format!("too large: {len} bytes")),
        _ => return Err(NOT_PLAIN.to_owned()),
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| e.to_string())?;
    file.take(MAX_JSON_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    Ok(bytes)
}
