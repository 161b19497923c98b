//! The guard: refuses a prompt once if another machine continues the session.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::status::DaemonStatus;
use crate::domain::SessionId;
use crate::keeper::session_status::Elsewhere;
use crate::sys::Env;
use crate::sys::fs::{remove_file_if_exists, write_cache};

/// The warning about a session that the user has seen.
struct Warning<'a> {
    env: &'a Env,
    session: &'a SessionId,
}

/// Returns the other machine that continues the session, unless the user has seen this since the
/// client opened the session. Records that the user sees it now.
pub(super) fn refuse_once(env: &Env, session: &SessionId, now: DateTime<Utc>) -> Option<Elsewhere> {
    let status = DaemonStatus::read(env)?;
    let elsewhere = status.elsewhere(session, now)?;
    let warning = Warning { env, session };
    // Without a record the same prompt would be refused again and again.
    let is_new = !warning.is_for(elsewhere) && warning.record(elsewhere);
    is_new.then(|| elsewhere.clone())
}

/// Forgets the warning: the client has opened the session again.
pub(super) fn forget(env: &Env, session: &SessionId) {
    // If the record stays, the user is not warned again.
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
