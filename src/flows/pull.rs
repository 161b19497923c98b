//! Downward: remote -> store -> expand -> the client's directory.
//!
//! First what others did is fetched and merged; then each session is compared with what
//! lies here, and only what is missing is written. Tails that lost their session's id
//! become forks and are sent at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::domain::error::{UserError, error_chain};
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::{Phase, Progress};
use crate::domain::session_file::SessionFile;
use crate::flows::merge::Merged;
use crate::flows::parallel::on_all_cores;
use crate::flows::plan::{Differences, FilePull, compare_session, compare_with, described};
use crate::flows::push::{add_merge_notes, passed_over};
use crate::flows::remote_sync::{FetchMode, fetch, push_remaining_refs};
use crate::flows::store_outcome::{StoreOutcome, store_or_skip};
use crate::flows::store_session::SessionWriter;
use crate::flows::write_session::{Writer, Writing, all_files};
use crate::localize::local_copy::LocalCopy;
use crate::localize::location::{is_recent, place};
use crate::localize::stored_text::StoredText;
use crate::report::transfer::{Outcome, Report, SessionReport};
use crate::session::LocalSession;
use crate::session::discover::{Discovery, files_without_transcript};
use crate::session::journal;
use crate::session::journal::Journal;
use crate::session::live::live_sessions;
use crate::store::Snapshot;
use crate::store::manifest::{Manifest, StoredFile};
use crate::sys::fail_point::fail_point;
use crate::sys::signal;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::exclusion::ExcludeReason;
use crate::workspace::index::NotPulledSession;
use crate::workspace::lookup::LookupScope;
use crate::workspace::lookup::stored_named;
use crate::workspace::open::Workspace;
use crate::workspace::paths::undo_path;
use crate::workspace::proposed_paths::adopt_proposed_paths;
use crate::workspace::read_only::machine_names;
use crate::workspace::received_notes::unseen;

/// What a pull is asked for.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// Only these sessions (whole ids, or beginnings that only one has), whatever their
    /// age; none: all that are recent or here already.
    pub sessions: Vec<SessionId>,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Write sessions anew even where they are in step.
    pub force: bool,
    /// Leave sessions that were put back to an earlier state here as they are, also where
    /// they are asked for.
    pub keep_held: bool,
    /// Bring sessions that were active in the last so many days; none: as configured.
    pub days: Option<u32>,
}

/// Brings here what other machines pushed.
///
/// # Errors
/// What concerns the whole command, an unreachable remote among it; what concerns one
/// session is in the report. If only one is asked for, and neither the store nor this
/// machine has it, [`LookupError`](crate::workspace::lookup::LookupError).
pub fn pull(ctx: &Context<'_>, request: &PullRequest) -> Result<Report, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let (merged, found) =
        workspace.scan_during(|workspace| fetch(workspace, FetchMode::Sessions))?;
    if request.dry_run {
        return bring(workspace, &found, merged, request);
    }
    match adopt_proposed_paths(&workspace)? {
        None => bring(workspace, &found, merged, request),
        Some(settings) => {
            // Everything that was opened knows the former paths.
            drop(workspace);
            let ctx = ctx.with_settings(settings);
            bring(Workspace::open(&ctx)?, &found, merged, request)
        }
    }
}

/// Writes what is missing here.
fn bring(
    mut workspace: Workspace<'_>,
    found: &Discovery,
    mut merged: Merged,
    request: &PullRequest,
) -> Result<Report, SyncError> {
    workspace.records.record_discovery(found);
    let mut puller = Puller::plan(&workspace, found, request)?;
    fail_point("the pull is planned");
    if request.dry_run {
        let mut report = puller.as_report(&workspace)?;
        report.extras = crate::extras::pull::pull(&workspace, None)?;
        return Ok(report);
    }
    puller.keep_forks(&mut workspace)?;
    puller.remember_repositories(&workspace);
    let journal = Journal::new(&undo_path(workspace.ctx.env), workspace.ctx.clock.now());
    let mut report = puller.execute(&mut workspace, &journal)?;
    report.add_beside(std::mem::take(&mut merged.extras));
    report.add_beside(crate::extras::pull::pull(&workspace, Some(&journal))?);
    note_forks_of_skipped_sessions(&mut report, &mut merged);
    let (remote, more) = push_remaining_refs(&mut workspace)?;
    merged.add(more);
    add_merge_notes(&mut report, &workspace, merged)?;
    forget_lost(&mut workspace, &report, &puller)?;
    match unseen(&workspace) {
        Ok(notes) => report.notes = notes,
        // What was pulled is pulled.
        Err(e) => report.remarks.push(format!(
            "notes from other machines cannot be read: {}",
            error_chain(&e)
        )),
    }
    report.remote = remote;
    workspace.save()?;
    Ok(report)
}

