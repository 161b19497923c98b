//! The umask: restricted for this process, the user's own for its children.

#[cfg(unix)]
pub use unix::restrict_umask;
#[cfg(unix)]
pub(crate) use unix::users_umask;

#[cfg(unix)]
mod unix {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use rustix::fs::Mode;
    use rustix::process::umask;

    /// The umask that this process was started with, once it has been restricted.
    static USERS: Mutex<Option<Mode>> = Mutex::new(None);

    /// Makes every file that this process creates private, also through libraries.
    ///
    /// Child processes still get the user's own umask: the client creates the user's files.
    pub fn restrict_umask() {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        let before = umask(Mode::from_raw_mode(0o077));
        users.get_or_insert(before);
    }

    /// While this lives, the process has the user's umask again. Held while a child is started.
    pub(crate) struct UsersUmask(MutexGuard<'static, Option<Mode>>);

    pub(crate) fn users_umask() -> UsersUmask {
        let users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mode) = *users {
            umask(mode);
        }
        UsersUmask(users)
    }

    impl Drop for UsersUmask {
        fn drop(&mut self) {
            if self.0.is_some() {
                umask(Mode::from_raw_mode(0o077));
            }
        }
    }
}

/// Does nothing: Windows has no umask, and the user's profile is private.
#[cfg(not(unix))]
pub fn restrict_umask() {}

/// As on Unix, where it has an effect.
#[cfg(not(unix))]
pub(crate) struct UsersUmask;

#[cfg(not(unix))]
pub(crate) fn users_umask() -> UsersUmask {
    UsersUmask
}
