//! Finds the directory of a session, and asks what to do if it is not on this machine.

use std::path::{Path, PathBuf};

use super::args::{MissingDirectory, ResumeArgs};
use super::error::ResumeError;
use crate::cli::app::{App, current_dir};
use crate::cli::{args::typed_path, ask, error::CliError, error::CommandError};
use crate::domain::{ProjectGit, SessionId};
use crate::handoff::project_here::{
    MissingProject, ProjectHere, ProposedClone, UnmappedPlaceholder, clone_project, project_here,
};
use crate::machine::set_path::set_path;
use crate::sys::fs::{create_users_dir_all, is_dir_in_time};
use crate::ui::{format::project, sanitize};
use crate::workspace::exclusion::directory_exclude_reason;

/// Directory in which a session continues.
pub(super) struct Place {
    pub(super) directory: PathBuf,
    /// The checkout in it when the session was stored, if it is the session's own directory.
    pub(super) git: Option<ProjectGit>,
}

/// Returns the directory of a session on this machine.
pub(super) fn directory(
    session: &SessionId,
    args: &ResumeArgs,
    app: &mut App,
) -> Result<Place, CliError> {
    let mut chosen = None;
    if let Some(directory) = &args.directory {
        let directory = existing(directory, app)?;
        // Recorded, since it may be a clone of the project.
        project_here(&app.context()?, session, Some(&directory))?;
        return other(directory, app);
    }
    loop {
        match project_here(&app.context()?, session, chosen.as_deref())? {
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
                return Ok(Place { directory, git });
            }
            ProjectHere::Unknown => return Err(ResumeError::NoProject(session.clone()).into()),
            ProjectHere::Missing(missing) => {
                if let Some(directory) = chosen {
                    return other(directory, app);
                }
                match choose_way(session, &missing, args, app)? {
                    Way::Create(directory) => {
                        create_users_dir_all(directory)?;
                        return other(directory.to_owned(), app);
                    }
                    Way::Clone(proposed) => clone_project(&app.context()?, proposed)?,
                    Way::Map(placeholder) => set_directory(placeholder, app)?,
                    Way::Nearest(directory) => return other(directory.to_owned(), app),
                    Way::Other => chosen = Some(ask_for_directory(app)?),
                }
            }
        }
    }
}

/// Returns a directory that may not be the session's own. Refuses an excluded one: new turns
/// would stay on this machine.
fn other(directory: PathBuf, app: &App) -> Result<Place, CliError> {
    if let Some(why) = directory_exclude_reason(&app.context()?, &directory) {
        return Err(ResumeError::ExcludedDirectory { directory, why }.into());
    }
    Ok(Place {
        directory,
        git: None,
    })
}

/// A way to get a directory for a session.
#[derive(Clone, Copy)]
enum Way<'a> {
    Clone(&'a ProposedClone),
    Create(&'a Path),
    Map(&'a UnmappedPlaceholder),
    Nearest(&'a Path),
    Other,
}

impl Way<'_> {
    fn is(self, wanted: MissingDirectory) -> bool {
        matches!(
            (self, wanted),
            (Self::Clone(_), MissingDirectory::Clone)
                | (Self::Create(_), MissingDirectory::Create)
                | (Self::Nearest(_), MissingDirectory::Nearest)
        )
    }

    fn text(self) -> String {
        match self {
            Self::Clone(proposed) => {
                let from = sanitize::one_line(&proposed.remote.to_string()).into_owned();
                format!("clone {from} into {}", path_text(&proposed.into))
            }
            Self::Create(directory) => format!("create {}", path_text(directory)),
            Self::Map(placeholder) => {
                format!("set the directory of {} on this machine", placeholder.name)
            }
            Self::Nearest(directory) => format!("continue in {}", path_text(directory)),
            Self::Other => "continue in another directory".to_owned(),
        }
    }
}

/// Returns the way that the arguments name, or that the user chooses.
fn choose_way<'a>(
    session: &SessionId,
    missing: &'a MissingProject,
    args: &ResumeArgs,
    app: &mut App,
) -> Result<Way<'a>, CliError> {
    let ways = ways(missing);
    let wanted = args
        .missing
        .and_then(|wanted| ways.iter().find(|way| way.is(wanted)));
    if let Some(way) = wanted {
        return Ok(*way);
    }
    if args.missing.is_some() || !app.is_interactive() {
        return Err(ResumeError::ProjectMissing {
            session: session.clone(),
            missing: Box::new(missing.clone()),
        }
        .into());
    }

    let project = project(missing.project.as_str());
    app.out
        .note(&format!("the project {project} is not on this machine"));
    let mut texts: Vec<String> = ways.iter().map(|way| way.text()).collect();
    texts.push("stop".to_owned());
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let chosen = ask::choose("What to do", &texts)?;
    let way = ways.get(chosen).copied();
    let stopped = || CommandError::Declined("Claude Code was not started".to_owned());
    Ok(way.ok_or_else(stopped)?)
}

fn ways(missing: &MissingProject) -> Vec<Way<'_>> {
    let ways = [
        missing.clone.as_ref().map(Way::Clone),
        missing.unmapped.as_ref().map(Way::Map),
        missing.to_create().map(Way::Create),
        missing.nearest.as_deref().map(Way::Nearest),
        Some(Way::Other),
    ];
    ways.into_iter().flatten().collect()
}

/// Asks for the directory of a placeholder on this machine, and saves it.
fn set_directory(placeholder: &UnmappedPlaceholder, app: &mut App) -> Result<(), CliError> {
    let question = format!("Directory of {} on this machine", placeholder.name);
    let path = ask_for_existing(&question, app)?;
    let (name, path) = (placeholder.name.clone(), path.to_string_lossy());
    set_path(&app.context()?, name, "this", &path)?;
    Ok(())
}

fn ask_for_directory(app: &mut App) -> Result<PathBuf, CliError> {
    ask_for_existing("Directory to continue in", app)
}

/// Asks for a directory until it exists. An empty answer is a no.
fn ask_for_existing(question: &str, app: &mut App) -> Result<PathBuf, CliError> {
    loop {
        let answer = ask::line(question)?;
        if answer.is_empty() {
            let stopped = "Claude Code was not started".to_owned();
            return Err(CommandError::Declined(stopped).into());
        }
        match existing(Path::new(&answer), app) {
            Ok(directory) => return Ok(directory),
            Err(e) => app.out.note(&e.message()),
        }
    }
}

fn existing(typed: &Path, app: &App) -> Result<PathBuf, CliError> {
    let directory = typed_path(typed, &app.env.home, &current_dir()?);
    if is_dir_in_time(&directory) {
        Ok(directory)
    } else {
        Err(ResumeError::NoDirectory(directory).into())
    }
}

fn path_text(path: &Path) -> String {
    sanitize::one_line(&path.display().to_string()).into_owned()
}
