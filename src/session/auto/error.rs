//! Errors of turning working by itself on and off.

use std::path::PathBuf;

use super::super::client_settings::SettingsError;
use crate::domain::{ErrorKind, UserError};
use crate::sys::fs::PathError;

/// Error: the client's settings, or the plugin, cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum AutoError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A file is not what the client reads.
    #[error("cannot change `{}`: {source}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: SettingsError,
    },
    /// Something else has the place of the plugin.
    #[error("cannot write the plugin: `{}` is not from ccsync", .0.display())]
    Occupied(PathBuf),
    /// The system does not tell where this program is.
    #[error("the path of this program is unknown")]
    NoProgram,
}

impl UserError for AutoError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Path(e) => e.kind(),
            Self::Settings { .. } | Self::Occupied(_) | Self::NoProgram => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Path(e) => e.hints(),
            Self::Settings { .. } => {
                vec!["correct the file, and run the command again".to_owned()]
            }
            Self::Occupied(_) => {
                vec!["move it away, or put the hooks into the settings: ccsync auto on".to_owned()]
            }
            Self::NoProgram => Vec::new(),
        }
    }
}
