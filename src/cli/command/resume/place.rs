//! Finds the project of a session, and asks what to do if it is not on this machine.

use std::path::{Path, PathBuf};

use super::error::ResumeError;
use crate::cli::{app::App, error::CliError, error::CommandError};
use crate::domain::{ProjectGit, SessionId};
use crate::handoff::project_here::{
    MissingProject, ProjectHere, ProposedClone, UnmappedPlaceholder, clone_project, project_here,
};
use crate::machine::set_path::set_path;
use crate::ui::{format::project, prompt, sanitize};

/// Returns the session's directory on this machine, and what was checked out there when the
/// session was stored.
pub(super) fn directory(
    session: &SessionId,
    app: &mut App,
) -> Result<(PathBuf, Option<ProjectGit>), CliError> {
    loop {
        match project_here(&app.context()?, session)? {
            ProjectHere::Present {
                directory,
                clones,
                git,
            } => {
                if clones > 1 {
                    app.out.note(&format!(
                        "{clones} clones of the project are on this machine; using {}",
                        path_text(&directory)
                    ));
                }
                return Ok((directory, git));
            }
            ProjectHere::Unknown => return Err(ResumeError::NoProject(session.clone()).into()),
            ProjectHere::Missing(missing) => fix(session, &missing, app)?,
        }
    }
}

/// Asks how to get the project to this machine, and does it.
fn fix(session: &SessionId, missing: &MissingProject, app: &mut App) -> Result<(), CliError> {
    let refusal = || {
        CliError::from(ResumeError::ProjectMissing {
            session: session.clone(),
            missing: Box::new(missing.clone()),
        })
    };
    let mut choices = choices(missing);
    if !app.is_interactive() || choices.is_empty() {
        return Err(refusal());
    }
    choices.push(("stop".to_owned(), ProjectChoice::Stop));

    let project = project(missing.project.as_str());
    app.out
        .note(&format!("the project {project} is not on this machine"));
    let texts: Vec<&str> = choices.iter().map(|(text, _)| text.as_str()).collect();
    let chosen = prompt::choose("What to do", &texts).map_err(CommandError::Terminal)?;
    match chosen.and_then(|at| choices.get(at)) {
        Some((_, ProjectChoice::Clone(proposed))) => Ok(clone_project(&app.context()?, proposed)?),
        Some((_, ProjectChoice::Map(placeholder))) => set_directory(placeholder, app),
        Some((_, ProjectChoice::Stop)) | None => Err(refusal()),
    }
}

enum ProjectChoice<'a> {
    Clone(&'a ProposedClone),
    Map(&'a UnmappedPlaceholder),
    Stop,
}

/// Returns the ways to get the project, with their labels.
fn choices(missing: &MissingProject) -> Vec<(String, ProjectChoice<'_>)> {
    let clone = missing.clone.as_ref().map(|proposed| {
        let from = sanitize::one_line(&proposed.remote.to_string()).into_owned();
        let text = format!("clone {from} into {}", path_text(&proposed.into));
        (text, ProjectChoice::Clone(proposed))
    });
    let map = missing.unmapped.as_ref().map(|placeholder| {
        let text = format!("set the directory of {} on this machine", placeholder.name);
        (text, ProjectChoice::Map(placeholder))
    });
    clone.into_iter().chain(map).collect()
}

/// Asks for the directory of a placeholder on this machine, and saves it.
fn set_directory(placeholder: &UnmappedPlaceholder, app: &App) -> Result<(), CliError> {
    let question = format!("Directory of {} on this machine", placeholder.name);
    let answer = prompt::line(&question)
        .map_err(CommandError::Terminal)?
        .ok_or(CommandError::Cancelled)?;
    let path = app
        .env
        .home
        .join(answer.strip_prefix("~/").unwrap_or(&answer));
    let (name, path) = (placeholder.name.clone(), path.to_string_lossy());
    set_path(&app.context()?, name, "this", &path)?;
    Ok(())
}

fn path_text(path: &Path) -> String {
    sanitize::one_line(&path.display().to_string()).into_owned()
}
