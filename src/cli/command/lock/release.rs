//! `ccsync lock release` and `ccsync lock cleanup`.

use serde::Serialize;

use super::show::{LockRow, holder, row};
use crate::cli::{app::App, args::JsonFlag, ask, error::CliError, error::CommandError, exit::Exit};
use crate::domain::SessionId;
use crate::leasing::{LockView, lock_table::LockTable, release::Cleanup, release::ReleaseOutcome};
use crate::lock::TakeOver;
use crate::ui::{format::count, format::short_id, report::title};

/// The locks to release.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    Session(&'a SessionId),
    Own,
    All,
}

/// JSON document.
#[derive(Serialize)]
struct ReleaseDocument<'a> {
    released: Vec<LockRow<'a>>,
    /// Locks whose holders may still be working.
    not_released: Vec<LockRow<'a>>,
    /// Named sessions that are not locked.
    not_locked: Vec<&'a SessionId>,
}

/// JSON document.
#[derive(Serialize)]
struct CleanupDocument<'a> {
    removed: Vec<LockRow<'a>>,
    /// Locks whose holders may still be working.
    not_removed: Vec<LockRow<'a>>,
}

pub(super) fn run(
    wanted: Wanted<'_>,
    force: bool,
    yes: bool,
    json: &JsonFlag,
    app: &mut App,
) -> Result<Exit, CliError> {
    let lock_table = crate::leasing::lock_table::lock_table(&app.context()?)?;
    let mut chosen = choose(&lock_table, wanted)?;
    if force && !yes {
        chosen = confirmed(chosen, app)?;
    }
    let take_over = if force {
        TakeOver::Live
    } else {
        TakeOver::Expired
    };
    let mut released = crate::leasing::release::release(&app.context()?, &chosen, take_over)?;
    if let (Wanted::Session(session), true) = (wanted, chosen.is_empty()) {
        released.push(ReleaseOutcome::NotLocked(session.clone()));
    }
    let is_incomplete = released
        .iter()
        .any(|one| matches!(one, ReleaseOutcome::HeldBy(_)));
    if json.json {
        app.print_json("lock release", &document(&released))?;
    } else {
        app.print(&lines(&released))?;
        if is_incomplete {
            app.out
                .hint("if its holder has stopped working: `ccsync lock release SESSION --force`");
        }
    }
    Ok(if is_incomplete {
        Exit::Locked
    } else {
        Exit::Done
    })
}

fn choose(lock_table: &LockTable, wanted: Wanted<'_>) -> Result<Vec<LockView>, CliError> {
    Ok(match wanted {
        Wanted::Session(session) => lock_table.find(session)?.cloned().into_iter().collect(),
        Wanted::Own => lock_table
            .locks
            .iter()
            .filter(|lock| lock.is_own())
            .cloned()
            .collect(),
        Wanted::All => lock_table.locks.clone(),
    })
}

/// Asks about each live lock, and returns the locks without those to which the user says no.
fn confirmed(chosen: Vec<LockView>, app: &App) -> Result<Vec<LockView>, CliError> {
    let number = chosen.len();
    let mut confirmed = Vec::new();
    for lock in chosen {
        if !lock.is_live() || confirm(&lock, app)? {
            confirmed.push(lock);
        }
    }
    if confirmed.is_empty() && number > 0 {
        let locks = if number == 1 {
            "lock stays"
        } else {
            "locks stay"
        };
        return Err(CommandError::Declined(format!("nothing was released; the {locks}")).into());
    }
    Ok(confirmed)
}

fn confirm(lock: &LockView, app: &App) -> Result<bool, CliError> {
    app.require_terminal("releasing the lock of another machine")?;
    let question = format!(
        "{} may still be working on {}. To release the lock, type yes",
        holder(lock),
        session_text(lock)
    );
    ask::confirm_in_words(&question)
}

fn session_text(lock: &LockView) -> String {
    format!(
        "{}  {}",
        short_id(lock.session.as_str()),
        title(lock.title.as_deref())
    )
}

fn document(released: &[ReleaseOutcome]) -> ReleaseDocument<'_> {
    let mut document = ReleaseDocument {
        released: Vec::new(),
        not_released: Vec::new(),
        not_locked: Vec::new(),
    };
    for one in released {
        match one {
            ReleaseOutcome::Released(lock) => document.released.push(row(lock)),
            ReleaseOutcome::HeldBy(lock) => document.not_released.push(row(lock)),
            ReleaseOutcome::NotLocked(session) => document.not_locked.push(session),
        }
    }
    document
}

fn lines(released: &[ReleaseOutcome]) -> Vec<String> {
    let line = |one: &ReleaseOutcome| match one {
        ReleaseOutcome::Released(lock) => {
            format!(
                "  released      {}, held by {}",
                session_text(lock),
                holder(lock)
            )
        }
        ReleaseOutcome::HeldBy(lock) => {
            format!(
                "  not released  {}, held by {}",
                session_text(lock),
                holder(lock)
            )
        }
        ReleaseOutcome::NotLocked(session) => {
            format!("  not locked    {}", short_id(session.as_str()))
        }
    };
    let mut lines: Vec<String> = released.iter().map(line).collect();
    let number =
        |kind: fn(&ReleaseOutcome) -> bool| released.iter().filter(|one| kind(one)).count() as u64;
    let done = number(|one| matches!(one, ReleaseOutcome::Released(_)));
    let not_released = number(|one| matches!(one, ReleaseOutcome::HeldBy(_)));
    lines.push(format!(
        "lock release: {}",
        summary(done, "released", not_released)
    ));
    lines
}

/// Returns the numbers of released and kept locks.
fn summary(done: u64, verb: &str, rest: u64) -> String {
    let mut text = match done {
        0 => format!("nothing {verb}"),
        n => format!("{} {verb}", count(n, "lock")),
    };
    if rest > 0 {
        let holders = if rest == 1 { "holder" } else { "holders" };
        let locks = count(rest, "lock");
        let gap = if done == 0 { ":" } else { ";" };
        text += &format!("{gap} the {holders} of {locks} may still be working");
    }
    text
}

pub(super) fn clean_up(json: &JsonFlag, app: &mut App) -> Result<Exit, CliError> {
    let done = crate::leasing::release::cleanup(&app.context()?)?;
    if json.json {
        let removed = done.removed.iter().map(row).collect();
        let not_removed = done.not_removed.iter().map(row).collect();
        let document = CleanupDocument {
            removed,
            not_removed,
        };
        app.print_json("lock cleanup", &document)?;
    } else {
        app.print(&cleanup_lines(&done))?;
    }
    Ok(Exit::Done)
}

fn cleanup_lines(done: &Cleanup) -> Vec<String> {
    let removed = done.removed.iter().map(|lock| {
        format!(
            "  removed  {}, held by {}",
            session_text(lock),
            holder(lock)
        )
    });
    let (done, rest) = (done.removed.len() as u64, done.not_removed.len() as u64);
    removed
        .chain([format!("lock cleanup: {}", summary(done, "removed", rest))])
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
            ReleaseOutcome::HeldBy(next()),
            ReleaseOutcome::Released(next()),
            ReleaseOutcome::NotLocked("77777777-0000".parse().unwrap()),
        ];
        insta::assert_snapshot!(lines(&released).join("\n"));
        insta::assert_snapshot!(serde_json::to_string_pretty(&document(&released)).unwrap());
        let done = Cleanup {
            removed: vec![next(), next()],
            not_removed: vec![next()],
        };
        insta::assert_snapshot!(cleanup_lines(&done).join("\n"));
        assert_eq!(lines(&[]), ["lock release: nothing released"]);
    }
}
