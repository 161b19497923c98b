//! The changes that turn working by itself on and off, and making them.

use std::path::Path;

use super::super::client_settings::{
    SettingsError, add_hooks, add_status_line, has_own_status_line, remove_hooks,
};
use super::kept::{AutoChange, ClientFileChange, KeptFiles};
use super::paths::settings_path;
use super::plugin_plan::{plan_plugin_off, plan_plugin_on};
use super::{AutoError, HookPlace};
use crate::sys::Env;
use crate::sys::fs::read_to_string_if_exists;
use crate::sys::own_program::lasting_program;

/// Returns the change that turns it on, with the hooks in `place` and nowhere else. Adds a status
/// line if one is wanted and missing.
///
/// # Errors
/// [`AutoError`]
pub fn plan_on(env: &Env, place: HookPlace, status_line: bool) -> Result<AutoChange, AutoError> {
    let program = lasting_program(env).ok_or(AutoError::NoProgram)?;
    let program = program.to_str().ok_or(AutoError::NoProgram)?;
    let kept = KeptFiles::read(env);
    let settings = change_settings(env, |path, text| {
        let has_line = status_line || text.is_some_and(has_own_status_line);
        let with_hooks = match place {
            HookPlace::Settings => Some(add_hooks(text.unwrap_or_default(), program)?),
            HookPlace::Plugin => match text.filter(|text| has_hooks(text)) {
                Some(text) => kept.original(path, text)?,
                None => text.map(str::to_owned),
            },
        };
        match has_line {
            true => add_status_line(&with_hooks.unwrap_or_default(), program).map(Some),
            false => Ok(with_hooks),
        }
    })?;
    match place {
        HookPlace::Settings => {
            let mut change = plan_plugin_off(env, &kept)?;
            change.files.insert(0, settings);
            Ok(change)
        }
        HookPlace::Plugin => {
            let mut change = plan_plugin_on(env, program, &kept)?;
            change.files.push(settings);
            Ok(change)
        }
    }
}

/// Returns the change that turns it off.
///
/// # Errors
/// [`AutoError`]
pub fn plan_off(env: &Env) -> Result<AutoChange, AutoError> {
    let kept = KeptFiles::read(env);
    let settings = change_settings(env, |path, text| match text {
        Some(text) => kept.original(path, text),
        None => Ok(None),
    })?;
    let mut change = plan_plugin_off(env, &kept)?;
    change.files.insert(0, settings);
    Ok(change)
}

/// Turns it on by `change`.
///
/// # Errors
/// If a file cannot be written.
pub fn turn_on(env: &Env, change: &AutoChange) -> Result<(), AutoError> {
    let mut kept = KeptFiles::read(env);
    kept.record(&change.files, env)?;
    make(change)?;
    kept.remove_directories(&change.files, env)?;
    Ok(())
}

/// Turns it off by `change`.
///
/// # Errors
/// If a file cannot be written.
pub fn turn_off(env: &Env, change: &AutoChange) -> Result<(), AutoError> {
    make(change)?;
    let mut kept = KeptFiles::read(env);
    kept.forget(&change.files);
    kept.remove_directories(&change.files, env)?;
    Ok(())
}

fn make(change: &AutoChange) -> Result<(), AutoError> {
    change.files.iter().try_for_each(ClientFileChange::make)?;
    Ok(())
}

fn change_settings(
    env: &Env,
    after: impl FnOnce(&Path, Option<&str>) -> Result<Option<String>, SettingsError>,
) -> Result<ClientFileChange, AutoError> {
    let path = settings_path(env);
    let before = read_to_string_if_exists(&path)?;
    match after(&path, before.as_deref()) {
        Ok(after) => Ok(ClientFileChange {
            path,
            before,
            after,
        }),
        Err(source) => Err(AutoError::Settings { path, source }),
    }
}

fn has_hooks(text: &str) -> bool {
    remove_hooks(text).is_ok_and(|without| without != text)
}
