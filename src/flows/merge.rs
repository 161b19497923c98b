//! Merging two histories of the store, session by session. There is no textual merge and nothing to resolve by hand.
//!
//! What the remote has keeps its place; what this machine added is put on top: whole sessions, the lines by which ours is longer, or a
//! fork where both went on differently.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkouts::locate::is_in_repo;
use crate::domain::error::{UserError, error_chain};
use crate::domain::id::{CommitId, SessionId};
use crate::domain::session_file::SessionFile;
use crate::extras::stored_bundles::{BundleHistory, merge_bundles};
use crate::flows::fork::{add_fork, fork_id, share_file, written_as};
use crate::localize::collect::{Continuation, emitter, resume, share_segments};
use crate::localize::error::StoredDataError;
use crate::localize::localizer::{Localizer, Reader, Reading};
use crate::localize::stored_text::{Piece, StoredText};
use crate::report::transfer::BundleReport;
use crate::rewrite::expand_path;
use crate::store::manifest::{Manifest, Run};
use crate::store::segment::offset_after_lines;
use crate::store::{RenamedMilestone, Snapshot, Transaction};
use crate::sys::fail_point::fail_point;
use crate::workspace::error::{ChangedAlready, SyncError};
use crate::workspace::open::Workspace;
use crate::workspace::paths::remote_url;
use crate::workspace::setup_error::SetupError;

/// What merging did that a person should know.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// Sessions whose tail of this machine became a fork, with the fork's id and how many lines only it has.
    pub(crate) forks: BTreeMap<SessionId, (SessionId, u64)>,
    /// Sessions that could not be merged: what the remote has of them stands, what this machine has of them is still here.
    pub(crate) skipped: BTreeMap<SessionId, String>,
    /// Milestones of this machine whose name another one was first with, former and new name.
    pub(crate) renamed: Vec<RenamedMilestone>,
    /// Files beside sessions that both had changed.
    pub(crate) extras: Vec<BundleReport>,
}

impl Merged {
    pub(crate) fn add(&mut self, more: Self) {
        self.forks.extend(more.forks);
        self.skipped.extend(more.skipped);
        self.renamed.extend(more.renamed);
        self.extras.extend(more.extras);
    }
}

/// Brings the head to a commit that holds everything of the remote's head.
pub(crate) fn merge(workspace: &mut Workspace<'_>) -> Result<Merged, SyncError> {
    let Some(theirs) = workspace.store.remote_head()? else {
        return Ok(Merged::default());
    };
    let ours = workspace.store.head()?;
    merge_into_theirs(workspace, ours, &theirs)
}

/// Brings the head to a commit that also holds what is new in `ours`, a commit that nobody has sent.
pub(crate) fn take_over(
    workspace: &mut Workspace<'_>,
    ours: CommitId,
) -> Result<Merged, SyncError> {
    match workspace.store.head()? {
        Some(theirs) => merge_into_theirs(workspace, Some(ours), &theirs),
        None => merge_into_theirs(workspace, None, &ours),
    }
}

fn merge_into_theirs(
    workspace: &mut Workspace<'_>,
    ours: Option<CommitId>,
    theirs: &CommitId,
) -> Result<Merged, SyncError> {
    let merged = bring_together(workspace, ours, theirs)?;
    workspace.index.follow(&workspace.store)?;
    Ok(merged)
}

fn bring_together(
    workspace: &Workspace<'_>,
    ours: Option<CommitId>,
    theirs: &CommitId,
) -> Result<Merged, SyncError> {
    // Refuses a store of a newer format before anything of it becomes ours.
    if workspace
        .store
        .snapshot(Some(theirs))?
        .is_of_claude_session_sync()?
    {
        let remote =
            remote_url(workspace.ctx.env, workspace.ctx.settings.remote.as_deref())?.to_string();
        return Err(SetupError::ForeignStore { remote }.into());
    }
    let newest = match ours {
        None => theirs.clone(),
        Some(ours) if differ_in_lost(workspace, &ours, theirs)? => {
            return merge_commits(workspace, &ours, theirs);
        }
        Some(ours) if workspace.store.contains(&ours, theirs)? => ours,
        Some(ours) if workspace.store.contains(theirs, &ours)? => theirs.clone(),
        Some(ours) => return merge_commits(workspace, &ours, theirs),
    };
    if workspace.store.head()?.as_ref() != Some(&newest) {
        workspace.store.fast_forward(&newest)?;
    }
    Ok(Merged::default())
}

