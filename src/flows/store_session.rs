//! Carrying out one session's half of a push: its files into the commit being made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::checkouts::identity::portable;
use crate::checkouts::identity::with_known_remote;
use crate::checkouts::locate::is_below_repo;
use crate::domain::client_dir::client_dir_name;
use crate::domain::error::UserError;
use crate::domain::id::SessionId;
use crate::domain::placeholder::Placeholders;
use crate::domain::session_file::SessionFile;
use crate::flows::collapse_context::CollapseContext;
use crate::flows::fork::{fork_id, fork_manifest, share_file, written_as};
use crate::flows::plan::{
    Differences, Divergence, FileStep, Files, compare_session, compare_with, described,
    portable_hash,
};
use crate::localize::collect::{Collected, Collector, collapse_title, describe, share_segments};
use crate::localize::local_copy::LocalCopy;
use crate::localize::stored_text::{LocalText, StoredText, text_kind};
use crate::report::transfer::{Outcome, SessionReport};
use crate::rewrite::{TextKind, collapse_path, expand_path};
use crate::session::LocalSession;
use crate::session::facts::{Facts, custom_title_file};
use crate::session::turns::count_user_turns;
use crate::store::FORMAT;
use crate::store::manifest::{Manifest, StoredFile, Titles};
use crate::store::segment::{count_lines, offset_after_lines};
use crate::store::{Snapshot, Transaction};
use crate::workspace::error::{ChangedAlready, SyncError};
use crate::workspace::open::Workspace;

/// One session of this machine, seen beside the store.
#[derive(Clone, Copy)]
pub(crate) struct SessionWriter<'a> {
    pub(crate) workspace: &'a Workspace<'a>,
    pub(crate) snapshot: &'a Snapshot<'a>,
    pub(crate) local: &'a LocalCopy<'a>,
}

/// The manifest being made, and what went into it.
struct Draft {
    manifest: Manifest,
    /// What the new lines are collapsed with.
    placeholders: Placeholders,
    facts: Facts,
    collected: Collected,
    /// Turns of a person that were stored.
    turns: u64,
}

impl Draft {
    fn of(manifest: Manifest, placeholders: Placeholders) -> Self {
        Self {
            manifest,
            placeholders,
            facts: Facts::default(),
            collected: Collected::default(),
            turns: 0,
        }
    }
}

/// Whether the store has everything of a session that is here. Of one that cannot be compared, nobody can say so.
pub(crate) fn is_stored(
    workspace: &Workspace<'_>,
    session: &LocalSession,
) -> Result<bool, SyncError> {
    let (snapshot, local) = (workspace.store.head_snapshot()?, LocalCopy::closed(session));
    let stored = || match snapshot.manifest(&session.id)? {
        Some(manifest) => {
            let found = compare_session(workspace, &snapshot, &local)?;
            SessionWriter {
                workspace,
                snapshot: &snapshot,
                local: &local,
            }
            .is_stored(&manifest, &found)
        }
        None => Ok(false),
    };
    match stored() {
        Err(e) if SyncError::is_about_one_session(&e) => Ok(false),
        stored => stored,
    }
}

