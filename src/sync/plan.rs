//! What a push will do with each session of this machine. Pure of effects: it reads, compares and decides.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::SyncError;
use super::collect::Continuation;
use super::compare::{Relation, relate};
use super::index::Entry;
use super::text::{LocalText, StoredText, last_line_end, text_kind};
use super::work::Work;
use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::session::discover::LocalSession;
use crate::store::Snapshot;
use crate::store::manifest::{Manifest, short_hash};

/// What a push does with one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The store has all of it.
    Nothing,
    /// The store has more.
    Behind,
    /// Some files go up; the store may have more of others.
    Store(Files),
    /// It went on differently here: `file` differs from the stored one after `lines` lines.
    Fork {
        /// The file that differs; `None` is the transcript.
        file: Option<RelativeName>,
        /// Lines in common.
        lines: u64,
        /// Where they end in the local file.
        offset: u64,
        /// What has to be stored for the fork, seen from the session it leaves.
        files: Files,
    },
}

/// What is done with each file that changes.
pub(super) type Files = BTreeMap<Option<RelativeName>, FileStep>;

/// What is done with one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileStep {
    /// It is new, or takes the place of the stored one.
    Whole,
    /// It goes on where the stored one ends, or where the two part.
    Continue(Continuation),
}

/// A local session as push sees it.
pub(super) struct Local<'a> {
    pub(super) session: &'a LocalSession,
    /// A running client has it open: only whole lines count.
    pub(super) live: bool,
}

impl Local<'_> {
    /// Where the file lies.
    pub(super) fn path(&self, file: Option<&RelativeName>) -> PathBuf {
        self.session.path(file)
    }

    /// How much of the file counts.
    pub(super) fn limit(&self, file: Option<&RelativeName>) -> Result<u64, SyncError> {
        let len = self.session.files.get(&file.cloned()).map_or(0, |stamp| stamp.len);
        let lines_only = file.is_none_or(RelativeName::is_json_lines);
        if self.live && lines_only { last_line_end(&self.path(file), len) } else { Ok(len) }
    }

    /// Opens the file at `offset`, up to its limit.
    pub(super) fn open(&self, file: Option<&RelativeName>, offset: u64) -> Result<LocalText, SyncError> {
        LocalText::open(&self.path(file), offset, self.limit(file)?)
    }
}

/// Decides what a push does with `local`, seen from the store at `snapshot`.
pub(super) fn plan_session(work: &Work<'_>, snapshot: &Snapshot<'_>, local: &Local<'_>) -> Result<Step, SyncError> {
    let state = snapshot.state(&local.session.id)?;
    if work.index.in_step(local.session, state.as_ref()) {
        return Ok(Step::Nothing);
    }
    match snapshot.manifest(&local.session.id)? {
        Some(manifest) => {
            let known = work.index.entry(local.session, state.as_ref());
            plan_against(work, snapshot, &manifest, local, known)
        }
        // A transcript without a whole line yet is left for later; it may be a client that has just begun.
        None if local.limit(None)? == 0 => Ok(Step::Nothing),
        None => Ok(Step::Store(local.session.files.keys().map(|name| (name.clone(), FileStep::Whole)).collect())),
    }
}

