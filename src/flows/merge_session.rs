//! Merges one session that two histories of the store have changed.

use std::collections::BTreeMap;

use crate::domain::{SessionFile, SessionId, UserError};
use crate::flows::fork::{NewFork, add_fork, fork_id, mark_written_as, share_file};
use crate::flows::stored_relation::{StoredRelation, relate_stored};
use crate::localize::{
    Localizer, StoredDataError, StoredText, collect::Continuation, collect::emitter,
    collect::resume, collect::share_segments, line_reader::StoredLineReader,
};
use crate::store::{
    Snapshot, Transaction, manifest::Manifest, manifest::Run, manifest::StoredFile,
};
use crate::workspace::SyncError;

/// A tail that became a fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForkedTail {
    pub(crate) fork: SessionId,
    /// Lines that only the fork has.
    pub(crate) lines: u64,
}

/// The result of merging one session.
pub(crate) enum MergeOutcome {
    /// The remote's session has everything.
    Merged,
    /// Our tail is a fork.
    Forked(ForkedTail),
    /// This commit has changed the fork already.
    Retry,
}

/// The two sides of a merge.
pub(crate) struct SessionMerge<'a> {
    pub(crate) localizer: &'a Localizer,
    pub(crate) ours: &'a Snapshot<'a>,
    pub(crate) theirs: &'a Snapshot<'a>,
}

