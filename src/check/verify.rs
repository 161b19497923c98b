//! Compares this machine's files, the store and the remote. Changes nothing but the index.
//!
//! Trusts the index and the last fetch, unless everything is to be read. Asks the
//! remote for its head only: a commit's id covers every byte below it, so a head that
//! is here proves the rest.

mod remote;
mod segment_sums;

use std::collections::{BTreeMap, BTreeSet};

use self::remote::{ask_remote, common_base, remote_damage};
use self::segment_sums::SegmentSums;

use crate::domain::{CommitId, Phase, SessionFile, SessionId, error::error_chain};
use crate::flows::{SessionComparer, differences::Differences, push_plan::skipped_files};
use crate::localize::{LocalCopy, StoredLineReader, StoredText, stored_text::text_kind};
use crate::report::verification::{Amount, Damage, SessionCheck, SyncStatus, Verification};
use crate::session::{Discovery, live::live_sessions, repair::damaged_lines};
use crate::store::{
    ObjectCheck, SessionState, Snapshot, manifest::Manifest, segment::count_lines,
    segment::offset_after_lines,
};
use crate::sys::signal::{self, interrupted};
use crate::workspace::{
    Context, LookupScope, SyncError, Workspace, deleted_sessions::deleted_reason,
    lookup::find_session,
};

/// Input of a verification.
#[derive(Debug, Clone, Default)]
pub struct VerifyRequest {
    /// Only these sessions (ids or unique prefixes); empty: all, and the store as a
    /// whole.
    pub sessions: Vec<SessionId>,
    /// Read every byte instead of trusting the index and the manifests.
    pub full: bool,
}

/// Compares this machine's sessions, the store and the remote.
///
/// # Errors
/// Errors of the whole command. An unreachable remote and errors of one
/// session are in the result.
pub fn verify(ctx: &Context<'_>, request: &VerifyRequest) -> Result<Verification, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let found = workspace.discover()?;
    let remote = ask_remote(&workspace)?;
    let compared = remote.compared.clone();
    let verifier = Verifier {
        workspace: &workspace,
        found: &found,
        full: request.full,
        store: workspace.store.head_snapshot()?,
        remote: workspace.store.snapshot(compared.as_ref())?,
        base: common_base(&workspace, compared.as_ref())?,
    };
    let (store, theirs) = (verifier.store.sessions()?, verifier.remote.sessions()?);
    let all: BTreeSet<&SessionId> = found
        .sessions
        .keys()
        .chain(store.keys())
        .chain(theirs.keys())
        .collect();
    let mut verification = Verification {
        full: request.full,
        head: workspace.store.head()?,
        remote: remote.status,
        skipped_files: if request.sessions.is_empty() {
            skipped_files(&found)
        } else {
            Vec::new()
        },
        ..Verification::default()
    };
    if request.sessions.is_empty() {
        verification.extras = Some(crate::extras::check::check_bundles(&workspace.store)?);
    }
    let wanted = select(&request.sessions, &all)?;
    verifier.check_sessions(&wanted, &store, &theirs, &mut verification)?;
    if request.full && request.sessions.is_empty() {
        verification.objects = Some(check_objects(&workspace, compared)?);
        verification.remote_damage = remote
            .head
            .map_or(Ok(None), |head| remote_damage(&workspace, &head))?;
    }
    if request.full {
        distrust_differing(&mut workspace, &verification);
    }
    Ok(verification)
}

/// Lets the next command read the sessions that differ: the index may say that they do not, and
/// then the advice to sync would not help.
fn distrust_differing(workspace: &mut Workspace<'_>, verification: &Verification) {
    let differing = verification.sessions.iter().filter(|check| {
        let status = &check.here_to_store;
        !matches!(status, SyncStatus::Same | SyncStatus::Unknown { .. })
    });
    let mut is_any = false;
    for check in differing {
        workspace.records.index.distrust(&check.session);
        is_any = true;
    }
    if is_any {
        // A damaged store cannot be followed. Then the damage is what counts.
        let _ = workspace.save();
    }
}

/// Returns the sessions that `named` selects; all if it is empty.
fn select<'a>(
    named: &[SessionId],
    all: &BTreeSet<&'a SessionId>,
) -> Result<Vec<&'a SessionId>, SyncError> {
    if named.is_empty() {
        return Ok(all.iter().copied().collect());
    }
    let mut wanted = BTreeSet::new();
    for name in named {
        let id = find_session(name, all.iter().copied())?;
        let id = id.and_then(|id| all.get(&id).copied());
        wanted.insert(id.ok_or_else(|| LookupScope::Anywhere.no_session(name))?);
    }
    Ok(wanted.into_iter().collect())
}

