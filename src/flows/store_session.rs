//! Stores one session of this machine in the commit that is being made.

use std::collections::BTreeMap;

use crate::domain::{SessionFile, SessionId};
use crate::flows::{
    collapse_context::CollapseContext, compare::SessionComparer, describe::describe_session,
    differences::Differences, differences::Divergence, differences::FilePush,
    differences::FilePushes, fork::NewFork, fork::fork_id, fork::fork_manifest, fork::own_lines,
    fork::share_file, session_draft::SessionDraft, skip::Attempt,
};
use crate::localize::{
    LocalCopy, LocalText, StoredText, collect::collapse_title, stored_text::text_kind,
};
use crate::report::{Outcome, SessionReport, count::count};
use crate::session::{LocalSession, turns::count_user_turns};
use crate::store::manifest::{Labels, Manifest, StoredFile, Titles};
use crate::store::segment::{count_lines, offset_after_lines};
use crate::store::{FORMAT, Snapshot, Transaction};
use crate::workspace::{SyncError, Workspace};

/// Why nothing is stored of a session that another machine has locked.
const WAITS: &str = "another machine continues the session; what was noted here without a new turn \
    is sent when its lock is released";

/// The result of storing a session.
pub(crate) enum StoreOutcome {
    Stored(SessionReport),
    /// This commit has changed the session already. It has to be compared again, and stored in the
    /// next commit.
    Retry,
}

/// Stores one session of this machine.
#[derive(Clone, Copy)]
pub(crate) struct SessionWriter<'a> {
    comparer: SessionComparer<'a>,
    local: &'a LocalCopy<'a>,
}

/// Returns true if the store has everything of a session that is here. A session that cannot be
/// compared counts as not stored.
pub(crate) fn is_stored(
    workspace: &Workspace<'_>,
    session: &LocalSession,
) -> Result<bool, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let local = LocalCopy::closed(session);
    let writer = SessionWriter::new(workspace, &snapshot, &local);
    let is_stored = || {
        let Some(manifest) = snapshot.manifest(&session.id)? else {
            return Ok(false);
        };
        writer.is_stored(&manifest, &writer.comparer.compare(&local)?)
    };
    match Attempt::new(is_stored())? {
        Attempt::Done(is_stored) => Ok(is_stored),
        Attempt::Skipped(_) => Ok(false),
    }
}

impl<'a> SessionWriter<'a> {
    pub(crate) fn new(
        workspace: &'a Workspace<'_>,
        snapshot: &'a Snapshot<'_>,
        local: &'a LocalCopy<'_>,
    ) -> Self {
        Self {
            comparer: SessionComparer::new(workspace, snapshot),
            local,
        }
    }

    /// Adds to `tx` what only this machine has.
    pub(crate) fn store(
        &self,
        tx: &mut Transaction<'_>,
        found: &Differences,
    ) -> Result<StoreOutcome, SyncError> {
        let id = &self.local.session.id;
        let stored = self.comparer.snapshot.manifest(id)?;
        match (&stored, &found.divergence) {
            (Some(parent), Some(divergence)) => {
                return self.store_fork(tx, parent, divergence, found);
            }
            (Some(manifest), None) if found.to_push.is_empty() => {
                return Ok(StoreOutcome::Stored(self.not_stored(manifest, found)));
            }
            _ if tx.touches(id) => return Ok(StoreOutcome::Retry),
            _ => {}
        }

        let report = if let Some(manifest) = &stored {
            let draft = self.store_more(tx, manifest, found)?;
            let (lines, bytes) = (draft.collected.lines, draft.collected.bytes);
            self.report(&draft, Outcome::Extended { lines, bytes })
        } else {
            let draft = self.store_new(tx, found)?;
            let (lines, bytes) = (draft.manifest.transcript.lines(), draft.collected.bytes);
            self.report(&draft, Outcome::Added { lines, bytes })
        };
        Ok(StoreOutcome::Stored(report))
    }

    /// Returns the outcome that [`Self::store`] would report.
    pub(crate) fn preview(&self, found: &Differences) -> Result<Outcome, SyncError> {
        let (lines, bytes) = self.measure(&found.to_push)?;
        let stored = self.comparer.snapshot.manifest(&self.local.session.id)?;
        Ok(match (stored, &found.divergence) {
            (Some(parent), Some(divergence)) => {
                let fork = self.fork_id(&parent, divergence, &found.to_push)?;
                let stored = self.comparer.snapshot.manifest(&fork)?;
                let lines = stored.map_or(lines, |stored| own_lines(&stored));
                Outcome::Forked { fork, lines }
            }
            (Some(_), None) if found.waits => Outcome::Ahead,
            (Some(_), None) if found.to_push.is_empty() => Outcome::Behind,
            (Some(_), None) => Outcome::Extended { lines, bytes },
            (None, _) => Outcome::Added { lines, bytes },
        })
    }

