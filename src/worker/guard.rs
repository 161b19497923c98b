//! The guard: refuses a prompt once if another machine continues the session.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::status::{Elsewhere, WorkerStatus};
use crate::domain::SessionId;
use crate::sys::Env;
use crate::sys::fs::{remove_file_if_exists, write_cache};

/// What was known when the user was told.
struct Warning<'a> {
    env: &'a Env,
    session: &'a SessionId,
}

/// Returns another machine that continues the session, unless the user was told since the client
/// opened it. Remembers that the user is told now.
pub(super) fn refuse_once(
    env: &Env,
    session: &SessionId,
    now: DateTime<Utc>,
) -> Option<Elsewhere> {
    let status = WorkerStatus::read(env)?;
    let elsewhere = status.elsewhere(session, now)?;
    let warning = Warning { env, session };
    // Without a record the same prompt would be refused again and again.
    let is_new = !warning.is_for(elsewhere) && warning.record(elsewhere);
    is_new.then(|| elsewhere.clone())
}

/// Forgets what the user was told: the client has opened the session again.
pub(super) fn forget(env: &Env, session: &SessionId) {
    // If it stays, the user is not told again.
    let _ = remove_file_if_exists(&Warning { env, session }.path());
}

impl Warning<'_> {
    fn path(&self) -> PathBuf {
        super::directory(self.env)
            .join("warned")
            .join(self.session.as_str())
    }

    /// Another machine is news, further turns of the same one are not.
    fn is_for(&self, elsewhere: &Elsewhere) -> bool {
        std::fs::read(self.path()).is_ok_and(|machine| machine == elsewhere.machine.as_bytes())
    }

    fn record(&self, elsewhere: &Elsewhere) -> bool {
        write_cache(&self.path(), elsewhere.machine.as_bytes()).is_ok()
    }
}
