//! Files that the remote does not have, because it refused them or they were removed from its
//! history.

use std::collections::BTreeSet;

use super::{DirectoryState, ExtrasState, FileState};
use crate::domain::{BundleId, RelativeName};
use crate::extras::{file_version::FileVersion, text_file::TextFile};

impl ExtrasState {
    /// Records that the remote refused this machine's version of a file, and still has `stored`.
    pub(crate) fn record_refused(
        &mut self,
        bundle: &BundleId,
        name: &RelativeName,
        stored: Option<&TextFile>,
    ) {
        let versions = self.versions();
        for directory in self.directories.values_mut() {
            if directory.bundle.as_ref() != Some(bundle) {
                continue;
            }
            let Some(file) = directory.files.get_mut(name) else {
                continue;
            };
            let previous = file.previous_base.take();
            let is_stored = |name: &String| {
                let version = FileVersion::read(&versions, name);
                version.map(|version| version.file).as_ref() == stored
            };
            *file = FileState {
                base: previous.filter(is_stored),
                ..FileState::default()
            };
            directory.unsettle();
        }
    }

    /// Records files, by bundle and name, that were removed from the history of the remote.
    pub(crate) fn record_purged(&mut self, files: BTreeSet<String>) {
        self.purged.extend(files);
        self.directories
            .values_mut()
            .for_each(DirectoryState::unsettle);
    }

    /// Lets purged files be pushed again.
    pub(crate) fn forget_purged(&mut self) {
        if !self.purged.is_empty() {
            self.record_purged(BTreeSet::new());
            self.purged.clear();
        }
    }

    pub(crate) fn is_purged(&self, bundle: &BundleId, name: &RelativeName) -> bool {
        self.purged.contains(&format!("{bundle}/{name}"))
    }
}
