//! The key of an encrypted store from what the user gives: words, digits, a file or a passphrase.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::{ErrorKind, UserError};
use crate::encryption::{KeyTextError, PassphraseError, StoreHeader, StoreKey, is_like_key};
use crate::sys::fs::PathError;
use crate::workspace::{SyncError, store_key::KeyError, store_key::read_key};

/// Why an answer does not give the key. Never contains it.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// A key, but of another store.
    #[error("this is not the key of this store")]
    Wrong,
    /// A text that is no key.
    #[error(transparent)]
    Text(KeyTextError),
    /// A passphrase.
    #[error(transparent)]
    Passphrase(PassphraseError),
    /// A file.
    #[error(transparent)]
    File(KeyError),
}

impl UserError for AnswerError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::File(e) => e.kind(),
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Wrong | Self::Text(_) => {
                vec!["a machine that has the key shows it with `ccsync key words`".to_owned()]
            }
            Self::Passphrase(_) => vec![
                "a machine that has the key sets another passphrase with `ccsync key passphrase`"
                    .to_owned(),
            ],
            Self::File(e) => e.hints(),
        }
    }
}

impl From<AnswerError> for SyncError {
    fn from(error: AnswerError) -> Self {
        Self::Operation(Box::new(error))
    }
}

/// Returns the key that `answer` gives: 24 words, 64 digits, the path of a file that has them, or
/// the passphrase of the store.
///
/// # Errors
/// [`AnswerError`]; nothing is written in any case.
pub fn key_of_answer(
    answer: &str,
    header: &StoreHeader,
    typed_path: impl Fn(&Path) -> PathBuf,
) -> Result<StoreKey, AnswerError> {
    let path = typed_path(Path::new(answer.trim()));
    let key = if is_like_key(answer) {
        StoreKey::parse(answer).map_err(AnswerError::Text)?
    } else if !answer.trim().is_empty() && path.is_file() {
        return key_of_file(&path, header);
    } else {
        match header
            .open_passphrase(answer)
            .map_err(AnswerError::Passphrase)?
        {
            Some(key) => key,
            None => StoreKey::parse(answer).map_err(AnswerError::Text)?,
        }
    };
    checked(key, header)
}

/// Returns the key in a file.
///
/// # Errors
/// [`AnswerError`]
pub fn key_of_file(path: &Path, header: &StoreHeader) -> Result<StoreKey, AnswerError> {
    let missing = || PathError::new("read", path, io::ErrorKind::NotFound.into()).into();
    let read = read_key(path).and_then(|key| key.ok_or_else(missing));
    checked(read.map_err(AnswerError::File)?, header)
}

fn checked(key: StoreKey, header: &StoreHeader) -> Result<StoreKey, AnswerError> {
    if header.has_key(&key) {
        Ok(key)
    } else {
        Err(AnswerError::Wrong)
    }
}
