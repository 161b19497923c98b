//! `ccsync config include` and `exclude`: lists of projects that are synced or not.

use clap::ValueHint;

use super::all_excluded;
use crate::cli::{app::App, error::CliError, error::CommandError, exit::Exit};
use crate::config::SyncRules;
use crate::domain::ProjectPattern;
use crate::ui::sanitize::one_line;

/// One of the two lists of patterns in the settings.
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
    fn name(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
        }
    }

    fn patterns(self, rules: &mut SyncRules) -> &mut Vec<ProjectPattern> {
        match self {
            Self::Include => &mut rules.include,
            Self::Exclude => &mut rules.exclude,
        }
    }
}

/// Adds patterns to a list, or removes them.
pub(super) fn change(list: List, args: &PatternArgs, app: &mut App) -> Result<Exit, CliError> {
    let mut config = app.config()?;
    let patterns = list.patterns(&mut config.sync);
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
            .note("future pushes and pulls use this list; stored sessions stay in the store");
    }
    all_excluded::warn(list.name(), app);
    Ok(Exit::Done)
}

/// Returns a list for the output. `none` is the text for an empty one.
pub(super) fn pattern_list(patterns: &[ProjectPattern], none: &str) -> String {
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
