//! The key of an encrypted store, as this machine has it: the variable `CCSYNC_KEY`, the output of
//! the command in the settings, or a file that only this user can read.
//!
//! Never writes a key anywhere but to that file, and never shows one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::domain::{ErrorKind, UserError, shell::shell_word};
use crate::encryption::{KeyTextError, StoreHeader, StoreKey};
use crate::sys::{
    Env, env::KEY_VARIABLE, fs::PathError, fs::access, fs::read_to_string_if_exists,
    fs::remove_file_if_exists, fs::write_atomic, process::ProcessError, process::Program,
};

/// Time after which a silent command is stopped: the user may have to unlock something.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// First line of the file.
const FILE_HEADER: &str =
    "# The key of the encrypted store of ccsync: keep it secret, and a copy elsewhere";

/// The last output of the command: a daemon asks for it again and again.
static LAST_OUTPUT: Mutex<Option<(String, StoreKey)>> = Mutex::new(None);

/// The place of a key on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `CCSYNC_KEY`.
    Variable,
    /// The setting `key_command`.
    Command,
    /// A file.
    File(PathBuf),
}

/// A key, and its place.
#[derive(Debug, Clone)]
pub struct FoundKey {
    /// The key.
    pub key: StoreKey,
    /// Its place.
    pub source: KeySource,
}

/// Why this machine has no key that opens the store.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no key.
    #[error("the store is encrypted, and this machine has no key for it")]
    Missing(Box<StoreHeader>),
    /// There is another one.
    #[error("the key from {place} is not the key of this store")]
    Wrong {
        /// Its place.
        place: KeySource,
        /// The header of the store.
        header: Box<StoreHeader>,
    },
    /// The store has a new key since.
    #[error("the key of the store was changed on another machine")]
    Changed(Box<StoreHeader>),
    /// The text is not a key.
    #[error("no key in {place}")]
    Text {
        /// Its place.
        place: KeySource,
        /// The reason.
        #[source]
        source: KeyTextError,
    },
    /// The command failed.
    #[error("`key_command` failed ({status})")]
    CommandFailed {
        /// Its exit status.
        status: String,
        /// Its standard error.
        #[source]
        message: CommandMessage,
    },
    /// The command could not be run.
    #[error("cannot run `key_command`")]
    Process(#[source] ProcessError),
    /// Others can read the file.
    #[error("other users can read the key in `{}`", .0.display())]
    OpenFile(PathBuf),
    /// The file could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// The standard error of a command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CommandMessage(String);

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => f.write_str(KEY_VARIABLE),
            Self::Command => f.write_str("`key_command`"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

impl UserError for KeyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Process(ProcessError::Interrupted(e)) => e.kind(),
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        let enter = "enter it with `ccsync init`".to_owned();
        match self {
            Self::Missing(_) => vec![
                enter,
                "a machine that has it shows it with `ccsync key words`".to_owned(),
            ],
            Self::Changed(_) => vec![
                "enter the new key with `ccsync init`; nothing is lost".to_owned(),
                "a machine that has it shows it with `ccsync key words`".to_owned(),
            ],
            Self::Wrong {
                place: KeySource::Variable,
                ..
            } => {
                vec![format!("set {KEY_VARIABLE} to the key of this store, or unset it")]
            }
            Self::Wrong {
                place: KeySource::Command,
                ..
            } => vec![
                "let the command print the key of this store: `ccsync config set key_command COMMAND`"
                    .to_owned(),
            ],
            Self::Wrong {
                place: KeySource::File(_),
                ..
            } => vec![
                enter,
                "if it was changed on another machine, that one shows it with `ccsync key words`"
                    .to_owned(),
            ],
            Self::Text { .. } => {
                vec!["a machine that has the key shows it with `ccsync key show`".to_owned()]
            }
            Self::CommandFailed { .. } | Self::Process(_) => {
                vec!["see the command with `ccsync config get key_command`".to_owned()]
            }
            Self::OpenFile(path) => vec![format!("close it with `chmod 600 {}`", shell_word(path))],
            Self::Path(e) => e.hints(),
        }
    }
}