/// Reads every object that is reachable from the head and the remote's head.
fn check_objects(
    workspace: &Workspace<'_>,
    remote: Option<CommitId>,
) -> Result<ObjectCheck, SyncError> {
    let commits: Vec<CommitId> = workspace.store.head()?.into_iter().chain(remote).collect();
    workspace.ctx.progress.begin(Phase::Check, 0, 0);
    let checked = workspace.store.check_objects(&commits, &mut |bytes| {
        workspace.ctx.progress.advance(1, bytes);
        !interrupted()
    });
    workspace.ctx.progress.end();
    signal::check()?;
    Ok(checked?)
}

struct Verifier<'a> {
    workspace: &'a Workspace<'a>,
    found: &'a Discovery,
    full: bool,
    store: Snapshot<'a>,
    remote: Snapshot<'a>,
    base: Snapshot<'a>,
}

type States = BTreeMap<SessionId, SessionState>;

impl Verifier<'_> {
    fn check_sessions(
        &self,
        wanted: &[&SessionId],
        store: &States,
        remote: &States,
        verification: &mut Verification,
    ) -> Result<(), SyncError> {
        let live = live_sessions(&self.workspace.ctx.env.claude_dir);
        self.workspace
            .ctx
            .progress
            .begin(Phase::Check, wanted.len() as u64, 0);
        for id in wanted {
            let mut check = self.check_session(id, live.contains_key(*id));
            self.compare_with_remote(&mut check, (store.get(*id), remote.get(*id)))?;
            verification.add(check);
            self.workspace.ctx.progress.advance(1, 0);
            if interrupted() {
                break;
            }
        }
        self.workspace.ctx.progress.end();
        signal::check()?;
        Ok(())
    }

    /// Compares the local files with the stored ones, and with [`Self::full`] the stored
    /// ones with their manifest.
    fn check_session(&self, id: &SessionId, running: bool) -> SessionCheck {
        let mut check = SessionCheck::new(id.clone(), running);
        let manifest = match self.store.manifest(id) {
            Ok(manifest) => manifest,
            Err(e) => {
                check
                    .damage
                    .push(Damage::for_session(error_chain(&SyncError::from(e))));
                None
            }
        };
        if let Some(manifest) = &manifest {
            check.project = self.workspace.localizer.project(manifest);
            check.title = self.workspace.localizer.title(manifest);
            check.store = Some(stored_amount(manifest));
            if self.full {
                check.damage.extend(self.check_files(manifest));
            }
        }
        if let Some(session) = self.found.sessions.get(id) {
            let deleted = deleted_reason(self.workspace.ctx, &self.store, id);
            let by_settings = || self.workspace.filter().push_exclude_reason(session);
            let excluded = deleted.ok().flatten().or_else(by_settings);
            check.excluded = excluded.map(|why| why.to_string());
            let local = LocalCopy {
                session,
                live: running,
            };
            if let Err(e) = self.check_here(&local, manifest.as_ref(), &mut check) {
                check.here_to_store = SyncStatus::Unknown {
                    reason: error_chain(&e),
                };
            }
        }
        check
    }

    fn check_here(
        &self,
        local: &LocalCopy<'_>,
        manifest: Option<&Manifest>,
        check: &mut SessionCheck,
    ) -> Result<(), SyncError> {
        let session = local.session;
        let is_trusted = !self.full && self.workspace.records.index.is_up_to_date(session);
        let lines = match manifest {
            Some(manifest) if is_trusted => lines_here(self.workspace, manifest),
            _ => {
                let (lines, damaged) = count_here(local)?;
                check.damaged_lines = damaged;
                lines
            }
        };
        check.here = Some(Amount {
            lines,
            bytes: session.bytes(),
        });
        if !check.damage.is_empty() {
            // Nothing to compare with.
            check.here_to_store = SyncStatus::Unknown {
                reason: "the stored session is damaged".to_owned(),
            };
            return Ok(());
        }
        check.here_to_store = match manifest {
            // A client has just started: there is no complete line yet.
            None if local.limit(&SessionFile::Transcript)? == 0 => SyncStatus::Same,
            None => SyncStatus::Ahead,
            Some(_) if self.full => {
                let comparer = SessionComparer::new(self.workspace, &self.store).reading_all();
                match sync_status(&comparer.compare(local)?) {
                    SyncStatus::Behind
                        if self.workspace.records.pinned.has(session, &self.store)? =>
                    {
                        SyncStatus::Same
                    }
                    status => status,
                }
            }
            // It is pinned to an earlier state on purpose.
            Some(_) if self.workspace.records.pinned.has(session, &self.store)? => SyncStatus::Same,
            Some(_) => {
                sync_status(&SessionComparer::new(self.workspace, &self.store).compare(local)?)
            }
        };
        Ok(())
    }

    fn compare_with_remote(
        &self,
        check: &mut SessionCheck,
        (ours, theirs): (Option<&SessionState>, Option<&SessionState>),
    ) -> Result<(), SyncError> {
        let base = self.base.state(&check.session)?;
        check.remote = match theirs {
            None => None,
            Some(_) if ours == theirs => check.store,
            Some(_) => self
                .remote
                .manifest(&check.session)
                .ok()
                .flatten()
                .as_ref()
                .map(stored_amount),
        };
        check.store_to_remote = match (ours, theirs) {
            (ours, theirs) if ours == theirs => SyncStatus::Same,
            (_, theirs) if theirs == base.as_ref() => SyncStatus::Ahead,
            (ours, _) if ours == base.as_ref() => SyncStatus::Behind,
            _ => SyncStatus::Diverged,
        };
        Ok(())
    }

    /// Reads every stored file of a session.
    fn check_files(&self, manifest: &Manifest) -> Vec<Damage> {
        let mut damage = Vec::new();
        for (name, file) in manifest.all_files() {
            let stored = StoredText {
                snapshot: &self.store,
                manifest,
                name: &name,
                file,
            };
            match self.check_segments(&stored) {
                Ok(segments) => damage.extend(segments.into_iter().map(|segment| Damage {
                    file: name.name().cloned(),
                    segment: Some(segment),
                    message: "its content differs from its manifest".to_owned(),
                })),
                Err(e) => damage.push(Damage {
                    file: name.name().cloned(),
                    segment: None,
                    message: error_chain(&e),
                }),
            }
        }
        damage
    }

    /// Returns the segments whose expanded lines differ from the manifest.
    fn check_segments(&self, stored: &StoredText<'_>) -> Result<Vec<u64>, SyncError> {
        let mut sums = SegmentSums::new(stored.file);
        stored.walk(0, &mut |piece| {
            let mut text = piece.text;
            while !text.is_empty() {
                let lines = sums.lines_left().min(count_lines(text));
                let (now, later) = text.split_at(offset_after_lines(
                    text,
                    usize::try_from(lines).unwrap_or(usize::MAX),
                ));
                let kind = text_kind(stored.name);
                sums.add(
                    lines,
                    &StoredLineReader::as_written(
                        &self.workspace.localizer,
                        stored.manifest,
                        piece.run,
                        kind,
                        now,
                    )?,
                );
                text = later;
            }
            signal::check()?;
            Ok(true)
        })?;
        Ok(sums.finish())
    }
}

