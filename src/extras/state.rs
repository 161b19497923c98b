//! This machine's record of its files: the version of each that was last in sync, and its
//! stamp.
//!
//! It tells which machine changed a file. If it is lost, nothing else is: differing files are
//! then merged without a common base, and no missing file counts as removed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{
    BundleId, CommitId, PortablePath, ProjectKey, RelativeName, client_dir::client_dir_name,
};
use crate::extras::{file_version::FileVersion, text_file::hash};
use crate::session::extras::DirectoryMark;
use crate::sys::{fs::FileStamp, fs::PathError, fs::remove_file_if_exists, fs::write_cache};

mod withheld;

const VERSION: u32 = 1;

/// Maximum number of approvals remembered.
const MAX_APPROVALS: usize = 1000;

/// Name of a project's directory below `projects/`; empty for the user's own files.
pub(crate) type DirectoryName = String;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ExtrasState {
    version: u32,
    /// The machine and the directory of the client that this record is about.
    settings: String,
    pub(crate) directories: BTreeMap<DirectoryName, DirectoryState>,
    /// The project whose memory each directory holds.
    pub(crate) projects: BTreeMap<DirectoryName, KnownProject>,
    /// Bundles without a directory here, and the stamp of the known working directories then.
    #[serde(alias = "without_place")]
    pub(crate) unplaced: BTreeMap<BundleId, String>,
    /// Directories whose project is unknown, and the stamp of the known working directories
    /// then.
    #[serde(default)]
    pub(crate) unknown: BTreeMap<DirectoryName, String>,
    /// The directory of the client's sessions at the last scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    projects_mark: Option<DirectoryMark>,
    /// Files that were removed from the history of the remote, by bundle and name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    purged: BTreeSet<String>,
    /// Hashes of the reports on files that stay here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    reported: BTreeSet<String>,
    /// Keys of approved contents.
    #[serde(alias = "accepted")]
    approvals: BTreeSet<String>,
    /// A commit of the history that this record is about.
    #[serde(default)]
    commit: Option<CommitId>,
    /// Current head of the store.
    #[serde(skip)]
    head: Option<CommitId>,
    /// The directory of the record.
    #[serde(skip)]
    root: PathBuf,
    #[serde(skip)]
    saved: Vec<u8>,
}

/// A directory at the last scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirectoryState {
    /// The bundle of its files.
    #[serde(alias = "shelf")]
    pub(crate) bundle: Option<BundleId>,
    #[serde(default)]
    mark: Option<DirectoryMark>,
    pub(crate) files: BTreeMap<RelativeName, FileState>,
    /// State of the bundle at which a push had nothing to do.
    pub(crate) push_settled: Option<String>,
    /// State of the bundle at which a pull had nothing to do.
    pub(crate) pull_settled: Option<String>,
}

/// A file at the last scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    /// `None`: the file was missing.
    pub(crate) stamp: Option<FileStamp>,
    /// Hash of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<String>,
    /// Names the [`FileVersion`] that was last in sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// The base before the last pull, for an undo.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "before")]
    previous_base: Option<String>,
    /// Its owner could execute it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) executable: bool,
    /// It was restored to an earlier state, which is not pushed yet.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        rename = "restored",
        alias = "put_back"
    )]
    is_restored: bool,
    /// Reason why it does not travel.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "left")]
    pub(crate) exclude_reason: Option<String>,
}

/// A file as a scan found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ScannedFile {
    /// `None`: the file is missing.
    pub(crate) stamp: Option<FileStamp>,
    pub(crate) hash: Option<String>,
    pub(crate) executable: bool,
    /// Reason why it does not travel.
    pub(crate) exclude_reason: Option<String>,
}

/// A project whose memory is on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownProject {
    /// Its main checkout.
    pub(crate) checkout: PathBuf,
    /// The main checkout as a portable path.
    pub(crate) path: PortablePath,
    pub(crate) key: ProjectKey,
    /// Stamp of git's configuration there. If it changed, the key is determined again.
    pub(crate) config: Option<FileStamp>,
}

impl KnownProject {
    /// The client's name of the directory with its memory.
    pub(crate) fn directory_name(&self) -> DirectoryName {
        client_dir_name(&self.checkout.to_string_lossy())
    }
}

impl DirectoryState {
    fn empty(bundle: Option<BundleId>) -> Self {
        Self {
            bundle,
            ..Self::default()
        }
    }

    fn unsettle(&mut self) {
        (self.push_settled, self.pull_settled) = (None, None);
    }
}

impl ExtrasState {
    /// Reads the record in the state directory `dir`. It is empty if the file is missing,
    /// damaged or about other `settings`.
    pub(crate) fn load(dir: &Path, settings: &str) -> Self {
        let root = dir.join("extras");
        let saved = std::fs::read(root.join("state.json")).unwrap_or_default();
        let read = serde_json::from_slice::<Self>(&saved).ok();
        let mut known = read.filter(|state| state.version == VERSION && state.settings == settings);
        // Earlier programs kept the address in its own case.
        for project in known
            .iter_mut()
            .flat_map(|state| state.projects.values_mut())
        {
            project.key = project.key.to_compared();
        }
        Self {
            version: VERSION,
            settings: settings.to_owned(),
            root,
            saved,
            ..known.unwrap_or_default()
        }
    }

