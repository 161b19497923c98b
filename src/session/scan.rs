//! The scan of one project directory: its transcripts and the other files of their sessions.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{ExternalDir, RESERVED};
use super::local::LocalSession;
use crate::domain::{RelativeName, SessionFile, SessionId, hidden_name::is_litter};
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
    /// Transcripts that were set aside.
    pub(super) copies: Vec<LocalSession>,
    pub(super) refused: Vec<RefusedFile>,
}

/// Length of a session id as the client makes them: a UUID.
const UUID_LEN: usize = 36;

/// Returns the session of a transcript that was set aside under another name, such as
/// `<id>.sync-conflict-20261101-101010-ABCDEFG.jsonl`, `<id> (conflicted copy).jsonl`,
/// `._<id>.jsonl`, `Copy of <id>.jsonl`, or the client's `<id>.orphaned-<time>.jsonl`; also with a
/// suffix.
fn copied_id(name: &str) -> Option<SessionId> {
    let (start, id) = first_uuid(name)?;
    let rest = &name[start + UUID_LEN..];
    let is_transcript = rest.contains(".jsonl");
    let is_session = rest == ".jsonl" && start == 0;
    let is_busy = is_temp_name(name)
        || [".tmp", ".lock", ".swp"]
            .iter()
            .any(|end| rest.ends_with(end));
    // A letter or digit belongs to a longer id.
    let ends_id = !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let is_copy = is_transcript && !is_session && !is_busy && ends_id;
    is_copy.then(|| id.parse().ok()).flatten()
}

/// Finds the first UUID that no letter or digit precedes, and its position.
fn first_uuid(name: &str) -> Option<(usize, &str)> {
    let starts = name.char_indices().map(|(start, _)| start);
    let mut found = starts.filter_map(|start| Some((start, name.get(start..start + UUID_LEN)?)));
    found.find(|(start, text)| {
        let before = name[..*start].chars().next_back();
        let begins = !before.is_some_and(|c| c.is_alphanumeric() || c == '-');
        begins && uuid::Uuid::try_parse(text).is_ok()
    })
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
            let Some(name) = name.to_str() else {
                continue;
            };
            if let Some(id) = copied_id(name) {
                if wanted(&id) {
                    self.add_copy(directory, id, entry);
                }
                continue;
            }
            let Some(stem) = name.strip_suffix(".jsonl") else {
                continue;
            };
            match stem.parse::<SessionId>() {
                Ok(id) if !wanted(&id) => {}
                Ok(id) => {
                    let has_directory = names.contains(OsStr::new(stem));
                    self.add_session(directory, id, entry, has_directory);
                }
                // A hidden file is the file system's or another program's.
                Err(_) if stem.starts_with('.') => {}
                Err(e) => self.refuse(&entry.path(), e.to_string()),
            }
        }
    }

    /// Adds a transcript that a file system, another program or the client has set aside. Skips
    /// links and other files that are not plain.
    fn add_copy(&mut self, directory: &Path, id: SessionId, entry: &fs::DirEntry) {
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file);
        let stamp = metadata.and_then(|metadata| FileStamp::new(&entry.path(), &metadata).ok());
        if let Some(stamp) = stamp {
            self.copies.push(LocalSession {
                id,
                directory: directory.to_owned(),
                files: BTreeMap::from([(SessionFile::Transcript, stamp)]),
                copied_transcript: Some(entry.path()),
            });
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
        let stamp = metadata.and_then(|metadata| match metadata.is_file() {
            true => FileStamp::new(&transcript.path(), &metadata).map(Some),
            false => Ok(None),
        });
        let reason = match stamp {
            Ok(Some(stamp)) => {
                let mut session = LocalSession {
                    id,
                    directory: directory.to_owned(),
                    files: BTreeMap::from([(SessionFile::Transcript, stamp)]),
                    copied_transcript: None,
                };
                if has_directory {
                    self.add_named_files(&mut session);
                }
                return self.sessions.push(session);
            }
            Ok(None) => "not a plain file".to_owned(),
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
                if file_name.is_some_and(is_litter) {
                    continue;
                }
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
            let is_foreign = file_name.is_some_and(|name| !external.has_file(name));
            if !is_foreign && !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add_file(session, &entry, file_name.map(|name| external.name(name)));
            }
        }
    }

    /// Adds the files of a team's task list.
    pub(super) fn add_team(&mut self, session: &mut LocalSession, team: &str) {
        let external = ExternalDir::TeamTasks;
        let all = external.session_directory(&session.directory, &session.id);
        for entry in self.entries(&all.join(team)) {
            let name = entry.file_name();
            let name = name.to_str().map(|name| format!("{team}/{name}"));
            let is_foreign = name.as_ref().is_some_and(|name| !external.has_file(name));
            if !is_foreign && !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add_file(session, &entry, name.map(|name| external.name(&name)));
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
    let stamp = FileStamp::new(&entry.path(), &metadata).map_err(|e| e.to_string())?;
    Ok((name, stamp))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_id_is_that_of_a_set_aside_transcript() {
        let id = "11111111-0000-4000-8000-000000000001";
        for name in [
            "ID.sync-conflict-20261101-101010-ABCDEFG.jsonl",
            "ID (Al's conflicted copy 2026-11-01).jsonl",
            "ID 2.jsonl",
            "._ID.jsonl",
            "ID.orphaned-1764000000-ab12.jsonl",
            "ID.jsonl.kept-1764000000",
            "ID.jsonl~",
            "ID (1).jsonl.bak",
            "Copy of ID.jsonl",
            "~$ID.jsonl",
        ] {
            let found = copied_id(&name.replace("ID", id));
            assert_eq!(found.as_ref().map(SessionId::as_str), Some(id), "{name}");
        }
        for name in [
            "ID.jsonl",
            "ID-laptop.jsonl",
            "ID",
            "ID.txt",
            "ID.jsonl.tmp",
            "agent-ID.jsonl",
            "agent-0123abcd.jsonl",
            "11111111 2.jsonl",
        ] {
            assert_eq!(copied_id(&name.replace("ID", id)), None, "{name}");
        }
    }
}
