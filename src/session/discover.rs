//! Finding every session of this machine: one `stat` per file, nothing is opened.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SessionError;
use super::files::{self, ExternalDir, RESERVED, file_path, is_taken};
use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::domain::session_file::SessionFile;
use crate::sys::fs::{FileStamp, PathError, is_leftover};
use crate::sys::parallel::{spread, worth};

/// Why something beside a transcript is refused.
const NOT_PLAIN: &str = "not a plain file (links are not followed)";

/// Why a name beside a transcript is refused.
const NOT_ITS_NAME: &str =
    "beside a transcript, no name may begin with `@`: ccsync names files that lie elsewhere so";

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
    /// The transcript and, by name ([`super::files`]), everything else that the client keeps of it.
    pub files: BTreeMap<SessionFile, FileStamp>,
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
    /// Returns the path of a file of the session.
    pub fn path(&self, file: &SessionFile) -> PathBuf {
        file_path(&self.directory, &self.id, file)
    }

    /// Returns the path of the transcript.
    pub fn transcript_path(&self) -> PathBuf {
        files::transcript_path(&self.directory, &self.id)
    }

    /// The name of the project directory; empty if it is not UTF-8 (the client writes ASCII).
    pub fn directory_name(&self) -> &str {
        self.directory
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|stamp| stamp.len).sum()
    }
}

/// Where the transcript of one session lies; the larger one if the id is in several directories, as for [`discover`].
pub fn transcript_path(claude_dir: &Path, id: &SessionId) -> Option<PathBuf> {
    let projects = list(&projects_dir(claude_dir)).ok()?;
    let paths = projects
        .iter()
        .filter(|entry| is_directory(entry))
        .map(|entry| files::transcript_path(&entry.path(), id));
    let files = paths.filter_map(|path| {
        Some((
            fs::symlink_metadata(&path)
                .ok()
                .filter(fs::Metadata::is_file)?
                .len(),
            path,
        ))
    });
    files.max().map(|(_, path)| path)
}

/// Finds every session below the client's directory. A machine without one has no sessions.
///
/// # Errors
/// If `projects/` exists but cannot be listed; what cannot be read below it is in [`Discovery::refused`].
pub fn discover(claude_dir: &Path) -> Result<Discovery, SessionError> {
    discover_some(claude_dir, &|_| true)
}

/// As [`discover`], on this thread alone: the other cores belong to another program.
///
/// # Errors
/// As for [`discover`].
pub fn discover_on_one_thread(claude_dir: &Path) -> Result<Discovery, SessionError> {
    discover_on(claude_dir, &|_| true, 1)
}

/// As [`discover`], only of the sessions that are `wanted`: of the others not even the files are looked at.
///
/// # Errors
/// As for [`discover`].
pub fn discover_some(claude_dir: &Path, wanted: Wanted<'_>) -> Result<Discovery, SessionError> {
    discover_on(claude_dir, wanted, usize::MAX)
}

