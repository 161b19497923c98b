//! The index: what was found out about each session when it was last looked at.
//!
//! Only a cache. Deleting it changes nothing but time: everything in it is found out again by comparing bytes. An entry holds only while the
//! session's files and its state in the store are what they were. The index knows for which head of the store it was made and
//! [follows](Index::follow) it from there, so that what the store holds of each session is asked only of those that changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::id::{CommitId, SessionId};
use crate::domain::session_file::SessionFile;
use crate::report::transfer::SessionReport;
use crate::session::LocalSession;
use crate::store::SessionState;
use crate::store::manifest::Manifest;
use crate::store::{Store, StoreError};
use crate::sys::fs::{FileStamp, PathError, write_cache};

const VERSION: u32 = 3;

/// The whole index.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Index {
    version: u32,
    /// The settings that readings depend on; under others the entries say nothing.
    settings: String,
    /// The store's head of which the entries speak.
    head: Option<CommitId>,
    sessions: BTreeMap<SessionId, Entry>,
    elsewhere: BTreeMap<SessionId, StoreOnlySession>,
    /// Only where the settings speak of projects.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    projects: BTreeMap<SessionId, ProjectOfSession>,
    /// Differs from what lies on the disk.
    #[serde(skip)]
    changed: bool,
}

/// A session that only the store has, so that it can be named without opening its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreOnlySession {
    state: SessionState,
    /// Time of its newest record.
    pub(crate) last_activity: Option<String>,
    /// Portable path of its project.
    pub(crate) project: Option<String>,
    /// Only where the settings speak of projects.
    #[serde(default, rename = "lies_at")]
    pub(crate) location: Option<ProjectLocation>,
    /// Its title as the client would show it; unsanitised.
    pub(crate) title: Option<String>,
    /// What the addresses of its project's git remote have in common.
    #[serde(default)]
    pub(crate) remote: Option<String>,
    /// Bytes of all its files.
    #[serde(default)]
    pub(crate) bytes: u64,
}

/// Where the project of a session is on this machine, or would be if it were here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProjectLocation {
    /// The portable path.
    pub(crate) path: String,
    /// The tops of the working trees of its remote that there were here: another one may be another place. None: only the path counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trees: Option<Vec<String>>,
}

/// What a pull leaves in the store, to be recorded.
pub(crate) struct NotPulledSession {
    named: SessionReport,
    location: Option<ProjectLocation>,
    last_activity: Option<String>,
    remote: Option<String>,
    bytes: u64,
}

impl NotPulledSession {
    /// `location`: where its project is on this machine.
    pub(crate) fn new(
        named: SessionReport,
        location: Option<ProjectLocation>,
        manifest: &Manifest,
    ) -> Self {
        let identity = manifest.git.as_ref().and_then(|git| git.identity.as_ref());
        let remote = identity.map(|identity| identity.as_str().to_owned());
        Self {
            named,
            location,
            last_activity: manifest.last_activity.clone(),
            remote,
            bytes: manifest.local_bytes(),
        }
    }

    pub(crate) fn session(&self) -> &SessionId {
        &self.named.session
    }
}

/// By what the project of a session here is known, as its transcript said when it was this file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProjectOfSession {
    /// The project directory in which the session lies.
    place: PathBuf,
    transcript: FileStamp,
    /// The working directory.
    pub(crate) directory: Option<String>,
    /// What the addresses of its git remote have in common.
    pub(crate) remote: Option<String>,
}

impl ProjectOfSession {
    pub(crate) fn new(
        session: &LocalSession,
        directory: Option<String>,
        remote: Option<String>,
    ) -> Self {
        Self {
            place: session.directory.clone(),
            transcript: session.files[&SessionFile::Transcript],
            directory,
            remote,
        }
    }

    fn is_of(&self, session: &LocalSession) -> bool {
        self.place == session.directory
            && session.files.get(&SessionFile::Transcript) == Some(&self.transcript)
    }
}

/// A session whose local files are all this machine would have of the stored ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The session's state in the store.
    state: SessionState,
    /// Where it lies.
    directory: PathBuf,
    /// Its files; the transcript under the empty name.
    files: BTreeMap<String, FileStamp>,
    /// Hash of the last bytes of the transcript; guards an append against a transcript that was written anew.
    tail: String,
    /// The transcript ends with a line end, here and in the store.
    whole: bool,
}

/// How many bytes before the end the tail hash covers.
const TAIL: u64 = 16 << 10;

impl Index {
    /// Reads the index; one that is missing, damaged, or made under other `settings` is empty.
    pub(crate) fn load(path: &Path, settings: &str) -> Self {
        let read = std::fs::read(path)
            .ok()
            .and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        read.filter(|index| index.version == VERSION && index.settings == settings)
            .unwrap_or_else(|| Self {
                version: VERSION,
                settings: settings.to_owned(),
                ..Self::default()
            })
    }

    /// Writes the index if it changed since it was read.
    pub(crate) fn save(&mut self, path: &Path) -> Result<(), PathError> {
        if !self.changed {
            return Ok(());
        }
        let json = serde_json::to_vec(self)
            .expect("maps with text keys and plain values always serialise");
        write_cache(path, &json)?;
        self.changed = false;
        Ok(())
    }

    /// Forgets what is no longer so at the present head of `store`. To be called whenever the head has moved.
    pub(crate) fn follow(&mut self, store: &Store) -> Result<(), StoreError> {
        let head = store.head()?;
        if self.head == head {
            return Ok(());
        }
        let now = store.snapshot(head.as_ref())?;
        let known = self.head.as_ref().filter(|commit| store.has_commit(commit));
        if let Some(known) = known {
            for id in now.changed_since(&store.snapshot(Some(known))?)? {
                let state = now.state(&id)?;
                self.retain_at(&id, state.as_ref());
            }
        } else {
            let states = now.sessions()?;
            let ids: Vec<_> = self
                .sessions
                .keys()
                .chain(self.elsewhere.keys())
                .cloned()
                .collect();
            ids.iter().for_each(|id| self.retain_at(id, states.get(id)));
        }
        self.head = head;
        self.changed = true;
        Ok(())
    }

