//! Finds a session's project on this machine, or proposes where to clone it.
//!
//! Only proposes: the store is untrusted, so the user sees and confirms everything
//! first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkouts::identity::{below_home, is_plain};
use crate::checkouts::locate::{CheckoutLocator, is_below_repo, place_of, plain_project};
use crate::domain::{
    Placeholder, PlaceholderName, Placeholders, PortablePath, ProjectGit, SessionId,
    project::PortableRemote, project::SubDirectory, url::RemoteUrl,
};
use crate::localize::Localizer;
use crate::rewrite::expand_path;
use crate::session::discover::find_transcript;
use crate::store::manifest::Manifest;
use crate::sys::fs::is_dir_in_time;
use crate::transport::{clone::clone, clone::is_free};
use crate::workspace::{Context, SyncError, Workspace};

/// Location of a session's project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectHere {
    /// On this machine.
    Present {
        /// The working directory.
        directory: PathBuf,
        /// Number of known clones of the project, from which this one was chosen; 0
        /// without a remote.
        clones: usize,
        /// The checkout at the time the session was stored; see
        /// [`crate::project::difference`].
        git: Option<ProjectGit>,
    },
    /// Not on this machine.
    Missing(MissingProject),
    /// The session is not in the store, or names no directory.
    Unknown,
}

/// A project that is not on this machine. Its text is not sanitized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingProject {
    /// Portable path of the project.
    pub project: PortablePath,
    /// Its working directory on this machine, if it existed: in a clone, if there is one.
    pub directory: Option<PathBuf>,
    /// The nearest directory above that exists: the home directory at most.
    pub nearest: Option<PathBuf>,
    /// Address to clone from. There may be one without a directory, which the user can
    /// choose.
    pub remote: Option<RemoteUrl>,
    /// Input for [`clone_project`], if both address and directory are known.
    pub clone: Option<ProposedClone>,
    /// Its placeholder, if it has no directory here: the session cannot be pulled without
    /// one.
    pub unmapped: Option<UnmappedPlaceholder>,
}

impl MissingProject {
    /// Returns its working directory if nothing is there.
    pub fn to_create(&self) -> Option<&Path> {
        let directory = self.directory.as_deref();
        directory.filter(|directory| directory.symlink_metadata().is_err())
    }
}

/// A proposed clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedClone {
    /// Address.
    pub remote: RemoteUrl,
    /// Top of the new working tree: missing or empty.
    pub into: PathBuf,
    /// The session's working directory in it.
    pub directory: PathBuf,
}

/// A placeholder without a directory on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmappedPlaceholder {
    /// Its name.
    pub name: PlaceholderName,
    /// Proposed directory: another machine's path, relative to the home directory.
    pub directory: Option<PathBuf>,
}

/// Returns the location of the project of `session`, or how to get it. Does not use the
/// network.
///
/// `chosen`: a directory that may be in an unknown clone of the project, like the current one.
///
/// # Errors
/// Errors of the whole command, or a manifest that cannot be read.
pub fn project_here(
    ctx: &Context<'_>,
    session: &SessionId,
    chosen: Option<&Path>,
) -> Result<ProjectHere, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let manifest = workspace.store.head_snapshot()?.manifest(session)?;
    let Some(manifest) = manifest else {
        return Ok(ProjectHere::Unknown);
    };
    let clones = workspace.localizer.clones();
    for directory in ctx.env.directory.as_deref().into_iter().chain(chosen) {
        clones.record_at(directory);
    }
    if find_transcript(&ctx.env.claude_dir, session).is_none() {
        clones.record_checkout(session, None);
    }
    let here = project_of(
        &workspace.localizer.with_current_project(&manifest),
        &workspace.localizer,
    );
    // A failed write costs a new search later.
    let _ = clones.save();
    Ok(here)
}

/// Clones a project with the user's `git`, without submodules. The session's directory
/// may be missing in it if the repository has changed. The caller must have asked the
/// user.
///
/// # Errors
/// [`CloneError`](crate::transport::clone::CloneError); nothing is left behind.
pub fn clone_project(ctx: &Context<'_>, proposed: &ProposedClone) -> Result<(), SyncError> {
    let how = (ctx.env.git.clone(), ctx.interactive);
    Ok(clone(
        &proposed.remote,
        &proposed.into,
        how,
        Arc::clone(&ctx.progress),
    )?)
}