/// Decides what a push does with `local`, given what the store has: the session itself, or the fork that `local` has become.
/// `known` is what the index vouches for.
pub(super) fn plan_against(
    work: &Work<'_>,
    snapshot: &Snapshot<'_>,
    manifest: &Manifest,
    local: &Local<'_>,
    known: Option<&Entry>,
) -> Result<Step, SyncError> {
    let grown_from = known.and_then(|entry| entry.grown_from(local.session));
    let mut files = Files::new();
    let mut behind = false;
    let mut parted = None;
    for name in local.session.files.keys() {
        let unchanged = known.is_some_and(|entry| entry.files.get(stamp_key(name)) == local.session.files.get(name));
        if unchanged {
            continue;
        }
        let relation = match (name, grown_from) {
            (None, Some(offset)) => Some(grown(local, manifest, offset)?),
            _ => relate_file(work, snapshot, manifest, local, name.as_ref())?,
        };
        match (relation, name.as_ref().is_none_or(RelativeName::is_json_lines)) {
            (Some(Relation::Same), _) => {}
            (None, _) => drop(files.insert(name.clone(), FileStep::Whole)),
            (Some(Relation::Behind { .. }), true) => behind = true,
            (Some(Relation::Ahead { lines, close, offset }), true) => {
                files.insert(name.clone(), FileStep::Continue(Continuation { lines, close, offset }));
            }
            (Some(Relation::Diverged { lines, offset }), true) => {
                parted.get_or_insert((name.clone(), lines, offset));
                files.insert(name.clone(), FileStep::Continue(Continuation { lines, close: false, offset }));
            }
            (Some(_), false) => match is_superseded(work, manifest, local, name.as_ref())? {
                true => behind = true,
                false => drop(files.insert(name.clone(), FileStep::Whole)),
            },
        }
    }
    Ok(match (parted, files.is_empty()) {
        (Some((file, lines, offset)), _) => Step::Fork { file, lines, offset, files },
        (None, false) => Step::Store(files),
        (None, true) if behind => Step::Behind,
        (None, true) => Step::Nothing,
    })
}

/// How a local file relates to the stored one; `None` if the store has none of that name.
pub(super) fn relate_file(
    work: &Work<'_>,
    snapshot: &Snapshot<'_>,
    manifest: &Manifest,
    local: &Local<'_>,
    name: Option<&RelativeName>,
) -> Result<Option<Relation>, SyncError> {
    let Some(stored) = StoredText::of(snapshot, manifest, name) else { return Ok(None) };
    let reader = work.views.reader(manifest, &local.session.id, text_kind(name));
    relate(&mut local.open(name, 0)?, &stored, &reader).map(Some)
}

/// The index vouches for everything before `offset`.
fn grown(local: &Local<'_>, manifest: &Manifest, offset: u64) -> Result<Relation, SyncError> {
    let more = local.limit(None)? > offset;
    let lines = manifest.transcript.lines();
    Ok(if more { Relation::Ahead { lines, close: false, offset } } else { Relation::Same })
}

/// Whether the local file, which the client rewrites in place, holds what the stored one once held.
pub(super) fn is_superseded(
    work: &Work<'_>,
    manifest: &Manifest,
    local: &Local<'_>,
    name: Option<&RelativeName>,
) -> Result<bool, SyncError> {
    let Some(stored) = manifest.file(name).filter(|file| !file.superseded.is_empty()) else { return Ok(false) };
    let bytes = crate::sys::fs::read(&local.path(name))?;
    Ok(stored.superseded.contains(&portable_hash(work, &bytes, name)))
}

/// The hash by which a file that is rewritten in place is known again.
pub(super) fn portable_hash(work: &Work<'_>, local: &[u8], name: Option<&RelativeName>) -> String {
    let mut portable = Vec::new();
    crate::rewrite::Collapser::new(work.views.roots(), &[]).collapse(local, text_kind(name), &mut portable);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&portable);
    short_hash(&hasher)
}

/// The key of a file in an index entry.
fn stamp_key(name: &Option<RelativeName>) -> &str {
    name.as_ref().map_or("", RelativeName::as_str)
}

/// How a report names a session.
pub(super) fn described(
    work: &Work<'_>,
    session: &SessionId,
    manifest: Option<&Manifest>,
    outcome: super::report::Outcome,
) -> super::report::SessionReport {
    super::report::SessionReport {
        session: session.clone(),
        project: manifest.and_then(|m| m.project.as_ref()).map(ToString::to_string),
        title: manifest.and_then(|m| work.views.title(m)),
        outcome,
        notes: Vec::new(),
    }
}