/// Whether what is not sent yet holds more of a session whose lock this machine has lost.
pub(crate) fn holds_lost(workspace: &Workspace<'_>) -> Result<bool, SyncError> {
    any_lost(workspace, || unsent_sessions(workspace))
}

/// The sessions of which this machine has committed more than the remote has, as last seen.
pub(crate) fn unsent_sessions(workspace: &Workspace<'_>) -> Result<BTreeSet<SessionId>, SyncError> {
    match (workspace.store.head()?, workspace.store.remote_head()?) {
        (Some(ours), theirs) => changed_since_parting(workspace, &ours, theirs.as_ref()),
        (None, _) => Ok(BTreeSet::new()),
    }
}

/// The sessions that changed in `ours` since it and `theirs` were one.
fn changed_since_parting(
    workspace: &Workspace<'_>,
    ours: &CommitId,
    theirs: Option<&CommitId>,
) -> Result<BTreeSet<SessionId>, SyncError> {
    let base = theirs
        .map(|theirs| workspace.store.merge_base(ours, theirs))
        .transpose()?
        .flatten();
    Ok(workspace
        .store
        .snapshot(Some(ours))?
        .changed_since(&workspace.store.snapshot(base.as_ref())?)?)
}

/// Whether `ours` has more of a session whose lock this machine has lost: then it cannot go to the remote as it is.
fn differ_in_lost(
    workspace: &Workspace<'_>,
    ours: &CommitId,
    theirs: &CommitId,
) -> Result<bool, SyncError> {
    any_lost(workspace, || {
        changed_since_parting(workspace, ours, Some(theirs))
    })
}

/// Whether this machine has lost the lock of one of these sessions. Mostly it has lost none, and they are not asked for.
fn any_lost(
    workspace: &Workspace<'_>,
    sessions: impl FnOnce() -> Result<BTreeSet<SessionId>, SyncError>,
) -> Result<bool, SyncError> {
    Ok(workspace.locks.lost_claims().next().is_some()
        && sessions()?
            .iter()
            .any(|session| workspace.locks.is_lost(session)))
}

fn merge_commits(
    workspace: &Workspace<'_>,
    ours: &CommitId,
    theirs: &CommitId,
) -> Result<Merged, SyncError> {
    let store = &workspace.store;
    let base = store.snapshot(store.merge_base(ours, theirs)?.as_ref())?;
    let (our_side, their_side) = (store.snapshot(Some(ours))?, store.snapshot(Some(theirs))?);
    let changed_there = their_side.changed_since(&base)?;
    let mut tx = store.begin(Some(theirs))?;
    let mut merged = Merged {
        renamed: tx.rename_milestones(&our_side, &base)?,
        ..Merged::default()
    };
    tx.take_other_files(&our_side, &base)?;
    let histories = BundleHistory {
        base: &base,
        ours: &our_side,
        theirs: &their_side,
    };
    merged.extras = merge_bundles(workspace, &histories, &mut tx)?;
    for session in our_side.changed_since(&base)? {
        if tx.touches(&session) {
            // A fork that has just taken in the tail of the session it left.
            merged.skipped.insert(session, LATER.to_owned());
            continue;
        }
        let lost = workspace.locks.is_lost(&session);
        if (lost || changed_there.contains(&session))
            && our_side.state(&session)? != their_side.state(&session)?
        {
            let sides = Sides {
                localizer: &workspace.localizer,
                ours: &our_side,
                theirs: &their_side,
            };
            let merged_session = if lost {
                sides.part(&mut tx, &session)
            } else {
                sides.merge_or_fork(&mut tx, &session)
            };
            match merged_session {
                Ok(None) => {}
                Ok(Some(fork)) => drop(merged.forks.insert(session, fork)),
                Err(SyncError::ChangedAlready(_)) => {
                    tx.discard_incomplete_sessions()?;
                    merged.skipped.insert(session, LATER.to_owned());
                }
                Err(e) if e.is_about_one_session() => {
                    tx.discard_incomplete_sessions()?;
                    merged.skipped.insert(session, error_chain(&e));
                }
                Err(e) => return Err(e),
            }
        } else {
            tx.take_session(&our_side, &session)?;
        }
    }
    fail_point("before a merge is committed");
    let parents = [theirs.clone(), ours.clone()];
    tx.commit(
        &workspace.author(),
        &format!("merge from {}", workspace.machine.name),
        &parents,
    )?;
    Ok(merged)
}

