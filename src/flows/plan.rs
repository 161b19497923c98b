//! What is different between a session on this machine and the stored one. Pure of effects: it reads, compares and decides.
//!
//! Push and pull ask the same question and act on one half of the answer each.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::SessionId;
use crate::domain::placeholder::Placeholders;
use crate::domain::session_file::SessionFile;
use crate::localize::collect::{Continuation, is_complete_json};
use crate::localize::compare::{Relation, relate};
use crate::localize::local_copy::LocalCopy;
use crate::localize::localizer::Localizer;
use crate::localize::stored_text::{StoredText, text_kind};
use crate::report::transfer::{Outcome, SessionReport};
use crate::session::LocalSession;
use crate::session::files::{is_external, is_known, is_verbatim};
use crate::store::Snapshot;
use crate::store::manifest::{Manifest, short_hash};
use crate::workspace::error::SyncError;
use crate::workspace::index::Entry;
use crate::workspace::open::Workspace;

/// What differs between a session here and the stored one; empty if they are in step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// What this machine has more, by file.
    pub(crate) up: Files,
    /// What the store has more, by file.
    pub(crate) down: BTreeMap<SessionFile, FilePull>,
    /// Where the two went on differently; then `up` is what has to be stored for a fork.
    pub(crate) parted: Option<Divergence>,
}

/// What is stored of each file.
pub(crate) type Files = BTreeMap<SessionFile, FileStep>;

/// What is stored of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileStep {
    /// All of it: it is new, or takes the place of the stored one.
    Whole,
    /// What follows after the stored one, or after where the two part.
    Continue(Continuation),
}

/// What is written of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilePull {
    /// All of it, what is there being kept.
    Whole,
    /// What follows after `lines` stored lines, which end at `offset`; a part of the next line may be there.
    Extend { lines: u64, offset: u64 },
}

/// Where a local file and the stored one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Divergence {
    /// The file.
    pub(crate) file: SessionFile,
    /// Lines in common.
    pub(crate) lines: u64,
    /// Where they end in the local file.
    pub(crate) offset: u64,
}

impl Differences {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.up.is_empty() && self.down.is_empty() && self.parted.is_none()
    }

    /// The same, with what is longer here as if the store had gone on differently: after the lock was lost, only another machine
    /// may continue the session.
    fn into_divergence_at_end(mut self) -> Self {
        let longer = self.up.iter().find_map(|(name, step)| match step {
            FileStep::Continue(from) => Some(Divergence {
                file: name.clone(),
                lines: from.lines,
                offset: from.offset,
            }),
            FileStep::Whole => None,
        });
        self.parted = self.parted.or(longer);
        self
    }

    /// All files of a session that only one side has.
    fn all_up(session: &LocalSession) -> Self {
        let up = session
            .files
            .keys()
            .map(|name| (name.clone(), FileStep::Whole))
            .collect();
        Self {
            up,
            ..Self::default()
        }
    }
}

/// Compares `local` with the session of its id in `snapshot`.
pub(crate) fn compare_session(
    workspace: &Workspace<'_>,
    snapshot: &Snapshot<'_>,
    local: &LocalCopy<'_>,
) -> Result<Differences, SyncError> {
    if workspace.index.in_step(local.session) {
        return Ok(Differences::default());
    }
    match snapshot.manifest(&local.session.id)? {
        Some(manifest) => {
            let found = compare_with(
                workspace,
                snapshot,
                &manifest,
                local,
                workspace.index.entry(local.session),
            )?;
            let lost = workspace.locks.is_lost(&local.session.id);
            Ok(if lost {
                found.into_divergence_at_end()
            } else {
                found
            })
        }
        // A transcript without a whole line yet is left for later; it may be a client that has just begun.
        None if local.limit(&SessionFile::Transcript)? == 0 => Ok(Differences::default()),
        None => Ok(Differences::all_up(local.session)),
    }
}

/// Compares `local` with `manifest`: the session itself, or the fork that it has become. `known` is what the index vouches for.
pub(crate) fn compare_with(
    workspace: &Workspace<'_>,
    snapshot: &Snapshot<'_>,
    manifest: &Manifest,
    local: &LocalCopy<'_>,
    known: Option<&Entry>,
) -> Result<Differences, SyncError> {
    let mut found = Differences::default();
    let stored = manifest.all_files().map(|(name, _)| name).filter(is_known);
    let mut cleared = Vec::new();
    let names: BTreeSet<_> = local.session.files.keys().cloned().chain(stored).collect();
    for name in names {
        let here = local.session.files.get(&name);
        let vouched = known.and_then(|entry| entry.stamp(&name));
        if here.is_some() && here == vouched {
            continue;
        }
        if here.is_none() {
            if known.is_some() && is_external(&name) {
                cleared.push(name);
            } else {
                found.down.insert(name, FilePull::Whole);
            }
            continue;
        }
        match compare_file(workspace, snapshot, manifest, local, &name, known)? {
            None => drop(found.up.insert(name, FileStep::Whole)),
            Some(Relation::Same) => {}
            Some(relation) if name.is_append_only() => {
                sort_in(&mut found, local, name, relation)?;
            }
            // The client rewrote it here since both were in step, or it was never so and is no former content.
            Some(_) if vouched.is_some() || !was_replaced(workspace, manifest, local, &name)? => {
                found.up.insert(name, FileStep::Whole);
            }
            Some(_) => drop(found.down.insert(name, FilePull::Whole)),
        }
    }
    if !found.down.is_empty() {
        // What was in step was lacking nothing: the client had cleared these away. Together with something newer they come back.
        found
            .down
            .extend(cleared.into_iter().map(|name| (name, FilePull::Whole)));
    }
    Ok(found)
}

