//! Finding every session of this machine: one `stat` per file, nothing is opened.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::SessionError;
use super::files::{ExternalDir, is_external, projects_dir, transcript_path};
use super::local::LocalSession;
use super::scan::{ProjectScan, RefusedFile, list};
use crate::domain::{SessionFile, SessionId};
use crate::sys::fs::real_path;
use crate::sys::{parallel::cores, parallel::in_order, parallel::useful_threads};

/// A thread for fewer project directories costs more than it saves.
const PROJECTS_PER_THREAD: usize = 4;

/// All sessions of a machine.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// The sessions by id.
    pub sessions: BTreeMap<SessionId, LocalSession>,
    /// Other transcripts of the same ids: in another directory, or set aside. They may have lines
    /// that are nowhere else.
    pub copies: Vec<LocalSession>,
    /// Files that look like part of a session but cannot be used.
    pub refused: Vec<RefusedFile>,
}

/// Selects sessions by id.
type Filter<'a> = &'a (dyn Fn(&SessionId) -> bool + Sync);

/// An external directory, and the names of the sessions with files in it.
type ExternalSessions = (ExternalDir, HashSet<OsString>);

/// Finds the transcript of one session; the largest one if the id is in several directories.
pub fn find_transcript(claude_dir: &Path, id: &SessionId) -> Option<PathBuf> {
    let file_with_len = |project: fs::DirEntry| {
        let path = transcript_path(&project.path(), id);
        let metadata = fs::symlink_metadata(&path).ok()?;
        metadata.is_file().then_some((metadata.len(), path))
    };
    let projects = list(&projects_dir(claude_dir)).ok()?;
    let files = projects
        .into_iter()
        .filter(is_directory)
        .filter_map(file_with_len);
    files.max().map(|(_, path)| path)
}

/// Finds one session; `None` if it has no transcript here.
pub fn find_session_here(claude_dir: &Path, id: &SessionId) -> Option<LocalSession> {
    let mut found = discover_some(claude_dir, &|other| other == id).ok()?;
    found.sessions.remove(id)
}

/// Finds every session below the client's directory. Without that directory, the result is empty.
///
/// # Errors
/// If `projects/` exists but cannot be listed. [`Discovery::refused`] names what cannot be read
/// below it.
pub fn discover(claude_dir: &Path) -> Result<Discovery, SessionError> {
    discover_some(claude_dir, &|_| true)
}

/// Finds every session like [`discover`], on this thread alone: other cores have work to do.
///
/// # Errors
/// As for [`discover`].
pub fn discover_on_one_thread(claude_dir: &Path) -> Result<Discovery, SessionError> {
    discover_on(1, claude_dir, &|_| true)
}

/// Finds the `wanted` sessions like [`discover`]. The files of the others are not even listed.
///
/// # Errors
/// As for [`discover`].
pub fn discover_some(claude_dir: &Path, wanted: Filter<'_>) -> Result<Discovery, SessionError> {
    discover_on(cores(), claude_dir, wanted)
}