/// That the fetch has made a fork of a session's tail does not hide why the session
/// itself was not brought after that.
fn note_forks_of_skipped_sessions(report: &mut Report, merged: &mut Merged) {
    for session in report
        .sessions
        .iter_mut()
        .filter(|s| matches!(s.outcome, Outcome::Skipped { .. }))
    {
        if let Some((fork, lines)) = merged.forks.remove(&session.session) {
            let lines = if lines == 1 {
                "1 line".to_owned()
            } else {
                format!("{lines} lines")
            };
            session.notes.push(format!(
                "what was said here, {lines}, is a session of its own: {fork}"
            ));
        }
    }
}

/// Where a lock was lost and its holder has ended, this machine's turns are a fork now,
/// and the session here is that of the store.
fn forget_lost(
    workspace: &mut Workspace<'_>,
    report: &Report,
    puller: &Puller<'_>,
) -> Result<(), SyncError> {
    let skipped = |id: &SessionId| {
        report.sessions.iter().any(|s| {
            s.session == *id && matches!(s.outcome, Outcome::Skipped { .. } | Outcome::Ahead)
        })
    };
    for session in workspace.leases.lost_without_holder() {
        let was_pulled = puller.steps.iter().any(|(id, _)| *id == session);
        if was_pulled && !skipped(&session) || !puller.found.sessions.contains_key(&session) {
            workspace.leases.forget_lost(&session)?;
        }
    }
    Ok(())
}

/// What a pull does with one session.
enum PullStep {
    Nothing,
    Ahead,
    /// Files to be written into `directory`.
    Write(Writing),
    /// This machine's tail becomes a fork first; then the session and the fork are written.
    Fork(Differences),
    /// It stays in the store; the report says why.
    Listed(Box<SessionReport>),
    /// It was put back to an earlier state here, and stays so; the report says so unless
    /// it is to be left alone.
    Held(Option<Box<SessionReport>>),
    Skip(String),
}

impl PullStep {
    /// Returns true if it writes a session of which nothing is here.
    fn is_new(&self) -> bool {
        matches!(self, Self::Write(writing) if writing.here.is_none())
    }
}

/// A fork made by this pull.
struct MadeFork {
    /// The session that it left.
    session: SessionId,
    fork: SessionId,
    /// Lines that only the fork has.
    lines: u64,
    /// Turns of a person that were stored with it now.
    turns: Option<u64>,
}

struct Puller<'a> {
    found: &'a Discovery,
    /// The head with which the sessions here were compared.
    compared_at: Option<CommitId>,
    /// Sessions of which only whole lines were compared, because a client had them open.
    live: BTreeSet<SessionId>,
    request: &'a PullRequest,
    steps: Vec<(SessionId, PullStep)>,
    /// What is not brought unasked, because it is too old or left out.
    unbrought: Vec<NotPulledSession>,
    /// Forks made by this pull.
    forks: Vec<MadeFork>,
}

