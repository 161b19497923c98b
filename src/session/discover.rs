//! Finding every session of this machine: one `stat` per file, nothing is opened.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SessionError;
use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::sys::fs::{FileStamp, PathError, is_leftover};

/// Why something beside a transcript is refused.
const NOT_PLAIN: &str = "not a plain file (links are not followed)";

/// The client's directory of project directories.
pub fn projects_dir(claude_dir: &Path) -> PathBuf {
    claude_dir.join("projects")
}

/// A session on this machine.
#[derive(Debug, Clone)]
pub struct LocalSession {
    /// Its id.
    pub id: SessionId,
    /// The project directory it lies in, `projects/<name>`.
    pub directory: PathBuf,
    /// The transcript and, by name, the files under `<session id>/`.
    pub files: BTreeMap<Option<RelativeName>, FileStamp>,
}

/// Something that looks like part of a session but cannot be taken.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The session it belongs to, where its name is an id.
    pub session: Option<SessionId>,
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// All sessions of a machine.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// By id.
    pub sessions: BTreeMap<SessionId, LocalSession>,
    /// What was passed over.
    pub refused: Vec<Refused>,
}

impl LocalSession {
    /// Where a file of the session lies; `None` is the transcript.
    pub fn path(&self, file: Option<&RelativeName>) -> PathBuf {
        file_path(&self.directory, &self.id, file)
    }

    /// The name of the project directory; empty if it is not UTF-8 (the client writes ASCII).
    pub fn directory_name(&self) -> &str {
        self.directory.file_name().and_then(|n| n.to_str()).unwrap_or_default()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|stamp| stamp.len).sum()
    }
}

/// Where a file of a session lies in the project directory `directory`.
pub fn file_path(directory: &Path, id: &SessionId, file: Option<&RelativeName>) -> PathBuf {
    match file {
        None => directory.join(format!("{id}.jsonl")),
        Some(name) => name.as_str().split('/').fold(directory.join(id.as_str()), |path, part| path.join(part)),
    }
}

/// The first link among `<session id>/`, the directories below it that lead to `file`, and the file itself. What lies behind a link was
/// not put there by the client, so it is neither read nor written.
pub fn link_on_the_way(directory: &Path, id: &SessionId, file: &RelativeName) -> Option<PathBuf> {
    let mut path = directory.join(id.as_str());
    let mut parts = file.as_str().split('/');
    loop {
        if is_link(&path) {
            return Some(path);
        }
        path.push(parts.next()?);
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Finds every session below the client's directory. A machine without one has no sessions.
///
/// # Errors
/// If `projects/` exists but cannot be listed; what cannot be read below it is in [`Discovery::refused`].
pub fn discover(claude_dir: &Path) -> Result<Discovery, SessionError> {
    let mut found = Discovery::default();
    for directory in list(&projects_dir(claude_dir))? {
        if is_directory(&directory) {
            scan_project(&directory.path(), &mut found);
        }
    }
    Ok(found)
}

fn scan_project(directory: &Path, found: &mut Discovery) {
    let entries = match list(directory) {
        Ok(entries) => entries,
        Err(e) => return found.refuse(None, directory, e.source.to_string()),
    };
    let names: HashSet<OsString> = entries.iter().map(fs::DirEntry::file_name).collect();
    for entry in &entries {
        let name = entry.file_name();
        let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(".jsonl")) else { continue };
        match stem.parse::<SessionId>() {
            Ok(id) => scan_session(directory, id, names.contains(OsStr::new(stem)), found),
            Err(e) => found.refuse(None, &entry.path(), e.to_string()),
        }
    }
}

/// `beside`: there is something of the session's name besides its transcript.
fn scan_session(directory: &Path, id: SessionId, beside: bool, found: &mut Discovery) {
    let transcript = file_path(directory, &id, None);
    // A link to a transcript is followed, as the client does; one beside it is not.
    let stamp = match fs::metadata(&transcript) {
        Ok(metadata) if metadata.is_file() => FileStamp::of(&metadata),
        Ok(_) => return found.refuse(Some(id), &transcript, "not a plain file".to_owned()),
        Err(e) => return found.refuse(Some(id), &transcript, e.to_string()),
    };
    let mut session = LocalSession { id, directory: directory.to_owned(), files: BTreeMap::from([(None, stamp)]) };
    if beside {
        scan_beside(&mut session, found);
    }
    if let Some(other) = found.sessions.get(&session.id) {
        let (keep, leave) = if other.files[&None].len >= session.files[&None].len {
            (other.clone(), session)
        } else {
            (session, other.clone())
        };
        let reason = format!("the same id is also in `{}`, which is larger", keep.directory.display());
        found.refuse(Some(leave.id.clone()), &leave.path(None), reason);
        found.sessions.insert(keep.id.clone(), keep);
        return;
    }
    found.sessions.insert(session.id.clone(), session);
}

/// Files in `directory` beside the transcript of a session that is not there: a pull that was killed came no further, or the transcript
/// was removed and they were not.
pub fn files_without_transcript(directory: &Path, id: &SessionId) -> Option<LocalSession> {
    let mut session = LocalSession { id: id.clone(), directory: directory.to_owned(), files: BTreeMap::new() };
    scan_beside(&mut session, &mut Discovery::default());
    (!session.files.is_empty()).then_some(session)
}

fn scan_beside(session: &mut LocalSession, found: &mut Discovery) {
    let root = session.directory.join(session.id.as_str());
    if is_link(&root) {
        return found.refuse(Some(session.id.clone()), &root, NOT_PLAIN.to_owned());
    }
    if !root.is_dir() {
        return;
    }
    for entry in walkdir::WalkDir::new(&root).follow_links(false).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                let path = e.path().unwrap_or(&root).to_owned();
                found.refuse(Some(session.id.clone()), &path, e.to_string());
                continue;
            }
        };
        if entry.file_type().is_dir() || entry.file_name().to_str().is_some_and(is_leftover) {
            continue;
        }
        match beside(&root, &entry) {
            Ok((name, stamp)) => drop(session.files.insert(Some(name), stamp)),
            Err(reason) => found.refuse(Some(session.id.clone()), entry.path(), reason),
        }
    }
}

fn beside(root: &Path, entry: &walkdir::DirEntry) -> Result<(RelativeName, FileStamp), String> {
    if !entry.file_type().is_file() {
        return Err(NOT_PLAIN.to_owned());
    }
    let relative = entry.path().strip_prefix(root).map_err(|e| e.to_string())?;
    let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
    let name = parts.ok_or("its name is not UTF-8")?.join("/");
    let name = RelativeName::new(name).map_err(|e| e.to_string())?;
    let metadata = entry.metadata().map_err(|e| e.to_string())?;
    Ok((name, FileStamp::of(&metadata)))
}

/// Whether it is a directory, or a link to one; most systems tell so without another question.
fn is_directory(entry: &fs::DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink() && entry.path().is_dir())
}

fn list(directory: &Path) -> Result<Vec<fs::DirEntry>, PathError> {
    let fail = |source| PathError { action: "read", path: directory.to_owned(), source };
    match fs::read_dir(directory) {
        Ok(entries) => {
            let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(fail)?;
            entries.sort_by_key(fs::DirEntry::file_name);
            Ok(entries)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(fail(e)),
    }
}

impl Discovery {
    fn refuse(&mut self, session: Option<SessionId>, path: &Path, reason: String) {
        self.refused.push(Refused { session, path: path.to_owned(), reason });
    }
}
