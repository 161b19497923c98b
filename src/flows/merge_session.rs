//! Merges one session that two histories of the store have changed.

use std::collections::BTreeMap;

use crate::domain::{RelativeName, SessionFile, SessionId, UserError};
use crate::flows::diverged_tail::stored_tail;
use crate::flows::fork::{NewFork, add_fork, fork_id, mark_written_as, share_file};
use crate::flows::session_pair::parse_counter;
use crate::flows::stored_relation::{StoredRelation, relate_stored};
use crate::localize::{
    Localizer, StoredDataError, StoredLine, StoredLineReader, StoredText, collect::Continuation,
    collect::emitter, collect::resume, collect::share_segments,
};
use crate::session::files::is_task_counter;
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

/// The result of merging one file that both sides have.
enum FileMerge {
    /// Theirs stays.
    Theirs,
    /// Theirs stays, and lines with choices of the user follow.
    TheirsWith(Vec<StoredLine>),
    /// Ours replaces theirs.
    Ours,
    /// The lines of ours after so many follow all of theirs.
    Append(u64),
    /// The lines of ours after so many replace those of theirs, and lines with choices of the user
    /// follow.
    Replace {
        lines: u64,
        choices: Vec<StoredLine>,
    },
}

/// The two sides of a merge.
pub(crate) struct SessionMerge<'a> {
    pub(crate) localizer: &'a Localizer,
    /// The commit with which both began.
    pub(crate) base: &'a Snapshot<'a>,
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
                    let lines = other.file.lines();
                    if file.is_transcript()
                        && !stored_tail(self.localizer, &mine, lines)?.tail.has_turns()
                    {
                        // It waits in the files of this machine.
                        return Ok(MergeOutcome::Merged);
                    }
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
        let base = self.base.manifest(&ours.session).ok().flatten();
        let mut merges = BTreeMap::new();
        for (file, _) in ours.all_files() {
            let Some((mine, other)) = self.both(ours, theirs, &file) else {
                continue;
            };
            let merge = if file.is_append_only() {
                match relate_stored(self.localizer, &mine, &other)? {
                    StoredRelation::Contained => FileMerge::Theirs,
                    StoredRelation::Longer => FileMerge::Append(other.file.lines()),
                    StoredRelation::Diverged(lines) => {
                        let merge = merge_changed(base.as_ref(), &mine, &other, lines);
                        let merge = merge.map_or_else(
                            || self.merge_tails(&mine, &other, lines),
                            |merge| Ok(Some(merge)),
                        );
                        match merge? {
                            Some(merge) => merge,
                            None => {
                                return self.keep_as_fork(tx, ours, &theirs.session, &file, lines);
                            }
                        }
                    }
                }
            } else {
                merge_rewritten(base.as_ref(), &mine, &other)?
            };
            merges.insert(file, merge);
        }

        let mut merged = theirs.clone();
        merge_removals(&mut merged, base.as_ref(), ours, theirs);
        for (key, placeholders) in &ours.placeholders {
            let entry = merged.placeholders.entry(key.clone());
            entry.or_insert_with(|| placeholders.clone());
        }
        for (file, _) in ours.all_files() {
            let is_removed = |name| merged.removed.contains_key(name);
            if file.name().is_some_and(is_removed) {
                continue;
            }
            let merge = merges.get(&file).unwrap_or(&FileMerge::Ours);
            if let Some(stored) = self.merge_file(tx, ours, theirs, &file, merge)? {
                match file {
                    SessionFile::Transcript => {
                        merged.transcript = stored;
                        if !matches!(merge, FileMerge::TheirsWith(_)) {
                            // Theirs has no turns beyond ours.
                            merged.turns = ours.turns;
                            merged.continued_in.clone_from(&ours.continued_in);
                            merged.follow_move(ours);
                        }
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
        merge: &FileMerge,
    ) -> Result<Option<StoredFile>, SyncError> {
        let Some(mine) = StoredText::new(self.ours, ours, file) else {
            return Ok(None);
        };
        let other = StoredText::new(self.theirs, theirs, file);
        match (merge, other) {
            (FileMerge::Theirs, _) => return Ok(None),
            (FileMerge::TheirsWith(choices), Some(other)) => {
                let lines = other.file.lines();
                return self
                    .append(tx, (&mine, None), &other, (lines, choices))
                    .map(Some);
            }
            (FileMerge::Append(lines), Some(other)) => {
                return self
                    .append(tx, (&mine, Some(*lines)), &other, (*lines, &[]))
                    .map(Some);
            }
            (FileMerge::Replace { lines, choices }, Some(other)) => {
                let mine = (&mine, Some(*lines));
                return self.append(tx, mine, &other, (*lines, choices)).map(Some);
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

    /// Merges the ends of a transcript if one of them has no turns: it gives way to the other one.
    fn merge_tails(
        &self,
        mine: &StoredText<'_>,
        other: &StoredText<'_>,
        lines: u64,
    ) -> Result<Option<FileMerge>, SyncError> {
        if !mine.name.is_transcript() {
            return Ok(None);
        }
        let here = stored_tail(self.localizer, mine, lines)?;
        let there = stored_tail(self.localizer, other, lines)?;
        // Titles have no time of their own: of two without a turn, the one pushed last counts.
        let is_later = mine.manifest.last_activity >= other.manifest.last_activity;
        Ok(if !here.tail.has_turns() {
            let choices = here.choices_beyond(&there.tail, is_later);
            Some(FileMerge::TheirsWith(choices))
        } else if !there.tail.has_turns() {
            let choices = there.choices_beyond(&here.tail, !is_later);
            Some(FileMerge::Replace { lines, choices })
        } else {
            None
        })
    }

    /// Returns the first lines of theirs, then the lines of ours from a line on, if any, then
    /// lines with choices of the user.
    fn append(
        &self,
        tx: &mut Transaction<'_>,
        (mine, beyond): (&StoredText<'_>, Option<u64>),
        other: &StoredText<'_>,
        (kept, choices): (u64, &[StoredLine]),
    ) -> Result<StoredFile, SyncError> {
        let session = other.manifest.session.clone();
        let from = Continuation {
            lines: kept,
            close: other.file.unterminated && kept == other.file.lines(),
            offset: 0,
        };
        share_segments(tx, &session, other, from.lines)?;
        let mut failure = None;
        let mut emit = emitter(tx, &session, other.name, &mut failure);
        let mut builder = resume(self.localizer, other, from, &mut emit)?;
        mine.walk(beyond.unwrap_or(mine.file.lines()), &mut |piece| {
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
        for line in choices {
            builder.append(&line.run, &line.portable, &line.written, &mut emit);
        }
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

/// Merges a file that is rewritten in place: the side that rewrote it has the newer content. If
/// both did, it is the side that was active later.
fn merge_rewritten(
    base: Option<&Manifest>,
    mine: &StoredText<'_>,
    other: &StoredText<'_>,
) -> Result<FileMerge, SyncError> {
    let (ours, theirs) = (mine.file.version(), other.file.version());
    if ours == theirs {
        return Ok(FileMerge::Theirs);
    }
    if is_task_counter(mine.name)
        && let (Some(here), Some(there)) = (
            parse_counter(&mine.portable()?),
            parse_counter(&other.portable()?),
        )
    {
        return Ok(if here > there {
            FileMerge::Ours
        } else {
            FileMerge::Theirs
        });
    }
    let base = base
        .and_then(|base| base.file(mine.name))
        .map(StoredFile::version);
    let is_ours_newer = match base {
        Some(base) if base == theirs => true,
        Some(base) if base == ours => false,
        _ => mine.manifest.last_activity > other.manifest.last_activity,
    };
    Ok(if is_ours_newer {
        FileMerge::Ours
    } else {
        FileMerge::Theirs
    })
}

/// Merges an append-only file that one side changed in place while the other one left it alone.
fn merge_changed(
    base: Option<&Manifest>,
    mine: &StoredText<'_>,
    other: &StoredText<'_>,
    lines: u64,
) -> Option<FileMerge> {
    let base = base?.file(mine.name)?.version();
    if base == other.file.version() {
        let choices = Vec::new();
        return Some(FileMerge::Replace { lines, choices });
    }
    (base == mine.file.version()).then_some(FileMerge::Theirs)
}

/// Merges what the sides removed. A file that the other side changed meanwhile stays.
fn merge_removals(
    merged: &mut Manifest,
    base: Option<&Manifest>,
    ours: &Manifest,
    theirs: &Manifest,
) {
    let is_unchanged = |name: &RelativeName, side: &Manifest| {
        let then = base.and_then(|base| base.files.get(name));
        let now = side.files.get(name);
        now.is_none() || then.map(StoredFile::version) == now.map(StoredFile::version)
    };
    for (name, hashes) in &ours.removed {
        if is_unchanged(name, theirs) {
            merged.files.remove(name);
            merged.removed.insert(name.clone(), hashes.clone());
        }
    }
    for name in theirs.removed.keys() {
        if !is_unchanged(name, ours) {
            merged.removed.remove(name);
        }
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
        merged.labels = ours.labels.clone();
        merged.titles.first_prompt = first_prompt.or(merged.titles.first_prompt.take());
    }
    merged.bound |= ours.bound;
}
