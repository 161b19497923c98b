//! What this machine knows of its own prose: what each file was when it was last in step with the store, and what its stamp was then.
//!
//! From this follows who changed a file. If it is lost, nothing else is: what differs then is put together as two versions without
//! a common past, and no removal is taken for one that was meant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::extras::{BundleId, ProjectKey};
use crate::domain::id::CommitId;
use crate::domain::path::{PortablePath, RelativeName};
use crate::extras::base::Base;
use crate::session::extras::DirectoryMark;
use crate::sys::fs::{FileStamp, PathError, remove_file_if_exists, write_cache};

const VERSION: u32 = 1;

/// How many contents with a yes are remembered.
const MOST_ACCEPTED: usize = 1000;

/// A directory with prose: the name of a project's directory below `projects/`, or nothing for the user's own files.
pub(crate) type DirectoryName = String;

/// Everything that is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    version: u32,
    /// Machine and client directory that it speaks of.
    settings: String,
    pub(crate) directories: BTreeMap<DirectoryName, DirectoryState>,
    /// To which project each directory's memory belongs.
    pub(crate) projects: BTreeMap<DirectoryName, KnownProject>,
    /// With which working directories no place was found for these shelves.
    pub(crate) without_place: BTreeMap<BundleId, String>,
    /// With which working directories nothing said whose memory these directories hold.
    #[serde(default)]
    pub(crate) unknown: BTreeMap<DirectoryName, String>,
    /// Hashes of contents that a person has said yes to.
    accepted: BTreeSet<String>,
    /// A commit of the history that all of this speaks of.
    #[serde(default)]
    commit: Option<CommitId>,
    /// The head of the store now.
    #[serde(skip)]
    head: Option<CommitId>,
    #[serde(skip)]
    root: PathBuf,
    #[serde(skip)]
    saved: Vec<u8>,
}

/// One directory when it was last looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirectoryState {
    /// Where its files are in the store.
    #[serde(rename = "shelf")]
    pub(crate) bundle: Option<BundleId>,
    /// Which directory it was.
    #[serde(default)]
    mark: Option<DirectoryMark>,
    pub(crate) files: BTreeMap<RelativeName, FileState>,
    /// The shelf's state at which a push had nothing to do.
    pub(crate) push_settled: Option<String>,
    /// The shelf's state at which a pull had nothing to do.
    pub(crate) pull_settled: Option<String>,
}

/// One file when it was last looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    /// Its stamp; none: it was not there.
    pub(crate) stamp: Option<FileStamp>,
    /// Hash of its content at that stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<String>,
    /// Names the [`Base`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// The base before the last pull, for an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    /// Its owner could run it then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) executable: bool,
    /// It was put back to an earlier state, which was not sent yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    put_back: bool,
    /// Why it is left where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<String>,
}

/// A file as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its stamp; none: it was not there.
    pub(crate) stamp: Option<FileStamp>,
    pub(crate) hash: Option<String>,
    pub(crate) executable: bool,
    /// Why it is left where it is.
    pub(crate) left: Option<String>,
}

/// A project whose memory lies here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownProject {
    /// Its main checkout.
    pub(crate) checkout: PathBuf,
    /// The same as a portable path.
    pub(crate) path: PortablePath,
    pub(crate) key: ProjectKey,
    /// Stamp of git's configuration there: another one means that the key has to be asked again.
    pub(crate) config: Option<FileStamp>,
}

impl DirectoryState {
    fn unsettle(&mut self) {
        (self.push_settled, self.pull_settled) = (None, None);
    }
}

impl State {
    /// Reads what is remembered in the state directory `dir`; nothing where that is missing, damaged, or of another machine.
    pub(crate) fn load(dir: &Path, settings: &str) -> Self {
        let root = dir.join("prose");
        let saved = std::fs::read(root.join("state.json")).unwrap_or_default();
        let read = serde_json::from_slice::<Self>(&saved).ok();
        let known = read.filter(|state| state.version == VERSION && state.settings == settings);
        let fresh = || Self {
            version: VERSION,
            settings: settings.to_owned(),
            ..Self::default()
        };
        Self {
            root,
            saved,
            ..known.unwrap_or_else(fresh)
        }
    }