    /// Returns true if the store has all of the session: in `target`, in the fork that it has
    /// become, or in a fork of that.
    pub(crate) fn is_stored(
        &self,
        target: &Manifest,
        found: &Differences,
    ) -> Result<bool, SyncError> {
        let Some(divergence) = &found.divergence else {
            return Ok(found.to_push.is_empty() && !found.waits);
        };
        let fork = self.fork_id(target, divergence, &found.to_push)?;
        match self.comparer.snapshot.manifest(&fork)? {
            Some(fork) => {
                let found = self.comparer.compare_with(&fork, self.local, None)?;
                self.is_stored(&fork, &found)
            }
            None => Ok(false),
        }
    }

    /// Counts the transcript lines, and the bytes of all files, that would be stored.
    fn measure(&self, files: &FilePushes) -> Result<(u64, u64), SyncError> {
        let (mut lines, mut bytes) = (0, 0);
        for (file, push) in files {
            let from = match push {
                FilePush::Continue(from) => from.offset,
                FilePush::Whole => 0,
                FilePush::Remove => continue,
            };
            bytes += self.local.limit(file)?.saturating_sub(from);
            if file.is_transcript() {
                self.local.open(file, from)?.each_piece(|piece| {
                    lines += count_lines(piece);
                    Ok(())
                })?;
            }
        }
        Ok((lines, bytes))
    }