impl SessionWriter<'_> {
    /// Adds to `tx` what this machine has more. What the store has more is `pull`'s business.
    pub(crate) fn store(
        &self,
        tx: &mut Transaction<'_>,
        found: &Differences,
    ) -> Result<SessionReport, SyncError> {
        let id = &self.local.session.id;
        match (self.snapshot.manifest(id)?, &found.parted) {
            (Some(parent), Some(parting)) => self.store_fork(tx, &parent, parting, &found.up),
            (Some(manifest), None) if found.up.is_empty() => Ok(described(
                &self.workspace.localizer,
                id,
                Some(&manifest),
                Outcome::Behind,
            )),
            (Some(manifest), None) => {
                let draft = self.store_more(tx, &manifest, &found.up)?;
                let Collected { lines, bytes, .. } = draft.collected;
                Ok(self.report(&draft, Outcome::Extended { lines, bytes }))
            }
            (None, _) => {
                let draft = self.store_new(tx, &found.up)?;
                let (lines, bytes) = (draft.manifest.transcript.lines(), draft.collected.bytes);
                Ok(self.report(&draft, Outcome::Added { lines, bytes }))
            }
        }
    }

    /// What [`Self::store`] is going to report.
    pub(crate) fn preview_outcome(&self, found: &Differences) -> Result<Outcome, SyncError> {
        let (lines, bytes) = self.measure(&found.up)?;
        Ok(
            match (
                self.snapshot.manifest(&self.local.session.id)?,
                &found.parted,
            ) {
                (Some(parent), Some(parting)) => {
                    let fork = fork_id(
                        &parent.session,
                        &parting.file,
                        parting.lines,
                        &self.first_line(&parent, parting, &found.up)?,
                    );
                    let there = self.snapshot.manifest(&fork)?;
                    let lines = there.map_or(lines, |there| own_lines(&there));
                    Outcome::Forked { fork, lines }
                }
                (Some(_), None) if found.up.is_empty() => Outcome::Behind,
                (Some(_), None) => Outcome::Extended { lines, bytes },
                (None, _) => Outcome::Added { lines, bytes },
            },
        )
    }

    /// Whether the store has all of this already: as it is, or as the fork, or the fork's fork, that it has become.
    pub(crate) fn is_stored(
        &self,
        target: &Manifest,
        found: &Differences,
    ) -> Result<bool, SyncError> {
        let Some(parting) = &found.parted else {
            return Ok(found.up.is_empty());
        };
        let first = self.first_line(target, parting, &found.up)?;
        let fork = fork_id(&target.session, &parting.file, parting.lines, &first);
        let Some(fork) = self.snapshot.manifest(&fork)? else {
            return Ok(false);
        };
        self.is_stored(
            &fork,
            &compare_with(self.workspace, self.snapshot, &fork, self.local, None)?,
        )
    }

    /// Transcript lines, and bytes of all files, that would be stored.
    fn measure(&self, files: &Files) -> Result<(u64, u64), SyncError> {
        let (mut lines, mut bytes) = (0, 0);
        for (name, step) in files {
            let from = if let FileStep::Continue(from) = step {
                from.offset
            } else {
                0
            };
            bytes += self.local.limit(name)?.saturating_sub(from);
            if name.is_transcript() {
                lines = count_lines_from(self.local, from)?;
            }
        }
        Ok((lines, bytes))
    }

    fn report(&self, draft: &Draft, outcome: Outcome) -> SessionReport {
        let mut report = described(
            &self.workspace.localizer,
            &self.local.session.id,
            Some(&draft.manifest),
            outcome,
        );
        report.turns = Some(draft.turns);
        let lines = draft.collected.verbatim;
        if lines > 0 {
            let note = format!(
                "{lines} lines are stored verbatim, because rewriting them could not be undone exactly"
            );
            report.notes.push(note);
        }
        report
            .notes
            .extend(damage_note(&draft.collected, &self.local.session.id));
        report
    }

    /// A session that the store does not have.
    fn store_new(&self, tx: &mut Transaction<'_>, files: &Files) -> Result<Draft, SyncError> {
        refuse_touched(tx, &self.local.session.id)?;
        // The first records name the working directory, by which the client's directory names in the text are known.
        let (ground, collector) = self.collector(None, files, None)?;
        let mut draft = Draft::of(self.new_manifest(), ground.placeholders);
        for (name, step) in files {
            self.store_file(tx, &collector, &mut draft, None, name, *step)?;
        }
        let project = draft.facts.project(self.local.session.directory_name());
        draft.manifest.project = project.map(|cwd| collapse_path(&draft.placeholders, cwd));
        self.finish(tx, draft)
    }

    /// What a session has more than `target`: the session itself, or the fork it has become.
    fn store_more(
        &self,
        tx: &mut Transaction<'_>,
        target: &Manifest,
        files: &Files,
    ) -> Result<Draft, SyncError> {
        refuse_touched(tx, &target.session)?;
        let id = &self.local.session.id;
        let written_as = (target.session != *id).then(|| id.clone());
        let (CollapseContext { placeholders, .. }, collector) =
            self.collector(Some(target), files, written_as)?;
        let mut draft = Draft::of(target.clone(), placeholders);
        for (name, step) in files {
            self.store_file(tx, &collector, &mut draft, Some(target), name, *step)?;
        }
        if let Some(step) = files.get(&SessionFile::Transcript) {
            draft.manifest.turns = target.turns.filter(|_| is_addition(*step, target));
        }
        self.follow_move(&mut draft);
        self.finish(tx, draft)
    }

    /// Keeps what went on differently here as a fork; the stored session keeps its id and stays as it is.
    pub(crate) fn store_fork(
        &self,
        tx: &mut Transaction<'_>,
        parent: &Manifest,
        parting: &Divergence,
        files: &Files,
    ) -> Result<SessionReport, SyncError> {
        let first = self.first_line(parent, parting, files)?;
        let fork = fork_id(&parent.session, &parting.file, parting.lines, &first);
        if let Some(there) = self.snapshot.manifest(&fork)? {
            return self.continue_fork(tx, &there);
        }
        refuse_touched(tx, &fork)?;
        for (name, file) in parent
            .all_files()
            .filter(|(name, _)| !files.contains_key(name))
        {
            share_file(
                tx,
                &StoredText {
                    snapshot: self.snapshot,
                    manifest: parent,
                    name: &name,
                    file,
                },
                &fork,
            )?;
        }
        let common = if parting.file.is_transcript() {
            parting.lines
        } else {
            parent.transcript.lines()
        };
        let (CollapseContext { placeholders, .. }, collector) =
            self.collector(Some(parent), files, Some(self.local.session.id.clone()))?;
        let manifest = fork_manifest(parent, &parent.session, &fork, common);
        let mut draft = Draft::of(manifest, placeholders);
        for (name, step) in files {
            self.store_file(tx, &collector, &mut draft, Some(parent), name, *step)?;
            mark_inherited(&mut draft.manifest, name, &parent.session);
        }
        if let Some(FileStep::Continue(from)) = files.get(&SessionFile::Transcript) {
            draft.manifest.turns = Some(self.turns_before(from.offset)?);
        }
        let draft = self.finish(tx, draft)?;
        let lines = own_lines(&draft.manifest);
        Ok(self.report(&draft, Outcome::Forked { fork, lines }))
    }

    /// The fork is in the store already: adds what came since.
    fn continue_fork(
        &self,
        tx: &mut Transaction<'_>,
        fork: &Manifest,
    ) -> Result<SessionReport, SyncError> {
        let found = compare_with(self.workspace, self.snapshot, fork, self.local, None)?;
        if let Some(parting) = &found.parted {
            return self.store_fork(tx, fork, parting, &found.up);
        }
        let (manifest, collected, turns) = if found.up.is_empty() {
            (fork.clone(), Collected::default(), 0)
        } else {
            let draft = self.store_more(tx, fork, &found.up)?;
            (draft.manifest, draft.collected, draft.turns)
        };
        let outcome = Outcome::Forked {
            fork: fork.session.clone(),
            lines: own_lines(&manifest),
        };
        let mut report = described(
            &self.workspace.localizer,
            &self.local.session.id,
            Some(&manifest),
            outcome,
        );
        report.turns = Some(turns);
        report
            .notes
            .extend(damage_note(&collected, &self.local.session.id));
        Ok(report)
    }

    fn finish(&self, tx: &mut Transaction<'_>, mut draft: Draft) -> Result<Draft, SyncError> {
        draft.turns = draft.facts.turns;
        draft.manifest.turns = draft
            .manifest
            .turns
            .map(|turns| turns.saturating_add(draft.turns));
        describe(
            &mut draft.manifest,
            &self.workspace.localizer,
            &draft.placeholders,
            std::mem::take(&mut draft.facts),
        );
        self.follow_repo(&mut draft);
        self.record_git(&mut draft.manifest, &draft.placeholders);
        tx.write_manifest(&draft.manifest)?;
        Ok(draft)
    }

    /// Stores one file; `stored` is the manifest whose file of that name it continues or replaces.
    fn store_file(
        &self,
        tx: &mut Transaction<'_>,
        collector: &Collector<'_>,
        draft: &mut Draft,
        stored: Option<&Manifest>,
        name: &SessionFile,
        step: FileStep,
    ) -> Result<(), SyncError> {
        let session = draft.manifest.session.clone();
        let facts = name.is_transcript().then_some(&mut draft.facts);
        let earlier = stored.and_then(|of| StoredText::of(self.snapshot, of, name));
        let (mut file, collected) = match (step, &earlier) {
            (FileStep::Continue(from), Some(earlier)) => {
                if earlier.manifest.session != session {
                    share_segments(tx, &session, earlier, from.lines)?;
                }
                let mut text = self.local.open(name, from.offset)?;
                collector.store(tx, &session, name, Some((earlier, from)), &mut text, facts)?
            }
            _ => collector.store(
                tx,
                &session,
                name,
                None,
                &mut self.local.open(name, 0)?,
                facts,
            )?,
        };
        if let (FileStep::Whole, Some(earlier)) = (step, &earlier) {
            self.record_replaced(&mut file, earlier, &draft.placeholders)?;
        }
        if name.key() == "custom-title.json" {
            let title = custom_title_file(&crate::sys::fs::read(&self.local.path(name))?);
            draft.manifest.titles.custom =
                title.map(|title| collapse_title(&self.workspace.localizer, &title));
        }
        match name {
            SessionFile::Transcript => draft.manifest.transcript = file,
            SessionFile::Named(name) => drop(draft.manifest.files.insert(name.clone(), file)),
        }
        // Lines are those of the transcript; what lies beside it counts in bytes.
        let lines = if name.is_transcript() {
            collected.lines
        } else {
            0
        };
        draft.collected += Collected { lines, ..collected };
        Ok(())
    }

    /// A file that takes the place of `earlier` remembers it, so that a machine that still has it is known to be behind.
    fn record_replaced(
        &self,
        file: &mut StoredFile,
        earlier: &StoredText<'_>,
        placeholders: &Placeholders,
    ) -> Result<(), SyncError> {
        let hash = |local: &[u8]| {
            portable_hash(&self.workspace.localizer, placeholders, local, earlier.name)
        };
        let mut former = Vec::new();
        let reader = self.workspace.localizer.reader(
            earlier.manifest,
            &earlier.manifest.session,
            text_kind(earlier.name),
        );
        earlier.walk(0, &mut |piece| {
            former.extend_from_slice(&reader.read_preferred(piece.run, piece.text)?);
            Ok(true)
        })?;
        file.record_replaced(earlier.file, hash(&former));
        // What is stored now may have been stored before: it is the present again.
        let present = crate::sys::fs::read(&self.local.path(earlier.name))?;
        let present = hash(&present);
        file.previous_hashes.retain(|hash| *hash != present);
        Ok(())
    }

    /// A session that moved to another project directory (the client does so for worktrees) belongs to that one from then on.
    fn follow_move(&self, draft: &mut Draft) {
        let name = self.local.session.directory_name();
        if let Some(cwd) = draft
            .facts
            .cwds
            .iter()
            .find(|cwd| client_dir_name(cwd) == name)
        {
            draft.manifest.project = Some(collapse_path(&draft.placeholders, cwd));
            draft.manifest.directory = self.portable_directory();
        }
    }

    /// A project that lies in the repository of the new lines belongs to it from then on, wherever that is on other machines.
    fn follow_repo(&self, draft: &mut Draft) {
        let directory = project_at(&draft.manifest, &draft.placeholders);
        if let Some(project) =
            directory.map(|directory| collapse_path(&draft.placeholders, &directory))
        {
            let now = Manifest {
                project: Some(project),
                ..draft.manifest.clone()
            };
            if is_below_repo(&now) {
                draft.manifest = now;
            }
        }
    }

    /// Turns of a person in the first bytes of the local transcript.
    fn turns_before(&self, offset: u64) -> Result<u64, SyncError> {
        let mut turns = 0;
        LocalText::open(&self.local.session.transcript_path(), 0, offset)?.each_piece(|piece| {
            turns += count_user_turns(piece);
            Ok(())
        })?;
        Ok(turns)
    }

    /// What git says of the project here. Where it says nothing, what another machine has recorded stays.
    fn record_git(&self, manifest: &mut Manifest, placeholders: &Placeholders) {
        let directory = project_at(manifest, placeholders).map(PathBuf::from);
        if let Some(facts) =
            directory.and_then(|directory| self.workspace.localizer.clones().facts(&directory))
        {
            let here = portable(facts, self.workspace.localizer.placeholders());
            manifest.git = Some(with_known_remote(here, manifest.git.take()));
        }
    }

    fn new_manifest(&self) -> Manifest {
        Manifest {
            format: FORMAT,
            session: self.local.session.id.clone(),
            project: None,
            directory: self.portable_directory(),
            titles: Titles::default(),
            last_activity: None,
            turns: Some(0),
            bound: false,
            fork_of: None,
            git: None,
            placeholders: BTreeMap::new(),
            transcript: StoredFile::default(),
            files: BTreeMap::new(),
        }
    }

    fn portable_directory(&self) -> String {
        let name = self.local.session.directory_name();
        let mut portable = Vec::new();
        let localizer = &self.workspace.localizer;
        localizer.collapser(localizer.placeholders(), &[]).collapse(
            name.as_bytes(),
            TextKind::Plain,
            &mut portable,
        );
        String::from_utf8(portable).unwrap_or_else(|_| name.to_owned())
    }

    /// What collapses the new lines of `files`, and the ground they stand on.
    fn collector(
        &self,
        of: Option<&Manifest>,
        files: &Files,
        written_as: Option<SessionId>,
    ) -> Result<(CollapseContext, Collector<'_>), SyncError> {
        let ground = CollapseContext::of(self.workspace, self.local, of, files)?;
        let collector = Collector::new(
            &self.workspace.localizer,
            &ground.placeholders,
            &ground.directories,
            written_as,
        );
        Ok((ground, collector))
    }

    /// The first line, portable, in which the local file differs.
    fn first_line(
        &self,
        parent: &Manifest,
        parting: &Divergence,
        files: &Files,
    ) -> Result<Vec<u8>, SyncError> {
        let piece = self
            .local
            .open(&parting.file, parting.offset)?
            .next_lines()?;
        let line = &piece[..offset_after_lines(&piece, 1)];
        let mut portable = Vec::new();
        let ground = CollapseContext::of(self.workspace, self.local, Some(parent), files)?;
        let collapser = self
            .workspace
            .localizer
            .collapser(&ground.placeholders, &ground.directories);
        collapser.collapse(line, text_kind(&parting.file), &mut portable);
        Ok(portable)
    }
}

