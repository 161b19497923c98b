//! The index: a cache of what earlier commands found out about each session.
//!
//! Everything in it can be found out again by comparing bytes. An entry is valid while
//! the session's files and its state in the store are unchanged. The index knows the head
//! of the store that it describes, and follows it from there, so that only the sessions
//! that changed are read from the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{CommitId, SessionFile, SessionId};
use crate::localize::stored_text::last_line_end;
use crate::report::SessionReport;
use crate::session::LocalSession;
use crate::store::{SessionState, Store, StoreError, manifest::Manifest, manifest::StoredFile};
use crate::sys::{fs::FileStamp, fs::PathError, fs::write_cache};
use crate::workspace::session_map::FileStamps;

const VERSION: u32 = 4;

/// Number of bytes at the end of a transcript that the tail hash covers.
const TAIL: u64 = 16 << 10;

/// The whole index.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Index {
    version: u32,
    #[serde(flatten)]
    key: IndexKey,
    /// The head of the store that the entries describe.
    head: Option<CommitId>,
    sessions: BTreeMap<SessionId, IndexEntry>,
    /// Sessions that were up to date, and changed in the store since: what was last in sync here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    former: BTreeMap<SessionId, IndexEntry>,
    store_only: BTreeMap<SessionId, StoreOnlySession>,
    /// True if the file on the disk is older.
    #[serde(skip)]
    changed: bool,
}

/// Settings that the entries depend on, besides files and store. They are discarded when
/// it changes.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexKey {
    /// Id of the machine.
    pub(crate) machine: String,
    /// Claude Code's directory.
    pub(crate) claude_dir: PathBuf,
    /// Key of the settings these entries were computed with.
    pub(crate) settings: String,
}

/// The part of an index that stays valid if settings change. Also in indexes of version 3.
#[derive(Deserialize)]
struct FormerIndex {
    version: u32,
    settings: String,
    machine: Option<String>,
    claude_dir: Option<PathBuf>,
    head: Option<CommitId>,
    sessions: BTreeMap<SessionId, IndexEntry>,
    #[serde(default)]
    former: BTreeMap<SessionId, IndexEntry>,
}

/// A session that only the store has, so that it can be named without opening its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreOnlySession {
    state: SessionState,
    /// Time of its newest record.
    pub(crate) last_activity: Option<String>,
    /// Portable path of its project.
    pub(crate) project: Option<String>,
    /// Only if the settings name projects.
    #[serde(default)]
    pub(crate) location: Option<ProjectLocation>,
    /// Its title as Claude Code would show it; not sanitized.
    pub(crate) title: Option<String>,
    /// The normalized URL of its project's git remote.
    #[serde(default)]
    pub(crate) remote: Option<String>,
    /// Bytes of all its files.
    #[serde(default)]
    pub(crate) bytes: u64,
}

/// The location of a session's project on this machine, or where it would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProjectLocation {
    /// The portable path.
    pub(crate) path: String,
    /// The tops of the working trees of its remote that were here: a new one may be another
    /// location. `None`: only the path counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) worktrees: Option<Vec<String>>,
}

/// A session that a pull leaves in the store.
pub(crate) struct NotPulledSession {
    report: SessionReport,
    location: Option<ProjectLocation>,
    remote: Option<String>,
    bytes: u64,
}

impl NotPulledSession {
    /// Creates the record. `location` is that of its project on this machine.
    pub(crate) fn new(
        report: SessionReport,
        location: Option<ProjectLocation>,
        manifest: &Manifest,
    ) -> Self {
        let identity = manifest.git.as_ref().and_then(|git| git.identity.as_ref());
        Self {
            report,
            location,
            remote: identity.map(|identity| identity.as_str().to_owned()),
            bytes: manifest.local_bytes(),
        }
    }

    pub(crate) fn session(&self) -> &SessionId {
        &self.report.session
    }
}

/// A session that is up to date with the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexEntry {
    /// The session's state in the store.
    state: SessionState,
    directory: PathBuf,
    files: FileStamps,
    /// Hash of the last bytes of the transcript. It shows whether a longer transcript was
    /// appended to or rewritten.
    tail: String,
    /// The transcript ends with a line end, here and in the store.
    whole: bool,
    /// The stored versions of the files that Claude Code rewrites in place, by
    /// [`SessionFile::key`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    versions: BTreeMap<String, String>,
}

/// The common state of this machine and the store when a session was last in sync here.
#[derive(Clone, Copy)]
pub(crate) struct LastSync<'a> {
    entry: &'a IndexEntry,
    /// True if the session has not changed in the store since.
    is_current: bool,
    /// True if files with the same stamps need not be read.
    is_trusted: bool,
}

