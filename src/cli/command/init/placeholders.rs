//! Asks for the directories of placeholders that only other machines have. Proposes a
//! directory if it found one.

use crate::cli::app::{App, current_dir};
use crate::cli::args::PlaceholderArg;
use crate::cli::error::{CliError, CommandError};
use crate::cli::placeholder_directory;
use crate::domain::PlaceholderName;
use crate::machine::{set_up::SetUpReport, suggested_placeholders::ForeignPlaceholder};
use crate::report::RemoteState;
use crate::ui::{format::count, prompt, sanitize::one_line};

/// Answer for no directory.
const NONE: &str = "-";

/// Asks for each missing placeholder, saves the answers, and updates the report.
///
/// # Errors
/// If an answer cannot be the directory of a placeholder, or the terminal fails.
pub(super) fn ask(report: &mut SetUpReport, app: &mut App) -> Result<(), CliError> {
    let cwd = current_dir()?;
    let mut paths = Vec::new();
    for placeholder in &mut report.missing_placeholders {
        // The machine is set up already, so a cancelled question is the last one.
        let Some(answer) = ask_for(placeholder)? else {
            break;
        };
        if answer.is_empty() || answer == NONE {
            continue;
        }
        let given: Result<PlaceholderArg, _> = format!("{}={answer}", placeholder.name).parse();
        let directory = given
            .map_err(CliError::internal)?
            .directory(&app.env.home, &cwd);
        if !placeholder_directory::is_confirmed(&directory, app)? {
            continue;
        }
        placeholder.here = Some(directory.clone());
        paths.push((placeholder.name.clone(), directory));
    }
    if paths.is_empty() {
        return Ok(());
    }
    let remote = crate::machine::set_path::set_paths_here(&app.context()?, paths.clone())?;
    if !matches!(remote, RemoteState::NotContacted) {
        report.remote = remote;
    }
    let is_given = |placeholder: &mut ForeignPlaceholder| {
        paths.iter().any(|(name, _)| *name == placeholder.name)
    };
    report
        .adopted
        .extend(report.missing_placeholders.extract_if(.., is_given));
    report.placeholders.extend(
        paths
            .into_iter()
            .map(|(name, path)| (name.to_string(), path.to_string_lossy().into_owned())),
    );
    Ok(())
}

/// Explains the effect of new placeholders on sessions that were stored before.
///
/// `is_sent`: the other machines can know the placeholders already.
pub(in crate::cli) fn explain_stored(names: &[PlaceholderName], is_sent: bool, app: &mut App) {
    // If the store cannot be read, the next command reports it.
    let stored = app
        .context()
        .ok()
        .and_then(|ctx| {
            crate::machine::sessions_stored_before::sessions_stored_before(&ctx, names).ok()
        })
        .unwrap_or_default();
    if stored == 0 {
        return;
    }
    let names = names
        .iter()
        .map(PlaceholderName::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let sessions = count(stored, "session");
    let keep = if stored == 1 {
        "keeps its"
    } else {
        "keep their"
    };
    app.out.hint(&format!(
        "{sessions} below {names} {keep} stored text; new turns use {names}"
    ));
    if !is_sent {
        app.out.hint(&format!(
            "to place them by {names} on other machines, too: `ccsync push`"
        ));
    }
}

fn ask_for(placeholder: &ForeignPlaceholder) -> Result<Option<String>, CliError> {
    let ForeignPlaceholder {
        name,
        machine,
        there,
        here,
    } = placeholder;
    let (machine, there) = (one_line(machine), one_line(there));
    let here = here.as_deref().and_then(|path| path.to_str());
    let none = if here.is_some() { NONE } else { "empty" };
    let question = format!("Directory for {name}, on {machine} {there} ({none}: no directory)");
    let answer = match here {
        Some(here) => prompt::line_or(&question, here),
        None => prompt::line(&question),
    };
    Ok(answer.map_err(CommandError::Terminal)?)
}