/// How a local file relates to the stored one; `None` if the store has none of that name.
fn compare_file(
    workspace: &Workspace<'_>,
    snapshot: &Snapshot<'_>,
    manifest: &Manifest,
    local: &LocalCopy<'_>,
    name: &SessionFile,
    known: Option<&Entry>,
) -> Result<Option<Relation>, SyncError> {
    let Some(stored) = StoredText::of(snapshot, manifest, name) else {
        return Ok(None);
    };
    // After an unterminated stored line there is more to decide than where the new lines begin.
    let known_end = known.filter(|_| name.is_transcript() && !stored.file.unterminated);
    if let Some(offset) = known_end.and_then(|entry| entry.appended_since(local.session)) {
        return grown(local, manifest, offset).map(Some);
    }
    let reader = workspace
        .localizer
        .reader(manifest, &local.session.id, text_kind(name));
    let relation = relate(&mut local.open(name, 0)?, &stored, &reader)?;
    if !matches!(relation, Relation::Diverged { .. }) || !reader.depends_on_repo() {
        return Ok(Some(relation));
    }
    // Nothing may be known any more of where the session's repository was when it was written here. The file itself knows.
    let reader = reader.with_learned(local.working_directories()?);
    Ok(Some(relate(&mut local.open(name, 0)?, &stored, &reader)?))
}

/// Enters how an append-only file differs.
fn sort_in(
    found: &mut Differences,
    local: &LocalCopy<'_>,
    name: SessionFile,
    relation: Relation,
) -> Result<(), SyncError> {
    match relation {
        Relation::Same => {}
        Relation::Behind { lines, offset } => {
            found.down.insert(name, FilePull::Extend { lines, offset });
        }
        Relation::Ahead {
            lines,
            close,
            offset,
        } => {
            found.up.insert(
                name,
                FileStep::Continue(Continuation {
                    lines,
                    close,
                    offset,
                }),
            );
        }
        // Nothing but a line that was never finished: no turn is in it, and the store has gone on without it.
        Relation::Diverged { offset, .. } if is_torn_rest(local, &name, offset)? => {
            found.down.insert(name, FilePull::Whole);
        }
        Relation::Diverged { lines, offset } => {
            found.up.insert(
                name.clone(),
                FileStep::Continue(Continuation {
                    lines,
                    close: false,
                    offset,
                }),
            );
            found.parted.get_or_insert(Divergence {
                file: name,
                lines,
                offset,
            });
        }
    }
    Ok(())
}

/// Whether the file from `offset` on is a fragment of one line.
fn is_torn_rest(local: &LocalCopy<'_>, name: &SessionFile, offset: u64) -> Result<bool, SyncError> {
    let rest = local.open(name, offset)?.next_lines()?;
    Ok(!rest.contains(&b'\n') && !is_complete_json(&rest))
}

/// The index vouches for everything before `offset`.
fn grown(local: &LocalCopy<'_>, manifest: &Manifest, offset: u64) -> Result<Relation, SyncError> {
    let more = local.limit(&SessionFile::Transcript)? > offset;
    let lines = manifest.transcript.lines();
    Ok(if more {
        Relation::Ahead {
            lines,
            close: false,
            offset,
        }
    } else {
        Relation::Same
    })
}

/// Whether the local file, which the client rewrites in place, holds what the stored one once held.
fn was_replaced(
    workspace: &Workspace<'_>,
    manifest: &Manifest,
    local: &LocalCopy<'_>,
    name: &SessionFile,
) -> Result<bool, SyncError> {
    let Some(stored) = manifest
        .file(name)
        .filter(|file| !file.previous_hashes.is_empty())
    else {
        return Ok(false);
    };
    let bytes = crate::sys::fs::read(&local.path(name))?;
    Ok(stored.previous_hashes.contains(&portable_hash(
        &workspace.localizer,
        &workspace.localizer.roots_of(manifest),
        &bytes,
        name,
    )))
}

/// The hash by which a file that is rewritten in place is known again.
pub(crate) fn portable_hash(
    localizer: &Localizer,
    placeholders: &Placeholders,
    local: &[u8],
    name: &SessionFile,
) -> String {
    let mut portable = Vec::new();
    if is_verbatim(name) {
        portable.extend_from_slice(local);
    } else {
        localizer
            .collapser(placeholders, &[])
            .collapse(local, text_kind(name), &mut portable);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&portable);
    short_hash(&hasher)
}

/// How a report names a session.
pub(crate) fn described(
    localizer: &Localizer,
    session: &SessionId,
    manifest: Option<&Manifest>,
    outcome: Outcome,
) -> SessionReport {
    SessionReport {
        project: manifest.and_then(|m| localizer.project(m)),
        title: manifest.and_then(|m| localizer.title(m)),
        last_activity: manifest.and_then(|m| m.last_activity.clone()),
        ..SessionReport::new(session.clone(), outcome)
    }
}
