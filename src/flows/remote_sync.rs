//! The remote: fetch and merge, push and try again.
//!
//! The branch moves only by compare-and-swap. A rejected push means that another machine was
//! first: its work is fetched and merged session by session, and the push is tried again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::{CommitId, Phase};
use crate::flows::changed_key::adopt_changed_key;
use crate::flows::foreign_locks::{record_foreign_locks, sessions_at_risk};
use crate::flows::merge::{Merged, check_remote, merge_unpushed, unpushed_sessions};
use crate::flows::merge_rewritten::merge_fetched;
use crate::flows::replaced_history::ReplacedHistory;
use crate::flows::send::{rejection, restack, send};
use crate::flows::send_parts::{PartsResult, send_parts, whole_text};
use crate::remote::Remote;
use crate::report::{Refusal, RemoteState};
use crate::store::{Author, BRANCH, LOCK_BRANCHES, RemoteMove, StoreError};
use crate::sys::{fail_point::fail_point, set_aside::damaged_names};
use crate::transport::{PushOutcome, RefUpdate, RemoteError};
use crate::workspace::{
    HistoryChoice, RemoteStep, SetupError, SyncError, Workspace, last_fetch::LastFetch,
    paths::remote_url, paths::store_path,
};

/// Maximum number of times that a rejected push is merged and tried again.
const MAX_ATTEMPTS: u32 = 30;

/// Longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Refs that a fetch gets from the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FetchMode {
    /// The sessions; the locks only if this machine has one.
    Sessions,
    /// The sessions, and the locks of all machines.
    SessionsAndLocks,
}

/// The result of a fetch that can do without the remote.
#[derive(Default)]
pub(crate) struct FetchResult {
    pub(crate) merged: Merged,
    /// Why the remote could not be reached, in one line.
    pub(crate) unreached: Option<String>,
}

/// The result of a push.
pub(crate) struct PushResult {
    pub(crate) state: RemoteState,
    /// Result of the merges with other machines that were first.
    pub(crate) merged: Merged,
    /// Content that the remote refused, while the rest was sent.
    pub(crate) refusals: Vec<Refusal>,
}

/// Fetches and pushes for one workspace.
pub(crate) struct RemoteSync<'w, 'c> {
    workspace: &'w mut Workspace<'c>,
    refusals: Vec<Refusal>,
    /// True if what the remote refused before is tried again.
    retries_refused: bool,
}

impl<'w, 'c> RemoteSync<'w, 'c> {
    pub(crate) fn new(workspace: &'w mut Workspace<'c>) -> Self {
        Self {
            workspace,
            refusals: Vec::new(),
            retries_refused: true,
        }
    }

    /// Does not try again what the remote has refused before, if `is_backup`.
    pub(crate) fn for_backup(mut self, is_backup: bool) -> Self {
        self.retries_refused = !is_backup;
        self
    }

    /// Fetches what other machines pushed, and merges it.
    ///
    /// # Errors
    /// [`SyncError::Remote`] if the remote cannot be reached.
    pub(crate) fn fetch(&mut self, mode: FetchMode) -> Result<Merged, SyncError> {
        self.with_present_key(|sync| sync.fetch_with_known_key(mode))
    }

    fn fetch_with_known_key(&mut self, mode: FetchMode) -> Result<Merged, SyncError> {
        let remote = self.workspace.remote()?;
        let before = self.workspace.store.head()?;
        let mut merged = self.fetch_and_merge_refs(&remote, mode, false)?;
        if before.is_none() {
            self.merge_damaged(&mut merged)?;
        }
        if self.workspace.store.head()? != before {
            self.workspace.refresh_machines()?;
        }
        Ok(merged)
    }

    /// Fetches as [`Self::fetch`], but an unreachable remote is not an error.
    pub(crate) fn fetch_if_reached(&mut self, mode: FetchMode) -> Result<FetchResult, SyncError> {
        match self.fetch(mode) {
            Ok(merged) => Ok(FetchResult {
                merged,
                unreached: None,
            }),
            Err(SyncError::Remote(e)) => Ok(FetchResult {
                merged: Merged::default(),
                unreached: Some(e.in_one_line()),
            }),
            Err(e) => Err(e),
        }
    }

    /// Fetches if the store has no commit: it is new or was lost, and what the remote holds comes
    /// first.
    ///
    /// If the remote cannot be reached, everything is stored as new; a later merge finds what was
    /// there.
    pub(crate) fn fetch_before_push(&mut self) -> Result<(), SyncError> {
        if self.workspace.store.head()?.is_none() {
            self.fetch_if_reached(FetchMode::Sessions)?;
        }
        Ok(())
    }