    fn retain_at(&mut self, id: &SessionId, state: Option<&SessionState>) {
        if self
            .sessions
            .get(id)
            .is_some_and(|entry| Some(&entry.state) != state)
        {
            self.sessions.remove(id);
        }
        if self
            .elsewhere
            .get(id)
            .is_some_and(|known| Some(&known.state) != state)
        {
            self.elsewhere.remove(id);
        }
    }

    /// Whether `session` is in step with the store, without opening a file.
    pub(crate) fn in_step(&self, session: &LocalSession) -> bool {
        self.entry(session)
            .is_some_and(|entry| entry.describes_files_of(session))
    }

    /// The entry of `session`, if it speaks of this place.
    pub(crate) fn entry(&self, session: &LocalSession) -> Option<&Entry> {
        self.sessions
            .get(&session.id)
            .filter(|entry| entry.directory == session.directory)
    }

    /// What is known of a session that only the store has.
    pub(crate) fn elsewhere(&self, session: &SessionId) -> Option<&StoreOnlySession> {
        self.elsewhere.get(session)
    }

    /// Records what is known of a session that only the store has, at `state`.
    pub(crate) fn record_elsewhere(&mut self, unbrought: &NotPulledSession, state: SessionState) {
        let NotPulledSession {
            named,
            location,
            last_activity,
            remote,
            bytes,
        } = unbrought;
        let SessionReport {
            session,
            project,
            title,
            ..
        } = named.clone();
        let (location, last_activity, remote, bytes) = (
            location.clone(),
            last_activity.clone(),
            remote.clone(),
            *bytes,
        );
        self.changed = true;
        self.elsewhere.insert(
            session,
            StoreOnlySession {
                state,
                last_activity,
                project,
                location,
                title,
                remote,
                bytes,
            },
        );
    }

    /// The project of a session, if its transcript is as it was when that was read.
    pub(crate) fn project_of(&self, session: &LocalSession) -> Option<&ProjectOfSession> {
        self.projects
            .get(&session.id)
            .filter(|known| known.is_of(session))
    }

    /// Records the projects of sessions.
    pub(crate) fn record_projects(&mut self, projects: BTreeMap<SessionId, ProjectOfSession>) {
        self.changed |= !projects.is_empty();
        self.projects.extend(projects);
    }

    /// Records that `session` is in step with the store at `state`; the transcript up to its length in `session`.
    pub(crate) fn record(&mut self, session: &LocalSession, state: SessionState) {
        let transcript = session.transcript_path();
        let len = session.files[&SessionFile::Transcript].len;
        let tail = tail_hash(&transcript, len);
        let whole = crate::localize::stored_text::last_line_end(&transcript, len)
            .is_ok_and(|end| end == len);
        let directory = session.directory.clone();
        let files = session
            .files
            .iter()
            .map(|(file, stamp)| (file.key().to_owned(), *stamp))
            .collect();
        self.elsewhere.remove(&session.id);
        self.sessions.insert(
            session.id.clone(),
            Entry {
                state,
                directory,
                files,
                tail,
                whole,
            },
        );
        self.changed = true;
    }

    /// Forgets sessions that are not in `present`, and returns in which state they were in step.
    pub(crate) fn keep_only(
        &mut self,
        present: &BTreeMap<SessionId, LocalSession>,
    ) -> Vec<(SessionId, SessionState)> {
        let gone: Vec<_> = self
            .sessions
            .iter()
            .filter(|(id, _)| !present.contains_key(*id))
            .collect();
        let gone: Vec<_> = gone
            .into_iter()
            .map(|(id, entry)| (id.clone(), entry.state.clone()))
            .collect();
        gone.iter().for_each(|(id, _)| self.forget(id));
        let projects = self.projects.len();
        self.projects.retain(|id, _| present.contains_key(id));
        self.changed |= self.projects.len() != projects;
        gone
    }

    /// Forgets `session`.
    pub(crate) fn forget(&mut self, session: &SessionId) {
        self.changed |= self.sessions.remove(session).is_some();
    }
}

impl Entry {
    /// The stamp that a file of the session had.
    pub(crate) fn stamp(&self, file: &SessionFile) -> Option<&FileStamp> {
        self.files.get(file.key())
    }

    fn describes_files_of(&self, session: &LocalSession) -> bool {
        self.files.len() == session.files.len()
            && session
                .files
                .iter()
                .all(|(name, stamp)| self.stamp(name) == Some(stamp))
    }

    /// If the transcript of `session` only grew since the entry was made: its length then.
    pub(crate) fn appended_since(&self, session: &LocalSession) -> Option<u64> {
        let then = self.stamp(&SessionFile::Transcript)?;
        let now = &session.files[&SessionFile::Transcript];
        let same_file = then.inode == now.inode && now.len > then.len;
        (self.whole && same_file && tail_hash(&session.transcript_path(), then.len) == self.tail)
            .then_some(then.len)
    }
}

/// Hash of the bytes before offset `end` of a file; empty if they cannot be read, which equals nothing on record.
fn tail_hash(path: &Path, end: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let len = end.min(TAIL);
        file.seek(SeekFrom::Start(end - len))?;
        let mut bytes = vec![0; len as usize];
        file.read_exact(&mut bytes)?;
        Ok::<_, std::io::Error>(blake3::hash(&bytes).to_hex().to_string())
    };
    read().unwrap_or_default()
}