/// Finds sessions on at most so many threads.
fn discover_on(
    claude_dir: &Path,
    wanted: Wanted<'_>,
    max_threads: usize,
) -> Result<Discovery, SessionError> {
    let mut projects = list(&projects_dir(claude_dir))?;
    projects.retain(is_directory);
    projects.sort_by_key(fs::DirEntry::file_name);
    let projects: Vec<PathBuf> = projects.iter().map(fs::DirEntry::path).collect();
    let mut found = Discovery::default();
    let apart = ExternalDir::ALL.map(|apart| found.sessions_apart(claude_dir, apart));
    for scan in scan_projects(&projects, &apart, wanted, max_threads) {
        scan.sessions
            .into_iter()
            .for_each(|session| found.add(session));
        found.refused.extend(scan.refused);
    }
    found.refused.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Which sessions are asked for.
type Wanted<'a> = &'a (dyn Fn(&SessionId) -> bool + Sync);

/// What the client keeps apart, and the names of the sessions of which it does.
type SessionsApart = (ExternalDir, HashSet<OsString>);

/// What one project directory holds.
#[derive(Default)]
struct Scan {
    sessions: Vec<LocalSession>,
    refused: Vec<Refused>,
}

/// Scans directories on all cores, at most on so many; the scans are in their order.
fn scan_projects(
    projects: &[PathBuf],
    apart: &[SessionsApart],
    wanted: Wanted<'_>,
    max_threads: usize,
) -> Vec<Scan> {
    /// A thread for fewer directories costs more than it saves.
    const PROJECTS_PER_THREAD: usize = 4;
    let numbered: Vec<_> = projects.iter().enumerate().collect();
    let threads = worth(projects.len(), PROJECTS_PER_THREAD).clamp(1, max_threads);
    let Ok(mut scans) = spread(&numbered, threads, |projects| {
        Ok::<_, Infallible>(
            projects
                .map(|(number, project)| (*number, Scan::of(project, apart, wanted)))
                .collect(),
        )
    });
    scans.sort_by_key(|(number, _)| *number);
    scans.into_iter().map(|(_, scan)| scan).collect()
}

impl Scan {
    fn of(project: &Path, apart: &[SessionsApart], wanted: Wanted<'_>) -> Self {
        let mut scan = Self::default();
        scan.project(project, wanted);
        let mut sessions = std::mem::take(&mut scan.sessions);
        for session in &mut sessions {
            for (apart, names) in apart {
                if names.contains(OsStr::new(session.id.as_str())) {
                    scan.apart(session, *apart);
                }
            }
        }
        Self { sessions, ..scan }
    }

    fn project(&mut self, directory: &Path, wanted: Wanted<'_>) {
        let entries = match list(directory) {
            Ok(entries) => entries,
            Err(e) => return self.refuse(None, directory, e.source.to_string()),
        };
        let names: HashSet<OsString> = entries.iter().map(fs::DirEntry::file_name).collect();
        for entry in &entries {
            let name = entry.file_name();
            let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(".jsonl")) else {
                continue;
            };
            match stem.parse::<SessionId>() {
                Ok(id) if !wanted(&id) => {}
                Ok(id) => self.session(directory, id, entry, names.contains(OsStr::new(stem))),
                Err(e) => self.refuse(None, &entry.path(), e.to_string()),
            }
        }
    }

    /// `beside`: there is something of the session's name besides its transcript.
    fn session(
        &mut self,
        directory: &Path,
        id: SessionId,
        transcript: &fs::DirEntry,
        extras: bool,
    ) {
        // A link to a transcript is followed, as the client does; one beside it is not.
        let is_link = transcript.file_type().is_ok_and(|kind| kind.is_symlink());
        let metadata = if is_link {
            fs::metadata(transcript.path())
        } else {
            transcript.metadata()
        };
        let stamp = match metadata {
            Ok(metadata) if metadata.is_file() => FileStamp::of(&metadata),
            Ok(_) => {
                return self.refuse(Some(id), &transcript.path(), "not a plain file".to_owned());
            }
            Err(e) => return self.refuse(Some(id), &transcript.path(), e.to_string()),
        };
        let mut session = LocalSession {
            id,
            directory: directory.to_owned(),
            files: BTreeMap::from([(SessionFile::Transcript, stamp)]),
        };
        if extras {
            self.extras(&mut session);
        }
        self.sessions.push(session);
    }

    /// Adds the files below `<session id>/`.
    fn extras(&mut self, session: &mut LocalSession) {
        let root = session.directory.join(session.id.as_str());
        if !self.is_own_directory(session, &root) {
            return;
        }
        let mut directories = vec![(root, Some(String::new()))];
        while let Some((directory, prefix)) = directories.pop() {
            for entry in self.entries(session, &directory) {
                let file_name = entry.file_name();
                let is_reserved = prefix.as_deref() == Some("")
                    && file_name
                        .to_str()
                        .is_some_and(|name| name.starts_with(RESERVED));
                if is_reserved {
                    self.refuse(
                        Some(session.id.clone()),
                        &entry.path(),
                        NOT_ITS_NAME.to_owned(),
                    );
                    continue;
                }
                let name = prefix
                    .as_ref()
                    .zip(file_name.to_str())
                    .map(|(prefix, name)| format!("{prefix}{name}"));
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.push((entry.path(), name.map(|name| name + "/")));
                } else if !file_name.to_str().is_some_and(is_leftover) {
                    match file_beside(&entry, name) {
                        Ok((name, stamp)) => drop(session.files.insert(name.into(), stamp)),
                        Err(reason) => self.refuse(Some(session.id.clone()), &entry.path(), reason),
                    }
                }
            }
        }
    }

    /// Adds what the client keeps of the session elsewhere: plain files in one directory.
    fn apart(&mut self, session: &mut LocalSession, apart: ExternalDir) {
        let root = apart.of_session(&session.directory, &session.id);
        if !self.is_own_directory(session, &root) {
            return;
        }
        for entry in self.entries(session, &root) {
            let file_name = entry.file_name();
            let is_none = file_name.to_str().is_some_and(|name| !is_taken(name));
            if is_none || entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            match file_beside(&entry, file_name.to_str().map(|name| apart.name(name))) {
                Ok((name, stamp)) => drop(session.files.insert(name.into(), stamp)),
                Err(reason) => self.refuse(Some(session.id.clone()), &entry.path(), reason),
            }
        }
    }

    /// Whether there is such a directory. A link in its place is refused.
    fn is_own_directory(&mut self, session: &LocalSession, root: &Path) -> bool {
        match fs::symlink_metadata(root) {
            Ok(metadata) if metadata.is_symlink() => {
                self.refuse(Some(session.id.clone()), root, NOT_PLAIN.to_owned());
                false
            }
            Ok(metadata) => metadata.is_dir(),
            Err(_) => false,
        }
    }

    /// What a directory of the session holds; nothing if it cannot be read, which is refused.
    fn entries(&mut self, session: &LocalSession, directory: &Path) -> Vec<fs::DirEntry> {
        list(directory).unwrap_or_else(|e| {
            self.refuse(Some(session.id.clone()), directory, e.source.to_string());
            Vec::new()
        })
    }

    fn refuse(&mut self, session: Option<SessionId>, path: &Path, reason: String) {
        self.refused.push(Refused {
            session,
            path: path.to_owned(),
            reason,
        });
    }
}