/// A commit changes a session from one side only. What this machine has of it is still here, and differs from the store: the next
/// push finds it.
const LATER: &str = "it and its fork both changed on two machines: push again";

struct Sides<'a> {
    localizer: &'a Localizer,
    ours: &'a Snapshot<'a>,
    theirs: &'a Snapshot<'a>,
}

/// How two stored files relate, as their machines wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// Theirs holds ours.
    Contained,
    /// Ours goes on after the last line of theirs.
    Longer,
    /// They differ after this many lines.
    Diverged(u64),
}

impl Sides<'_> {
    /// As [`Self::merge_session`]; where what they have cannot be read, ours is kept as a fork of its own.
    fn merge_or_fork(
        &self,
        tx: &mut Transaction<'_>,
        id: &SessionId,
    ) -> Result<Option<(SessionId, u64)>, SyncError> {
        match self.merge_session(tx, id) {
            Err(e) if e.is_about_one_session() => {
                tx.discard_incomplete_sessions()?;
                let Ok(Some(ours)) = self.ours.manifest(id) else {
                    return Err(e);
                };
                self.keep_as_fork(tx, &ours, id, &SessionFile::Transcript, 0)
                    .map(Some)
            }
            result => result,
        }
    }

    /// What ours has more becomes a fork, also where theirs has not gone on: the right to go on is another machine's.
    fn part(
        &self,
        tx: &mut Transaction<'_>,
        id: &SessionId,
    ) -> Result<Option<(SessionId, u64)>, SyncError> {
        if let (Ok(Some(ours)), Ok(Some(theirs))) =
            (self.ours.manifest(id), self.theirs.manifest(id))
        {
            let append_only = ours.all_files().filter(|(name, _)| name.is_append_only());
            for (name, _) in append_only {
                if let (Some(mine), Some(other)) =
                    (self.our_text(&ours, &name), self.their_text(&theirs, &name))
                    && self.relate(&mine, &other)? == Relation::Longer
                {
                    return self
                        .keep_as_fork(tx, &ours, id, &name, other.file.lines())
                        .map(Some);
                }
            }
        }
        self.merge_or_fork(tx, id)
    }

    /// Merges a session that both changed; the fork and its own lines, if there had to be one.
    fn merge_session(
        &self,
        tx: &mut Transaction<'_>,
        id: &SessionId,
    ) -> Result<Option<(SessionId, u64)>, SyncError> {
        let Ok(Some(ours)) = self.ours.manifest(id) else {
            // Nothing of ours can be read, so there is nothing to add; `ccsync verify` names such sessions.
            return Ok(None);
        };
        let theirs = match self.theirs.manifest(id) {
            Ok(Some(theirs)) => theirs,
            Ok(None) => return Ok(tx.take_session(self.ours, id).map(|()| None)?),
            // Theirs cannot be read by this version: leave it, and keep ours beside it.
            Err(_) => {
                return self
                    .keep_as_fork(tx, &ours, id, &SessionFile::Transcript, 0)
                    .map(Some);
            }
        };
        self.merge_into(tx, &ours, &theirs)
    }

    /// Adds `ours` to `theirs`, which may be a fork that began as ours.
    fn merge_into(
        &self,
        tx: &mut Transaction<'_>,
        ours: &Manifest,
        theirs: &Manifest,
    ) -> Result<Option<(SessionId, u64)>, SyncError> {
        let mut relations = BTreeMap::new();
        for (name, _) in ours.all_files() {
            let (Some(mine), Some(other)) =
                (self.our_text(ours, &name), self.their_text(theirs, &name))
            else {
                continue;
            };
            let relation = self.relate(&mine, &other)?;
            if let (Relation::Diverged(lines), true) = (relation, name.is_append_only()) {
                return self
                    .keep_as_fork(tx, ours, &theirs.session, &name, lines)
                    .map(Some);
            }
            relations.insert(name, relation);
        }
        let mut merged = theirs.clone();
        for (key, placeholders) in &ours.placeholders {
            merged
                .placeholders
                .entry(key.clone())
                .or_insert_with(|| placeholders.clone());
        }
        for (name, _) in ours.all_files() {
            self.merge_file(
                tx,
                ours,
                theirs,
                &name,
                relations.get(&name).copied(),
                &mut merged,
            )?;
        }
        adopt_description(&mut merged, ours);
        merged.prune_placeholders();
        tx.write_manifest(&merged)?;
        Ok(None)
    }

    fn merge_file(
        &self,
        tx: &mut Transaction<'_>,
        ours: &Manifest,
        theirs: &Manifest,
        name: &SessionFile,
        relation: Option<Relation>,
        merged: &mut Manifest,
    ) -> Result<(), SyncError> {
        let Some(mine) = self.our_text(ours, name) else {
            return Ok(());
        };
        let file = match (relation, self.their_text(theirs, name)) {
            (Some(Relation::Contained), _) => return Ok(()),
            (Some(Relation::Longer), Some(other)) => self.append(tx, &mine, &other)?,
            // A file that is rewritten in place and differs: the side that was active later is right about its own state.
            (Some(Relation::Diverged(_)), _) if theirs.last_activity >= ours.last_activity => {
                return Ok(());
            }
            _ => {
                share_file(tx, &mine, &theirs.session)?;
                if ours.session == theirs.session {
                    mine.file.clone()
                } else {
                    written_as(mine.file.clone(), &ours.session)
                }
            }
        };
        match name {
            SessionFile::Transcript => {
                merged.transcript = file;
                // Ours begins with theirs.
                merged.turns = ours.turns;
            }
            SessionFile::Named(name) => drop(merged.files.insert(name.clone(), file)),
        }
        Ok(())
    }

    /// Theirs with the lines that only ours has.
    fn append(
        &self,
        tx: &mut Transaction<'_>,
        mine: &StoredText<'_>,
        other: &StoredText<'_>,
    ) -> Result<crate::store::manifest::StoredFile, SyncError> {
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
            let written = Reader::as_written(
                self.localizer,
                mine.manifest,
                piece.run,
                mine.kind(),
                piece.text,
            )?;
            let mut run = Run {
                lines: 0,
                ..piece.run.clone()
            };
            if mine.manifest.session != session {
                run.written_as
                    .get_or_insert_with(|| mine.manifest.session.clone());
            }
            builder.append(&run, piece.text, &written, &mut emit);
            Ok(true)
        })?;
        let file = builder.finish(&mut emit);
        drop(emit);
        Ok(failure.map_or(Ok(file), Err)?)
    }

    fn keep_as_fork(
        &self,
        tx: &mut Transaction<'_>,
        ours: &Manifest,
        from: &SessionId,
        name: &SessionFile,
        lines: u64,
    ) -> Result<(SessionId, u64), SyncError> {
        let mine = self
            .our_text(ours, name)
            .ok_or_else(|| StoredDataError::Inconsistent {
                session: ours.session.clone(),
            })?;
        let first = mine.lines(lines, lines + 1)?;
        let fork = fork_id(from, name, lines, &first);
        let own = ours.transcript.lines() - if name.is_transcript() { lines } else { 0 };
        if tx.touches(&fork) {
            return Err(ChangedAlready.into());
        }
        match self.theirs.manifest(&fork) {
            // The fork is there already, from an earlier push: add what came since.
            Ok(Some(there)) => {
                return Ok(self.merge_into(tx, ours, &there)?.unwrap_or((fork, own)));
            }
            Ok(None) => add_fork(tx, self.ours, ours, (from, &fork), lines)?,
            Err(e) => return Err(e.into()),
        }
        Ok((fork, own))
    }

    fn relate(&self, mine: &StoredText<'_>, other: &StoredText<'_>) -> Result<Relation, SyncError> {
        // Equal leading segments hold equal text: only what follows is read.
        let (a, b) = (&mine.file.segments, &other.file.segments);
        let equal = a
            .iter()
            .zip(b)
            .take_while(|(a, b)| a == b && a.lines > 0)
            .count();
        let skipped: u64 = a[..equal].iter().map(|s| s.lines).sum();
        let session = &other.manifest.session;
        // Where one of them knows the repository, the other may have the same lines without.
        let in_repo = is_in_repo(mine.manifest) || is_in_repo(other.manifest);
        let mine_hashes = self.line_hashes(mine, session, skipped, in_repo)?;
        let other_hashes = self.line_hashes(other, session, skipped, in_repo)?;
        let common = mine_hashes
            .iter()
            .zip(&other_hashes)
            .take_while(|(a, b)| a == b)
            .count();
        Ok(if common == mine_hashes.len() {
            Relation::Contained
        } else if common == other_hashes.len() {
            Relation::Longer
        } else {
            Relation::Diverged(skipped + common as u64)
        })
    }

    /// Each line after the first `from`, by which it is known again in another text of `session`.
    fn line_hashes(
        &self,
        text: &StoredText<'_>,
        session: &SessionId,
        from: u64,
        in_repo: bool,
    ) -> Result<Vec<LineHash>, SyncError> {
        let reader = self.localizer.reader(text.manifest, session, text.kind());
        let mut hashes = Vec::new();
        text.walk(from, &mut |piece: Piece<'_>| {
            let as_written = reader.read(piece.run, Reading::Exact, piece.text)?;
            let written = hashes_of_lines(&as_written);
            let portable = hashes_of_lines(&reader.portable(piece.run, piece.text));
            let plain = in_repo
                .then(|| self.without_repo(text, piece.run, &as_written))
                .flatten();
            let mut plain = plain
                .map(|plain| hashes_of_lines(&plain))
                .unwrap_or_default()
                .into_iter();
            let is_portable = |hash| (!piece.run.verbatim).then_some(hash);
            let both = written.into_iter().zip(portable);
            hashes.extend(both.map(|(written, portable)| LineHash {
                written,
                portable: is_portable(portable),
                plain: plain.next().and_then(is_portable),
            }));
            Ok(true)
        })?;
        Ok(hashes)
    }

    /// Lines of `run`, given as its machine wrote them, as a machine stores them that knows of no repository.
    fn without_repo(&self, text: &StoredText<'_>, run: &Run, written: &[u8]) -> Option<Vec<u8>> {
        let origin = text.manifest.placeholders.get(&run.placeholders)?;
        let directory = text
            .manifest
            .project
            .as_ref()
            .and_then(|project| expand_path(project, origin));
        let collapser = self
            .localizer
            .collapser(&origin.without_repo(), &Vec::from_iter(directory));
        let mut plain = Vec::with_capacity(written.len());
        collapser.collapse(written, text.kind(), &mut plain);
        Some(plain)
    }

    fn our_text<'t>(&'t self, ours: &'t Manifest, name: &'t SessionFile) -> Option<StoredText<'t>> {
        StoredText::of(self.ours, ours, name)
    }

    fn their_text<'t>(
        &'t self,
        theirs: &'t Manifest,
        name: &'t SessionFile,
    ) -> Option<StoredText<'t>> {
        StoredText::of(self.theirs, theirs, name)
    }
}

