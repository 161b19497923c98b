//! The kind and the hints of errors that users can meet. Each error defines its own.
//!
//! Must not know any error.

use std::error::Error;

/// Category of an error; selects the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// Something on this machine has to be changed first.
    Failed,
    /// The network or the remote failed; local work can continue.
    Remote,
    /// This machine's store is damaged and can be fetched again.
    DamagedStore,
    /// The command line is wrong.
    Usage,
    /// Another process or machine holds the session's lock.
    Locked,
    /// Another `ccsync` is running on this machine.
    Busy,
    /// The user answered no, so nothing was done.
    Declined,
    /// The user interrupted or cancelled.
    Interrupted,
    /// A bug in this program.
    Internal,
}

/// An error that a user can meet.
pub trait UserError: Error + Send + Sync + 'static {
    /// Returns the category.
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }

    /// Returns the hints: each is one line, what to do, with the exact command.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns true if the user must decide about a new history of the remote first.
    fn needs_history_choice(&self) -> bool {
        false
    }

    /// Returns true if only one session is affected, so that the others can continue.
    fn is_about_one_session(&self) -> bool {
        false
    }
}

impl Error for Box<dyn UserError> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        (**self).source()
    }
}

/// The way to update ccsync. It names no registry: there the name belongs to an unrelated program.
pub const UPDATE_CCSYNC: &str = "update ccsync: `ccsync self-update` does it, or says how";

/// Returns the hint for a bug in this program.
pub fn please_report() -> String {
    format!(
        "please report these lines and the command you typed; this is ccsync {}",
        env!("CARGO_PKG_VERSION")
    )
}

/// Returns an error and its causes as one line of text.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}
