//! Compares a session on this machine with the stored one.
//!
//! Push and pull each act on one half of the result. Must not change anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::placeholder::Placeholders;
use crate::domain::session_file::SessionFile;
use crate::localize::collect::{Continuation, is_complete_json};
use crate::localize::compare::{Relation, relate};
use crate::localize::error::StoredDataError;
use crate::localize::local_copy::LocalCopy;
use crate::localize::localizer::Localizer;
use crate::localize::stored_text::{StoredText, text_kind};
use crate::session::LocalSession;
use crate::session::files::{is_external, is_known, is_verbatim};
use crate::store::Snapshot;
use crate::store::manifest::{Manifest, short_hash};
use crate::workspace::error::SyncError;
use crate::workspace::index::{Index, IndexEntry};
use crate::workspace::leases::Leases;
use crate::workspace::open::Workspace;

/// Differences between a session here and the stored one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Content that only this machine has.
    pub(crate) to_push: FilePushes,
    /// Content that only the store has.
    pub(crate) to_pull: BTreeMap<SessionFile, FilePull>,
    /// Set if the two were continued differently; then `to_push` is the content of the
    /// fork.
    pub(crate) divergence: Option<Divergence>,
}

/// Content to store, by file.
pub(crate) type FilePushes = BTreeMap<SessionFile, FilePush>;

/// Content to store of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilePush {
    /// All of it: it is new, or replaces the stored one.
    Whole,
    /// The lines after the stored lines, or after the lines in common.
    Continue(Continuation),
}

/// Content to write of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilePull {
    /// All of it. The journal keeps what was there.
    Whole,
    /// The lines after the first `lines` stored ones, which end at `offset`. A part of
    /// the next line may be in the local file.
    Extend { lines: u64, offset: u64 },
}

/// The point from which a local file and the stored one differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Divergence {
    pub(crate) file: SessionFile,
    /// Lines in common.
    pub(crate) lines: u64,
    /// The offset at which they end in the local file.
    pub(crate) offset: u64,
}

impl Differences {
    /// Returns all files of a session that the store does not have.
    pub(crate) fn all_new(session: &LocalSession) -> Self {
        let files = session.files.keys();
        Self {
            to_push: files.map(|file| (file.clone(), FilePush::Whole)).collect(),
            ..Self::default()
        }
    }

    /// Returns true if the session is in sync.
    pub(crate) fn is_empty(&self) -> bool {
        self.to_push.is_empty() && self.to_pull.is_empty() && self.divergence.is_none()
    }

    /// Treats a longer local file as diverged at the end of the stored one: after the lock was
    /// lost, only another machine may continue the session.
    fn into_divergence_at_end(mut self) -> Self {
        let longer = self.to_push.iter().find_map(|(file, push)| match push {
            FilePush::Continue(from) => Some(Divergence {
                file: file.clone(),
                lines: from.lines,
                offset: from.offset,
            }),
            FilePush::Whole => None,
        });
        self.divergence = self.divergence.or(longer);
        self
    }

    /// Adds the difference of an append-only file.
    fn add_append_only(
        &mut self,
        local: &LocalCopy<'_>,
        file: SessionFile,
        relation: Relation,
    ) -> Result<(), SyncError> {
        match relation {
            Relation::Same => {}
            Relation::Behind { lines, offset } => {
                self.to_pull
                    .insert(file, FilePull::Extend { lines, offset });
            }
            Relation::Ahead {
                lines,
                close,
                offset,
            } => self.continue_file(file, lines, close, offset),
            // Only a line that was never finished: it holds no turn, and the store has gone on
            // without it.
            Relation::Diverged { offset, .. } if is_torn_rest(local, &file, offset)? => {
                self.to_pull.insert(file, FilePull::Whole);
            }
            Relation::Diverged { lines, offset } => {
                self.continue_file(file.clone(), lines, false, offset);
                self.divergence.get_or_insert(Divergence {
                    file,
                    lines,
                    offset,
                });
            }
        }
        Ok(())
    }

    fn continue_file(&mut self, file: SessionFile, lines: u64, close: bool, offset: u64) {
        let from = Continuation {
            lines,
            close,
            offset,
        };
        self.to_push.insert(file, FilePush::Continue(from));
    }
}

