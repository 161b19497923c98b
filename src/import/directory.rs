//! A directory of somebody else's: listed and read without following a link, without writing, and without loading what is too large.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::report::transfer::SkippedFile;

/// A larger JSON file is refused unread.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// How many names are told one by one; a hostile directory may have millions.
const MOST_NAMED: usize = 1000;

/// What an entry is, without following it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A plain file of so many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// A link, a device, a socket.
    Other,
}

/// One entry of a directory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

/// Things that were left where they are, by name.
#[derive(Debug, Default)]
pub(crate) struct Named {
    named: Vec<SkippedFile>,
    more: u64,
}

impl Named {
    /// Notes one thing.
    pub(crate) fn note(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        if self.named.len() < MOST_NAMED {
            self.named.push(SkippedFile {
                path: path.into(),
                reason: reason.into(),
            });
        } else {
            self.more += 1;
        }
    }

    /// All of them, in order.
    pub(crate) fn into_vec(mut self) -> Vec<SkippedFile> {
        self.named.sort_by(|a, b| a.path.cmp(&b.path));
        if self.more > 0 {
            let path = format!("{} more", self.more);
            self.named.push(SkippedFile {
                path,
                reason: "too many to name".to_owned(),
            });
        }
        self.named
    }
}

/// The top of the directory.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The name of `path` below the top, for people.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned()
    }

    /// What is at `name`, below the top.
    pub(crate) fn kind(&self, name: &str) -> Option<Kind> {
        kind_of(&self.root.join(name))
    }

    pub(crate) fn is_directory(&self, name: &str) -> bool {
        self.kind(name) == Some(Kind::Directory)
    }

    pub(crate) fn is_file(&self, name: &str) -> bool {
        matches!(self.kind(name), Some(Kind::File(_)))
    }

    /// What `path` holds, by name. What cannot be listed or is no text is noted in `refused`.
    pub(crate) fn entries(&self, path: &Path, refused: &mut Named) -> Vec<Entry> {
        let listed = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let listed = match listed {
            Ok(listed) => listed,
            Err(e) => {
                refused.note(self.name_of(path), e.to_string());
                return Vec::new();
            }
        };
        let mut entries = Vec::new();
        for entry in listed {
            let path = entry.path();
            match (entry.file_name().into_string(), kind_of(&path)) {
                (Ok(name), Some(kind)) => entries.push(Entry { name, path, kind }),
                (Err(_), _) => refused.note(self.name_of(&path), "its name is not UTF-8"),
                (_, None) => refused.note(self.name_of(&path), "it cannot be looked at"),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// The JSON at `path`; what cannot be had is noted in `refused`.
    pub(crate) fn json(&self, path: &Path, refused: &mut Named) -> Option<serde_json::Value> {
        let read = read_bounded(path)
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string()));
        read.map_err(|reason| refused.note(self.name_of(path), reason))
            .ok()
    }

    /// Every plain file below `path`, with its bytes; anything else is noted in `refused`.
    pub(crate) fn plain_files_below(
        &self,
        path: &Path,
        refused: &mut Named,
    ) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        for entry in walkdir::WalkDir::new(path)
            .follow_links(false)
            .follow_root_links(false)
            .sort_by_file_name()
        {
            let path = match entry {
                Ok(entry) => entry.into_path(),
                Err(e) => {
                    refused.note(
                        e.path().map(|p| self.name_of(p)).unwrap_or_default(),
                        e.to_string(),
                    );
                    continue;
                }
            };
            match kind_of(&path) {
                Some(Kind::File(bytes)) => files.push((path, bytes)),
                Some(Kind::Directory) => {}
                _ => refused.note(
                    self.name_of(&path),
                    "not a plain file (links are not followed)",
                ),
            }
        }
        files
    }

    /// Everything that is no directory at or below `path`, by name; what cannot be listed is noted in `refused`.
    pub(crate) fn files_below(&self, path: &Path, refused: &mut Named) -> Vec<String> {
        let mut files = Vec::new();
        for entry in walkdir::WalkDir::new(path)
            .follow_links(false)
            .sort_by_file_name()
        {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) => files.push(self.name_of(entry.path())),
                Err(e) => refused.note(
                    e.path().map(|p| self.name_of(p)).unwrap_or_default(),
                    e.to_string(),
                ),
            }
        }
        files
    }
}

fn kind_of(path: &Path) -> Option<Kind> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(match metadata.file_type() {
        kind if kind.is_file() => Kind::File(metadata.len()),
        kind if kind.is_dir() => Kind::Directory,
        _ => Kind::Other,
    })
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    match kind_of(path) {
        Some(Kind::File(len)) if len <= MAX_JSON_BYTES => {}
        Some(Kind::File(len)) => return Err(format!("{len} bytes are too many for it")),
        _ => return Err("it is no plain file (links are not followed)".to_owned()),
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| e.to_string())?;
    file.take(MAX_JSON_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    Ok(bytes)
}