impl Index {
    /// Reads the index. One that is missing or damaged is empty.
    ///
    /// If settings have changed, it only keeps the states of the sessions that were here,
    /// so that deleted ones are recognised.
    pub(crate) fn load(path: &Path, key: IndexKey) -> Self {
        let json = std::fs::read(path).unwrap_or_default();
        let index: Option<Self> = serde_json::from_slice(&json).ok();
        if let Some(index) = index.filter(|index| index.version == VERSION && index.key == key) {
            return index;
        }

        let former: Option<FormerIndex> = serde_json::from_slice(&json).ok();
        let former = former.filter(|former| former.is_for(&key));
        let former = former.map(|index| (index.head, index.sessions, index.former));
        let (head, mut sessions, mut former) = former.unwrap_or_default();
        // Which files are unchanged since then does not depend on the settings.
        former.extend(sessions.clone());
        for entry in sessions.values_mut() {
            entry.files = FileStamps::default();
        }
        Self {
            version: VERSION,
            key,
            head,
            sessions,
            former,
            ..Self::default()
        }
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

    /// Forgets the entries that the present head of `store` makes invalid. Call it whenever the
    /// head has moved.
    pub(crate) fn follow(&mut self, store: &Store) -> Result<(), StoreError> {
        let head = store.head()?;
        if self.head == head {
            return Ok(());
        }
        let now = store.snapshot(head.as_ref())?;
        let known = self.head.as_ref();
        if let Some(known) = known.filter(|commit| store.has_commit(commit)) {
            for id in now.changed_since(&store.snapshot(Some(known))?)? {
                self.retain_at(&id, now.state(&id)?.as_ref());
            }
        } else {
            let states = now.sessions()?;
            let ids = self.sessions.keys().chain(self.store_only.keys());
            let ids: Vec<_> = ids.cloned().collect();
            ids.iter().for_each(|id| self.retain_at(id, states.get(id)));
        }
        self.head = head;
        self.changed = true;
        Ok(())
    }

    fn retain_at(&mut self, id: &SessionId, state: Option<&SessionState>) {
        let entry = self.sessions.get(id);
        if entry.is_some_and(|entry| Some(&entry.state) != state)
            && let Some(entry) = self.sessions.remove(id)
        {
            // An entry without stamps is of other settings: the one with stamps is there already.
            self.former.entry(id.clone()).or_insert(entry);
        }
        let known = self.store_only.get(id);
        if known.is_some_and(|known| Some(&known.state) != state) {
            self.store_only.remove(id);
        }
    }

    /// Returns true if `session` is up to date with the store; opens no file.
    pub(crate) fn is_up_to_date(&self, session: &LocalSession) -> bool {
        let entry = self.entry(session);
        entry.is_some_and(|entry| entry.files.describe(session))
    }

    /// Returns the entry of `session`, if it is for this directory.
    pub(crate) fn entry(&self, session: &LocalSession) -> Option<&IndexEntry> {
        let entry = self.sessions.get(&session.id);
        entry.filter(|entry| entry.directory == session.directory)
    }

    /// Returns what was last in sync of `session` on this machine, if that is known.
    pub(crate) fn last_sync(&self, session: &LocalSession) -> Option<LastSync<'_>> {
        let now = self.sessions.get(&session.id);
        let is_current = now.is_some();
        let entry = self.former.get(&session.id).or(now)?;
        Some(LastSync {
            entry,
            is_current,
            is_trusted: true,
        })
    }

    /// Returns what is known of a session that only the store has.
    pub(crate) fn store_only(&self, session: &SessionId) -> Option<&StoreOnlySession> {
        self.store_only.get(session)
    }

    /// Records a session that only the store has, at `state`.
    pub(crate) fn record_store_only(&mut self, session: NotPulledSession, state: SessionState) {
        let NotPulledSession {
            report,
            location,
            remote,
            bytes,
        } = session;
        let known = StoreOnlySession {
            state,
            last_activity: report.last_activity,
            project: report.project,
            location,
            title: report.title,
            remote,
            bytes,
        };
        self.changed = true;
        self.store_only.insert(report.session, known);
    }

    /// Records that `session` is up to date with the store at `state`, which has these `versions`
    /// of files that are rewritten in place. The transcript counts up to its length in `session`.
    pub(crate) fn record(
        &mut self,
        session: &LocalSession,
        state: SessionState,
        versions: BTreeMap<String, String>,
    ) {
        let transcript = session.transcript_path();
        let len = session.files[&SessionFile::Transcript].len;
        let entry = IndexEntry {
            state,
            directory: session.directory.clone(),
            files: FileStamps::new(session),
            tail: tail_hash(&transcript, len),
            whole: last_line_end(&transcript, len).is_ok_and(|end| end == len),
            versions,
        };
        self.former.remove(&session.id);
        self.store_only.remove(&session.id);
        self.sessions.insert(session.id.clone(), entry);
        self.changed = true;
    }

    /// Forgets the sessions that are not in `present`, and returns the states they had when they
    /// were last up to date.
    pub(crate) fn retain_present(
        &mut self,
        present: &BTreeMap<SessionId, LocalSession>,
    ) -> Vec<(SessionId, SessionState)> {
        let absent = self
            .sessions
            .iter()
            .filter(|(id, _)| !present.contains_key(*id));
        let absent = absent.map(|(id, entry)| (id.clone(), entry.state.clone()));
        let removed: Vec<_> = absent.collect();
        removed.iter().for_each(|(id, _)| self.forget(id));
        let known = self.former.len();
        self.former.retain(|id, _| present.contains_key(id));
        self.changed |= self.former.len() != known;
        removed
    }

