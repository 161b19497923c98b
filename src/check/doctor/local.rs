//! Checks this machine: configuration, permissions, the `ccsync` on the PATH, disk space.

use std::path::{Path, PathBuf};

use crate::check::doctor::check::{Check, DoctorContext, TIMEOUT};
use crate::domain::error::error_chain;
use crate::domain::shell::{shell_word, show_programs, show_rights};
use crate::report::count::count;
use crate::session::{auto::AutoFault, auto::auto_state, discover::discover, files::projects_dir};
use crate::sys::{
    fs::access, fs::free_space, fs::has_free_inodes, fs::is_writable, fs::real_path,
    process::Program,
};
use crate::workspace::{paths::config_path, paths::embedded_remote_path, paths::store_path};

const CONFIGURATION: &str = "configuration";
const PERMISSIONS: &str = "permissions";
const PROGRAM: &str = "ccsync";
const DISK: &str = "disk";
const AUTO: &str = "auto";

/// Free bytes below which the check warns.
const MIN_FREE: u64 = 500_000_000;
/// Free bytes below which the check fails.
const MIN_USABLE: u64 = 30_000_000;

pub(crate) fn checks(context: &DoctorContext<'_>) -> Vec<Check> {
    let mut checks = permissions(context);
    checks.push(program(context));
    checks.push(disk(context));
    checks.extend(auto(context));
    checks
}

pub(crate) fn configuration(context: &DoctorContext<'_>) -> Check {
    let path = config_path(context.env);
    match &context.settings {
        Ok(Some(settings)) => Check::ok(
            CONFIGURATION,
            format!(
                "{}: this machine is `{}`",
                path.display(),
                settings.machine.name
            ),
        ),
        Ok(None)
            if crate::store::belongs_to_remote(
                &store_path(context.env),
                &embedded_remote_path(context.env),
            ) =>
        {
            Check::warning(CONFIGURATION, "this machine is not set up", "ccsync init")
        }
        Ok(None) => {
            let message = format!(
                "`{}` is missing, but this machine was set up",
                path.display()
            );
            Check::error(
                CONFIGURATION,
                message,
                "with the address of its remote: ccsync init --remote URL",
            )
        }
        Err(e) => Check::error(
            CONFIGURATION,
            error_chain(e),
            format!("correct it in {}", path.display()),
        ),
    }
}

/// Files with sessions or the remote's address must be private.
fn permissions(context: &DoctorContext<'_>) -> Vec<Check> {
    let dirs = &context.env.dirs;
    let own = [
        dirs.config.clone(),
        config_path(context.env),
        dirs.data.clone(),
        dirs.state.clone(),
    ];
    let sessions = transcripts(context);
    let all: Vec<&PathBuf> = own
        .iter()
        .chain(&sessions)
        .filter(|path| path.exists())
        .collect();
    let foreign = all
        .iter()
        .find(|path| access(path).is_some_and(|access| !access.mine));
    let open: Vec<&&PathBuf> = all
        .iter()
        .filter(|path| access(path).is_some_and(|access| access.others))
        .collect();
    let open_own = open.iter().find(|path| own.contains(path));
    let open_sessions = open.iter().filter(|path| !own.contains(path)).count();
    let mut checks = Vec::new();
    let needed = [
        &dirs.config,
        &dirs.data,
        &dirs.state,
        &context.env.claude_dir,
    ];
    if let Some(path) = needed.into_iter().find(|path| !is_writable(path)) {
        let message = format!(
            "cannot write to `{}`: nothing can be pushed or pulled",
            path.display()
        );
        let fix = format!("{}; or set CCSYNC_HOME", show_rights(path));
        checks.push(Check::error(PERMISSIONS, message, fix));
    }
    if let Some(path) = foreign {
        let message = format!("`{}` belongs to another user", path.display());
        checks.push(Check::error(
            PERMISSIONS,
            message,
            format!("sudo chown -R \"$USER\" {}", shell_word(path)),
        ));
    }
    if let Some(path) = open_own {
        let message = format!("other users can read `{}`", path.display());
        checks.push(Check::warning(
            PERMISSIONS,
            message,
            format!("chmod -R go-rwx {}", shell_word(path)),
        ));
    }
    if open_sessions > 0 {
        let transcripts = count(open_sessions as u64, "transcript");
        let place = projects_dir(&context.env.claude_dir);
        let fix = format!("chmod -R go-rwx {}", shell_word(&place));
        checks.push(Check::warning(
            PERMISSIONS,
            format!("other users can read {transcripts}"),
            fix,
        ));
    }
    if checks.is_empty() {
        let is_known = all.iter().all(|path| access(path).is_some());
        let message = match is_known {
            true => format!(
                "only this user can read the data ({} checked)",
                count(sessions.len() as u64, "transcript")
            ),
            false => "this system is not asked who can read the data".to_owned(),
        };
        checks.push(Check::ok(PERMISSIONS, message));
    }
    checks
}