/// Returns the first key of this machine that opens the store: of the variable, of the command, of
/// the file.
///
/// # Errors
/// [`KeyError`]; [`KeyError::Wrong`] for the first key if no key opens the store.
pub fn find_key(
    env: &Env,
    command: Option<&str>,
    header: &StoreHeader,
) -> Result<FoundKey, KeyError> {
    let mut wrong = None;
    let mut check = |found: Option<FoundKey>| {
        let found = found?;
        if header.has_key(&found.key) {
            return Some(found);
        }
        wrong.get_or_insert(found.source);
        None
    };
    if let Some(found) = check(key_in_variable(env)?) {
        return Ok(found);
    }
    if let Some(command) = command {
        if let Some(found) = check(last_output(command)) {
            return Ok(found);
        }
        if let Some(found) = check(Some(key_of_command(command, env)?)) {
            return Ok(found);
        }
    }
    if let Some(found) = check(key_in_file(key_path(env))?) {
        return Ok(found);
    }
    if let Some(found) = check(key_in_file(next_key_path(env))?) {
        // The process that made it was killed after the remote had it.
        adopt_next_key(env, &found.key)?;
        return Ok(FoundKey {
            source: KeySource::File(key_path(env)),
            ..found
        });
    }
    let header = Box::new(header.clone());
    Err(match wrong {
        None => KeyError::Missing(header),
        Some(place) => KeyError::Wrong { place, header },
    })
}

/// Returns the key of this machine for a store whose key was changed.
///
/// # Errors
/// [`KeyError::Changed`] if this machine does not have it.
pub fn find_changed_key(
    env: &Env,
    command: Option<&str>,
    header: &StoreHeader,
) -> Result<FoundKey, KeyError> {
    find_key(env, command, header).map_err(|error| match error {
        KeyError::Missing(header) | KeyError::Wrong { header, .. } => KeyError::Changed(header),
        error => error,
    })
}

/// Returns the path of the file with the key.
pub fn key_path(env: &Env) -> PathBuf {
    env.dirs.config.join("key")
}

/// Returns the path of the file with a new key that the remote may not have yet.
pub fn next_key_path(env: &Env) -> PathBuf {
    env.dirs.config.join("key.next")
}

/// Writes a file with a key, readable by its owner only. What it replaces is kept beside it: it
/// may be the only copy of the key of another store.
///
/// # Errors
/// [`PathError`]
pub fn save_key(path: &Path, key: &StoreKey) -> Result<(), PathError> {
    if let Some(former) = read_to_string_if_exists(path)?.map(Zeroizing::new)
        && !former.contains(&**key.to_digits())
        && let Some(free) = former_key_paths(path).find(|path| !path.exists())
    {
        write_atomic(&free, former.as_bytes())?;
    }
    let digits = key.to_digits();
    let text = Zeroizing::new([FILE_HEADER, "\n", &digits, "\n"].concat());
    write_atomic(path, text.as_bytes())
}

/// Returns the names under which former keys are kept.
fn former_key_paths(path: &Path) -> impl Iterator<Item = PathBuf> {
    let numbers = std::iter::once(String::new()).chain((2..100).map(|n| format!("-{n}")));
    numbers.map(|number| path.with_file_name(format!("key.former{number}")))
}

/// Makes a new key of a store the key of this machine, after the remote has it.
///
/// # Errors
/// [`PathError`]
pub fn adopt_next_key(env: &Env, key: &StoreKey) -> Result<(), PathError> {
    save_key(&key_path(env), key)?;
    remove_file_if_exists(&next_key_path(env)).map(drop)
}

