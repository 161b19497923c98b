//! The present state: where hooks are, and whether the client runs them.

use std::path::PathBuf;

use serde::Serialize;

use super::super::client_settings::{
    add_hooks, has_status_line, installed_hooks, program_of_hooks,
};
use super::super::hooks::{NoHooks, no_installed_hooks};
use super::super::plugin::HOOKS_FILE;
use super::AutoError;
use super::kept::KeptFiles;
use super::paths::{plugin_path, settings_path};
use super::plugin_plan::plan_plugin_on;
use crate::domain::HookEvent;
use crate::sys::Env;
use crate::sys::fs::read_to_string_if_exists;

/// The place of hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookPlace {
    /// In the client's `settings.json`.
    Settings,
    /// In the plugin.
    Plugin,
}

/// The hooks of one place.
#[derive(Debug)]
pub struct InstalledHooks {
    /// The place.
    pub place: HookPlace,
    /// Their file.
    pub file: PathBuf,
    /// Their events.
    pub events: Vec<HookEvent>,
    /// The program that they run.
    pub program: Option<PathBuf>,
    /// Another version of this program has written them.
    pub are_outdated: bool,
}

/// The present state of the client's hooks.
#[derive(Debug)]
pub struct AutoState {
    /// The client's settings.
    pub settings: PathBuf,
    /// The hooks that are there. Two places run every event twice.
    pub installed: Vec<InstalledHooks>,
    /// Why the client does not run them in the directory of this process.
    pub no_hooks: Option<NoHooks>,
    /// True if the settings have a status line, of any program.
    pub has_status_line: bool,
}

/// An obstacle to working by itself.
#[derive(Debug)]
pub enum AutoFault {
    /// The client does not run the hooks.
    Off(NoHooks),
    /// Hooks for some events are missing in this file.
    Incomplete(PathBuf),
    /// Another version of this program has written those in this file, or files beside it.
    Outdated(PathBuf),
    /// There are hooks in both files.
    Twice(PathBuf, PathBuf),
    /// The program that they run is missing.
    NoProgram(PathBuf),
}

impl InstalledHooks {
    /// Returns the command that writes them again.
    pub fn command(&self) -> &'static str {
        match self.place {
            HookPlace::Settings => "ccsync auto on",
            HookPlace::Plugin => "ccsync auto on --plugin",
        }
    }
}

impl AutoState {
    /// Returns true if all hooks are set up.
    pub fn is_on(&self) -> bool {
        let mut installed = self.installed.iter();
        installed.any(|hooks| hooks.events == HookEvent::ALL)
    }

    /// Returns the first fault of hooks that are there.
    pub fn fault(&self) -> Option<AutoFault> {
        let hooks = self.installed.first()?;
        let missing = |program: &&PathBuf| !program.is_file();
        if let Some(reason) = &self.no_hooks {
            return Some(AutoFault::Off(reason.clone()));
        }
        if let Some(program) = hooks.program.as_ref().filter(missing) {
            return Some(AutoFault::NoProgram(program.clone()));
        }
        if let Some(second) = self.installed.get(1) {
            return Some(AutoFault::Twice(hooks.file.clone(), second.file.clone()));
        }
        if !self.is_on() {
            return Some(AutoFault::Incomplete(hooks.file.clone()));
        }
        (hooks.are_outdated).then(|| AutoFault::Outdated(hooks.file.clone()))
    }
}

impl std::fmt::Display for AutoFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off(reason) => write!(f, "Claude Code runs no hooks: {reason}"),
            Self::Incomplete(file) => write!(f, "some hooks are missing in {}", file.display()),
            Self::Outdated(file) => write!(
                f,
                "another version of ccsync wrote the hooks in {}",
                file.display()
            ),
            Self::Twice(file, second) => {
                let (file, second) = (file.display(), second.display());
                write!(f, "hooks are in {file} and in {second}")
            }
            Self::NoProgram(program) => {
                write!(f, "the hooks run `{}`, which is missing", program.display())
            }
        }
    }
}

/// Returns the present state for a client in the directory of this process.
///
/// # Errors
/// If a file cannot be read.
pub fn auto_state(env: &Env) -> Result<AutoState, AutoError> {
    let settings = settings_path(env);
    let text = read_to_string_if_exists(&settings)?.unwrap_or_default();
    let hooks_file = plugin_path(env, HOOKS_FILE);
    let hooks_text = read_to_string_if_exists(&hooks_file)?.unwrap_or_default();
    let mut installed = vec![
        hooks_in(env, HookPlace::Settings, settings.clone(), &text),
        hooks_in(env, HookPlace::Plugin, hooks_file, &hooks_text),
    ];
    installed.retain(|hooks| !hooks.events.is_empty());
    let directory = env.directory.as_deref().unwrap_or(&env.home);
    let place = installed.last().map(|hooks| hooks.place);
    Ok(AutoState {
        no_hooks: no_installed_hooks(env, directory, place == Some(HookPlace::Plugin)),
        has_status_line: has_status_line(&text),
        settings,
        installed,
    })
}

fn hooks_in(env: &Env, place: HookPlace, file: PathBuf, text: &str) -> InstalledHooks {
    InstalledHooks {
        place,
        events: installed_hooks(text),
        program: program_of_hooks(text).map(PathBuf::from),
        are_outdated: are_outdated(env, place, text),
        file,
    }
}

/// Returns true if this version writes them differently, for the program that they run. `text` is
/// that of their file.
fn are_outdated(env: &Env, place: HookPlace, text: &str) -> bool {
    let Some(program) = program_of_hooks(text) else {
        return false;
    };
    // Nothing is outdated that cannot be written.
    match place {
        HookPlace::Settings => add_hooks(text, &program).is_ok_and(|new| new != text),
        HookPlace::Plugin => plan_plugin_on(env, &program, &KeptFiles::read(env))
            .is_ok_and(|change| !change.is_empty()),
    }
}