fn discover_on(
    max_threads: usize,
    claude_dir: &Path,
    wanted: Filter<'_>,
) -> Result<Discovery, SessionError> {
    let mut projects = list(&projects_dir(claude_dir))?;
    projects.retain(is_directory);
    projects.sort_by_key(fs::DirEntry::file_name);
    let projects = without_second_names(&projects);

    let mut found = Discovery::default();
    let external = ExternalDir::ALL.map(|external| found.list_external(claude_dir, external));
    let threads = useful_threads(projects.len(), PROJECTS_PER_THREAD).min(max_threads);
    for scan in scan_projects(threads, &projects, &external, wanted) {
        let sessions = scan.sessions.into_iter();
        sessions.for_each(|session| found.add(session));
        found.copies.extend(scan.copies);
        found.refused.extend(scan.refused);
    }
    found.refused.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Scans directories on so many threads; returns the scans in the order of the directories.
fn scan_projects(
    threads: usize,
    projects: &[PathBuf],
    external: &[ExternalSessions],
    wanted: Filter<'_>,
) -> Vec<ProjectScan> {
    let mut scans = Vec::with_capacity(projects.len());
    in_order(
        projects,
        threads,
        |queue| queue.each(|project| scan_project(project, external, wanted)),
        &mut |scan| {
            scans.push(scan);
            ControlFlow::Continue(())
        },
    );
    scans
}

fn scan_project(project: &Path, external: &[ExternalSessions], wanted: Filter<'_>) -> ProjectScan {
    let mut scan = ProjectScan::default();
    scan.add_project(project, wanted);
    let mut sessions = std::mem::take(&mut scan.sessions);
    for session in &mut sessions {
        for (external, names) in external {
            if names.contains(OsStr::new(session.id.as_str())) {
                scan.add_external(session, *external);
            }
        }
    }
    ProjectScan { sessions, ..scan }
}

/// Finds the files of a session whose transcript is not in `directory`: a pull was killed, or the
/// transcript was removed without them.
pub fn files_without_transcript(directory: &Path, id: &SessionId) -> Option<LocalSession> {
    let mut session = LocalSession {
        id: id.clone(),
        directory: directory.to_owned(),
        files: BTreeMap::new(),
        copied_transcript: None,
    };
    let mut scan = ProjectScan::default();
    scan.add_named_files(&mut session);
    for external in ExternalDir::ALL {
        scan.add_external(&mut session, external);
    }
    (!session.files.is_empty()).then_some(session)
}

/// Returns the paths of project directories. One that has several names, by links, is listed once:
/// under its own name, else under the first.
fn without_second_names(projects: &[fs::DirEntry]) -> Vec<PathBuf> {
    let is_link = |entry: &&fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let (links, plain): (Vec<_>, Vec<_>) = projects.iter().partition(is_link);
    let mut paths: Vec<PathBuf> = plain.iter().map(|entry| entry.path()).collect();
    if links.is_empty() {
        return paths;
    }

    let mut seen: HashSet<PathBuf> = paths
        .iter()
        .filter_map(|path| real_path(path).ok())
        .collect();
    for link in links {
        let path = link.path();
        if real_path(&path).is_ok_and(|real| seen.insert(real)) {
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

/// Returns true for a directory or a link to one; most systems need no further call for it.
fn is_directory(entry: &fs::DirEntry) -> bool {
    entry
        .file_type()
        .is_ok_and(|kind| kind.is_dir() || kind.is_symlink() && entry.path().is_dir())
}

impl Discovery {
    /// Lists the sessions with files in an external directory; an unreadable one is refused.
    fn list_external(&mut self, claude_dir: &Path, external: ExternalDir) -> ExternalSessions {
        let directory = claude_dir.join(external.directory());
        let entries = list(&directory).unwrap_or_else(|e| {
            self.refused.push(RefusedFile {
                path: directory,
                reason: e.source.to_string(),
            });
            Vec::new()
        });
        let names = entries.iter().map(fs::DirEntry::file_name);
        (external, names.collect())
    }

    /// Adds a session. Of two with one id, the one with the larger transcript is used.
    fn add(&mut self, session: LocalSession) {
        let Some(other) = self.sessions.remove(&session.id) else {
            self.sessions.insert(session.id.clone(), session);
            return;
        };
        let len = |session: &LocalSession| session.files[&SessionFile::Transcript].len;
        let (larger, smaller) = match len(&other) >= len(&session) {
            true => (other, session),
            false => (session, other),
        };
        let mut copy = smaller;
        // The other files of both are compared by name: files outside the project directory belong
        // to the id, and those that the client rewrites to the session.
        copy.files
            .retain(|file, _| file.is_append_only() && !is_external(file));
        self.copies.push(copy);
        self.sessions.insert(larger.id.clone(), larger);
    }
}
