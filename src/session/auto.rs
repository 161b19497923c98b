//! Turns working by itself on and off: the hooks in the client's `settings.json`.
//!
//! Keeps the settings as they were, so that turning it off restores them byte for byte if they
//! have not changed since. Else only this program's own parts are removed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::client_settings::{
    SettingsError, add_hooks, add_status_line, are_hooks_off, has_status_line, installed_hooks,
    program_of_hooks, without_own_parts,
};
use crate::domain::{ErrorKind, HookEvent, UserError};
use crate::sys::Env;
use crate::sys::fs::{
    PathError, read_to_string_if_exists, remove_file_if_exists, resolve_links, write_atomic,
};

/// Error: the client's settings cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum AutoError {
    /// They cannot be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// They are not what the client reads.
    #[error("cannot change `{}`: {source}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: SettingsError,
    },
    /// The system does not tell where this program is.
    #[error("the path of this program is unknown")]
    NoProgram,
}

/// A change of the client's settings, not yet made.
#[derive(Debug)]
pub struct SettingsChange {
    /// The file, links resolved.
    pub path: PathBuf,
    /// Its text; `None`: there is no file.
    pub before: Option<String>,
    /// Its new text; `None`: the file is removed.
    pub after: Option<String>,
}

/// The present state of the client's settings.
#[derive(Debug, Serialize)]
pub struct AutoState {
    /// The client's settings.
    pub settings: PathBuf,
    /// Events whose hook is in them.
    pub hooks: Vec<HookEvent>,
    /// True if the settings turn all hooks off.
    pub hooks_are_off: bool,
    /// True if they have a status line, of any program.
    pub has_status_line: bool,
    /// The program that the hooks run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
}

/// The settings before and after hooks were added. Kept in the state directory.
#[derive(Debug, Serialize, Deserialize)]
struct KeptSettings {
    path: PathBuf,
    before: Option<String>,
    after: String,
}

impl AutoState {
    /// Returns true if all hooks are set up.
    pub fn is_on(&self) -> bool {
        self.hooks == HookEvent::ALL
    }
}

impl SettingsChange {
    /// Returns true if there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }

    fn make(&self) -> Result<(), PathError> {
        match &self.after {
            _ if self.is_empty() => Ok(()),
            Some(text) => write_with_same_rights(&self.path, text),
            None => remove_file_if_exists(&self.path).map(drop),
        }
    }
}

/// Returns the present state.
///
/// # Errors
/// If the settings cannot be read.
pub fn auto_state(env: &Env) -> Result<AutoState, AutoError> {
    let settings = settings_path(env);
    let text = read_to_string_if_exists(&settings)?.unwrap_or_default();
    Ok(AutoState {
        hooks: installed_hooks(&text),
        hooks_are_off: are_hooks_off(&text),
        has_status_line: has_status_line(&text),
        program: program_of_hooks(&text).map(PathBuf::from),
        settings,
    })
}

/// Returns the change that turns it on. Adds a status line if one is wanted
/// and missing.
///
/// # Errors
/// [`AutoError`]
pub fn plan_on(env: &Env, status_line: bool) -> Result<SettingsChange, AutoError> {
    let program = env.program.as_deref().and_then(Path::to_str);
    let program = program.ok_or(AutoError::NoProgram)?;
    let path = settings_path(env);
    let before = read_to_string_if_exists(&path)?;
    let text = before.clone().unwrap_or_default();
    let text = add_hooks(&text, program).and_then(|text| match status_line {
        true => add_status_line(&text, program),
        false => Ok(text),
    });
    match text {
        Ok(text) => Ok(SettingsChange {
            path,
            before,
            after: Some(text),
        }),
        Err(source) => Err(AutoError::Settings { path, source }),
    }
}

/// Returns the change that turns it off.
///
/// # Errors
/// [`AutoError`]
pub fn plan_off(env: &Env) -> Result<SettingsChange, AutoError> {
    let path = settings_path(env);
    let before = read_to_string_if_exists(&path)?;
    let kept = kept_settings(env).filter(|kept| kept.path == path);
    let after = match (&before, kept) {
        (Some(text), Some(kept))
            if *text == kept.after && !has_own_parts(kept.before.as_deref()) =>
        {
            kept.before
        }
        (Some(text), _) => match without_own_parts(text) {
            Ok(text) => Some(text),
            Err(source) => return Err(AutoError::Settings { path, source }),
        },
        (None, _) => None,
    };
    Ok(SettingsChange {
        path,
        before,
        after,
    })
}

/// Turns it on by `change`.
///
/// # Errors
/// If a file cannot be written. Then the settings are unchanged.
pub fn turn_on(env: &Env, change: &SettingsChange) -> Result<(), AutoError> {
    let Some(after) = change.after.clone().filter(|_| !change.is_empty()) else {
        return Ok(());
    };
    let known = kept_settings(env).filter(|kept| Some(&kept.after) == change.before.as_ref());
    let before = match known {
        // The hooks were there already: the settings before them are what was kept.
        Some(kept) => kept.before,
        None => change.before.clone(),
    };
    let kept = KeptSettings {
        path: change.path.clone(),
        before,
        after,
    };
    let json = serde_json::to_vec(&kept).expect("two texts are JSON");
    write_atomic(&kept_path(env), &json)?;
    Ok(change.make()?)
}

/// Turns it off by `change`.
///
/// # Errors
/// If a file cannot be written.
pub fn turn_off(env: &Env, change: &SettingsChange) -> Result<(), AutoError> {
    change.make()?;
    remove_file_if_exists(&kept_path(env))?;
    Ok(())
}

fn has_own_parts(settings: Option<&str>) -> bool {
    let text = settings.unwrap_or_default();
    without_own_parts(text).is_ok_and(|without| without != text)
}

fn write_with_same_rights(path: &Path, text: &str) -> Result<(), PathError> {
    let rights = std::fs::metadata(path)
        .map(|metadata| metadata.permissions())
        .ok();
    write_atomic(path, text.as_bytes())?;
    if let Some(rights) = rights {
        std::fs::set_permissions(path, rights).map_err(|e| PathError::new("write", path, e))?;
    }
    Ok(())
}

/// Settings are often a link to a file that the user keeps in a repository.
fn settings_path(env: &Env) -> PathBuf {
    resolve_links(&env.claude_dir.join("settings.json"))
}

fn kept_path(env: &Env) -> PathBuf {
    env.dirs.state.join("client-settings.json")
}

fn kept_settings(env: &Env) -> Option<KeptSettings> {
    serde_json::from_slice(&std::fs::read(kept_path(env)).ok()?).ok()
}

impl UserError for AutoError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Path(e) => e.kind(),
            Self::Settings { .. } | Self::NoProgram => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Path(e) => e.hints(),
            Self::Settings { .. } => {
                vec!["correct the file, and run the command again".to_owned()]
            }
            Self::NoProgram => Vec::new(),
        }
    }
}
