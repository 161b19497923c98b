//! `ccsync lock release` and `ccsync lock cleanup`.

use serde::Serialize;

use super::show::{LockRow, holder, row};
use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::{CliError, CommandError};
use crate::cli::exit::Exit;
use crate::domain::id::SessionId;
use crate::leasing::lock_table::Survey;
use crate::leasing::release::{Cleanup, Released};
use crate::leasing::view::LockView;
use crate::lock::state::TakeOver;
use crate::ui::format::{count, short_id};
use crate::ui::prompt;
use crate::ui::report::title;

/// Which locks are to be released.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    Session(&'a SessionId),
    Own,
    All,
}

/// JSON schema, version 1.
#[derive(Serialize)]
struct ReleaseDocument<'a> {
    released: Vec<LockRow<'a>>,
    /// Those whose holders may be at work.
    kept: Vec<LockRow<'a>>,
    /// What was asked for and is not locked.
    not_locked: Vec<&'a SessionId>,
}

/// JSON schema, version 1.
#[derive(Serialize)]
struct CleanupDocument<'a> {
    removed: Vec<LockRow<'a>>,
    /// Those whose holders may be at work.
    kept: Vec<LockRow<'a>>,
}

pub(super) fn run(
    wanted: Wanted<'_>,
    force: bool,
    yes: bool,
    json: &JsonFlag,
    app: &mut App,
) -> Result<Exit, CliError> {
    let survey = crate::leasing::lock_table::survey(&app.context()?)?;
    let chosen = choose(&survey, wanted)?;
    if force && !yes {
        chosen
            .iter()
            .filter(|lock| lock.is_live())
            .try_for_each(|lock| ask(lock, app))?;
    }
    let take_over = if force {
        TakeOver::Live
    } else {
        TakeOver::Expired
    };
    let mut released = crate::leasing::release::release(&app.context()?, &chosen, take_over)?;
    if let (Wanted::Session(session), true) = (wanted, chosen.is_empty()) {
        released.push(Released::NotLocked(session.clone()));
    }
    let kept = released
        .iter()
        .any(|one| matches!(one, Released::HeldBy(_)));
    if json.json {
        app.print_json("lock release", &document(&released))?;
    } else {
        app.print(&lines(&released))?;
        if kept {
            app.out
                .hint("if nobody is at work there: ccsync lock release SESSION --force");
        }
    }
    Ok(if kept { Exit::Locked } else { Exit::Done })
}

fn choose(survey: &Survey, wanted: Wanted<'_>) -> Result<Vec<LockView>, CliError> {
    Ok(match wanted {
        Wanted::Session(session) => survey.named(session)?.cloned().into_iter().collect(),
        Wanted::Own => survey
            .locks
            .iter()
            .filter(|lock| lock.is_own())
            .cloned()
            .collect(),
        Wanted::All => survey.locks.clone(),
    })
}

/// One answer for each lock: they are different people's work.
fn ask(lock: &LockView, app: &App) -> Result<(), CliError> {
    if !app.is_interactive() {
        return Err(CommandError::ConfirmationNeeded {
            action: "releasing the lock of another machine".to_owned(),
            flag: "--yes",
        }
        .into());
    }
    let question = format!(
        "{} may be at work on {}; release it? Type yes",
        holder(lock),
        named(lock)
    );
    match prompt::line(&question).map_err(CommandError::Terminal)? {
        Some(answer) if answer.eq_ignore_ascii_case("yes") => Ok(()),
        _ => Err(CommandError::Cancelled.into()),
    }
}

fn named(lock: &LockView) -> String {
    format!(
        "{}  {}",
        short_id(lock.session.as_str()),
        title(lock.title.as_deref())
    )
}

fn document(released: &[Released]) -> ReleaseDocument<'_> {
    let mut document = ReleaseDocument {
        released: Vec::new(),
        kept: Vec::new(),
        not_locked: Vec::new(),
    };
    for one in released {
        match one {
            Released::Done(lock) => document.released.push(row(lock)),
            Released::HeldBy(lock) => document.kept.push(row(lock)),
            Released::NotLocked(session) => document.not_locked.push(session),
        }
    }
    document
}

fn lines(released: &[Released]) -> Vec<String> {
    let line = |one: &Released| match one {
        Released::Done(lock) => format!("  released    {}, held by {}", named(lock), holder(lock)),
        Released::HeldBy(lock) => {
            format!("  left        {}, held by {}", named(lock), holder(lock))
        }
        Released::NotLocked(session) => format!("  not locked  {}", short_id(session.as_str())),
    };
    let mut lines: Vec<String> = released.iter().map(line).collect();
    let number =
        |kind: fn(&Released) -> bool| released.iter().filter(|one| kind(one)).count() as u64;
    let done = count(number(|one| matches!(one, Released::Done(_))), "lock");
    let left = match number(|one| matches!(one, Released::HeldBy(_))) {
        0 => String::new(),
        left => format!(", {left} left whose holders may be at work"),
    };
    lines.push(format!("lock release: {done} released{left}"));
    lines
}

pub(super) fn clean_up(json: &JsonFlag, app: &mut App) -> Result<Exit, CliError> {
    let done = crate::leasing::release::cleanup(&app.context()?)?;
    if json.json {
        let removed = done.removed.iter().map(row).collect();
        let kept = done.kept.iter().map(row).collect();
        app.print_json("lock cleanup", &CleanupDocument { removed, kept })?;
    } else {
        app.print(&cleanup_lines(&done))?;
    }
    Ok(Exit::Done)
}

fn cleanup_lines(done: &Cleanup) -> Vec<String> {
    let removed = done
        .removed
        .iter()
        .map(|lock| format!("  removed  {}, held by {}", named(lock), holder(lock)));
    let kept = match done.kept.len() {
        0 => String::new(),
        kept => format!(", {kept} left whose holders may be at work"),
    };
    let total = count(done.removed.len() as u64, "lock");
    removed
        .chain([format!("lock cleanup: {total} removed{kept}")])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::localizer;
    use super::*;

    #[test]
    fn lock_release_output_names_released_and_kept_locks() {
        let mut localizer = localizer().into_iter();
        let mut next = || localizer.next().unwrap();
        let released = [
            Released::HeldBy(next()),
            Released::Done(next()),
            Released::NotLocked("77777777-0000".parse().unwrap()),
        ];
        insta::assert_snapshot!(lines(&released).join("\n"));
        insta::assert_snapshot!(serde_json::to_string_pretty(&document(&released)).unwrap());
        let done = Cleanup {
            removed: vec![next(), next()],
            kept: vec![next()],
        };
        insta::assert_snapshot!(cleanup_lines(&done).join("\n"));
        assert_eq!(lines(&[]), ["lock release: 0 locks released"]);
    }
}
