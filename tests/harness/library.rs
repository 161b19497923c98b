//! The library as the program would use it on a machine, for tests of a command before it
//! prints.

use std::path::Path;
use std::sync::Arc;

use ccsync::config::{Config, Settings};
use ccsync::domain::placeholder::System;
use ccsync::domain::progress::Silent;
use ccsync::domain::secret_text::SecretText;
use ccsync::sys::clock::{Clock, SystemClock};
use ccsync::sys::env::{Dirs, Env, GitEnv};
use ccsync::workspace::{context::Context, paths::config_path};

use super::{Machine, machine::encrypted_runs};

/// Returns the environment of a process without a terminal.
pub(crate) fn environment(home: &Path, dirs: Dirs) -> Env {
    Env {
        home: home.to_owned(),
        system: System::current(),
        host_name: home.file_name().unwrap().to_str().unwrap().to_owned(),
        directory: Some(home.to_owned()),
        host_mark: None,
        client: "claude".into(),
        claude_dir: home.join(".claude"),
        project_dir_name: None,
        program: None,
        search_path: Vec::new(),
        shell: None,
        data_home: home.join(".local/share"),
        dirs,
        stdin_is_terminal: false,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        no_color: true,
        only_lines: false,
        no_client_hooks: None,
        store_key: encrypted_runs().map(SecretText::new),
        columns: None,
        rows: None,
        git: GitEnv::default(),
        committer: None,
        hook: ccsync::sys::hook_env::HookEnv::default(),
    }
}

/// Returns the environment of `machine`.
pub(crate) fn environment_of(machine: &Machine) -> Env {
    let below = |directory: &str| machine.home.join(directory).join("ccsync");
    environment(
        &machine.home,
        Dirs {
            config: below(".config"),
            data: machine.data(),
            state: below(".local/state"),
        },
    )
}

/// Runs `then` with the context of a command on `machine`.
pub(crate) fn with_context<T>(machine: &Machine, then: impl FnOnce(&Context<'_>) -> T) -> T {
    with_context_at(machine, &SystemClock::default(), then)
}

/// As [`with_context`], with another clock.
pub(crate) fn with_context_at<T>(
    machine: &Machine,
    clock: &dyn Clock,
    then: impl FnOnce(&Context<'_>) -> T,
) -> T {
    then(&context_of(&environment_of(machine), clock))
}

/// Returns the context of a command in this environment.
pub(crate) fn context_of<'a>(env: &'a Env, clock: &'a dyn Clock) -> Context<'a> {
    let config = Config::load(&config_path(env)).unwrap().unwrap();
    let settings = Settings::resolve(&config, env).unwrap();
    Context {
        env,
        settings,
        clock,
        progress: Arc::new(Silent),
        interactive: false,
        offline: false,
        by_itself: false,
        history_choice: None,
    }
}