/// Returns the location of the project of `manifest`. If the recorded clone is missing,
/// another one counts.
fn project_of(manifest: &Manifest, localizer: &Localizer) -> ProjectHere {
    let (here, locator) = (localizer.placeholders(), localizer.locator());
    let path = |placeholders: &Placeholders| {
        CheckoutLocator::project_directory(manifest, placeholders).map(PathBuf::from)
    };
    let recorded = path(&localizer.placeholders_for(manifest)).filter(|path| is_dir_in_time(path));
    let in_checkout = match &recorded {
        Some(_) => None,
        None => locator
            .locate_checkout(manifest, true)
            .filter(|top| is_dir_in_time(Path::new(&top.directory)))
            .and_then(|top| path(&here.with(top))),
    };
    match recorded.or_else(|| in_checkout.clone().filter(|path| is_dir_in_time(path))) {
        Some(directory) => {
            let clones = if is_below_repo(manifest) {
                locator.existing_checkouts(manifest).len()
            } else {
                0
            };
            ProjectHere::Present {
                directory,
                clones,
                git: manifest.git.clone(),
            }
        }
        None => match plain_project(manifest) {
            Some(project) => ProjectHere::Missing(missing(manifest, &project, in_checkout, here)),
            None => ProjectHere::Unknown,
        },
    }
}

fn missing(
    manifest: &Manifest,
    project: &PortablePath,
    in_checkout: Option<PathBuf>,
    placeholders: &Placeholders,
) -> MissingProject {
    let unmapped = unmapped_placeholder(manifest, project, placeholders);
    let with_placeholder = unmapped
        .as_ref()
        .and_then(|root| with_placeholder(placeholders, root));
    let directory = place_of(project, with_placeholder.as_ref().unwrap_or(placeholders))
        .filter(|_| is_plain(project));
    let directory = in_checkout
        .filter(|_| is_plain(project))
        .or(directory.map(PathBuf::from));
    let home = placeholders.get(PlaceholderName::home().as_str());
    let git = manifest.git.as_ref();
    let remote = git.and_then(|git| address(git.remote.as_ref()?, placeholders));
    let clone = git.zip(remote.clone()).zip(directory.clone());
    MissingProject {
        project: project.clone(),
        clone: clone.and_then(|((git, remote), directory)| {
            let into = top(&directory, &git.directory)?;
            is_free(&into).then_some(ProposedClone {
                remote,
                into,
                directory,
            })
        }),
        nearest: directory
            .as_deref()
            .zip(home)
            .and_then(|(directory, home)| nearest(directory, Path::new(&home.directory))),
        directory,
        remote,
        unmapped,
    }
}

/// Returns the nearest directory above `directory` that exists; none that contains `home`.
fn nearest(directory: &Path, home: &Path) -> Option<PathBuf> {
    let existing = directory
        .ancestors()
        .skip(1)
        .find(|above| is_dir_in_time(above))?;
    let is_above_home = home != existing && home.starts_with(existing);
    (!is_above_home).then(|| existing.to_owned())
}

/// Returns the placeholder of `project`, if it has no directory here.
fn unmapped_placeholder(
    manifest: &Manifest,
    project: &PortablePath,
    placeholders: &Placeholders,
) -> Option<UnmappedPlaceholder> {
    let (name, _) = project.as_str().strip_prefix("{{")?.split_once("}}")?;
    let name: PlaceholderName = name
        .parse()
        .ok()
        .filter(|name: &PlaceholderName| placeholders.get(name.as_str()).is_none())?;
    let writer = manifest
        .transcript
        .runs
        .last()
        .and_then(|run| manifest.placeholders.get(&run.placeholders));
    let directory = writer
        .into_iter()
        .chain(manifest.placeholders.values())
        .find_map(|there| below_home(there, &name, placeholders));
    Some(UnmappedPlaceholder { name, directory })
}

fn with_placeholder(
    placeholders: &Placeholders,
    unmapped: &UnmappedPlaceholder,
) -> Option<Placeholders> {
    let path = unmapped.directory.as_ref()?.to_str()?;
    let root = Placeholder::new(placeholders.system, unmapped.name.clone(), path, None).ok()?;
    Some(Placeholders::new(
        placeholders.system,
        placeholders.placeholders.iter().cloned().chain([root]),
    ))
}