impl SessionMerge<'_> {
    /// Adds our version of a session to theirs. If theirs cannot be read, ours is kept as a fork.
    pub(crate) fn merge_or_fork(
        &self,
        tx: &mut Transaction<'_>,
        id: &SessionId,
    ) -> Result<MergeOutcome, SyncError> {
        match self.merge(tx, id) {
            Err(e) if e.is_about_one_session() => {
                tx.discard_incomplete_sessions()?;
                match self.ours.manifest(id) {
                    Ok(Some(ours)) => self.keep_as_fork(tx, &ours, id, &SessionFile::Transcript, 0),
                    _ => Err(e),
                }
            }
            result => result,
        }
    }

    /// Keeps the newer lines of ours as a fork, even if theirs was not continued: another
    /// machine has the right to continue it.
    pub(crate) fn fork_if_longer(
        &self,
        tx: &mut Transaction<'_>,
        id: &SessionId,
    ) -> Result<MergeOutcome, SyncError> {
        if let (Ok(Some(ours)), Ok(Some(theirs))) =
            (self.ours.manifest(id), self.theirs.manifest(id))
        {
            let files = ours.all_files().map(|(file, _)| file);
            for file in files.filter(SessionFile::is_append_only) {
                if let Some((mine, other)) = self.both(&ours, &theirs, &file)
                    && relate_stored(self.localizer, &mine, &other)? == StoredRelation::Longer
                {
                    return self.keep_as_fork(tx, &ours, id, &file, other.file.lines());
                }
            }
        }
        self.merge_or_fork(tx, id)
    }

    fn merge(&self, tx: &mut Transaction<'_>, id: &SessionId) -> Result<MergeOutcome, SyncError> {
        let Ok(Some(ours)) = self.ours.manifest(id) else {
            // Nothing of ours can be read, so there is nothing to add; `ccsync verify` names such
            // sessions.
            return Ok(MergeOutcome::Merged);
        };
        match self.theirs.manifest(id) {
            Ok(Some(theirs)) => self.merge_into(tx, &ours, &theirs),
            Ok(None) => {
                tx.take_session(self.ours, id)?;
                Ok(MergeOutcome::Merged)
            }
            // This version cannot read theirs: both are kept.
            Err(_) => self.keep_as_fork(tx, &ours, id, &SessionFile::Transcript, 0),
        }
    }

    /// Adds `ours` to `theirs`, which may be a fork that began as ours.
    fn merge_into(
        &self,
        tx: &mut Transaction<'_>,
        ours: &Manifest,
        theirs: &Manifest,
    ) -> Result<MergeOutcome, SyncError> {
        let mut relations = BTreeMap::new();
        for (file, _) in ours.all_files() {
            let Some((mine, other)) = self.both(ours, theirs, &file) else {
                continue;
            };
            let relation = relate_stored(self.localizer, &mine, &other)?;
            if let StoredRelation::Diverged(lines) = relation
                && file.is_append_only()
            {
                return self.keep_as_fork(tx, ours, &theirs.session, &file, lines);
            }
            relations.insert(file, relation);
        }

        let mut merged = theirs.clone();
        for (key, placeholders) in &ours.placeholders {
            let entry = merged.placeholders.entry(key.clone());
            entry.or_insert_with(|| placeholders.clone());
        }
        for (file, _) in ours.all_files() {
            let relation = relations.get(&file).copied();
            if let Some(stored) = self.merge_file(tx, ours, theirs, &file, relation)? {
                match file {
                    SessionFile::Transcript => {
                        merged.transcript = stored;
                        // Ours begins with theirs.
                        merged.turns = ours.turns;
                    }
                    SessionFile::Named(name) => drop(merged.files.insert(name, stored)),
                }
            }
        }
        adopt_description(&mut merged, ours);
        merged.prune_placeholders();
        tx.write_manifest(&merged)?;
        Ok(MergeOutcome::Merged)
    }

    /// Returns the file with what ours adds; `None` if theirs stays.
    fn merge_file(
        &self,
        tx: &mut Transaction<'_>,
        ours: &Manifest,
        theirs: &Manifest,
        file: &SessionFile,
        relation: Option<StoredRelation>,
    ) -> Result<Option<StoredFile>, SyncError> {
        let Some(mine) = StoredText::new(self.ours, ours, file) else {
            return Ok(None);
        };
        let other = StoredText::new(self.theirs, theirs, file);
        match (relation, other) {
            (Some(StoredRelation::Contained), _) => return Ok(None),
            (Some(StoredRelation::Longer), Some(other)) => {
                return self.append(tx, &mine, &other).map(Some);
            }
            // Both sides rewrote it: the side that was active later has the current
            // content.
            (Some(StoredRelation::Diverged(_)), _)
                if theirs.last_activity >= ours.last_activity =>
            {
                return Ok(None);
            }
            _ => {}
        }
        share_file(tx, &mine, &theirs.session)?;
        let mut shared = mine.file.clone();
        if ours.session != theirs.session {
            mark_written_as(&mut shared, &ours.session);
        }
        Ok(Some(shared))
    }

    /// Returns theirs with the lines that only ours has.
    fn append(
        &self,
        tx: &mut Transaction<'_>,
        mine: &StoredText<'_>,
        other: &StoredText<'_>,
    ) -> Result<StoredFile, SyncError> {
        let session = other.manifest.session.clone();
        let from = Continuation {
            lines: other.file.lines(),
            close: other.file.unterminated,
            offset: 0,
        };
        share_segments(tx, &session, other, from.lines)?;
        let mut failure = None;
        let mut emit = emitter(tx, &session, other.name, &mut failure);
        let mut builder = resume(self.localizer, other, from, &mut emit)?;
        mine.walk(from.lines, &mut |piece| {
            let (run, text) = (piece.run, piece.text);
            let written = StoredLineReader::as_written(
                self.localizer,
                mine.manifest,
                run,
                mine.kind(),
                text,
            )?;
            let mut run = Run {
                lines: 0,
                ..run.clone()
            };
            if mine.manifest.session != session {
                run.written_as
                    .get_or_insert_with(|| mine.manifest.session.clone());
            }
            builder.append(&run, text, &written, &mut emit);
            Ok(true)
        })?;
        let file = builder.finish(&mut emit);
        drop(emit);
        Ok(failure.map_or(Ok(file), Err)?)
    }

    /// Keeps ours as a fork that leaves `from` after `lines` lines of `file`.
    fn keep_as_fork(
        &self,
        tx: &mut Transaction<'_>,
        ours: &Manifest,
        from: &SessionId,
        file: &SessionFile,
        lines: u64,
    ) -> Result<MergeOutcome, SyncError> {
        let mine = StoredText::new(self.ours, ours, file);
        let mine = mine.ok_or_else(|| StoredDataError::Inconsistent {
            session: ours.session.clone(),
        })?;
        let fork = fork_id(from, file, lines, &mine.lines(lines, lines + 1)?);
        if tx.touches(&fork) {
            return Ok(MergeOutcome::Retry);
        }

        // An earlier push may have stored the fork: then only newer lines are added.
        match self.theirs.manifest(&fork)? {
            Some(stored) => match self.merge_into(tx, ours, &stored)? {
                MergeOutcome::Merged => {}
                other => return Ok(other),
            },
            None => {
                let id = &fork;
                add_fork(tx, self.ours, ours, &NewFork { from, id, lines })?;
            }
        }
        let common = if file.is_transcript() { lines } else { 0 };
        let lines = ours.transcript.lines() - common;
        Ok(MergeOutcome::Forked(ForkedTail { fork, lines }))
    }

    /// Returns the two versions of a file, if both sides have it.
    fn both<'t>(
        &'t self,
        ours: &'t Manifest,
        theirs: &'t Manifest,
        file: &'t SessionFile,
    ) -> Option<(StoredText<'t>, StoredText<'t>)> {
        let mine = StoredText::new(self.ours, ours, file)?;
        Some((mine, StoredText::new(self.theirs, theirs, file)?))
    }
}

/// Takes the description from the side that was active later, as with all state records.
fn adopt_description(merged: &mut Manifest, ours: &Manifest) {
    let is_later = ours.last_activity > merged.last_activity;
    if merged.git.is_none() || is_later {
        merged.git = ours.git.clone().or(merged.git.take());
    }
    if is_later {
        merged.last_activity.clone_from(&ours.last_activity);
        let first_prompt = merged.titles.first_prompt.take();
        merged.titles = ours.titles.clone();
        merged.titles.first_prompt = first_prompt.or(merged.titles.first_prompt.take());
    }
    merged.bound |= ours.bound;
}