    /// Sets the current head of the store. In a store with another history, no file has a base:
    /// a newer text here must not give way to an older one there.
    pub(crate) fn set_head(
        &mut self,
        head: Option<&CommitId>,
        has: impl FnOnce(&CommitId) -> bool,
    ) {
        // Looking a commit up may open every pack of the store.
        if !self.directories.is_empty()
            && let Some(commit) = &self.commit
            && Some(commit) != head
            && !has(commit)
        {
            self.directories.clear();
            self.commit = None;
        }
        self.head = head.cloned();
    }

    /// Writes the record if it changed, and removes versions that nothing names.
    pub(crate) fn save(&mut self) -> Result<(), PathError> {
        // If it has files, it is written whenever the head moved: the next command needs no
        // look-up.
        let has_moved =
            !self.directories.is_empty() && self.head.is_some() && self.head != self.commit;
        if self.to_json() == self.saved && !has_moved {
            return Ok(());
        }
        self.commit = self.head.clone().or_else(|| self.commit.take());
        self.saved = self.to_json();
        write_cache(&self.root.join("state.json"), &self.saved)?;
        self.remove_unused_versions();
        Ok(())
    }

    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("maps with text keys and plain values always serialise")
    }

    fn remove_unused_versions(&self) {
        let files = self.directories.values().flat_map(|d| d.files.values());
        let used: BTreeSet<&String> = files
            .flat_map(|file| file.base.iter().chain(&file.previous_base))
            .collect();
        let entries = std::fs::read_dir(self.versions()).into_iter().flatten();
        for entry in entries.flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            if !used.contains(&name) {
                // If it cannot be removed, it only wastes space.
                let _ = remove_file_if_exists(&entry.path());
            }
        }
    }

    fn versions(&self) -> PathBuf {
        self.root.join("bases")
    }

    fn write_version(&self, version: Option<&FileVersion>) -> Result<Option<String>, PathError> {
        let versions = self.versions();
        version.map(|version| version.write(&versions)).transpose()
    }

    /// Sets the bundle of a directory's files. If it is another one than before, or the
    /// directory was created again, the files have no base.
    pub(crate) fn assign_bundle(
        &mut self,
        directory: &str,
        bundle: &BundleId,
        mark: Option<DirectoryMark>,
    ) {
        let state = self.directories.entry(directory.to_owned()).or_default();
        let is_another = state.mark.is_some() && mark.is_some() && state.mark != mark;
        if state.bundle.as_ref() != Some(bundle) || is_another {
            *state = DirectoryState::empty(Some(bundle.clone()));
        }
        state.mark = mark.or(state.mark);
    }

    /// Forgets the files of a directory that is created again: those lost with the former one
    /// were not removed on purpose.
    pub(crate) fn reset_directory(&mut self, directory: &str) {
        if let Some(state) = self.directories.get_mut(directory) {
            *state = DirectoryState::empty(state.bundle.take());
        }
    }

    /// Sets the directory of the client's sessions. If it was created again, the user's own files
    /// that are missing were lost with the former one.
    pub(crate) fn set_projects_mark(&mut self, mark: Option<DirectoryMark>) {
        let is_another = self.projects_mark.is_some() && mark.is_some();
        if is_another && self.projects_mark != mark {
            self.reset_directory("");
        }
        self.projects_mark = mark.or(self.projects_mark);
    }

    /// Records the directory that ccsync created, so that the next command knows it.
    pub(crate) fn set_mark(&mut self, directory: &str, mark: Option<DirectoryMark>) {
        if let Some(state) = self.directories.get_mut(directory) {
            state.mark = mark;
        }
    }

    /// Files of a directory, by name.
    pub(crate) fn files(
        &self,
        directory: &str,
    ) -> impl Iterator<Item = (&RelativeName, &FileState)> {
        let directory = self.directories.get(directory);
        directory.into_iter().flat_map(|directory| &directory.files)
    }

    pub(crate) fn file(&self, directory: &str, name: &RelativeName) -> Option<&FileState> {
        self.directories.get(directory)?.files.get(name)
    }

    /// The file when it was last in sync.
    pub(crate) fn base(&self, directory: &str, name: &RelativeName) -> Option<FileVersion> {
        FileVersion::read(&self.versions(), self.file(directory, name)?.base.as_ref()?)
    }

    /// Records what a scan found of a file. Its base stays.
    pub(crate) fn record_scan(
        &mut self,
        directory: &str,
        name: &RelativeName,
        scanned: ScannedFile,
    ) {
        let directory = self.directories.entry(directory.to_owned()).or_default();
        let file = directory.files.entry(name.clone()).or_default();
        let now = FileState {
            stamp: scanned.stamp,
            hash: scanned.hash,
            executable: scanned.executable,
            exclude_reason: scanned.exclude_reason,
            ..file.clone()
        };
        if *file != now {
            *file = now;
            directory.unsettle();
        }
    }

    /// Records that a file with this stamp is in sync with `base`; `None`: it is neither here
    /// nor in the store.
    pub(crate) fn record(
        &mut self,
        directory: &str,
        name: &RelativeName,
        stamp: Option<FileStamp>,
        base: Option<&FileVersion>,
    ) -> Result<(), PathError> {
        let is_same = base.is_some() && self.base(directory, name).as_ref() == base;
        let written = self.write_version(base)?;
        let files = self.changed_files(directory);
        let former = files.remove(name);
        let Some(base) = base else {
            // The former base stays for an undo.
            let previous_base = former.and_then(|file| file.base.or(file.previous_base));
            if previous_base.is_some() {
                let state = FileState {
                    previous_base,
                    ..FileState::default()
                };
                files.insert(name.clone(), state);
            }
            return Ok(());
        };
        let former = former.unwrap_or_default();
        let state = FileState {
            stamp,
            hash: stamp.map(|_| hash(&base.local)),
            previous_base: if is_same {
                former.previous_base
            } else {
                former.base
            },
            base: written,
            executable: stamp.is_some() && base.executable,
            is_restored: false,
            exclude_reason: None,
        };
        files.insert(name.clone(), state);
        Ok(())
    }

    /// Records as [`Self::record`] a file that was pushed. If it had been restored, all
    /// machines have that state now, so that an undo of it is one more change of this machine.
    pub(crate) fn record_pushed(
        &mut self,
        directory: &str,
        name: &RelativeName,
        stamp: Option<FileStamp>,
        base: Option<&FileVersion>,
    ) -> Result<(), PathError> {
        let was_restored = self
            .file(directory, name)
            .is_some_and(|file| file.is_restored);
        self.record(directory, name, stamp, base)?;
        if was_restored && let Some(file) = self.changed_files(directory).get_mut(name) {
            file.previous_base = file.base.clone();
        }
        Ok(())
    }

    /// Records that a file was restored here, and that this machine has seen `now`, the version
    /// in the store.
    pub(crate) fn record_restored(
        &mut self,
        directory: &str,
        name: &RelativeName,
        now: Option<&FileVersion>,
    ) -> Result<(), PathError> {
        let base = self.write_version(now)?;
        let file = self
            .changed_files(directory)
            .entry(name.clone())
            .or_default();
        *file = FileState {
            base,
            previous_base: file.base.take(),
            is_restored: true,
            ..FileState::default()
        };
        Ok(())
    }

    /// Records that this machine's version of a file did not reach the remote, and that it was
    /// last in sync with `base`.
    pub(crate) fn record_unpushed(
        &mut self,
        bundle: &BundleId,
        name: &RelativeName,
        base: Option<&FileVersion>,
    ) -> Result<(), PathError> {
        let base = self.write_version(base)?;
        for directory in self.directories.values_mut() {
            if directory.bundle.as_ref() == Some(bundle)
                && let Some(file) = directory.files.get_mut(name)
            {
                *file = FileState {
                    base: base.clone(),
                    previous_base: file.previous_base.take(),
                    ..FileState::default()
                };
                directory.unsettle();
            }
        }
        Ok(())
    }

    /// Forgets a file that is neither here nor in the store, even for an undo.
    pub(crate) fn forget(&mut self, directory: &str, name: &RelativeName) {
        if self.file(directory, name).is_some() {
            self.changed_files(directory).remove(name);
        }
    }

    /// After an undo: the file is what it was before the last pull, and so is its base.
    pub(crate) fn restore_previous(&mut self, directory: &str, name: &RelativeName) {
        if let Some(file) = self.changed_files(directory).get_mut(name) {
            *file = FileState {
                base: file.previous_base.take(),
                ..FileState::default()
            };
        }
    }

    /// Forgets how a file was on the disk, but not the common version.
    pub(crate) fn compare_again(&mut self, directory: &str, name: &RelativeName) {
        if let Some(file) = self.changed_files(directory).get_mut(name) {
            *file = FileState {
                base: file.base.take(),
                ..FileState::default()
            };
        }
    }

    /// Returns the files of a directory for a change; the next command compares them again.
    fn changed_files(&mut self, directory: &str) -> &mut BTreeMap<RelativeName, FileState> {
        let directory = self.directories.entry(directory.to_owned()).or_default();
        directory.unsettle();
        &mut directory.files
    }

    /// Records a report on a file that stays here. Returns true if it is new.
    pub(crate) fn record_report(&mut self, text: &str) -> bool {
        self.reported.insert(hash(text))
    }

    pub(crate) fn is_approved(&self, approval: &str) -> bool {
        self.approvals.contains(approval)
    }

    /// Forgets the approvals that begin with `prefix`.
    pub(crate) fn revoke_approvals(&mut self, prefix: &str) {
        self.approvals
            .retain(|approval| !approval.starts_with(prefix));
    }

    pub(crate) fn approve(&mut self, approval: &str) {
        while self.approvals.len() >= MAX_APPROVALS {
            self.approvals.pop_first();
        }
        self.approvals.insert(approval.to_owned());
    }
}