fn file_beside(
    entry: &fs::DirEntry,
    name: Option<String>,
) -> Result<(RelativeName, FileStamp), String> {
    let metadata = entry.metadata().map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err(NOT_PLAIN.to_owned());
    }
    let name =
        RelativeName::new(&name.ok_or("its name is not UTF-8")?).map_err(|e| e.to_string())?;
    Ok((name, FileStamp::of(&metadata)))
}

/// Files of a session whose transcript is not in `directory`: a pull that was killed came no further, or the transcript was removed and
/// they were not.
pub fn files_without_transcript(directory: &Path, id: &SessionId) -> Option<LocalSession> {
    let mut session = LocalSession {
        id: id.clone(),
        directory: directory.to_owned(),
        files: BTreeMap::new(),
    };
    let mut scan = Scan::default();
    scan.extras(&mut session);
    ExternalDir::ALL
        .into_iter()
        .for_each(|apart| scan.apart(&mut session, apart));
    (!session.files.is_empty()).then_some(session)
}

/// Whether it is a directory, or a link to one; most systems tell so without another question.
fn is_directory(entry: &fs::DirEntry) -> bool {
    entry
        .file_type()
        .is_ok_and(|kind| kind.is_dir() || kind.is_symlink() && entry.path().is_dir())
}

fn list(directory: &Path) -> Result<Vec<fs::DirEntry>, PathError> {
    let fail = |source| PathError {
        action: "read",
        path: directory.to_owned(),
        source,
    };
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(fail),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(fail(e)),
    }
}

impl Discovery {
    /// The sessions of which the client keeps something apart; that its directory cannot be read is said.
    fn sessions_apart(&mut self, claude_dir: &Path, apart: ExternalDir) -> SessionsApart {
        let directory = claude_dir.join(apart.directory());
        let entries = list(&directory).unwrap_or_else(|e| {
            self.refused.push(Refused {
                session: None,
                path: directory,
                reason: e.source.to_string(),
            });
            Vec::new()
        });
        (apart, entries.iter().map(fs::DirEntry::file_name).collect())
    }

    fn add(&mut self, session: LocalSession) {
        let Some(other) = self.sessions.remove(&session.id) else {
            self.sessions.insert(session.id.clone(), session);
            return;
        };
        let (keep, leave) = if other.files[&SessionFile::Transcript].len
            >= session.files[&SessionFile::Transcript].len
        {
            (other, session)
        } else {
            (session, other)
        };
        let reason = format!(
            "the same id is also in `{}`, which is larger",
            keep.directory.display()
        );
        self.refused.push(Refused {
            session: Some(leave.id.clone()),
            path: leave.transcript_path(),
            reason,
        });
        self.sessions.insert(keep.id.clone(), keep);
    }
}