    /// Fetches the locks of all machines, and settles those of this one. Merges nothing.
    pub(crate) fn fetch_locks(&mut self) -> Result<(), SyncError> {
        self.with_present_key(|sync| {
            let remote = sync.workspace.remote()?;
            sync.fetch_refs(&remote, FetchMode::SessionsAndLocks)?;
            Ok(())
        })
    }

    /// Repeats a step once if the remote has another key now, which this machine has, too.
    fn with_present_key<T>(
        &mut self,
        mut step: impl FnMut(&mut Self) -> Result<T, SyncError>,
    ) -> Result<T, SyncError> {
        match step(self) {
            Err(e) if adopt_changed_key(self.workspace, &e)? => step(self),
            done => done,
        }
    }

    /// Merges what only a damaged store has that was moved away. One that cannot be read stays
    /// where it is.
    fn merge_damaged(&mut self, merged: &mut Merged) -> Result<(), SyncError> {
        let path = store_path(self.workspace.ctx.env);
        for former in damaged_names(&path).filter(|path| path.join(".git").is_dir()) {
            let store = &self.workspace.store;
            store.add_alternate(&former)?;
            let remote = self.workspace.remote_at(&former)?;
            let seen = store.remote_head()?;
            let fetched = remote.fetch(BRANCH);
            store.set_remote_head(seen.as_ref())?;
            if let Ok(Some(unpushed)) = fetched {
                merged.add(merge_unpushed(self.workspace, unpushed)?);
            }
        }
        Ok(())
    }

    /// Pushes what is committed here, and merges what other machines pushed meanwhile.
    ///
    /// An unreachable remote is not an error: the commits stay, and the next command pushes them.
    pub(crate) fn push(&mut self) -> Result<PushResult, SyncError> {
        let mut merged = Merged::default();
        let has_commits = self.workspace.store.count_unpushed()? > 0;
        let state = if has_commits || self.workspace.leases.are_waiting() {
            match self.with_present_key(|sync| sync.push_until_accepted(&mut merged)) {
                Err(SyncError::Remote(e)) if e.is_rejection() => self.refused(&e)?,
                Err(SyncError::Remote(e)) => self.queued(e.in_one_line())?,
                state => state?,
            }
        } else {
            RemoteState::NotContacted
        };
        let refusals = std::mem::take(&mut self.refusals);
        Ok(PushResult {
            state,
            merged,
            refusals,
        })
    }

    /// Pushes as [`Self::push`], after a fetch in the same command: if nothing is queued,
    /// the remote has everything.
    pub(crate) fn push_remaining(&mut self) -> Result<PushResult, SyncError> {
        let mut pushed = self.push()?;
        if pushed.state == RemoteState::NotContacted && !self.workspace.ctx.offline {
            pushed.state = self.up_to_date(self.workspace.store.remote_head()?);
        }
        Ok(pushed)
    }

    fn push_until_accepted(&mut self, merged: &mut Merged) -> Result<RemoteState, SyncError> {
        let remote = self.workspace.remote()?;
        if self.workspace.leases.are_unsettled() {
            merged.add(self.fetch_and_merge(&remote)?);
        } else if self.has_to_merge()? {
            merged.add(merge_fetched(self.workspace)?);
        }
        for attempt in 0..MAX_ATTEMPTS {
            if self.try_push_or_parts(&remote)? == PushOutcome::Done {
                if !self.workspace.leases.are_waiting() {
                    self.record_contact()?;
                    let commit = self.workspace.store.head()?;
                    return Ok(self.up_to_date(commit));
                }
                // A lock could not be released before the answer to an earlier push was known.
                continue;
            }
            merged.add(self.fetch_and_merge(&remote)?);
            self.workspace.ctx.clock.sleep(pause(attempt));
        }
        self.queued(format!(
            "other machines were faster {MAX_ATTEMPTS} times in a row"
        ))
    }