    /// Says what the head of the store is. Of a store with another history nothing is known: a newer text here must not give way to an
    /// older one there.
    pub(crate) fn set_head(
        &mut self,
        head: Option<&CommitId>,
        has: impl FnOnce(&CommitId) -> bool,
    ) {
        // To look a commit up may mean to open every pack of the store.
        let speaks = !self.directories.is_empty();
        if self
            .commit
            .as_ref()
            .is_some_and(|commit| speaks && Some(commit) != head && !has(commit))
        {
            self.directories.clear();
            self.commit = None;
        }
        self.head = head.cloned();
    }

    /// Writes it if it changed, and removes bases that nothing refers to.
    pub(crate) fn save(&mut self) -> Result<(), PathError> {
        let json = |state: &Self| {
            serde_json::to_vec(state)
                .expect("maps with text keys and plain values always serialise")
        };
        // With files to speak of, it is written whenever the head has moved, so that the next command knows it at a glance.
        let has_moved =
            !self.directories.is_empty() && self.head.is_some() && self.head != self.commit;
        if json(self) == self.saved && !has_moved {
            return Ok(());
        }
        self.commit = self.head.clone().or_else(|| self.commit.take());
        let json = json(self);
        write_cache(&self.root.join("state.json"), &json)?;
        self.saved = json;
        self.remove_unused_bases();
        Ok(())
    }