/// The working directory by these roots.
fn project_at(manifest: &Manifest, placeholders: &Placeholders) -> Option<String> {
    manifest
        .project
        .as_ref()
        .and_then(|project| expand_path(project, placeholders))
}

/// Whether everything that `target` has of the transcript stays, so that only what follows is to be counted.
fn is_addition(step: FileStep, target: &Manifest) -> bool {
    matches!(step, FileStep::Continue(from) if from.lines == target.transcript.lines())
}

/// What was stored as it is and is no record all the same. Other machines get it as it is, too.
fn damage_note(collected: &Collected, session: &SessionId) -> Option<String> {
    let lines = match collected.damaged {
        0 => return None,
        1 => "a line is no record".to_owned(),
        several => format!("{several} lines are no records"),
    };
    Some(format!(
        "{lines}, perhaps since a crash; for a healed copy: ccsync repair {session}"
    ))
}

/// A commit changes a session from one side only: each has been compared with what was there before.
fn refuse_touched(tx: &Transaction<'_>, session: &SessionId) -> Result<(), SyncError> {
    if tx.touches(session) {
        Err(ChangedAlready.into())
    } else {
        Ok(())
    }
}

/// Transcript lines of a fork that the session it left does not have.
pub(crate) fn own_lines(fork: &Manifest) -> u64 {
    let common = fork.fork_of.as_ref().map_or(0, |fork| fork.lines);
    fork.transcript.lines().saturating_sub(common)
}

/// The kept lines of a continued file were written under the parent's id.
fn mark_inherited(manifest: &mut Manifest, name: &SessionFile, parent: &SessionId) {
    if let Some(file) = manifest.file_mut(name) {
        *file = written_as(std::mem::take(file), parent);
    }
}

fn count_lines_from(local: &LocalCopy<'_>, from: u64) -> Result<u64, SyncError> {
    let mut lines = 0;
    local
        .open(&SessionFile::Transcript, from)?
        .each_piece(|piece| {
            lines += count_lines(piece);
            Ok(())
        })?;
    Ok(lines)
}