/// Reads a key from a file, whatever its permissions are; `None` if there is no file.
///
/// # Errors
/// [`KeyError`]
pub fn read_key(path: &Path) -> Result<Option<StoreKey>, KeyError> {
    let Some(text) = read_to_string_if_exists(path)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    let is_text = |line: &&str| !line.trim_start().starts_with('#');
    let mut lines = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.lines().filter(is_text) {
        lines.push_str(line);
        lines.push('\n');
    }
    let key = StoreKey::parse(&lines).map_err(|source| KeyError::Text {
        place: KeySource::File(path.to_owned()),
        source,
    })?;
    Ok(Some(key))
}

fn key_in_file(path: PathBuf) -> Result<Option<FoundKey>, KeyError> {
    if access(&path).is_some_and(|access| access.others) {
        return Err(KeyError::OpenFile(path));
    }
    let key = read_key(&path)?;
    Ok(key.map(|key| FoundKey {
        key,
        source: KeySource::File(path),
    }))
}

/// Returns the key in the variable, if it is set.
///
/// # Errors
/// [`KeyError::Text`]
pub fn key_in_variable(env: &Env) -> Result<Option<FoundKey>, KeyError> {
    let Some(text) = &env.store_key else {
        return Ok(None);
    };
    let key = StoreKey::parse(text).map_err(|source| KeyError::Text {
        place: KeySource::Variable,
        source,
    })?;
    Ok(Some(FoundKey {
        key,
        source: KeySource::Variable,
    }))
}

/// Returns the key that the user gives in place of a file, for a store that is to be encrypted.
///
/// # Errors
/// [`KeyError`]
pub fn given_key(env: &Env, command: Option<&str>) -> Result<Option<FoundKey>, KeyError> {
    match (key_in_variable(env)?, command) {
        (Some(found), _) => Ok(Some(found)),
        (None, Some(command)) => key_of_command(command, env).map(Some),
        (None, None) => Ok(None),
    }
}

/// Returns what the command printed before in this process.
fn last_output(command: &str) -> Option<FoundKey> {
    let last = LAST_OUTPUT.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, key) = last.as_ref().filter(|(last, _)| last == command)?;
    Some(FoundKey {
        key: key.clone(),
        source: KeySource::Command,
    })
}

/// Runs the command as git runs a credential helper: through the shell.
fn key_of_command(command: &str, env: &Env) -> Result<FoundKey, KeyError> {
    let shell = if cfg!(windows) {
        Program::new("cmd").args(["/C", command])
    } else {
        Program::new("sh").args(["-c", command])
    };
    let output = shell
        .current_dir(&env.home)
        .silence_limit(COMMAND_LIMIT)
        .run()
        .map_err(KeyError::Process)?;
    let text = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(KeyError::CommandFailed {
            status: output.status.to_string(),
            message: CommandMessage(output.stderr.trim().to_owned()),
        });
    }
    let text = std::str::from_utf8(&text).unwrap_or_default();
    let key = StoreKey::parse(text).map_err(|source| KeyError::Text {
        place: KeySource::Command,
        source,
    })?;

    let mut last = LAST_OUTPUT.lock().unwrap_or_else(PoisonError::into_inner);
    *last = Some((command.to_owned(), key.clone()));
    Ok(FoundKey {
        key,
        source: KeySource::Command,
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn key(byte: u8) -> StoreKey {
        StoreKey::from_bytes([byte; StoreKey::LEN])
    }

    #[test]
    fn key_file_is_private_and_keeps_what_it_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config").join("key");
        assert!(read_key(&path).unwrap().is_none());
        for byte in [1, 1, 2, 3] {
            save_key(&path, &key(byte)).unwrap();
            assert!(read_key(&path).unwrap() == Some(key(byte)));
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let former = |name: &str| read_key(&path.with_file_name(name)).unwrap();
        assert!(former("key.former") == Some(key(1)) && former("key.former-2") == Some(key(2)));
        assert!(former("key.former-3").is_none());
    }

    #[test]
    fn key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        save_key(&path, &key(1)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = key_in_file(path.clone()).unwrap_err();
        let hint = refused.hints().join("\n");
        assert_eq!(
            hint,
            format!("close it with `chmod 600 {}`", path.display())
        );
        assert!(!format!("{refused:?}").contains("0101"));
    }
}