/// Returns the transcripts that other users can read. Files in a private directory are
/// private.
fn transcripts(context: &DoctorContext<'_>) -> Vec<PathBuf> {
    let claude = &context.env.claude_dir;
    let closed = |path: &Path| access(path).is_some_and(|access| access.mine && !access.others);
    if closed(claude) || closed(&projects_dir(claude)) {
        return Vec::new();
    }
    let sessions = discover(claude)
        .map(|found| found.sessions)
        .unwrap_or_default();
    sessions
        .values()
        .filter(|session| !closed(&session.directory))
        .map(|session| session.transcript_path())
        .collect()
}

/// Checks which `ccsync` a shell or a hook starts.
fn program(context: &DoctorContext<'_>) -> Check {
    const NAME: &str = if cfg!(windows) {
        "ccsync.exe"
    } else {
        "ccsync"
    };
    let version = env!("CARGO_PKG_VERSION");
    let Some(this) = context
        .env
        .program
        .as_deref()
        .and_then(|path| real_path(path).ok())
    else {
        return Check::ok(PROGRAM, format!("version {version}"));
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for path in context
        .env
        .search_path
        .iter()
        .map(|directory| directory.join(NAME))
        .filter(|path| path.is_file())
    {
        if !found.iter().any(|other| is_same(other, &path)) {
            found.push(path);
        }
    }
    let first_is_this = found.first().is_none_or(|first| is_same(first, &this));
    match found.iter().find(|path| !is_same(path, &this)) {
        None if found.is_empty() => Check::ok(
            PROGRAM,
            format!("version {version}, not on the PATH: {}", this.display()),
        ),
        None => Check::ok(
            PROGRAM,
            format!("version {version}, the only one on the PATH"),
        ),
        Some(other) => {
            let what = version_of(other).unwrap_or_else(|| "of an unknown version".to_owned());
            let message = if first_is_this {
                format!(
                    "another ccsync is on the PATH: {} ({what}); this is {version}",
                    other.display()
                )
            } else {
                format!(
                    "`ccsync` starts {} ({what}); this is {} ({version})",
                    other.display(),
                    this.display()
                )
            };
            Check::warning(
                PROGRAM,
                message,
                format!("keep one of them; all: {}", show_programs("ccsync")),
            )
        }
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((real_path(one), real_path(other)), (Ok(one), Ok(other)) if one == other)
}

fn version_of(program: &Path) -> Option<String> {
    let out = Program::new(program)
        .arg("--version")
        .silence_limit(TIMEOUT)
        .run()
        .ok()?;
    let output = String::from_utf8_lossy(&out.stdout).into_owned();
    let version = output.lines().next()?.strip_prefix("ccsync ")?.trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    (!version.is_empty() && version.len() < 40 && version.chars().all(is_plain))
        .then(|| version.to_owned())
}

fn disk(context: &DoctorContext<'_>) -> Check {
    let places = [&context.env.dirs.data, &context.env.claude_dir];
    if let Some(place) = places.into_iter().find(|place| !has_free_inodes(place)) {
        let fix = format!("delete small files: df -i {}", shell_word(place));
        return Check::error(DISK, "no room for another file, whatever its size", fix);
    }
    let least = places
        .iter()
        .filter_map(|place| Some((free_space(place)?, *place)))
        .min();
    let Some((free, place)) = least else {
        return Check::ok(DISK, "the free space is unknown");
    };
    let message = match free / 1_000_000 {
        mega @ 10_000.. => format!("{} GB free", mega / 1000),
        mega => format!("{mega} MB free"),
    };
    let fix = format!("free some space: df -h {}", shell_word(place));
    match free {
        _ if free < MIN_USABLE => Check::error(DISK, message, fix),
        _ if free < MIN_FREE => Check::warning(DISK, message, fix),
        _ => Check::ok(DISK, message),
    }
}

/// Checks the hooks of the client, if there are any.
fn auto(context: &DoctorContext<'_>) -> Option<Check> {
    let state = match auto_state(context.env) {
        Ok(state) => state,
        Err(e) => return Some(Check::warning(AUTO, error_chain(&e), "ccsync auto on")),
    };
    let hooks = state.installed.first()?;
    let check = match state.fault() {
        None => Check::ok(AUTO, format!("hooks in {}", hooks.file.display())),
        Some(fault) => {
            let fix = match fault {
                AutoFault::Off(_) => "change that file or option",
                _ => hooks.command(),
            };
            let message = fault.to_string();
            match fault {
                AutoFault::NoProgram(_) => Check::error(AUTO, message, fix),
                _ => Check::warning(AUTO, message, fix),
            }
        }
    };
    Some(check)
}
