//! Compares this machine's files, the store and the remote. Changes nothing.
//!
//! Trusts the index and the last fetch, unless everything is to be read. Asks the
//! remote for its head only: a commit's id covers every byte below it, so a head that
//! is here proves the rest.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::error::error_chain;
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Phase;
use crate::domain::session_file::SessionFile;
use crate::flows::compare::{Differences, SessionComparer};
use crate::flows::push_plan::skipped_files;
use crate::flows::remote_sync::in_one_line;
use crate::localize::local_copy::LocalCopy;
use crate::localize::localizer::StoredLineReader;
use crate::localize::stored_text::{StoredText, text_kind};
use crate::report::verification::{
    Amount, Damage, RemoteStatus, SessionCheck, SyncStatus, Verification,
};
use crate::session::discover::Discovery;
use crate::session::live::live_sessions;
use crate::session::repair::damaged_lines;
use crate::store::SessionState;
use crate::store::manifest::{Manifest, Segment, StoredFile, short_hash};
use crate::store::segment::{count_lines, offset_after_lines};
use crate::store::{BRANCH, ObjectCheck, Snapshot};
use crate::sys::signal::{self, interrupted};
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::lookup::LookupScope;
use crate::workspace::lookup::find_session;
use crate::workspace::open::Workspace;

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
    let seen_as = remote.seen_as.clone();
    let verifying = Verifying {
        workspace: &workspace,
        found: &found,
        full: request.full,
        store: workspace.store.head_snapshot()?,
        remote: workspace.store.snapshot(seen_as.as_ref())?,
        base: common_base(&workspace, seen_as.as_ref())?,
    };
    let (store, theirs) = (verifying.store.sessions()?, verifying.remote.sessions()?);
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
    let wanted = wanted(&request.sessions, &all)?;
    verifying.check_sessions(&wanted, &store, &theirs, &mut verification)?;
    if request.full && request.sessions.is_empty() {
        verification.objects = Some(check_objects(&workspace, seen_as)?);
        verification.remote_damage = remote
            .now
            .map_or(Ok(None), |head| remote_damage(&workspace, &head))?;
    }
    Ok(verification)
}

/// State of the remote.
struct Asked {
    status: RemoteStatus,
    /// Its head.
    now: Option<CommitId>,
    /// The compared commit of the remote: its head if that is here, else the last fetched
    /// one.
    seen_as: Option<CommitId>,
}

fn ask_remote(workspace: &Workspace<'_>) -> Result<Asked, SyncError> {
    workspace.ctx.progress.begin(Phase::Fetch, 0, 0);
    let answer = workspace.remote().and_then(|remote| Ok(remote.refs()?));
    workspace.ctx.progress.end();
    let head = workspace.store.head()?;
    let known = workspace.store.remote_head()?;
    let now = match answer {
        Ok(mut refs) => refs.remove(&format!("refs/heads/{BRANCH}")),
        Err(SyncError::Remote(e)) => {
            let reason = in_one_line(&e);
            let commits = waiting(workspace, head.as_ref(), known.as_ref())?;
            return Ok(Asked {
                status: RemoteStatus::NotReached { reason, commits },
                now: None,
                seen_as: known,
            });
        }
        Err(e) => return Err(e),
    };
    let status = remote_status(workspace, head.as_ref(), known.as_ref(), now.as_ref())?;
    let here = now
        .as_ref()
        .is_none_or(|now| workspace.store.has_commit(now));
    Ok(Asked {
        status,
        seen_as: if here { now.clone() } else { known },
        now,
    })
}

fn remote_status(
    workspace: &Workspace<'_>,
    head: Option<&CommitId>,
    known: Option<&CommitId>,
    now: Option<&CommitId>,
) -> Result<RemoteStatus, SyncError> {
    let store = &workspace.store;
    let lost = match (known, now) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(known), Some(now)) => store.has_commit(now) && !store.contains(now, known)?,
    };
    if lost {
        return Ok(RemoteStatus::Lost {
            commit: now.cloned(),
            commits: waiting(workspace, head, now)?,
        });
    }
    Ok(match (head, now) {
        (None, None) => RemoteStatus::UpToDate { commit: None },
        (Some(_), None) => RemoteStatus::Behind {
            commit: None,
            commits: waiting(workspace, head, None)?,
        },
        (Some(head), Some(now)) if head == now => RemoteStatus::UpToDate {
            commit: Some(now.clone()),
        },
        (Some(head), Some(now)) if store.has_commit(now) && store.contains(head, now)? => {
            RemoteStatus::Behind {
                commit: Some(now.clone()),
                commits: waiting(workspace, Some(head), Some(now))?,
            }
        }
        (_, Some(now)) => {
            let common = if store.has_commit(now) {
                Some(now)
            } else {
                known
            };
            RemoteStatus::Ahead {
                commit: now.clone(),
                commits: waiting(workspace, head, common)?,
            }
        }
    })
}