    fn store_new(
        &self,
        tx: &mut Transaction<'_>,
        found: &Differences,
    ) -> Result<SessionDraft<'a>, SyncError> {
        let localizer = self.comparer.localizer;
        let manifest = Manifest {
            format: FORMAT,
            session: self.local.session.id.clone(),
            project: None,
            directory: collapse_title(localizer, self.local.session.directory_name()),
            titles: Titles::default(),
            labels: Labels::default(),
            last_activity: None,
            turns: Some(0),
            bound: false,
            fork_of: None,
            continued_in: None,
            git: None,
            former_projects: BTreeMap::new(),
            placeholders: BTreeMap::new(),
            transcript: StoredFile::default(),
            files: BTreeMap::new(),
            removed: BTreeMap::new(),
        };
        let context = CollapseContext::new(localizer, self.local)?;
        let mut draft = SessionDraft::new(&self.comparer, self.local, None, manifest, context);
        draft.store_files(tx, found)?;
        draft.set_project();
        draft.finish(tx)?;
        Ok(draft)
    }

    /// Stores the content that a session has beyond `target`: the session itself, or the
    /// fork that it has become.
    fn store_more<'t>(
        &'t self,
        tx: &mut Transaction<'_>,
        target: &'t Manifest,
        found: &Differences,
    ) -> Result<SessionDraft<'t>, SyncError> {
        let mut draft = self.draft(target, target.clone(), &found.to_push)?;
        draft.store_files(tx, found)?;
        if let Some(FilePush::Continue(from)) = found.to_push.get(&SessionFile::Transcript)
            && from.lines != target.transcript.lines()
        {
            // Lines were replaced, so that those of before do not count all.
            draft.manifest.turns = Some(self.turns_before(from.offset)?);
        }
        draft.follow_move();
        draft.finish(tx)?;
        Ok(draft)
    }

    /// Stores the diverged local lines as a fork. The stored session keeps its id and its
    /// lines.
    fn store_fork(
        &self,
        tx: &mut Transaction<'_>,
        parent: &Manifest,
        divergence: &Divergence,
        found: &Differences,
    ) -> Result<StoreOutcome, SyncError> {
        let files = &found.to_push;
        let fork = self.fork_id(parent, divergence, files)?;
        if let Some(stored) = self.comparer.snapshot.manifest(&fork)? {
            return self.continue_fork(tx, &stored);
        }
        if tx.touches(&fork) {
            return Ok(StoreOutcome::Retry);
        }

        for (file, _) in parent.all_files() {
            if !files.contains_key(&file)
                && let Some(stored) = StoredText::new(self.comparer.snapshot, parent, &file)
            {
                share_file(tx, &stored, &fork)?;
            }
        }
        let manifest = fork_manifest(
            parent,
            &NewFork {
                from: &parent.session,
                id: &fork,
                lines: if divergence.file.is_transcript() {
                    divergence.lines
                } else {
                    parent.transcript.lines()
                },
            },
        );
        let mut draft = self.draft(parent, manifest, files)?;
        draft.store_files(tx, found)?;
        draft.mark_kept_lines(found, &parent.session);
        if let Some(FilePush::Continue(from)) = files.get(&SessionFile::Transcript) {
            draft.manifest.turns = Some(self.turns_before(from.offset)?);
        }
        draft.finish(tx)?;

        let lines = own_lines(&draft.manifest);
        let report = self.report(&draft, Outcome::Forked { fork, lines });
        Ok(StoreOutcome::Stored(report))
    }

    /// Adds newer lines to a fork that the store has.
    fn continue_fork(
        &self,
        tx: &mut Transaction<'_>,
        fork: &Manifest,
    ) -> Result<StoreOutcome, SyncError> {
        let found = self.comparer.compare_with(fork, self.local, None)?;
        if let Some(divergence) = &found.divergence {
            return self.store_fork(tx, fork, divergence, &found);
        }
        let outcome = |manifest: &Manifest| Outcome::Forked {
            fork: fork.session.clone(),
            lines: own_lines(manifest),
        };
        if found.to_push.is_empty() {
            let mut report = self.describe(fork, outcome(fork));
            report.turns = Some(0);
            return Ok(StoreOutcome::Stored(report));
        }
        if tx.touches(&fork.session) {
            return Ok(StoreOutcome::Retry);
        }
        let draft = self.store_more(tx, fork, &found)?;
        let report = self.report(&draft, outcome(&draft.manifest));
        Ok(StoreOutcome::Stored(report))
    }

    /// Begins a draft that continues `earlier`.
    fn draft<'t>(
        &'t self,
        earlier: &'t Manifest,
        manifest: Manifest,
        files: &FilePushes,
    ) -> Result<SessionDraft<'t>, SyncError> {
        let context =
            CollapseContext::continuing(self.comparer.localizer, self.local, earlier, files)?;
        Ok(SessionDraft::new(
            &self.comparer,
            self.local,
            Some(earlier),
            manifest,
            context,
        ))
    }

    /// Reports a session of which nothing is stored.
    fn not_stored(&self, manifest: &Manifest, found: &Differences) -> SessionReport {
        if !found.waits {
            return self.describe(manifest, Outcome::Behind);
        }
        let mut report = self.describe(manifest, Outcome::Ahead);
        report.warnings.push(WAITS.to_owned());
        report
    }

    fn describe(&self, manifest: &Manifest, outcome: Outcome) -> SessionReport {
        let id = &self.local.session.id;
        describe_session(self.comparer.localizer, id, Some(manifest), outcome)
    }

    fn report(&self, draft: &SessionDraft<'_>, outcome: Outcome) -> SessionReport {
        let mut report = self.describe(&draft.manifest, outcome);
        report.turns = Some(draft.turns);
        let verbatim = draft.collected.verbatim;
        if verbatim > 0 {
            report.warnings.push(format!(
                "{} stored verbatim: rewriting would not be exact",
                count(verbatim, "line")
            ));
        }
        let (masked, stored) = (draft.collected.masked, draft.collected.reported);
        if masked > 0 {
            let cost = match draft.manifest.bound {
                true => "; elsewhere the model's earlier thinking is signed and may be dropped",
                false => "",
            };
            report.warnings.push(format!(
                "{} masked, whose values stay on this machine{cost}: ccsync secrets list",
                count(masked, "secret")
            ));
        }
        if stored > 0 {
            report.warnings.push(format!(
                "{} stored unmasked: ccsync secrets list",
                count(stored, "secret")
            ));
        }
        let damaged = draft.collected.damaged;
        if damaged > 0 {
            let id = &self.local.session.id;
            report.warnings.push(format!(
                "{} not valid, perhaps since a crash; for a repaired copy: ccsync repair {id}",
                count(damaged, "record")
            ));
        }
        report
    }

    /// Counts the user's turns in the first bytes of the local transcript.
    fn turns_before(&self, offset: u64) -> Result<u64, SyncError> {
        let mut turns = 0;
        let path = self.local.session.transcript_path();
        LocalText::open(&path, 0, offset)?.each_piece(|piece| {
            turns += count_user_turns(piece);
            Ok(())
        })?;
        Ok(turns)
    }

    /// Returns the id of the fork, from the first line in which the local file differs.
    fn fork_id(
        &self,
        parent: &Manifest,
        divergence: &Divergence,
        files: &FilePushes,
    ) -> Result<SessionId, SyncError> {
        let localizer = self.comparer.localizer;
        let mut text = self.local.open(&divergence.file, divergence.offset)?;
        let piece = text.next_lines()?;
        let line = &piece[..offset_after_lines(&piece, 1)];
        let context = CollapseContext::continuing(localizer, self.local, parent, files)?;
        let collapser = localizer.collapser(&context.placeholders, &context.directories);
        let mut portable = Vec::new();
        collapser.collapse(line, text_kind(&divergence.file), &mut portable);
        Ok(fork_id(
            &parent.session,
            &divergence.file,
            divergence.lines,
            &portable,
        ))
    }
}