impl<'a> Puller<'a> {
    fn plan(
        workspace: &Workspace<'_>,
        found: &'a Discovery,
        request: &'a PullRequest,
    ) -> Result<Self, SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let states = snapshot.sessions()?;
        let live = live_sessions(&workspace.ctx.env.claude_dir);
        let mut puller = Self {
            found,
            compared_at: workspace.store.head()?,
            live: live.keys().cloned().collect(),
            request,
            steps: Vec::new(),
            unbrought: Vec::new(),
            forks: Vec::new(),
        };
        let unasked = |id: &&SessionId| {
            found.sessions.contains_key(*id) || !workspace.records.was_deleted(id, &states[*id])
        };
        let mut wanted: BTreeSet<SessionId> = BTreeSet::new();
        if request.sessions.is_empty() {
            wanted.extend(states.keys().filter(unasked).cloned());
        }
        for name in &request.sessions {
            match stored_named(name, states.keys()) {
                Ok(id) => drop(wanted.insert(id)),
                Err(_) if found.sessions.contains_key(name) => drop(wanted.insert(name.clone())),
                // Nothing else was asked for, so there is nothing to report.
                Err(e) if request.sessions.len() == 1 => return Err(e.into()),
                Err(e) => puller
                    .steps
                    .push((name.clone(), downgrade_to_skip(Err(e.into()))?)),
            }
        }
        for id in wanted {
            let step = puller.plan_or_skip(workspace, &snapshot, &id, live.get(&id).copied())?;
            puller.steps.push((id, step));
        }
        Ok(puller)
    }

    /// As [`Self::plan_one`]; what concerns only this session is a reason to skip it.
    fn plan_or_skip(
        &mut self,
        workspace: &Workspace<'_>,
        snapshot: &Snapshot<'_>,
        id: &SessionId,
        pid: Option<u32>,
    ) -> Result<PullStep, SyncError> {
        downgrade_to_skip(self.plan_one(workspace, snapshot, id, pid))
    }

    fn plan_one(
        &mut self,
        workspace: &Workspace<'_>,
        snapshot: &Snapshot<'_>,
        id: &SessionId,
        pid: Option<u32>,
    ) -> Result<PullStep, SyncError> {
        let here = self.found.sessions.get(id);
        if here.is_some_and(|here| workspace.records.index.is_up_to_date(here))
            && !self.request.force
        {
            return Ok(PullStep::Nothing);
        }
        if let Some(here) = here
            && let Some(why) = self.unasked(|| workspace.filter().local_only_reason(here))
        {
            let project = workspace.filter().project(here);
            let report = SessionReport {
                project,
                ..described(&workspace.localizer, id, None, not_brought(&why))
            };
            return Ok(PullStep::Listed(Box::new(report)));
        }
        if here.is_none()
            && let Some(report) = self.still_unbrought(workspace, id)
        {
            return Ok(PullStep::Listed(Box::new(report)));
        }
        let manifest = match snapshot.manifest(id)? {
            Some(manifest) => manifest,
            // A directory without a manifest is no session.
            None if self.request.sessions.is_empty() => return Ok(PullStep::Nothing),
            None => {
                return Err(LookupScope::Store.no_session(id).into());
            }
        };
        let Some(here) = here else {
            return self.plan_new(workspace, snapshot, &manifest);
        };
        let asked_for = !self.request.sessions.is_empty() && !self.request.keep_held;
        if !asked_for && workspace.records.pinned.has(here, snapshot)? {
            return Ok(self.held(workspace, &manifest));
        }
        let local = LocalCopy {
            session: here,
            live: pid.is_some(),
        };
        if !asked_for && workspace.records.pinned.has_transcript(here, snapshot)? {
            // The client has changed something beside the transcript.
            let found = compare_session(workspace, snapshot, &local)?;
            return Ok(if found.up.is_empty() {
                self.held(workspace, &manifest)
            } else {
                PullStep::Ahead
            });
        }
        let step = self.step_for(
            here,
            &manifest,
            compare_session(workspace, snapshot, &local)?,
        );
        if let (PullStep::Fork(_), Some(why)) = (&step, workspace.filter().local_only_reason(here))
        {
            return Ok(PullStep::Skip(format!(
                "it went on differently here, and a fork would be pushed, but {why}"
            )));
        }
        Ok(match (step, pid) {
            (PullStep::Write(_) | PullStep::Fork(_), Some(pid)) => PullStep::Skip(format!(
                "running here (process {pid}); pull again when it has ended"
            )),
            (step, _) => step,
        })
    }

    /// A session that stays at an earlier state.
    fn held(&self, workspace: &Workspace<'_>, manifest: &Manifest) -> PullStep {
        let reason =
            "put back to an earlier state here; ccsync pull SESSION brings what came later"
                .to_owned();
        let report = described(
            &workspace.localizer,
            &manifest.session,
            Some(manifest),
            Outcome::Listed { reason },
        );
        PullStep::Held((!self.request.keep_held).then(|| Box::new(report)))
    }

    /// What is done with a session that is here.
    fn step_for(&self, here: &LocalSession, manifest: &Manifest, found: Differences) -> PullStep {
        if found.parted.is_some() {
            return PullStep::Fork(found);
        }
        let ahead = !found.up.is_empty();
        let files = if self.request.force && !ahead {
            all_files(manifest)
        } else {
            found.down
        };
        if files.is_empty() {
            return if ahead {
                PullStep::Ahead
            } else {
                PullStep::Nothing
            };
        }
        PullStep::Write(Writing {
            directory: here.directory.clone(),
            files,
            here: Some(here.clone()),
            ahead,
            note: None,
        })
    }

    /// A session that is not here.
    fn plan_new(
        &mut self,
        workspace: &Workspace<'_>,
        snapshot: &Snapshot<'_>,
        manifest: &Manifest,
    ) -> Result<PullStep, SyncError> {
        let listed = |outcome| {
            described(
                &workspace.localizer,
                &manifest.session,
                Some(manifest),
                outcome,
            )
        };
        let left_out = self
            .unasked(|| workspace.filter().pull_exclude_reason(manifest))
            .map(|why| not_brought(&why));
        if let Some(outcome) =
            left_out.or_else(|| self.too_old(workspace, manifest.last_activity.as_deref()))
        {
            let report = listed(outcome);
            let place = workspace.filter().project_location(manifest);
            self.unbrought
                .push(NotPulledSession::new(report.clone(), place, manifest));
            return Ok(PullStep::Listed(Box::new(report)));
        }
        let transcript = StoredText::transcript(snapshot, manifest);
        let note = workspace
            .localizer
            .resolve_location(manifest, &transcript)?;
        let place = place(
            &workspace.localizer.with_current_project(manifest),
            &workspace.localizer.roots_of(manifest),
            &workspace.ctx.env.claude_dir,
        )?;
        match place {
            Ok(directory) => Ok(
                match apply_pull(workspace, snapshot, manifest, directory)? {
                    Brought::Write(writing) => PullStep::Write(Writing { note, ..writing }),
                    refused => refused.into(),
                },
            ),
            Err(reason) => Ok(PullStep::Listed(Box::new(listed(Outcome::Listed {
                reason,
            })))),
        }
    }

    /// A session that an earlier pull has left in the store for its age or by the
    /// settings, if this one does so too.
    fn still_unbrought(
        &self,
        workspace: &Workspace<'_>,
        session: &SessionId,
    ) -> Option<SessionReport> {
        let known = workspace.records.index.store_only(session)?;
        if known.location.is_none() && workspace.rules.ask_for_projects() {
            return None;
        }
        let left_out = self.unasked(|| workspace.filter().known_exclude_reason(known));
        if left_out
            .as_ref()
            .is_some_and(|why| !workspace.filter().is_still_excluded(known, why))
        {
            return None;
        }
        let outcome = left_out
            .map(|why| not_brought(&why))
            .or_else(|| self.too_old(workspace, known.last_activity.as_deref()))?;
        let (project, title) = (known.project.clone(), known.title.clone());
        let last_activity = known.last_activity.clone();
        Some(SessionReport {
            project,
            title,
            last_activity,
            ..SessionReport::new(session.clone(), outcome)
        })
    }

    /// Why a session is left out that nobody asked for by name.
    fn unasked(&self, left_out: impl FnOnce() -> Option<ExcludeReason>) -> Option<ExcludeReason> {
        if self.request.sessions.is_empty() {
            left_out()
        } else {
            None
        }
    }

    /// What is said of a session that nobody asked for and that was not active lately.
    fn too_old(&self, workspace: &Workspace<'_>, last_activity: Option<&str>) -> Option<Outcome> {
        let days = self
            .request
            .days
            .unwrap_or(workspace.ctx.settings.sync.pull_max_age);
        let unasked = self.request.sessions.is_empty()
            && !is_recent(last_activity, workspace.ctx.clock.now(), days);
        let reason = || format!("not active for {days} days: ccsync pull SESSION, or --days N");
        unasked.then(|| Outcome::Listed { reason: reason() })
    }

    fn as_report(&self, workspace: &Workspace<'_>) -> Result<Report, SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let mut report = Report {
            dry_run: true,
            passed_over: passed_over(self.found),
            ..Report::default()
        };
        for (id, step) in &self.steps {
            if matches!(step, PullStep::Nothing | PullStep::Held(None)) {
                report.unchanged += 1;
                continue;
            }
            if let PullStep::Listed(session) | PullStep::Held(Some(session)) = step {
                report.sessions.push((**session).clone());
                continue;
            }
            let manifest = snapshot.manifest(id).ok().flatten();
            let outcome = match (step, self.found.sessions.get(id)) {
                (PullStep::Fork(found), Some(session)) => {
                    let local = LocalCopy::closed(session);
                    SessionWriter {
                        workspace,
                        snapshot: &snapshot,
                        local: &local,
                    }
                    .preview_outcome(found)?
                }
                _ => planned_outcome(step, manifest.as_ref()),
            };
            report.sessions.push(described(
                &workspace.localizer,
                id,
                manifest.as_ref(),
                outcome,
            ));
        }
        report.sort();
        Ok(report)
    }

    /// Stores the tails that lost their session's id, and plans to write both sides.
    fn keep_forks(&mut self, workspace: &mut Workspace<'_>) -> Result<(), SyncError> {
        while self
            .steps
            .iter()
            .any(|(_, step)| matches!(step, PullStep::Fork(_)))
        {
            let earlier = self.forks.len();
            let later = self.store_forks(workspace)?;
            self.plan_forks(workspace, earlier)?;
            let (snapshot, live) = (
                workspace.store.head_snapshot()?,
                live_sessions(&workspace.ctx.env.claude_dir),
            );
            for id in later {
                let step = self.plan_or_skip(workspace, &snapshot, &id, live.get(&id).copied())?;
                self.steps.retain(|(planned, _)| *planned != id);
                self.steps.push((id, step));
            }
        }
        Ok(())
    }

    /// Stores tails in one commit. Returns the sessions that have to wait for the next
    /// one; the step of each other is no fork any more.
    fn store_forks(&mut self, workspace: &Workspace<'_>) -> Result<Vec<SessionId>, SyncError> {
        let mut later = Vec::new();
        let base = workspace.store.head()?;
        let mut tx = workspace.store.begin(base.as_ref())?;
        let snapshot = workspace.store.head_snapshot()?;
        for (id, step) in &mut self.steps {
            let PullStep::Fork(differences) = step else {
                continue;
            };
            let (Some(parent), Some(session)) =
                (snapshot.manifest(id)?, self.found.sessions.get(id))
            else {
                *step = PullStep::Nothing;
                continue;
            };
            let local = LocalCopy::closed(session);
            let writer = SessionWriter {
                workspace,
                snapshot: &snapshot,
                local: &local,
            };
            match store_or_skip(&mut tx, |tx| writer.store(tx, differences))? {
                StoreOutcome::Stored(SessionReport {
                    outcome: Outcome::Forked { fork, lines },
                    turns,
                    ..
                }) => {
                    self.forks.push(MadeFork {
                        session: id.clone(),
                        fork,
                        lines,
                        turns,
                    });
                    let here = Some(session.clone());
                    // What only the tail has beside the transcript is in the fork, and still here.
                    let ahead = session.files.keys().any(|name| parent.file(name).is_none());
                    let writing = Writing {
                        here,
                        ahead,
                        ..Writing::new(session.directory.clone(), &parent)
                    };
                    *step = PullStep::Write(writing);
                }
                StoreOutcome::Stored(_) => *step = PullStep::Nothing,
                StoreOutcome::Retry => later.push(id.clone()),
                StoreOutcome::Skipped(reason) => *step = PullStep::Skip(reason),
            }
        }
        if !tx.is_empty() {
            let message = format!("forks kept by a pull of {}", workspace.machine.name);
            tx.commit(&workspace.author(), &message, base.as_slice())?;
        }
        Ok(later)
    }

    /// A fork lies beside the session it left. The first `earlier` ones have their steps already.
    fn plan_forks(
        &mut self,
        workspace: &mut Workspace<'_>,
        earlier: usize,
    ) -> Result<(), SyncError> {
        workspace.records.index.follow(&workspace.store)?;
        let snapshot = workspace.store.head_snapshot()?;
        let live = live_sessions(&workspace.ctx.env.claude_dir);
        let mut steps = Vec::new();
        let forks = self.forks[earlier..]
            .iter()
            .map(|made| (made.session.clone(), made.fork.clone()));
        for (id, fork) in &forks.collect::<Vec<_>>() {
            let Some(manifest) = snapshot.manifest(fork)? else {
                continue;
            };
            let step = match (self.found.sessions.get(id), self.found.sessions.get(fork)) {
                // It was here, and has just grown in the store: what was planned for it
                // is out of date.
                (_, Some(_)) => {
                    self.plan_or_skip(workspace, &snapshot, fork, live.get(fork).copied())?
                }
                (Some(extras), None) => downgrade_to_skip(
                    apply_pull(workspace, &snapshot, &manifest, extras.directory.clone())
                        .map(PullStep::from),
                )?,
                (None, None) => continue,
            };
            steps.push((fork.clone(), step));
        }
        self.steps
            .retain(|(planned, _)| steps.iter().all(|(fork, _)| planned != fork));
        // Before the sessions themselves: what is replaced there lies in the forks by then.
        self.steps.splice(0..0, steps);
        Ok(())
    }

    fn execute(
        &mut self,
        workspace: &mut Workspace<'_>,
        journal: &Journal,
    ) -> Result<Report, SyncError> {
        let writes = self
            .steps
            .iter()
            .any(|(_, step)| matches!(step, PullStep::Write(_)));
        let names = if writes {
            machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?
        } else {
            BTreeMap::new()
        };
        let writer = Writer {
            localizer: &workspace.localizer,
            claude_dir: &workspace.ctx.env.claude_dir,
            journal,
            names: &names,
        };
        let mut report = Report {
            passed_over: passed_over(self.found),
            ..Report::default()
        };
        // By the stamps of what was compared or written: a file that a client has written
        // to since is looked at again.
        let in_step = self.already_in_step();
        let mut written = Vec::new();
        let (new, others): (Vec<_>, Vec<_>) =
            self.steps.iter().partition(|(_, step)| step.is_new());
        workspace
            .ctx
            .progress
            .begin(Phase::Materialise, self.steps.len() as u64, 0);
        // New sessions, forks among them, come first: what is replaced afterwards lies in
        // a fork by then.
        let progress = &*workspace.ctx.progress;
        let done = on_all_cores(&workspace.store, &new, &|snapshot, (id, step)| {
            carry_out(writer, snapshot, id, step, progress)
        })
        .and_then(|mut done| {
            let snapshot = workspace.store.head_snapshot()?;
            for (id, step) in others {
                done.push(carry_out(writer, &snapshot, id, step, progress)?);
            }
            Ok(done)
        });
        workspace.ctx.progress.end();
        for done in done? {
            match done {
                Done::Nothing => report.unchanged += 1,
                Done::Reported(session, now) => {
                    written.extend(now);
                    report.sessions.push(*session);
                }
            }
        }
        journal::prune(&undo_path(workspace.ctx.env), workspace.ctx.clock.now());
        workspace.records.record_up_to_date(
            &workspace.store,
            &in_step,
            self.compared_at.as_ref(),
        )?;
        let head = workspace.store.head()?;
        workspace
            .records
            .record_up_to_date(&workspace.store, &written, head.as_ref())?;
        workspace
            .records
            .record_not_pulled(&workspace.store, std::mem::take(&mut self.unbrought))?;
        self.name_forks(workspace, &mut report)?;
        report.sort();
        Ok(report)
    }

    /// The session that lost a tail is reported as forked, the fork itself not twice.
    fn name_forks(&self, workspace: &Workspace<'_>, report: &mut Report) -> Result<(), SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        for MadeFork {
            session: id,
            fork,
            lines,
            turns,
        } in &self.forks
        {
            let skipped = |r: &SessionReport| matches!(r.outcome, Outcome::Skipped { .. });
            report
                .sessions
                .retain(|r| r.session != *fork && r.session != *id || skipped(r));
            if !report.sessions.iter().any(|r| r.session == *id) {
                let outcome = Outcome::Forked {
                    fork: fork.clone(),
                    lines: *lines,
                };
                let named = described(
                    &workspace.localizer,
                    id,
                    snapshot.manifest(id)?.as_ref(),
                    outcome,
                );
                report.sessions.push(SessionReport {
                    turns: *turns,
                    ..named
                });
            }
        }
        Ok(())
    }

    /// Before anything is written: what is known of where it is written need not be found
    /// out again. If it cannot be written down, that costs time later, not truth.
    fn remember_repositories(&self, workspace: &Workspace<'_>) {
        let clones = workspace.localizer.clones();
        let planned = self.steps.iter().map(|(id, _)| id);
        clones.keep_only(&self.found.sessions.keys().chain(planned).collect());
        let _ = clones.save();
    }

    fn already_in_step(&self) -> Vec<LocalSession> {
        let nothing = |(id, step): &&(SessionId, PullStep)| {
            matches!(step, PullStep::Nothing) && !self.live.contains(id)
        };
        let unchanged = self.steps.iter().filter(nothing);
        unchanged
            .filter_map(|(id, _)| self.found.sessions.get(id).cloned())
            .collect()
    }
}

