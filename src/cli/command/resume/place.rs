//! Where the project of a session is, and what to do if it is not on this machine. Nothing is done that the person did not choose.

use std::path::PathBuf;

use super::error::ResumeError;
use crate::cli::app::App;
use crate::cli::error::{CliError, CommandError};
use crate::domain::id::SessionId;
use crate::domain::project::ProjectGit;
use crate::handoff::project_here::{
    MissingProject, ProjectHere, ProposedClone, UnmappedPlaceholder,
};
use crate::ui::format::project;
use crate::ui::{prompt, sanitize};

/// The session's working directory here, and what was checked out there when it was stored.
pub(super) fn directory(
    session: &SessionId,
    app: &mut App,
) -> Result<(PathBuf, Option<ProjectGit>), CliError> {
    loop {
        match crate::handoff::project_here::project_here(&app.context()?, session)? {
            ProjectHere::Present {
                directory,
                clones,
                git,
            } => {
                if clones > 1 {
                    app.out.note(&format!(
                        "{clones} clones of the project are here; this one: {}",
                        shown(&directory)
                    ));
                }
                return Ok((directory, git));
            }
            ProjectHere::Unknown => return Err(ResumeError::NoProject(session.clone()).into()),
            ProjectHere::Missing(missing) => mend(session, &missing, app)?,
        }
    }
}

/// Asks what to do, and does it.
fn mend(session: &SessionId, missing: &MissingProject, app: &mut App) -> Result<(), CliError> {
    let refusal = || {
        let missing = Box::new(missing.clone());
        CliError::from(ResumeError::ProjectMissing {
            session: session.clone(),
            missing,
        })
    };
    if !app.is_interactive() {
        return Err(refusal());
    }
    let project = project(missing.project.as_str());
    app.out
        .note(&format!("the project {project} is not on this machine"));
    let mut choices: Vec<(String, Choice<'_>)> = Vec::new();
    if let Some(proposed) = &missing.clone {
        let from = sanitize::one_line(&proposed.remote.to_string()).into_owned();
        choices.push((
            format!("clone {from} into {}", shown(&proposed.into)),
            Choice::Clone(proposed),
        ));
    }
    if let Some(root) = &missing.unmapped {
        choices.push((
            format!("say where {} is on this machine", root.name),
            Choice::Map(root),
        ));
    }
    if choices.is_empty() {
        return Err(refusal());
    }
    choices.push(("stop".to_owned(), Choice::Stop));
    let texts: Vec<&str> = choices.iter().map(|(text, _)| text.as_str()).collect();
    let chosen = prompt::choose("What now", &texts).map_err(CommandError::Terminal)?;
    match chosen
        .and_then(|at| choices.get(at))
        .map(|(_, choice)| choice)
    {
        Some(Choice::Clone(proposed)) => Ok(crate::handoff::project_here::clone_project(
            &app.context()?,
            proposed,
        )?),
        Some(Choice::Map(root)) => map(root, app),
        Some(Choice::Stop) | None => Err(refusal()),
    }
}

enum Choice<'a> {
    Clone(&'a ProposedClone),
    Map(&'a UnmappedPlaceholder),
    Stop,
}

/// Gives a root its directory on this machine.
fn map(root: &UnmappedPlaceholder, app: &App) -> Result<(), CliError> {
    let question = format!("Directory of {} on this machine", root.name);
    let answer = prompt::line(&question)
        .map_err(CommandError::Terminal)?
        .ok_or(CommandError::Cancelled)?;
    let path = app
        .env
        .home
        .join(answer.strip_prefix("~/").unwrap_or(&answer));
    crate::machine::set_path::set_path(
        &app.context()?,
        root.name.clone(),
        "this",
        &path.to_string_lossy(),
    )?;
    Ok(())
}

fn shown(path: &std::path::Path) -> String {
    sanitize::one_line(&path.display().to_string()).into_owned()
}
