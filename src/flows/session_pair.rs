//! Compares the files of a session here with the stored ones, each against what was last in sync on
//! this machine. Must not change anything.

use std::cmp::Ordering;

use crate::domain::{id::SessionId, placeholder::Placeholders, session_file::SessionFile};
use crate::flows::differences::{Differences, Divergence, FilePull, FilePush};
use crate::flows::diverged_tail::{local_tail, stored_tail};
use crate::localize::{
    collect::is_complete_json, compare::Relation, compare::relate, local_copy::LocalCopy,
    localizer::Localizer, stored_text::StoredText, stored_text::text_kind,
};
use crate::rewrite::{SecretFinder as _, replaceable};
use crate::session::files::{is_external, is_task, is_task_counter, is_verbatim};
use crate::session::time::parse_time;
use crate::store::{Snapshot, manifest::Manifest, manifest::StoredFile, manifest::short_hash};
use crate::sys::fs;
use crate::workspace::{error::SyncError, index::LastSync};

/// Maximum number of placeholder sets with which a local file is collapsed.
const MAX_READINGS: usize = 64;

/// Why a stored file is not on this machine.
pub(super) enum Absence {
    /// It was not here yet, or has changed since.
    New,
    /// Claude Code removed it, because what it describes is finished.
    Removed,
    /// Claude Code removed it, because it is old.
    CleanedUp,
}

/// A session here and the stored one, with what they had in common.
pub(super) struct SessionPair<'a> {
    pub(super) localizer: &'a Localizer,
    pub(super) snapshot: &'a Snapshot<'a>,
    pub(super) manifest: &'a Manifest,
    pub(super) local: &'a LocalCopy<'a>,
    pub(super) synced: Option<LastSync<'a>>,
}

