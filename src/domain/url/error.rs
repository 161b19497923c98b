//! The reasons why a text is not the address of a remote.

use crate::domain::error::{ErrorKind, UserError};

/// The reason why a text is not the address of a remote. The text, which may hold a password, is
/// not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The text is empty.
    #[error("the remote URL is empty")]
    Empty,
    /// A program would read it as an option.
    #[error("a remote URL must not begin with `-`")]
    LeadingDash,
    /// An address has no line feeds or other control characters.
    #[error("the remote URL contains a control character")]
    ControlCharacter,
    /// `ext::`, `fd::` and others run programs.
    #[error("remote URLs of the form `{0}::…` are not accepted: they run a program")]
    Helper(String),
    /// Git would look for a program to handle it.
    #[error("remote URLs with `{0}://` are not accepted: use https, ssh, file or a path")]
    Scheme(String),
    /// The host is missing, or a program could read it as an option.
    #[error("the remote URL has no valid host name")]
    Host,
    /// The path is missing.
    #[error("the remote URL has no path after its host")]
    NoPath,
}

impl UserError for UrlError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let example = "ccsync init --remote git@github.com:you/sessions.git";
        vec![format!("give a URL, for example `{example}`")]
    }
}