/// How a session is brought whose transcript is not here.
pub(crate) enum Brought {
    Write(Writing),
    /// Something else is in its place.
    Refused(String),
}

impl From<Brought> for PullStep {
    fn from(brought: Brought) -> Self {
        match brought {
            Brought::Write(writing) => Self::Write(writing),
            Brought::Refused(reason) => Self::Skip(reason),
        }
    }
}

/// How a session is reported that the settings leave in the store.
fn not_brought(why: &ExcludeReason) -> Outcome {
    Outcome::Excluded {
        reason: why.to_string(),
        stored: true,
    }
}

/// Writes a session whose transcript is not here into `directory`. Files beside it that
/// are there already are not replaced by what they are no part of.
pub(crate) fn apply_pull(
    workspace: &Workspace<'_>,
    snapshot: &Snapshot<'_>,
    manifest: &Manifest,
    directory: PathBuf,
) -> Result<Brought, SyncError> {
    let Some(here) = files_without_transcript(&directory, &manifest.session) else {
        return Ok(Brought::Write(Writing::new(directory, manifest)));
    };
    let found = compare_with(
        workspace,
        snapshot,
        manifest,
        &LocalCopy::closed(&here),
        None,
    )?;
    if let Some(other) = found.up.keys().find(|name| manifest.file(name).is_some()) {
        let path = here.path(other);
        return Ok(Brought::Refused(format!(
            "`{}` is not what the store has: move it away, then pull again",
            path.display()
        )));
    }
    let ahead = !found.up.is_empty();
    Ok(Brought::Write(Writing {
        directory,
        files: found.down,
        here: Some(here),
        ahead,
        note: None,
    }))
}

