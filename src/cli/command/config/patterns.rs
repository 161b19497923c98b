//! `ccsync config include` and `exclude`: which projects travel.

use clap::ValueHint;

use crate::cli::app::App;
use crate::cli::error::{CliError, CommandError};
use crate::cli::exit::Exit;
use crate::config::Choice;
use crate::domain::pattern::ProjectPattern;
use crate::ui::sanitize::one_line;

/// A list of patterns in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Include,
    Exclude,
}

#[derive(Debug, clap::Args)]
pub(super) struct PatternArgs {
    /// A directory (`~/work`, `/srv/*`), a git remote (`github.com/acme/*`) or the name of a
    /// directory, with everything below it
    #[arg(value_name = "PATTERN", required = true, value_hint = ValueHint::DirPath)]
    patterns: Vec<ProjectPattern>,
    /// Remove the patterns from the list
    #[arg(long)]
    remove: bool,
}

impl List {
    fn of(self, choice: &mut Choice) -> &mut Vec<ProjectPattern> {
        match self {
            Self::Include => &mut choice.include,
            Self::Exclude => &mut choice.exclude,
        }
    }
}

/// Puts patterns on a list, or takes them off it.
pub(super) fn change(list: List, args: &PatternArgs, app: &mut App) -> Result<Exit, CliError> {
    let mut config = app.config()?;
    let patterns = list.of(&mut config.sync);
    for pattern in &args.patterns {
        let there = patterns.iter().position(|known| known == pattern);
        match (args.remove, there) {
            (true, Some(at)) => drop(patterns.remove(at)),
            (true, None) => return Err(CommandError::NoSuchPattern(pattern.clone()).into()),
            (false, Some(_)) => {}
            (false, None) => patterns.push(pattern.clone()),
        }
    }
    config.save(&app.config_path())?;
    if !args.remove {
        app.out
            .note("this holds from now on: what the store has already stays there");
    }
    Ok(Exit::Done)
}

/// A list as it is shown; `none` stands for an empty one.
pub(super) fn shown(patterns: &[ProjectPattern], none: &str) -> String {
    match patterns {
        [] => none.to_owned(),
        several => one_line(
            &several
                .iter()
                .map(ProjectPattern::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        )
        .into_owned(),
    }
}
