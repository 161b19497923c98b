//! Asks for the directories of placeholders that other machines have and this one lacks. What was found is proposed: enter accepts it.

use crate::cli::app::{App, current_dir};
use crate::cli::args::PlaceholderArg;
use crate::cli::error::{CliError, CommandError};
use crate::domain::placeholder::PlaceholderName;
use crate::machine::set_up::SetUpReport;
use crate::machine::suggested_placeholders::ForeignPlaceholder;
use crate::report::transfer::RemoteState;
use crate::ui::format::count;
use crate::ui::prompt;
use crate::ui::sanitize::one_line;

/// What a person types who wants none.
const NONE: &str = "-";

/// Asks for each placeholder that is missing, writes down what was said, and brings the report up to date.
///
/// # Errors
/// If what was said cannot be a placeholder's directory, or the terminal fails.
pub(super) fn ask(report: &mut SetUpReport, app: &App) -> Result<(), CliError> {
    let cwd = current_dir()?;
    let mut paths = Vec::new();
    for placeholder in &mut report.unmapped {
        // Who cancels wants to be asked nothing more; the machine is set up all the same.
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
        .learnt
        .extend(report.unmapped.extract_if(.., is_given));
    report.placeholders.extend(
        paths
            .into_iter()
            .map(|(name, path)| (name.to_string(), path.to_string_lossy().into_owned())),
    );
    Ok(())
}

/// Says what becomes of sessions that were stored below the directories of these placeholders before they had them. `is_sent`: other machines
/// can know of the placeholders already.
pub(in crate::cli) fn tell_of_stored(names: &[PlaceholderName], is_sent: bool, app: &mut App) {
    // Whoever cannot read the store learns of it from the next command.
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
    let (are, its, them) = if stored == 1 {
        ("is", "its", "it")
    } else {
        ("are", "their", "them")
    };
    let sessions = count(stored, "session");
    app.out.hint(&format!(
        "{sessions} below {names} {are} stored already: {its} text stays as it is, new turns use {names}"
    ));
    if !is_sent {
        app.out.hint(&format!(
            "other machines place {them} by {names} once they know of it: ccsync push"
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
    let question = format!("Directory for {name}, on {machine} {there} ({none}: none)");
    let answer = match here {
        Some(here) => prompt::line_or(&question, here),
        None => prompt::line(&question),
    };
    Ok(answer.map_err(CommandError::Terminal)?)
}