    fn remove_unused_bases(&self) {
        let files = self
            .directories
            .values()
            .flat_map(|directory| directory.files.values());
        let used: BTreeSet<&String> = files
            .flat_map(|file| file.base.iter().chain(&file.before))
            .collect();
        for entry in std::fs::read_dir(self.bases())
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().into_string().unwrap_or_default();
            if !used.contains(&name) {
                // What cannot be removed is no more than waste.
                let _ = remove_file_if_exists(&entry.path());
            }
        }
    }

    fn bases(&self) -> PathBuf {
        self.root.join("bases")
    }

    /// Says on which shelf a directory's files are. On another one than before, or in a directory that was made anew, nothing of them has
    /// a past.
    pub(crate) fn assign_bundle(
        &mut self,
        directory: &str,
        bundle: &BundleId,
        mark: Option<DirectoryMark>,
    ) {
        let state = self.directories.entry(directory.to_owned()).or_default();
        let is_another = state.mark.is_some() && mark.is_some() && state.mark != mark;
        if state.bundle.as_ref() != Some(bundle) || is_another {
            *state = DirectoryState {
                bundle: Some(bundle.clone()),
                ..DirectoryState::default()
            };
        }
        state.mark = mark.or(state.mark);
    }

    /// Says that a directory is to be made anew: what was lost with the former one was not removed on purpose, and has no past.
    pub(crate) fn reset_directory(&mut self, directory: &str) {
        if let Some(state) = self.directories.get_mut(directory) {
            *state = DirectoryState {
                bundle: state.bundle.take(),
                ..DirectoryState::default()
            };
        }
    }

    /// Says which directory was made, so that the next command does not take it for one that somebody else has made.
    pub(crate) fn made(&mut self, directory: &str, mark: Option<DirectoryMark>) {
        if let Some(state) = self.directories.get_mut(directory) {
            state.mark = mark;
        }
    }

    /// Says that what this machine has of a file did not get to the remote: the file is as far as `past`.
    pub(crate) fn not_sent(
        &mut self,
        bundle: &BundleId,
        name: &RelativeName,
        past: Option<&Base>,
    ) -> Result<(), PathError> {
        let past = past.map(|past| past.write(&self.bases())).transpose()?;
        for directory in self
            .directories
            .values_mut()
            .filter(|directory| directory.bundle.as_ref() == Some(bundle))
        {
            if let Some(file) = directory.files.get_mut(name) {
                *file = FileState {
                    base: past.clone(),
                    before: file.before.take(),
                    ..FileState::default()
                };
                directory.unsettle();
            }
        }
        Ok(())
    }

    /// Says that a file was changed here on purpose, and that this machine has seen `now`, what the store has of it.
    pub(crate) fn put_back(
        &mut self,
        directory: &str,
        name: &RelativeName,
        now: Option<&Base>,
    ) -> Result<(), PathError> {
        let base = now.map(|now| now.write(&self.bases())).transpose()?;
        let directory = self.directories.entry(directory.to_owned()).or_default();
        directory.unsettle();
        let file = directory.files.entry(name.clone()).or_default();
        *file = FileState {
            base,
            before: file.base.take(),
            put_back: true,
            ..FileState::default()
        };
        Ok(())
    }

    /// As [`Self::record`], of a file that a push has looked at. If it had been put back, all machines have seen that by now: an undo of it is
    /// another change of this machine, and not what it was before anybody saw it.
    pub(crate) fn pushed(
        &mut self,
        directory: &str,
        name: &RelativeName,
        stamp: Option<FileStamp>,
        base: Option<&Base>,
    ) -> Result<(), PathError> {
        let was_put_back = self.file(directory, name).is_some_and(|file| file.put_back);
        self.record(directory, name, stamp, base)?;
        let files = self
            .directories
            .get_mut(directory)
            .map(|directory| &mut directory.files);
        if let (true, Some(file)) = (was_put_back, files.and_then(|files| files.get_mut(name))) {
            file.before = file.base.clone();
        }
        Ok(())
    }

    /// What is known of a file.
    pub(crate) fn file(&self, directory: &str, name: &RelativeName) -> Option<&FileState> {
        self.directories.get(directory)?.files.get(name)
    }

    /// The file when it was last in step.
    pub(crate) fn base(&self, directory: &str, name: &RelativeName) -> Option<Base> {
        Base::read(&self.bases(), self.file(directory, name)?.base.as_ref()?)
    }

    /// Records that a file with this stamp is in step with `base`; `None`: it is neither here nor in the store.
    pub(crate) fn record(
        &mut self,
        directory: &str,
        name: &RelativeName,
        stamp: Option<FileStamp>,
        base: Option<&Base>,
    ) -> Result<(), PathError> {
        let written = base.map(|base| base.write(&self.bases())).transpose()?;
        let directory = self.directories.entry(directory.to_owned()).or_default();
        directory.unsettle();
        let Some(written) = written else {
            // What it was stays known for an undo.
            let before = directory
                .files
                .remove(name)
                .and_then(|file| file.base.or(file.before));
            if before.is_some() {
                directory.files.insert(
                    name.clone(),
                    FileState {
                        before,
                        ..FileState::default()
                    },
                );
            }
            return Ok(());
        };
        let file = directory.files.entry(name.clone()).or_default();
        if file.base.as_ref() != Some(&written) {
            file.before = file.base.take();
        }
        let hash = stamp
            .and(base)
            .map(|base| crate::extras::text_file::hash(&base.local));
        let before = file.before.take();
        let executable = stamp.and(base).is_some_and(|base| base.executable);
        *file = FileState {
            stamp,
            hash,
            base: Some(written),
            before,
            executable,
            put_back: false,
            left: None,
        };
        Ok(())
    }

    /// Nothing more is known of a file that is neither here nor in the store, not even for an undo.
    pub(crate) fn forget(&mut self, directory: &str, name: &RelativeName) {
        if let Some(directory) = self.directories.get_mut(directory)
            && directory.files.remove(name).is_some()
        {
            directory.unsettle();
        }
    }

    /// Records what a file was when it was looked at; its base stays.
    pub(crate) fn note(&mut self, directory: &str, name: &RelativeName, found: Found) {
        let Found {
            stamp,
            hash,
            executable,
            left,
        } = found;
        let directory = self.directories.entry(directory.to_owned()).or_default();
        let file = directory.files.entry(name.clone()).or_default();
        let (base, before) = (file.base.clone(), file.before.clone());
        let now = FileState {
            stamp,
            hash,
            executable,
            left,
            base,
            before,
            put_back: file.put_back,
        };
        if *file != now {
            *file = now;
            directory.unsettle();
        }
    }

    /// After an undo the file is what it was before the last pull, and so is what it began as.
    pub(crate) fn restore_previous(&mut self, directory: &str, name: &RelativeName) {
        let Some(state) = self.directories.get_mut(directory) else {
            return;
        };
        state.unsettle();
        if let Some(file) = state.files.get_mut(name) {
            *file = FileState {
                base: file.before.take(),
                ..FileState::default()
            };
        }
    }

    /// Whether a person has said yes to this content of this file.
    pub(crate) fn is_accepted(&self, consent: &str) -> bool {
        self.accepted.contains(consent)
    }

    /// Forgets every yes that begins like this.
    pub(crate) fn revoke(&mut self, beginning: &str) {
        self.accepted
            .retain(|consent| !consent.starts_with(beginning));
    }

    /// Remembers a yes.
    pub(crate) fn accept(&mut self, consent: &str) {
        while self.accepted.len() >= MOST_ACCEPTED {
            self.accepted.pop_first();
        }
        self.accepted.insert(consent.to_owned());
    }
}
