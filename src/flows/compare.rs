//! Compares a session on this machine with the stored one.
//!
//! Push and pull each act on one half of the result. Must not change anything.

use std::collections::BTreeSet;

use crate::flows::differences::{Differences, FilePull, FilePush};
use crate::flows::session_pair::{Absence, SessionPair};
use crate::localize::{error::StoredDataError, local_copy::LocalCopy, localizer::Localizer};
use crate::session::files::is_known;
use crate::store::{Snapshot, manifest::Manifest};
use crate::workspace::{
    error::SyncError, filter::SessionFilter, index::Index, index::LastSync, leases::Leases,
    open::Workspace,
};

/// Compares sessions of this machine with one snapshot of the store.
#[derive(Clone, Copy)]
pub(crate) struct SessionComparer<'a> {
    pub(crate) localizer: &'a Localizer,
    pub(crate) snapshot: &'a Snapshot<'a>,
    index: &'a Index,
    leases: &'a Leases,
    filter: SessionFilter<'a>,
    /// Files are read even if they have not changed since they were in sync.
    reads_all: bool,
}

impl<'a> SessionComparer<'a> {
    pub(crate) fn new(workspace: &'a Workspace<'_>, snapshot: &'a Snapshot<'_>) -> Self {
        Self {
            localizer: &workspace.localizer,
            snapshot,
            index: &workspace.records.index,
            leases: &workspace.leases,
            filter: workspace.filter(),
            reads_all: false,
        }
    }

    /// Reads every file, whatever the index says of it.
    #[must_use]
    pub(crate) fn reading_all(self) -> Self {
        Self {
            reads_all: true,
            ..self
        }
    }

    /// Compares `local` with the stored session of its id.
    pub(crate) fn compare(&self, local: &LocalCopy<'_>) -> Result<Differences, SyncError> {
        let id = &local.session.id;
        if !self.reads_all && self.index.is_up_to_date(local.session) {
            return Ok(Differences::default());
        }
        if let Some(mode) = self.filter.secrets_mode(local.session) {
            self.localizer.set_secrets_mode(id, mode);
        }
        let Some(manifest) = self.snapshot.manifest(id)? else {
            return Ok(if is_begun(local)? {
                Differences::all_new(local.session)
            } else {
                Differences::default()
            });
        };

        let synced = self.index.last_sync(local.session);
        let synced = match self.reads_all {
            true => synced.map(LastSync::untrusted),
            false => synced,
        };
        let found = self.compare_with(&manifest, local, synced)?;
        if self.leases.is_lost(id) {
            found.into_divergence_at_end(local)
        } else {
            Ok(found)
        }
    }

    /// Compares `local` with `manifest`: the session itself, or the fork that it has become.
    /// `synced` is what they had in common, if that is known.
    pub(crate) fn compare_with(
        &self,
        manifest: &Manifest,
        local: &LocalCopy<'_>,
        synced: Option<LastSync<'_>>,
    ) -> Result<Differences, SyncError> {
        let pair = SessionPair {
            localizer: self.localizer,
            snapshot: self.snapshot,
            manifest,
            local,
            synced,
        };
        let mut found = Differences::default();
        let mut cleaned_up = Vec::new();
        let stored = manifest.all_files().map(|(file, _)| file);
        let local_files = local.session.files.keys().cloned();
        let files: BTreeSet<_> = local_files.chain(stored.filter(is_known)).collect();
        for file in files {
            if local.session.files.contains_key(&file) {
                if !pair.is_in_sync(&file) {
                    pair.compare_file(file, &mut found)?;
                }
                continue;
            }
            match pair.absence(&file) {
                Absence::New => drop(found.to_pull.insert(file, FilePull::Whole)),
                Absence::Removed => drop(found.to_push.insert(file, FilePush::Remove)),
                Absence::CleanedUp => cleaned_up.push(file),
            }
        }
        if !found.to_pull.is_empty() {
            // Claude Code removed these while the session was in sync, so they are no difference.
            // With something newer they are written again.
            let cleaned_up = cleaned_up.into_iter().map(|file| (file, FilePull::Whole));
            found.to_pull.extend(cleaned_up);
        }
        Ok(found)
    }
}

/// Returns true if a transcript of the session has a line: Claude Code may have just created it. A
/// crash may leave an empty one with sub-agents.
fn is_begun(local: &LocalCopy<'_>) -> Result<bool, SyncError> {
    let mut transcripts = local
        .session
        .files
        .keys()
        .filter(|file| file.is_append_only());
    Ok(transcripts.try_fold(false, |begun, file| {
        Ok::<_, StoredDataError>(begun || local.limit(file)? > 0)
    })?)
}