/// Returns the number of commits that are not pushed yet.
fn waiting(
    workspace: &Workspace<'_>,
    head: Option<&CommitId>,
    theirs: Option<&CommitId>,
) -> Result<u64, SyncError> {
    head.map_or(Ok(0), |head| {
        Ok(workspace.store.count_commits_beyond(head, theirs)?)
    })
}

/// Returns the newest commit that the store and the remote share.
fn common_base<'w>(
    workspace: &'w Workspace<'_>,
    theirs: Option<&CommitId>,
) -> Result<Snapshot<'w>, SyncError> {
    let base = match (workspace.store.head()?, theirs) {
        (Some(head), Some(theirs)) => workspace.store.merge_base(&head, theirs)?,
        _ => None,
    };
    Ok(workspace.store.snapshot(base.as_ref())?)
}

fn wanted<'a>(
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

/// Runs `git fsck` on a remote on this disk. A server checks its own.
fn remote_damage(workspace: &Workspace<'_>, head: &CommitId) -> Result<Option<String>, SyncError> {
    match workspace.remote()?.check_objects(head) {
        Ok(checked) => Ok(checked.and_then(Result::err)),
        Err(e) => Err(e.into()),
    }
}

struct Verifying<'a> {
    workspace: &'a Workspace<'a>,
    found: &'a Discovery,
    full: bool,
    store: Snapshot<'a>,
    remote: Snapshot<'a>,
    base: Snapshot<'a>,
}

type States = BTreeMap<SessionId, SessionState>;

impl Verifying<'_> {
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
                    .push(Damage::of_session(error_chain(&SyncError::from(e))));
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
            check.excluded = self
                .workspace
                .filter()
                .push_exclude_reason(session)
                .map(|why| why.to_string());
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
        let believed = !self.full && self.workspace.records.index.is_up_to_date(session);
        let lines = match manifest {
            Some(manifest) if believed => lines_here(self.workspace, manifest),
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
                reason: "the stored one is damaged".to_owned(),
            };
            return Ok(());
        }
        check.here_to_store = match manifest {
            // A client has just started: there is no complete line yet.
            None if local.limit(&SessionFile::Transcript)? == 0 => SyncStatus::Same,
            None => SyncStatus::Ahead,
            Some(manifest) if self.full => {
                let comparer = SessionComparer::new(self.workspace, &self.store);
                match status(&comparer.compare_with(manifest, local, None)?) {
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
            Some(_) => status(&SessionComparer::new(self.workspace, &self.store).compare(local)?),
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
        let mut sums = Sums::of(stored.file);
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

/// Sums the lines of a file, segment by segment.
struct Sums<'a> {
    segments: &'a [Segment],
    number: usize,
    lines: u64,
    bytes: u64,
    hasher: blake3::Hasher,
    wrong: Vec<u64>,
}

impl<'a> Sums<'a> {
    fn of(file: &'a StoredFile) -> Self {
        let hasher = blake3::Hasher::new();
        Self {
            segments: &file.segments,
            number: 0,
            lines: 0,
            bytes: 0,
            hasher,
            wrong: Vec::new(),
        }
    }

    /// Lines left in the current segment; segments without a line end are skipped.
    fn lines_left(&mut self) -> u64 {
        while let Some(segment) = self.segments.get(self.number) {
            if self.lines < segment.lines {
                return segment.lines - self.lines;
            }
            self.close();
        }
        u64::MAX
    }

    fn add(&mut self, lines: u64, written: &[u8]) {
        self.lines += lines;
        self.bytes += written.len() as u64;
        self.hasher.update(written);
    }

    fn close(&mut self) {
        let Some(segment) = self.segments.get(self.number) else {
            return;
        };
        if (self.lines, self.bytes) != (segment.lines, segment.local_bytes)
            || short_hash(&self.hasher) != segment.local_hash
        {
            self.wrong.push(self.number as u64);
        }
        self.number += 1;
        (self.lines, self.bytes) = (0, 0);
        self.hasher.reset();
    }

    fn finish(mut self) -> Vec<u64> {
        while self.number < self.segments.len() {
            self.close();
        }
        self.wrong
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
    let elsewhere = manifest
        .transcript
        .runs
        .iter()
        .filter(|run| run.torn && run.machine != *workspace.localizer.me())
        .count();
    manifest.transcript.lines().saturating_sub(elsewhere as u64)
}

/// Number of lines of the local transcript, and of those that are no records.
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

fn status(found: &Differences) -> SyncStatus {
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