/// Returns the top of the working tree that contains `directory` at the recorded path.
fn top(directory: &Path, recorded: &SubDirectory) -> Option<PathBuf> {
    let mut top = directory;
    for part in recorded
        .as_str()
        .rsplit('/')
        .filter(|part| !part.is_empty())
    {
        if top.file_name()? != part {
            return None;
        }
        top = top.parent()?;
    }
    Some(top.to_owned())
}

/// Returns the recorded address for git here; a path is expanded.
fn address(remote: &PortableRemote, placeholders: &Placeholders) -> Option<RemoteUrl> {
    match remote.as_path() {
        Some(path) => RemoteUrl::parse(&expand_path(&path, placeholders)?, Path::new("/")).ok(),
        None => RemoteUrl::parse(remote.as_str(), Path::new("/")).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placeholder::System;

    fn placeholders(system: System, placeholders: &[(&str, &str)]) -> Placeholders {
        let root = |(name, path): &(&str, &str)| {
            Placeholder::new(system, name.parse().expect("a name"), path, None).expect("a root")
        };
        Placeholders::new(system, placeholders.iter().map(root))
    }

    fn project(text: &str) -> PortablePath {
        PortablePath::new(text)
    }

    #[test]
    fn placeholder_suggestion_below_home_moves_to_local_home() {
        let here = placeholders(System::Linux, &[("HOME", "/home/bo")]);
        let name: PlaceholderName = "WORK".parse().unwrap();
        for (there, proposed) in [
            (
                placeholders(
                    System::Linux,
                    &[("HOME", "/home/al"), ("WORK", "/home/al/my/work")],
                ),
                Some("/home/bo/my/work"),
            ),
            (
                placeholders(
                    System::Windows,
                    &[("HOME", "C:\\Users\\al"), ("WORK", "C:\\Users\\al\\w")],
                ),
                Some("/home/bo/w"),
            ),
            (
                placeholders(
                    System::Linux,
                    &[("HOME", "/home/al"), ("WORK", "/data/work")],
                ),
                None,
            ),
            (
                placeholders(
                    System::Linux,
                    &[("HOME", "/home/al"), ("WORK", "/home/al/.ssh")],
                ),
                None,
            ),
            (
                placeholders(
                    System::Linux,
                    &[("HOME", "/home/al"), ("WORK", "/home/al/../bo/x")],
                ),
                None,
            ),
        ] {
            assert_eq!(
                below_home(&there, &name, &here),
                proposed.map(PathBuf::from),
                "{there:?}"
            );
        }
    }

    #[test]
    fn project_directory_read_by_programs_is_not_proposed() {
        for good in [
            "{{HOME}}/work/app",
            "{{WORK}}",
            "{{WORK}}/a b",
            "/srv/app",
            "D:\\work\\app",
        ] {
            assert!(is_plain(&project(good)), "{good}");
        }
        for bad in [
            "{{HOME}}/.ssh",
            "{{HOME}}/work/.git/hooks",
            "{{HOME}}/.config/systemd/user",
            "{{HOME}}/Library/LaunchAgents",
            "{{HOME}}/AppData/Roaming/x",
            "{{HOME}}/bin",
            "/etc/cron.d",
            "{{HOME}}/a/../b",
            "{{HOME}}/a\u{1b}[2J",
            "{{HOME}}x",
            "/",
            "",
        ] {
            assert!(!is_plain(&project(bad)), "{bad:?}");
        }
    }

    #[test]
    fn project_clone_top_is_found_above_subdirectory() {
        let of = |directory: &str, below: &str| {
            top(Path::new(directory), &SubDirectory::new(below).unwrap())
        };
        assert_eq!(of("/h/app/crates/x", "crates/x"), Some("/h/app".into()));
        assert_eq!(of("/h/app", ""), Some("/h/app".into()));
        assert_eq!(of("/h/app", "crates"), None);
        assert_eq!(of("/crates", "x/crates"), None);
    }

    #[test]
    fn project_local_remote_path_is_localized() {
        let here = placeholders(System::Linux, &[("HOME", "/home/bo")]);
        let of = |text: &str| {
            address(&PortableRemote::new(text).unwrap(), &here)
                .map(|url| url.as_git_argument().to_owned())
        };
        assert_eq!(
            of("{{HOME}}/git/x.git").as_deref(),
            Some("/home/bo/git/x.git")
        );
        assert_eq!(of("git@host:x.git").as_deref(), Some("git@host:x.git"));
        assert_eq!(of("{{WORK}}/x.git"), None);
        assert_eq!(of("C:\\git\\x.git"), None);
    }
}