fn planned_outcome(step: &PullStep, manifest: Option<&Manifest>) -> Outcome {
    match step {
        PullStep::Nothing | PullStep::Ahead | PullStep::Fork(_) | PullStep::Held(None) => {
            Outcome::Ahead
        }
        PullStep::Listed(report) | PullStep::Held(Some(report)) => report.outcome.clone(),
        PullStep::Skip(reason) => Outcome::Skipped {
            reason: reason.clone(),
        },
        PullStep::Write(writing) => {
            let stored = writing
                .files
                .keys()
                .filter_map(|name| manifest.and_then(|m| m.file(name)));
            let bytes = stored.map(StoredFile::local_bytes).sum();
            let total = manifest.map_or(0, |m| m.transcript.lines());
            let lines = match writing.files.get(&SessionFile::Transcript) {
                None => 0,
                Some(FilePull::Whole) => total,
                Some(FilePull::Extend { lines, .. }) => total - lines,
            };
            writing.outcome(lines, bytes)
        }
    }
}

/// What concerns only one session is a reason to skip it.
fn downgrade_to_skip(planned: Result<PullStep, SyncError>) -> Result<PullStep, SyncError> {
    match planned {
        Err(e) if e.is_about_one_session() => Ok(PullStep::Skip(error_chain(&e))),
        planned => planned,
    }
}

