//! Values that a shell completes: sessions, machines, milestones, settings, placeholders.
//!
//! Reads local files only, takes no lock and writes nothing. Completes nothing on
//! failure.

use std::ffi::OsStr;

use chrono::{DateTime, Utc};
use clap::builder::StyledStr;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};

use super::app::App;
use super::args::GlobalArgs;
use super::error::CliError;
use crate::browse::completion::{self, StoredNames};
use crate::config::SettingKey;
use crate::domain::SessionName;
use crate::sys::Env;
use crate::ui::format::{age, moment, project, short_id, system};
use crate::ui::report::title;
use crate::ui::sanitize::one_line;
use crate::workspace::Context;

/// Completes the ids of sessions, with their titles.
pub(crate) fn session() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_string_lossy();
        with_context(|ctx| {
            let now = ctx.clock.now();
            let found = completion::sessions(ctx, &typed)?;
            Ok(found
                .iter()
                .map(|name| session_candidate(name, now))
                .collect())
        })
    })
}

/// Completes the names of machines.
pub(crate) fn machine() -> ArgValueCandidates {
    ArgValueCandidates::new(machines)
}

/// Completes the names of machines, and `this`.
pub(crate) fn machine_or_this() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let mut candidates = machines();
        candidates.push(candidate("this", "this machine"));
        candidates
    })
}

/// Completes the names of milestones.
pub(crate) fn milestone() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        with_context(|ctx| {
            let StoredNames {
                milestones,
                machine_names,
                ..
            } = completion::stored_names(ctx)?;
            let described = milestones.iter().map(|milestone| {
                let by = machine_names.get(&milestone.machine);
                let by = by
                    .map(|name| format!(", {}", one_line(name)))
                    .unwrap_or_default();
                candidate(
                    milestone.name.as_str(),
                    &format!("{}{by}", moment(milestone.time)),
                )
            });
            Ok(described.collect())
        })
    })
}

/// Completes the names of settings.
pub(crate) fn setting() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        SettingKey::NAMES
            .map(|key| candidate(key, setting_help(key)))
            .into()
    })
}

/// Completes the names of this machine's placeholders.
pub(crate) fn placeholder() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        with_context(|ctx| {
            let placeholders = ctx.settings.placeholders.placeholders.iter();
            let own = placeholders.filter(|placeholder| !placeholder.name.is_reserved());
            Ok(own
                .map(|p| candidate(p.name.as_str(), &one_line(&p.directory)))
                .collect())
        })
    })
}

fn machines() -> Vec<CompletionCandidate> {
    with_context(|ctx| {
        let this = &ctx.settings.machine.id;
        let machines = completion::stored_names(ctx)?.machines;
        let described = machines.iter().map(|machine| {
            let name = one_line(&machine.name);
            let note = if machine.id == *this {
                "this machine"
            } else {
                system(machine.placeholders.system)
            };
            // The shell would split or expand such a name, so the id replaces it.
            let is_plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
            if machine.name.chars().all(is_plain) {
                candidate(&name, note)
            } else {
                candidate(short_id(machine.id.as_str()), &format!("{name}, {note}"))
            }
        });
        Ok(described.collect())
    })
}

fn session_candidate(name: &SessionName, now: DateTime<Utc>) -> CompletionCandidate {
    let mut help = title(name.title.as_deref());
    if name.fork_of.is_some() {
        help += " (fork)";
    }
    if let Some(path) = &name.project {
        help += &format!(", {}", project(path));
    }
    if let Some(time) = name.last_activity {
        help += &format!(", {}", age(time, now));
    }
    candidate(name.session.as_str(), &help)
}

fn candidate(value: &str, help: &str) -> CompletionCandidate {
    CompletionCandidate::new(value).help(Some(StyledStr::from(help.to_owned())))
}

/// Returns the result of `find` on this machine; nothing if this machine is not set up or
/// damaged.
fn with_context(
    find: impl FnOnce(&Context<'_>) -> Result<Vec<CompletionCandidate>, CliError>,
) -> Vec<CompletionCandidate> {
    let Ok(env) = Env::read() else {
        return Vec::new();
    };
    let app = App::new(env, &GlobalArgs::silent());
    let found = app.context().and_then(|ctx| find(&ctx));
    found.unwrap_or_default()
}

fn setting_help(key: &str) -> &'static str {
    match key {
        "remote" => "where your sessions go",
        "name" => "name of this machine",
        "client_dir" => "directory of Claude Code that the settings are for",
        "author" => "author of commits, if the remote demands one",
        "localize" => "whether paths become those of this machine",
        "pull_max_age" => "oldest session that a pull gets, in days",
        "push_max_age" => "oldest session that a push sends, in days",
        "max_size" => "largest session that is synced",
        "extras" => "extras that are synced",
        "secrets" => "what is done with credentials",
        _ => "",
    }
}
