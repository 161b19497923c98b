//! Where an import reads from: a directory as it lies there, or a clone made for the purpose; and what kind of thing lies there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::error::UserError;
use crate::import::directory::{Directory, Kind, Named};
use crate::import::types::Layout;
use crate::sys::env::Env;
use crate::sys::temp::StagingDir;
use crate::transport::clone::clone;
use crate::transport::url::RemoteUrl;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;

/// Where to import from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A directory with a working tree, or a plain copy.
    Directory(PathBuf),
    /// A git repository, which is cloned into a directory that is removed afterwards.
    Remote(RemoteUrl),
}

/// Why nothing can be imported from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is nothing, or no directory.
    #[error("cannot import `{}`: it is not a directory", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It is a store of this program.
    #[error("cannot import {source_name}: it is a store of ccsync")]
    Ours {
        /// Which, without secrets.
        source_name: String,
    },
    /// Nothing known.
    #[error(
        "cannot import {source_name}: it is neither a store of claude-session-sync nor a copy of Claude Code's directory"
    )]
    Unknown {
        /// Which, without secrets.
        source_name: String,
    },
}

/// A source that is there and known.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) layout: Layout,
    pub(crate) directory: Directory,
    /// Private, removed when dropped.
    pub(crate) staging_dir: StagingDir,
}

impl Source {
    /// What `text` names: a directory with files in it, else an address that git understands. Relative paths begin at `cwd`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str, env: &Env, cwd: &Path) -> Result<Self, SyncError> {
        let path = match text.strip_prefix("~/") {
            Some(below) => env.home.join(below),
            None => cwd.join(text),
        };
        if path.is_dir() && !is_bare(&path) {
            return Ok(Self::Directory(path));
        }
        Ok(Self::Remote(RemoteUrl::parse(text, cwd)?))
    }

    /// What people see of it.
    fn name(&self) -> String {
        match self {
            Self::Directory(path) => format!("`{}`", path.display()),
            Self::Remote(url) => format!("`{url}`"),
        }
    }

    pub(crate) fn open(&self, ctx: &Context<'_>) -> Result<Opened, SyncError> {
        let staging_dir = StagingDir::create_in(&ctx.env.dirs.state)?;
        let path = match self {
            Self::Directory(path) => path.clone(),
            Self::Remote(url) => {
                let place = staging_dir.path().join("clone");
                clone(
                    url,
                    &place,
                    (ctx.env.git, ctx.interactive),
                    Arc::clone(&ctx.progress),
                )?;
                place
            }
        };
        if !path.is_dir() {
            return Err(ImportError::Missing { path }.into());
        }
        let (directory, layout) = recognise(&path, &self.name())?;
        Ok(Opened {
            name: self.name().trim_matches('`').to_owned(),
            layout,
            directory,
            staging_dir,
        })
    }
}

/// Where claude-session-sync keeps its clone, if it is there.
pub fn usual_source(env: &Env) -> Option<PathBuf> {
    Some(env.home.join(".claude-session-sync").join("repo")).filter(|path| path.is_dir())
}

/// Whether a repository without a working tree lies there.
fn is_bare(path: &Path) -> bool {
    path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir()
}

fn recognise(path: &Path, name: &str) -> Result<(Directory, Layout), ImportError> {
    let directory = Directory::new(path);
    if directory.is_file("ccsync.json") {
        return Err(ImportError::Ours {
            source_name: name.to_owned(),
        });
    }
    if is_claude_session_sync(&directory) {
        let shared = directory.is_file("sessions/_paths.json");
        return Ok((
            directory,
            if shared {
                Layout::Shared
            } else {
                Layout::PerMachine
            },
        ));
    }
    // The client's directory itself, or its `projects/`.
    let above = path
        .parent()
        .filter(|_| path.file_name().is_some_and(|name| name == "projects"));
    let client = above.map(Directory::new).unwrap_or(directory);
    if client.is_directory("projects") && has_sessions(&client) {
        return Ok((client, Layout::Client));
    }
    Err(ImportError::Unknown {
        source_name: name.to_owned(),
    })
}

/// `sessions/`, and at least one of the things that only that program puts beside it.
fn is_claude_session_sync(directory: &Directory) -> bool {
    let extras = ["shared_placeholders.json", "sessions/_paths.json"]
        .iter()
        .any(|name| directory.is_file(name))
        || ["session_meta", "locks"]
            .iter()
            .any(|name| directory.is_directory(name));
    directory.is_directory("sessions") && extras
}

fn has_sessions(client: &Directory) -> bool {
    let mut ignored = Named::default();
    let projects = client.entries(&client.root().join("projects"), &mut ignored);
    projects
        .iter()
        .filter(|entry| entry.kind == Kind::Directory)
        .any(|project| {
            client
                .entries(&project.path, &mut ignored)
                .iter()
                .any(|entry| entry.name.ends_with(".jsonl"))
        })
}

impl UserError for ImportError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Ours { .. } => "use it as the remote with `ccsync init --remote URL`",
            Self::Missing { .. } | Self::Unknown { .. } => {
                "see what can be imported with `ccsync import --help`"
            }
        };
        vec![hint.to_owned()]
    }
}

impl From<ImportError> for SyncError {
    fn from(error: ImportError) -> Self {
        Self::Operation(Box::new(error))
    }
}