fn stored_amount(manifest: &Manifest) -> Amount {
    Amount {
        lines: manifest.transcript.lines(),
        bytes: manifest.local_bytes(),
    }
}

/// Number of lines of a transcript in sync. A torn line of another machine is not written
/// here.
fn lines_here(workspace: &Workspace<'_>, manifest: &Manifest) -> u64 {
    let torn = manifest
        .transcript
        .runs
        .iter()
        .filter(|run| run.torn && run.machine != *workspace.localizer.machine())
        .count();
    manifest.transcript.lines().saturating_sub(torn as u64)
}

/// Number of lines of the local transcript, and of those that are not records.
fn count_here(local: &LocalCopy<'_>) -> Result<(u64, u64), SyncError> {
    let (mut lines, mut damaged) = (0, 0);
    local
        .open(&SessionFile::Transcript, 0)?
        .each_piece(|piece| {
            lines += count_lines(piece);
            damaged += damaged_lines(piece);
            Ok(())
        })?;
    Ok((lines, damaged))
}

fn sync_status(found: &Differences) -> SyncStatus {
    match (
        found.divergence.is_some(),
        found.to_push.is_empty(),
        found.to_pull.is_empty(),
    ) {
        (true, ..) => SyncStatus::Diverged,
        (false, true, true) => SyncStatus::Same,
        (false, false, true) => SyncStatus::Ahead,
        (false, true, false) => SyncStatus::Behind,
        (false, false, false) => SyncStatus::AheadAndBehind,
    }
}