/// What became of one step.
enum Done {
    Nothing,
    /// With the session, if it is in step now.
    Reported(Box<SessionReport>, Option<LocalSession>),
}

/// Carries out one step; what concerns one session is in its report.
fn carry_out(
    writer: Writer<'_>,
    snapshot: &Snapshot<'_>,
    id: &SessionId,
    step: &PullStep,
    progress: &dyn Progress,
) -> Result<Done, SyncError> {
    signal::check()?;
    let done = match step {
        PullStep::Nothing | PullStep::Held(None) => Ok(Done::Nothing),
        PullStep::Listed(report) | PullStep::Held(Some(report)) => {
            Ok(Done::Reported(report.clone(), None))
        }
        PullStep::Write(writing) => writing
            .carry_out(&writer, snapshot, id)
            .map(|(report, now)| Done::Reported(Box::new(report), now)),
        other => {
            let manifest = snapshot.manifest(id).ok().flatten();
            let outcome = planned_outcome(other, manifest.as_ref());
            Ok(Done::Reported(
                Box::new(described(writer.localizer, id, manifest.as_ref(), outcome)),
                None,
            ))
        }
    };
    progress.advance(1, 0);
    match done {
        Err(e) if e.is_about_one_session() => {
            let outcome = Outcome::Skipped {
                reason: error_chain(&e),
            };
            Ok(Done::Reported(
                Box::new(described(writer.localizer, id, None, outcome)),
                None,
            ))
        }
        done => done,
    }
}