/// Compares sessions of this machine with one snapshot of the store.
#[derive(Clone, Copy)]
pub(crate) struct SessionComparer<'a> {
    pub(crate) localizer: &'a Localizer,
    pub(crate) snapshot: &'a Snapshot<'a>,
    index: &'a Index,
    leases: &'a Leases,
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
        let Some(manifest) = self.snapshot.manifest(id)? else {
            return Ok(if is_begun(local)? {
                Differences::all_new(local.session)
            } else {
                Differences::default()
            });
        };

        let known = self.index.entry(local.session);
        let found = self.compare_with(&manifest, local, known)?;
        Ok(if self.leases.is_lost(id) {
            found.into_divergence_at_end()
        } else {
            found
        })
    }

    /// Compares `local` with `manifest`: the session itself, or the fork that it has become.
    /// `known` is the index entry that is valid for it.
    pub(crate) fn compare_with(
        &self,
        manifest: &Manifest,
        local: &LocalCopy<'_>,
        known: Option<&IndexEntry>,
    ) -> Result<Differences, SyncError> {
        let mut found = Differences::default();
        let mut removed = Vec::new();
        let stored = manifest.all_files().map(|(file, _)| file);
        let local_files = local.session.files.keys().cloned();
        let files: BTreeSet<_> = local_files.chain(stored.filter(is_known)).collect();
        for file in files {
            let here = local.session.files.get(&file);
            let in_sync = known.and_then(|entry| entry.stamp(&file));
            match here {
                Some(_) if here == in_sync && !self.reads_all => {}
                Some(_) => {
                    self.compare_file(manifest, local, known, file, &mut found)?;
                }
                None if known.is_some() && is_external(&file) => removed.push(file),
                None => drop(found.to_pull.insert(file, FilePull::Whole)),
            }
        }
        if !found.to_pull.is_empty() {
            // Claude Code removed these while the session was in sync, so they are no difference.
            // With something newer they are written again.
            let removed = removed.into_iter().map(|file| (file, FilePull::Whole));
            found.to_pull.extend(removed);
        }
        Ok(found)
    }

    /// Adds the difference of one file that is here.
    fn compare_file(
        &self,
        manifest: &Manifest,
        local: &LocalCopy<'_>,
        known: Option<&IndexEntry>,
        file: SessionFile,
        found: &mut Differences,
    ) -> Result<(), SyncError> {
        let Some(stored) = StoredText::new(self.snapshot, manifest, &file) else {
            found.to_push.insert(file, FilePush::Whole);
            return Ok(());
        };
        let relation = self.relate(&stored, local, known)?;
        if relation == Relation::Same {
            return Ok(());
        }
        if file.is_append_only() {
            return found.add_append_only(local, file, relation);
        }

        // Claude Code rewrote the file here since it was in sync, or it has new content.
        let was_in_sync = known.and_then(|entry| entry.stamp(&file)).is_some();
        if was_in_sync || !self.was_replaced(manifest, local, &file)? {
            found.to_push.insert(file, FilePush::Whole);
        } else {
            found.to_pull.insert(file, FilePull::Whole);
        }
        Ok(())
    }

    fn relate(
        &self,
        stored: &StoredText<'_>,
        local: &LocalCopy<'_>,
        known: Option<&IndexEntry>,
    ) -> Result<Relation, SyncError> {
        let file = &stored.name;
        // After an unterminated stored line, the end of the known lines is not all there is to
        // decide.
        let is_trusted = file.is_transcript() && !stored.file.unterminated && !self.reads_all;
        let known = known.filter(|_| is_trusted);
        if let Some(offset) = known.and_then(|entry| entry.appended_since(local.session)) {
            return appended(stored, local, offset);
        }
        let id = &local.session.id;
        let kind = text_kind(file);
        let reader = self.localizer.reader(stored.manifest, id, kind);
        let relation = relate(&mut local.open(file, 0)?, stored, &reader)?;
        if !matches!(relation, Relation::Diverged { .. }) || !reader.depends_on_repo() {
            return Ok(relation);
        }

        // The location of the repository at the time of writing may be unknown. The file names it.
        let reader = reader.with_directories(local.working_directories()?);
        Ok(relate(&mut local.open(file, 0)?, stored, &reader)?)
    }

    /// Returns true if a local file, which is rewritten in place, has the content of an earlier
    /// version of the stored one.
    fn was_replaced(
        &self,
        manifest: &Manifest,
        local: &LocalCopy<'_>,
        file: &SessionFile,
    ) -> Result<bool, SyncError> {
        let stored = manifest.file(file);
        let Some(stored) = stored.filter(|stored| !stored.previous_hashes.is_empty()) else {
            return Ok(false);
        };
        let bytes = crate::sys::fs::read(&local.path(file))?;
        let placeholders = self.localizer.placeholders_for(manifest);
        let hash = portable_hash(self.localizer, &placeholders, &bytes, file);
        Ok(stored.previous_hashes.contains(&hash))
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

/// Returns the relation of a transcript that is in sync up to `offset`.
fn appended(
    stored: &StoredText<'_>,
    local: &LocalCopy<'_>,
    offset: u64,
) -> Result<Relation, SyncError> {
    if local.limit(&SessionFile::Transcript)? <= offset {
        return Ok(Relation::Same);
    }
    Ok(Relation::Ahead {
        lines: stored.file.lines(),
        close: false,
        offset,
    })
}

/// Returns true if the file from `offset` on is a fragment of one line.
fn is_torn_rest(local: &LocalCopy<'_>, file: &SessionFile, offset: u64) -> Result<bool, SyncError> {
    let rest = local.open(file, offset)?.next_lines()?;
    Ok(!rest.contains(&b'\n') && !is_complete_json(&rest))
}

/// Returns the hash that identifies one version of a file that is rewritten in place.
pub(crate) fn portable_hash(
    localizer: &Localizer,
    placeholders: &Placeholders,
    local: &[u8],
    file: &SessionFile,
) -> String {
    let mut portable = Vec::new();
    if is_verbatim(file) {
        portable.extend_from_slice(local);
    } else {
        let collapser = localizer.collapser(placeholders, &[]);
        collapser.collapse(local, text_kind(file), &mut portable);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&portable);
    short_hash(&hasher)
}