    /// Returns true if an earlier command fetched and could not merge, or a lock was lost: a push
    /// that expects what was fetched would succeed, and lose it.
    fn has_to_merge(&self) -> Result<bool, SyncError> {
        let store = &self.workspace.store;
        let is_merged = match (store.head()?, store.remote_head()?) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(head), Some(theirs)) => store.contains(&head, &theirs)?,
        };
        let leases = &self.workspace.leases;
        Ok(!is_merged || leases.lost_any(|| unpushed_sessions(store))?)
    }

    /// Pushes once, and in parts what the remote refuses as a whole.
    fn try_push_or_parts(&mut self, remote: &Remote) -> Result<PushOutcome, SyncError> {
        let store = &self.workspace.store;
        let has_commits = store.head()? != store.remote_head()?;
        let refused = &self.workspace.records.refused;
        let knows_refused = has_commits
            && !refused.is_empty()
            && unpushed_sessions(store)?
                .iter()
                .any(|session| refused.get(session).is_some());
        let error = if knows_refused {
            None
        } else {
            match self.try_push(remote) {
                Err(SyncError::Remote(e @ RemoteError::Rejected { .. })) if has_commits => Some(e),
                outcome => return outcome,
            }
        };
        match send_parts(self.workspace, remote, error.as_ref(), self.retries_refused)? {
            PartsResult::Sent(refusals) => {
                self.refusals.extend(refusals);
                Ok(PushOutcome::Done)
            }
            PartsResult::Moved => Ok(PushOutcome::Refused {
                reason: String::new(),
            }),
            PartsResult::Refused(error) => Err(error.into()),
        }
    }

    /// Pushes once, and again without merges if the remote refuses them.
    fn try_push(&mut self, remote: &Remote) -> Result<PushOutcome, SyncError> {
        let linear = self.workspace.remote_rules.refuses(RemoteStep::Merge);
        restack(self.workspace, linear)?;
        let outcome = self.push_once(remote);
        let Some(reason) = outcome
            .as_ref()
            .err()
            .and_then(rejection)
            .map(RemoteError::in_one_line)
        else {
            return outcome;
        };
        if linear || !restack(self.workspace, true)? {
            return outcome;
        }
        let outcome = self.push_once(remote)?;
        if outcome == PushOutcome::Done {
            let now = self.workspace.ctx.clock.now();
            let rules = &mut self.workspace.remote_rules;
            rules.record(RemoteStep::Merge, &reason, now);
        }
        Ok(outcome)
    }

    /// The data and the locks that guard it move together or not at all, if the remote can.
    fn push_once(&mut self, remote: &Remote) -> Result<PushOutcome, SyncError> {
        let store = &self.workspace.store;
        let (head, there) = (store.head()?, store.remote_head()?);
        let mut updates = Vec::new();
        if head != there {
            // The data first: if the disk of the remote fails after it, the lock still guards it.
            updates.push(RefUpdate {
                name: format!("refs/heads/{BRANCH}"),
                new: head.clone(),
                expected: there.clone(),
            });
        }
        if !self.workspace.leases.is_empty() {
            let before = store.snapshot(there.as_ref())?;
            let changed = store.snapshot(head.as_ref())?.changed_since(&before)?;
            let author = Author {
                machine: &self.workspace.machine,
                time: self.workspace.ctx.clock.now(),
                named: self.workspace.ctx.settings.author.as_ref(),
            };
            let rules = &self.workspace.remote_rules;
            let leases = &mut self.workspace.leases;
            updates.extend(leases.updates(store, &author, &changed, rules)?);
        }

        let progress = &self.workspace.ctx.progress;
        progress.begin(Phase::Send, 0, 0);
        fail_point("before a push to the remote");
        let outcome = send(self.workspace, remote, &updates);
        fail_point("after a push to the remote");
        progress.end();
        outcome
    }

    fn fetch_and_merge(&mut self, remote: &Remote) -> Result<Merged, SyncError> {
        self.fetch_and_merge_refs(remote, FetchMode::SessionsAndLocks, true)
    }

    fn fetch_and_merge_refs(
        &mut self,
        remote: &Remote,
        mode: FetchMode,
        before_push: bool,
    ) -> Result<Merged, SyncError> {
        let moved = self.fetch_refs(remote, mode)?;
        if before_push {
            let at_risk = sessions_at_risk(self.workspace, &BTreeSet::new())?;
            record_foreign_locks(self.workspace, &at_risk)?;
        }
        let mut merged = merge_fetched(self.workspace)?;
        merged.has_gone_back = merged.purged.is_none() && moved == Some(RemoteMove::Back);
        Ok(merged)
    }

    /// Fetches, and settles unanswered changes of this machine's locks.
    /// Returns how the remote has moved since the last fetch.
    fn fetch_refs(
        &mut self,
        remote: &Remote,
        mode: FetchMode,
    ) -> Result<Option<RemoteMove>, SyncError> {
        let leases = &self.workspace.leases;
        // A machine with locks must find out whether it still has them.
        let with_locks = mode == FetchMode::SessionsAndLocks || !leases.is_empty();
        let before = self.workspace.store.remote_head()?;
        let progress = &self.workspace.ctx.progress;
        progress.begin(Phase::Fetch, 0, 0);
        fail_point("before a fetch");
        let fetched = if with_locks {
            remote.fetch_with(BRANCH, LOCK_BRANCHES)
        } else {
            remote.fetch(BRANCH)
        };
        fail_point("after a fetch");
        progress.end();
        let fetched = fetched?;
        if fetched.is_none() {
            self.refuse_other_branches(remote)?;
        }
        let store = &self.workspace.store;
        if let Err(e @ StoreError::Encrypted(_)) = store.snapshot(fetched.as_ref()) {
            // Nothing is built on a sealed commit.
            let before = before.filter(|before| store.snapshot(Some(before)).is_ok());
            store.set_remote_head(before.as_ref())?;
            return Err(e.into());
        }
        let moved = match (&before, &fetched) {
            (Some(before), Some(now)) if before != now => Some(self.follow_move(before, now)?),
            _ => None,
        };
        let store = &self.workspace.store;
        store.set_remote_head(fetched.as_ref())?;
        self.record_contact()?;
        let store = &self.workspace.store;
        if with_locks {
            let unpushed = unpushed_sessions(store)?;
            self.workspace.leases.settle(store, &unpushed)?;
        }
        Ok(moved)
    }

    /// Records that the remote has another history, which the merge then follows. One that another
    /// program has made needs a decision of the user.
    fn follow_move(&self, before: &CommitId, now: &CommitId) -> Result<RemoteMove, SyncError> {
        let store = &self.workspace.store;
        let moved = store.remote_move(before, now)?;
        let choice = match moved {
            RemoteMove::Forward => return Ok(moved),
            RemoteMove::Purged => Some(HistoryChoice::Follow),
            _ if self.has_all_merged(before, now)? => return Ok(moved),
            _ => self.workspace.ctx.history_choice,
        };
        match choice {
            Some(HistoryChoice::Refill) => {}
            Some(HistoryChoice::Follow) if store.former_remote_head()?.is_some() => {}
            Some(HistoryChoice::Follow) => store.set_former_remote_head(Some(before))?,
            None => {
                // The next command notices it again.
                store.set_remote_head(Some(before))?;
                check_remote(self.workspace, now)?;
                let there = store.snapshot(Some(now))?.sessions()?;
                let known = store.snapshot(Some(before))?.sessions()?;
                let missing = known.keys().filter(|id| !there.contains_key(*id)).count() as u64;
                return Err(ReplacedHistory { moved, missing }.into());
            }
        }
        Ok(moved)
    }

    /// Returns true if the remote's head `now` has all that was merged here of the former one. What
    /// never was, such as commits that were refused, can go without a question.
    fn has_all_merged(&self, before: &CommitId, now: &CommitId) -> Result<bool, SyncError> {
        let store = &self.workspace.store;
        let Some(head) = store.head()? else {
            return Ok(true);
        };
        let merged = store.merge_base(&head, before)?;
        Ok(merged.map_or(Ok(true), |merged| store.contains(now, &merged))?)
    }

    /// Records that the remote answered: now it is known here as it is.
    fn record_contact(&self) -> Result<(), SyncError> {
        let ctx = self.workspace.ctx;
        let contact = LastFetch {
            remote: remote_url(ctx.env, ctx.settings.remote.as_deref())?.to_string(),
            time: ctx.clock.now(),
        };
        contact.save(ctx.env);
        Ok(())
    }

    /// Refuses a remote without our branch that has others: it is used for something else.
    fn refuse_other_branches(&self, remote: &Remote) -> Result<(), SyncError> {
        let own = format!("refs/heads/{LOCK_BRANCHES}");
        let refs = remote.refs()?;
        let names = refs
            .keys()
            .filter_map(|name| name.strip_prefix("refs/heads/"));
        let mut others = names.filter(|name| !format!("refs/heads/{name}").starts_with(&own));
        let Some(other) = others.next() else {
            return Ok(());
        };
        let configured = self.workspace.ctx.settings.remote.as_deref();
        let error = SetupError::OccupiedRemote {
            remote: remote_url(self.workspace.ctx.env, configured)?.to_string(),
            evidence: format!("it has a branch `{other}`, and no `{BRANCH}`"),
        };
        Err(error.into())
    }

    /// Returns the state of a remote that has every commit.
    fn up_to_date(&self, commit: Option<CommitId>) -> RemoteState {
        match self.workspace.ctx.settings.remote {
            Some(_) => RemoteState::UpToDate { commit },
            None => RemoteState::SavedOnDisk { commit },
        }
    }

    fn refused(&self, error: &RemoteError) -> Result<RemoteState, SyncError> {
        Ok(RemoteState::Refused {
            commits: self.workspace.store.count_unpushed()?,
            reason: whole_text(error),
        })
    }

    fn queued(&self, reason: String) -> Result<RemoteState, SyncError> {
        Ok(RemoteState::Queued {
            commits: self.workspace.store.count_unpushed()?,
            reason,
        })
    }
}

/// Returns a random, growing, bounded pause: machines that collided once should not do so again.
fn pause(attempt: u32) -> Duration {
    let longest = Duration::from_millis(50 << attempt.min(6)).min(MAX_PAUSE);
    longest.mul_f64(fastrand::f64())
}
