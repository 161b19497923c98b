//! The scan of one project directory: its transcripts and the other files of their sessions.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{ExternalDir, RESERVED, is_external_name};
use super::local::LocalSession;
use crate::domain::{RelativeName, SessionFile, SessionId};
use crate::sys::{fs::FileStamp, fs::PathError, temp::is_temp_name};

/// Reason for refusing a file of a session.
const NOT_PLAIN: &str = "not a plain file (links are not followed)";

/// Reason for refusing a name in the directory of a session.
const RESERVED_NAME: &str = "the name begins with `@`, which ccsync reserves for external files";

/// A file that looks like part of a session but cannot be used.
#[derive(Debug, Clone)]
pub struct RefusedFile {
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub reason: String,
}

/// The content of one project directory.
#[derive(Default)]
pub(super) struct ProjectScan {
    pub(super) sessions: Vec<LocalSession>,
    pub(super) refused: Vec<RefusedFile>,
}

impl ProjectScan {
    /// Adds the `wanted` sessions of a project directory.
    pub(super) fn add_project(&mut self, directory: &Path, wanted: &dyn Fn(&SessionId) -> bool) {
        let entries = match list(directory) {
            Ok(entries) => entries,
            Err(e) => return self.refuse(directory, e.source.to_string()),
        };
        let names: HashSet<OsString> = entries.iter().map(fs::DirEntry::file_name).collect();
        for entry in &entries {
            let name = entry.file_name();
            let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(".jsonl")) else {
                continue;
            };
            match stem.parse::<SessionId>() {
                Ok(id) if !wanted(&id) => {}
                Ok(id) => {
                    let has_directory = names.contains(OsStr::new(stem));
                    self.add_session(directory, id, entry, has_directory);
                }
                Err(e) => self.refuse(&entry.path(), e.to_string()),
            }
        }
    }

    fn add_session(
        &mut self,
        directory: &Path,
        id: SessionId,
        transcript: &fs::DirEntry,
        has_directory: bool,
    ) {
        // The client follows a link to a transcript; links to other files are not followed.
        let is_link = transcript.file_type().is_ok_and(|kind| kind.is_symlink());
        let metadata = match is_link {
            true => fs::metadata(transcript.path()),
            false => transcript.metadata(),
        };
        let reason = match metadata {
            Ok(metadata) if metadata.is_file() => {
                let stamp = FileStamp::from_metadata(&metadata);
                let mut session = LocalSession {
                    id,
                    directory: directory.to_owned(),
                    files: BTreeMap::from([(SessionFile::Transcript, stamp)]),
                };
                if has_directory {
                    self.add_named_files(&mut session);
                }
                return self.sessions.push(session);
            }
            Ok(_) => "not a plain file".to_owned(),
            Err(e) => e.to_string(),
        };
        self.refuse(&transcript.path(), reason);
    }

    /// Adds the files below `<session id>/`.
    pub(super) fn add_named_files(&mut self, session: &mut LocalSession) {
        let root = session.directory.join(session.id.as_str());
        if !self.is_own_directory(&root) {
            return;
        }
        let mut directories = vec![(root, Some(String::new()))];
        while let Some((directory, prefix)) = directories.pop() {
            let is_root = prefix.as_deref() == Some("");
            for entry in self.entries(&directory) {
                let file_name = entry.file_name();
                let file_name = file_name.to_str();
                if is_root && file_name.is_some_and(|name| name.starts_with(RESERVED)) {
                    let reason = RESERVED_NAME.to_owned();
                    self.refuse(&entry.path(), reason);
                    continue;
                }
                let name = prefix
                    .as_ref()
                    .zip(file_name)
                    .map(|(prefix, name)| format!("{prefix}{name}"));
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.push((entry.path(), name.map(|name| name + "/")));
                } else if !file_name.is_some_and(is_temp_name) {
                    self.add_file(session, &entry, name);
                }
            }
        }
    }

    /// Adds the session's files in an external directory, which has no subdirectories for them.
    pub(super) fn add_external(&mut self, session: &mut LocalSession, external: ExternalDir) {
        let root = external.session_directory(&session.directory, &session.id);
        if !self.is_own_directory(&root) {
            return;
        }
        for entry in self.entries(&root) {
            let file_name = entry.file_name();
            let file_name = file_name.to_str();
            let is_foreign = file_name.is_some_and(|name| !is_external_name(name));
            if !is_foreign && !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add_file(session, &entry, file_name.map(|name| external.name(name)));
            }
        }
    }

    /// Adds one file under the name that it has in its session.
    fn add_file(&mut self, session: &mut LocalSession, entry: &fs::DirEntry, name: Option<String>) {
        match named_file(entry, name) {
            Ok((name, stamp)) => drop(session.files.insert(name.into(), stamp)),
            Err(reason) => self.refuse(&entry.path(), reason),
        }
    }

    /// Returns true if the directory exists. Refuses a link in its place.
    fn is_own_directory(&mut self, root: &Path) -> bool {
        match fs::symlink_metadata(root) {
            Ok(metadata) if metadata.is_symlink() => {
                self.refuse(root, NOT_PLAIN.to_owned());
                false
            }
            Ok(metadata) => metadata.is_dir(),
            Err(_) => false,
        }
    }

    /// Lists a directory of the session. Refuses it if it cannot be read.
    fn entries(&mut self, directory: &Path) -> Vec<fs::DirEntry> {
        list(directory).unwrap_or_else(|e| {
            self.refuse(directory, e.source.to_string());
            Vec::new()
        })
    }

    fn refuse(&mut self, path: &Path, reason: String) {
        self.refused.push(RefusedFile {
            path: path.to_owned(),
            reason,
        });
    }
}

fn named_file(
    entry: &fs::DirEntry,
    name: Option<String>,
) -> Result<(RelativeName, FileStamp), String> {
    let metadata = entry.metadata().map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err(NOT_PLAIN.to_owned());
    }
    let name = name.ok_or("its name is not UTF-8")?;
    let name = RelativeName::new(name).map_err(|e| e.to_string())?;
    Ok((name, FileStamp::from_metadata(&metadata)))
}

/// Lists a directory; a missing one has no entries.
pub(super) fn list(directory: &Path) -> Result<Vec<fs::DirEntry>, PathError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries.collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    };
    entries.map_err(|source| PathError::new("read", directory, source))
}
