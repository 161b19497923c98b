//! Tries on the remote what a lock needs: to create, move and delete a branch. Leaves nothing
//! there, or, if the remote keeps every branch, one lock that has expired.

use chrono::{DateTime, Utc};

use crate::domain::{CommitAuthor, id::CommitId, id::SessionId};
use crate::lock::{Stamp, record::Identity, record::LockRecord};
use crate::remote::Remote;
use crate::store::{Author, Store, lock_ref, machine::Machine};
use crate::sys::clock::Clock;
use crate::transport::{PushOutcome, remote::RefUpdate, remote::RemoteError};
use crate::workspace::{RemoteStep, error::SyncError};

/// Tools of a trial.
pub(crate) struct LockTrial<'a> {
    pub(crate) store: &'a Store,
    pub(crate) remote: &'a Remote,
    pub(crate) machine: &'a Machine,
    pub(crate) author: Option<&'a CommitAuthor>,
    pub(crate) clock: &'a dyn Clock,
    /// The branch of an earlier trial that the remote has kept.
    pub(crate) kept: Option<CommitId>,
    /// Also tries what a push of sessions may need.
    pub(crate) thorough: bool,
}

/// Steps that the remote refuses, with its words.
#[derive(Debug, Default)]
pub(crate) struct TrialResult {
    pub(crate) refused: Vec<(RemoteStep, String)>,
}

impl TrialResult {
    pub(crate) fn refusal(&self, step: RemoteStep) -> Option<&str> {
        let of_step = self.refused.iter().find(|(refused, _)| *refused == step);
        of_step.map(|(_, reason)| reason.as_str())
    }
}

/// Returns the session whose lock a machine uses for trials. Its branch is the same every time,
/// so that a remote that keeps every branch keeps one.
pub(crate) fn trial_session(machine: &Machine) -> SessionId {
    let id = uuid::Uuid::parse_str(machine.id.as_str()).unwrap_or_default();
    let session = id.hyphenated().to_string().parse();
    session.expect("a UUID is a session id")
}

impl LockTrial<'_> {
    /// Tries to create, move and delete the branch of a lock.
    ///
    /// # Errors
    /// If the remote cannot be reached.
    pub(crate) fn run(&self) -> Result<TrialResult, SyncError> {
        let mut result = TrialResult::default();
        let now = self.clock.now();
        let session = trial_session(self.machine);
        let first = LockRecord::first(
            session,
            &Identity::for_this_process(self.machine),
            Stamp::new(now),
        );

        let mut current = self.kept.clone();
        if current.is_none() {
            let commit = self.commit(&first)?;
            match self.change(None, Some(&commit))? {
                None => current = Some(commit),
                Some(reason) => {
                    result.refused.push((RemoteStep::CreateLock, reason));
                    return Ok(result);
                }
            }
        }
        // If the branch stays, it stays as a lock that has been released.
        let moved = self.commit(&first.released(Stamp::new(now)))?;
        match self.change(current.as_ref(), Some(&moved))? {
            None => current = Some(moved),
            Some(reason) => result.refused.push((RemoteStep::MoveLock, reason)),
        }
        let can_move = result.refused.is_empty();
        if self.thorough
            && let Some(branch) = current.as_mut()
        {
            if !self.remote.knows_atomic(&self.update(None, Some(branch)))? {
                let reason = "it does not know `--atomic`".to_owned();
                result.refused.push((RemoteStep::Together, reason));
            }
            if can_move {
                self.try_merge(branch, &mut result)?;
            }
        }
        if let Some(reason) = self.change(current.as_ref(), None)? {
            result.refused.push((RemoteStep::DeleteLock, reason));
        }
        Ok(result)
    }

    /// Tries to move the branch to a merge, and back.
    fn try_merge(&self, branch: &mut CommitId, result: &mut TrialResult) -> Result<(), SyncError> {
        let now = self.clock.now();
        let record = LockRecord::first(
            trial_session(self.machine),
            &Identity::for_this_process(self.machine),
            Stamp::new(now),
        );
        let other = self.commit(&record)?;
        let merge = self
            .store
            .write_merge(&[branch.clone(), other], &self.author_at(now))?;
        if let Some(reason) = self.change(Some(branch), Some(&merge))? {
            result.refused.push((RemoteStep::Merge, reason));
            return Ok(());
        }
        let back = self.commit(&record.released(Stamp::new(now)))?;
        *branch = match self.change(Some(&merge), Some(&back))? {
            None => back,
            Some(_) => merge,
        };
        Ok(())
    }

    fn author_at(&self, time: DateTime<Utc>) -> Author<'_> {
        Author {
            machine: self.machine,
            time,
            named: self.author,
        }
    }

    fn commit(&self, record: &LockRecord) -> Result<CommitId, SyncError> {
        let author = self.author_at(record.renewed);
        Ok(self.store.write_lock(&record.to_json(), &author)?)
    }

    fn update(&self, expected: Option<&CommitId>, new: Option<&CommitId>) -> RefUpdate {
        RefUpdate {
            name: lock_ref(&trial_session(self.machine)),
            new: new.cloned(),
            expected: expected.cloned(),
        }
    }

    /// Returns the reason if the remote refuses the change.
    fn change(
        &self,
        expected: Option<&CommitId>,
        new: Option<&CommitId>,
    ) -> Result<Option<String>, SyncError> {
        match self.remote.push(&[self.update(expected, new)]) {
            Ok(PushOutcome::Done) => Ok(None),
            Ok(PushOutcome::Refused { reason }) => Ok(Some(reason)),
            Err(e) if is_answer(&e) => Ok(Some(e.in_one_line())),
            Err(e) => Err(e.into()),
        }
    }
}

/// Returns true for errors that are the server's answer.
fn is_answer(error: &RemoteError) -> bool {
    matches!(
        error,
        RemoteError::Rejected { .. } | RemoteError::Denied { .. } | RemoteError::Failed { .. }
    )
}
