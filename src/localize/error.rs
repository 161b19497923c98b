//! Errors of converting between stored lines and local text.

use crate::domain::{ErrorKind, SecretName, SessionId, UserError};
use crate::rewrite::Oversized;
use crate::session::SessionError;
use crate::store::StoreError;
use crate::sys::{Interrupted, fs::PathError};

/// Error: stored lines cannot be converted to local text, or the other way.
#[derive(Debug, thiserror::Error)]
pub enum StoredDataError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Claude Code's files.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A file.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A manifest that passed its checks contradicts the text it describes.
    #[error("session {session} in the store contradicts its manifest")]
    Inconsistent {
        /// The session.
        session: SessionId,
    },
    /// The settings keep secrets from being stored without a decision.
    #[error("held because of {}", list_secrets(names))]
    HeldSecrets {
        /// The secrets.
        names: Vec<SecretName>,
    },
    /// A secret cannot be replaced so that the line comes back exactly.
    #[error("a secret in line {line} of {file} cannot be masked exactly")]
    UnmaskedSecret {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
    },
    /// Expansion would make very much text from a few bytes.
    #[error("cannot use session {session} from the store")]
    Oversized {
        /// The session.
        session: SessionId,
        /// The cause.
        source: Oversized,
    },
}

/// Names secrets, with the commands that decide about them.
fn list_secrets(names: &[SecretName]) -> String {
    let shown = names
        .iter()
        .map(|name| format!("{} {}", name.form(), name.id()));
    let first = names.first().map_or("ID", SecretName::id);
    format!(
        "{}; decide with: ccsync secrets mask|allow|ignore {first}",
        shown.collect::<Vec<_>>().join(", ")
    )
}

impl UserError for StoredDataError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(e) => e.kind(),
            Self::Session(e) => e.kind(),
            Self::Path(e) => e.kind(),
            Self::Interrupted(e) => e.kind(),
            Self::Inconsistent { .. }
            | Self::Oversized { .. }
            | Self::UnmaskedSecret { .. }
            | Self::HeldSecrets { .. } => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Store(e) => e.hints(),
            Self::Session(e) => e.hints(),
            Self::Path(e) => e.hints(),
            Self::Interrupted(e) => e.hints(),
            Self::UnmaskedSecret { .. } | Self::HeldSecrets { .. } => Vec::new(),
            Self::Inconsistent { .. } | Self::Oversized { .. } => {
                vec!["run `ccsync push` on a machine that has the session".to_owned()]
            }
        }
    }

    fn is_about_one_session(&self) -> bool {
        match self {
            Self::Store(e) => e.is_about_one_session(),
            Self::Session(e) => e.is_about_one_session(),
            Self::Path(e) => e.is_about_one_session(),
            Self::Interrupted(_) => false,
            Self::Inconsistent { .. }
            | Self::Oversized { .. }
            | Self::UnmaskedSecret { .. }
            | Self::HeldSecrets { .. } => true,
        }
    }
}