impl SessionPair<'_> {
    /// Returns true if neither side has changed the file, as its stamp shows.
    pub(super) fn is_in_sync(&self, file: &SessionFile) -> bool {
        let is_usable = |synced: &LastSync<'_>| synced.is_trusted() && synced.current().is_some();
        let synced = self.synced.filter(is_usable);
        synced.is_some_and(|synced| synced.is_unchanged_here(self.local.session, file))
    }

    /// Returns true if the file has not changed here since it was in sync.
    fn is_unchanged_here(&self, file: &SessionFile) -> bool {
        let session = self.local.session;
        self.synced
            .is_some_and(|synced| synced.is_unchanged_here(session, file))
    }

    /// Returns true if the stored file has not changed since it was in sync here.
    fn is_unchanged_in_store(&self, file: &SessionFile) -> bool {
        let stored = self.manifest.file(file);
        self.synced
            .zip(stored)
            .is_some_and(|(synced, stored)| synced.is_unchanged_in_store(file, stored))
    }

    pub(super) fn absence(&self, file: &SessionFile) -> Absence {
        let session = self.local.session;
        // Without a transcript, the session is about to be pulled.
        let is_here = session.files.contains_key(&SessionFile::Transcript);
        let synced = self.synced.filter(|_| is_here && is_external(file));
        let Some(synced) = synced else {
            return Absence::New;
        };
        let was_here = synced.stamp(file).is_some() && self.is_unchanged_in_store(file);
        if was_here && is_task(file) && session.has_task_list(file) {
            Absence::Removed
        } else if was_here || synced.current().is_some() {
            Absence::CleanedUp
        } else {
            Absence::New
        }
    }

    /// Adds the difference of one file that is here.
    pub(super) fn compare_file(
        &self,
        file: SessionFile,
        found: &mut Differences,
    ) -> Result<(), SyncError> {
        let snapshot = self.snapshot;
        let Some(stored) = StoredText::new(snapshot, self.manifest, &file) else {
            if self.was_removed(&file)? {
                found.to_pull.insert(file, FilePull::Remove);
            } else {
                found.to_push.insert(file, FilePush::Whole);
            }
            return Ok(());
        };
        let relation = self.relate(&stored)?;
        if relation == Relation::Same {
            return Ok(());
        }
        if file.is_append_only() {
            return self.add_append_only(&stored, relation, found);
        }
        match self.newer_side(&file, stored.file)? {
            Side::Neither => {}
            Side::Here => drop(found.to_push.insert(file, FilePush::Whole)),
            Side::Store => drop(found.to_pull.insert(file, FilePull::Whole)),
        }
        Ok(())
    }

    fn relate(&self, stored: &StoredText<'_>) -> Result<Relation, SyncError> {
        let (file, local) = (&stored.name, self.local);
        // After an unterminated stored line, the end of the known lines is not all there is to
        // decide.
        let synced = self.synced.filter(|synced| synced.is_trusted());
        let known = synced.and_then(LastSync::current);
        let known = known.filter(|_| file.is_transcript() && !stored.file.unterminated);
        if let Some(offset) = known.and_then(|entry| entry.appended_since(local.session)) {
            return appended(stored, local, offset);
        }
        if let Some(relation) = self.extended_in_store(stored)? {
            return Ok(relation);
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

    /// Returns the relation of a transcript that has not changed here, if the stored one has only
    /// gained lines: then nothing of the local file has to be read.
    fn extended_in_store(&self, stored: &StoredText<'_>) -> Result<Option<Relation>, SyncError> {
        let session = self.local.session;
        let is_usable =
            |synced: &LastSync<'_>| synced.is_trusted() && self.is_unchanged_here(stored.name);
        let synced = self.synced.filter(is_usable);
        let state = synced
            .and_then(LastSync::former_state)
            .filter(|_| stored.name.is_transcript());
        let Some(state) = state else {
            return Ok(None);
        };
        let lines = self.snapshot.lines_before(self.manifest, state)?;
        let offset = session.files[stored.name].len;
        Ok(lines.map(|lines| match lines == stored.file.lines() {
            true => Relation::Same,
            false => Relation::Behind { lines, offset },
        }))
    }

    /// Returns the side that rewrote a file in place since it was in sync here. If both did, the
    /// one that is here is newer: it has not been seen yet.
    fn newer_side(&self, file: &SessionFile, stored: &StoredFile) -> Result<Side, SyncError> {
        if is_task_counter(file)
            && let Some(side) = self.larger_counter(file)?
        {
            return Ok(side);
        }
        Ok(
            match (
                self.is_unchanged_here(file),
                self.is_unchanged_in_store(file),
            ) {
                (true, true) => Side::Neither,
                (true, false) => Side::Store,
                (false, true) => Side::Here,
                (false, false) if self.has_one_of(file, &stored.previous_hashes)? => Side::Store,
                (false, false) => Side::Here,
            },
        )
    }

    /// Returns the side with the larger number in a file that only grows.
    fn larger_counter(&self, file: &SessionFile) -> Result<Option<Side>, SyncError> {
        let Some(stored) = StoredText::new(self.snapshot, self.manifest, file) else {
            return Ok(None);
        };
        let here = fs::read(&self.local.path(file))?;
        let counters = parse_counter(&here).zip(parse_counter(&stored.portable()?));
        Ok(counters.map(|(here, stored)| match here.cmp(&stored) {
            Ordering::Less => Side::Store,
            Ordering::Equal => Side::Neither,
            Ordering::Greater => Side::Here,
        }))
    }

    /// Returns true if another machine removed a file that has not changed here since.
    fn was_removed(&self, file: &SessionFile) -> Result<bool, SyncError> {
        let Some(hashes) = file.name().and_then(|name| self.manifest.removed.get(name)) else {
            return Ok(false);
        };
        Ok(self.is_unchanged_here(file) || self.has_one_of(file, hashes)?)
    }

    /// Returns true if the local file has one of these former contents, in whichever paths it was
    /// written here.
    fn has_one_of(&self, file: &SessionFile, hashes: &[String]) -> Result<bool, SyncError> {
        if hashes.is_empty() {
            return Ok(false);
        }
        let (localizer, id) = (self.localizer, &self.local.session.id);
        let bytes = fs::read(&self.local.path(file))?;
        let here = localizer.placeholders_for(self.manifest);
        let sets = std::iter::once(&here).chain(self.manifest.placeholders.values());
        let known = localizer.known_placeholders();
        let mut sets = sets.chain(known).take(MAX_READINGS);
        Ok(sets.any(|set| hashes.contains(&portable_hash(localizer, id, set, &bytes, file))))
    }

    /// Adds the difference of an append-only file.
    fn add_append_only(
        &self,
        stored: &StoredText<'_>,
        relation: Relation,
        found: &mut Differences,
    ) -> Result<(), SyncError> {
        let file = stored.name.clone();
        match relation {
            Relation::Same => {}
            Relation::Behind { lines, offset } => {
                let pull = FilePull::Extend { lines, offset };
                found.to_pull.insert(file, pull);
            }
            Relation::Ahead {
                lines,
                close,
                offset,
            } => found.continue_file(file, lines, close, offset),
            // Only a line that was never finished: it holds no turn, and the store has gone on
            // without it.
            Relation::Diverged { offset, .. } if is_torn_rest(self.local, &file, offset)? => {
                found.to_pull.insert(file, FilePull::Whole);
            }
            Relation::Diverged { lines, offset } => {
                self.add_diverged(stored, (lines, offset), found)?;
            }
        }
        Ok(())
    }

    /// Adds a file that differs after so many lines, which end at an offset of the local file.
    fn add_diverged(
        &self,
        stored: &StoredText<'_>,
        (lines, offset): (u64, u64),
        found: &mut Differences,
    ) -> Result<(), SyncError> {
        let file = stored.name.clone();
        let localizer = self.localizer;
        let here = local_tail(self.local, &file, offset)?;
        let there = stored_tail(localizer, stored, lines)?;
        let is_unchanged_here = self.is_unchanged_here(&file);
        if here.is_rewritten(&there.tail) {
            // The text of records that both have was changed in place.
            let is_current = self.synced.is_some_and(|synced| synced.current().is_some());
            match (is_unchanged_here, is_current) {
                (true, true) if self.synced.is_some_and(LastSync::is_trusted) => return Ok(()),
                (true, false) => {
                    found.to_pull.insert(file, FilePull::Whole);
                    return Ok(());
                }
                (false, true) => {
                    found.continue_file(file, lines, false, offset);
                    return Ok(());
                }
                (true, true) | (false, false) => {}
            }
        }
        if file.is_transcript() && !here.has_turns() {
            let is_later = self.is_later_than_store();
            if !is_unchanged_here {
                let choices = here.choices_beyond(&there.tail, is_later);
                found.choices.local = choices.into_values().flatten().copied().collect();
            }
            found.to_pull.insert(file, FilePull::Whole);
        } else if file.is_transcript() && !there.tail.has_turns() {
            found.choices.stored = there.choices_beyond(&here, false);
            found.continue_file(file, lines, false, offset);
        } else {
            found.continue_file(file.clone(), lines, false, offset);
            found.divergence.get_or_insert(Divergence {
                file,
                lines,
                offset,
            });
        }
        Ok(())
    }

    /// Returns true if the local transcript was written after the last record of the stored one.
    fn is_later_than_store(&self) -> bool {
        let stamp = self.local.session.files.get(&SessionFile::Transcript);
        let stored = self.manifest.last_activity.as_deref().and_then(parse_time);
        let stored = stored.and_then(|time| time.timestamp_nanos_opt());
        stamp
            .zip(stored)
            .is_none_or(|(stamp, stored)| stamp.modified_ns > stored)
    }
}

/// The side that has the newer content of a file.
enum Side {
    Neither,
    Here,
    Store,
}

/// Returns the number in a file that counts tasks.
pub(super) fn parse_counter(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
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
    session: &SessionId,
    placeholders: &Placeholders,
    local: &[u8],
    file: &SessionFile,
) -> String {
    let mut portable = Vec::new();
    let kind = text_kind(file);
    let collapser = match is_verbatim(file) {
        true => localizer.secret_collapser(),
        false => localizer.collapser(placeholders, &[]),
    };
    let secrets = localizer.session_secrets(session);
    let found = secrets.map_or_else(Vec::new, |secrets| secrets.find(local, kind));
    let secrets = replaceable(found, local, kind);
    if is_verbatim(file) && secrets.is_empty() {
        portable.extend_from_slice(local);
    } else {
        collapser.collapse_with(local, kind, &secrets, &mut portable);
    }
    text_hash(&portable)
}

/// Returns the hash of the portable text of a file that is rewritten in place.
pub(crate) fn text_hash(portable: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(portable);
    short_hash(&hasher)
}