/// A line without its line end, and with the name of the session that it is compared for: a fork's lines may be stored under its own
/// name or under that of the session it left.
struct LineHash {
    /// As its machine wrote it.
    written: [u8; 16],
    /// With placeholders: a machine that lost its clone stores a line of another one as if it had written it, with paths of its own.
    portable: Option<[u8; 16]>,
    /// The same as a machine has it that knows of no repository: one that lost its clone of the store may have no clone of the project.
    plain: Option<[u8; 16]>,
}

impl PartialEq for LineHash {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
            || self.portable.is_some() && self.portable == other.portable
            || self.plain.is_some() && self.plain == other.plain
    }
}

fn hashes_of_lines(mut text: &[u8]) -> Vec<[u8; 16]> {
    let mut hashes = Vec::new();
    while !text.is_empty() {
        let (line, after) = text.split_at(offset_after_lines(text, 1));
        let hash = blake3::hash(line.strip_suffix(b"\n").unwrap_or(line));
        hashes.push(
            hash.as_bytes()[..16]
                .try_into()
                .expect("a BLAKE3 hash has 32 bytes"),
        );
        text = after;
    }
    hashes
}

/// State records are last-wins: the side that was active later names the session, and says what was checked out.
fn adopt_description(merged: &mut Manifest, ours: &Manifest) {
    if merged.git.is_none() || ours.last_activity > merged.last_activity {
        merged.git = ours.git.clone().or(merged.git.take());
    }
    if ours.last_activity > merged.last_activity {
        merged.last_activity.clone_from(&ours.last_activity);
        let first_prompt = merged.titles.first_prompt.take();
        merged.titles = ours.titles.clone();
        merged.titles.first_prompt = first_prompt.or(merged.titles.first_prompt.take());
    }
    merged.bound |= ours.bound;
}