    /// Lets the next command compare every byte of `session`. That it was in sync in a
    /// certain state stays known.
    pub(crate) fn distrust(&mut self, session: &SessionId) {
        if let Some(entry) = self.sessions.get_mut(session) {
            entry.files = FileStamps::default();
            entry.whole = false;
            self.changed = true;
        }
    }

    /// Forgets that `session` is up to date.
    pub(crate) fn forget(&mut self, session: &SessionId) {
        self.changed |= self.sessions.remove(session).is_some();
        self.changed |= self.former.remove(session).is_some();
    }

    /// Records files of `session` that are rewritten in place as stored with these `versions`,
    /// although the session as a whole may not be up to date: Claude Code has it open.
    pub(crate) fn record_rewritten(
        &mut self,
        session: &LocalSession,
        versions: BTreeMap<String, String>,
    ) {
        self.expire(&session.id);
        let former = self.former.entry(session.id.clone());
        let entry = former.or_insert_with(|| IndexEntry {
            state: SessionState::new(),
            directory: session.directory.clone(),
            files: FileStamps::default(),
            tail: String::new(),
            whole: false,
            versions: BTreeMap::new(),
        });
        entry.files.update(session, &versions);
        entry.versions = versions;
        self.changed = true;
    }

    /// Remembers what was last in sync of `session`, which is not up to date any more.
    pub(crate) fn expire(&mut self, session: &SessionId) {
        if let Some(entry) = self.sessions.remove(session) {
            self.former.entry(session.clone()).or_insert(entry);
            self.changed = true;
        }
    }
}

impl<'a> LastSync<'a> {
    /// Returns the same for a comparison that reads every byte.
    pub(crate) fn untrusted(self) -> Self {
        Self {
            is_trusted: false,
            ..self
        }
    }

    /// Returns true if files with the same stamps need not be read.
    pub(crate) fn is_trusted(self) -> bool {
        self.is_trusted
    }

    /// Returns the entry, if the session has not changed in the store since.
    pub(crate) fn current(self) -> Option<&'a IndexEntry> {
        self.is_current.then_some(self.entry)
    }

    /// Returns the state at which the whole transcript was in sync, if the session has changed in
    /// the store since.
    pub(crate) fn former_state(self) -> Option<&'a SessionState> {
        (!self.is_current && self.entry.whole).then_some(&self.entry.state)
    }

    /// Returns the stamp that a file had.
    pub(crate) fn stamp(self, file: &SessionFile) -> Option<&'a FileStamp> {
        self.entry.stamp(file)
    }

    /// Returns true if the local file is as it was.
    pub(crate) fn is_unchanged_here(self, session: &LocalSession, file: &SessionFile) -> bool {
        let then = self.entry.stamp(file);
        then.is_some() && then == session.files.get(file)
    }

    /// Returns true if the store still has the version of the file that was in sync.
    pub(crate) fn is_unchanged_in_store(self, file: &SessionFile, stored: &StoredFile) -> bool {
        self.is_current || self.entry.versions.get(file.key()) == Some(&stored.version())
    }
}

impl FormerIndex {
    /// Returns true if it is for the same machine and directory.
    fn is_for(&self, key: &IndexKey) -> bool {
        if self.version == 3 {
            let (machine, claude_dir) = (&key.machine, key.claude_dir.display());
            return self.settings.starts_with(&format!("{machine} "))
                && self.settings.ends_with(&format!(" {claude_dir}"));
        }
        self.version == VERSION
            && self.machine.as_ref() == Some(&key.machine)
            && self.claude_dir.as_ref() == Some(&key.claude_dir)
    }
}

impl IndexEntry {
    /// Returns the stamp that a file of the session had.
    pub(crate) fn stamp(&self, file: &SessionFile) -> Option<&FileStamp> {
        self.files.get(file)
    }

    /// Returns the recorded length of the transcript, if it has only grown since.
    pub(crate) fn appended_since(&self, session: &LocalSession) -> Option<u64> {
        let then = self.stamp(&SessionFile::Transcript)?;
        let now = &session.files[&SessionFile::Transcript];
        let same_file = then.inode == now.inode && now.len > then.len;
        let is_append =
            self.whole && same_file && tail_hash(&session.transcript_path(), then.len) == self.tail;
        is_append.then_some(then.len)
    }
}

/// Returns the hash of the bytes before offset `end` of a file; empty if they cannot be read, which
/// equals no recorded hash.
pub(super) fn tail_hash(path: &Path, end: u64) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let len = end.min(TAIL);
        file.seek(SeekFrom::Start(end - len))?;
        let mut bytes = vec![0; len as usize];
        file.read_exact(&mut bytes)?;
        Ok::<_, io::Error>(blake3::hash(&bytes).to_hex().to_string())
    };
    read().unwrap_or_default()
}
