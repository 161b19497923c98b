//! The source of an import: a directory, or a clone that is made for it; and the recognition of
//! its layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::{UserError, url::RemoteUrl};
use crate::import::directory::{EntryKind, SourceDirectory};
use crate::report::Layout;
use crate::sys::{Env, temp::StagingDir};
use crate::transport::clone::clone;
use crate::workspace::{Context, SyncError};

/// A directory or repository to import from.
#[derive(Debug, Clone)]
pub enum ImportSource {
    /// A directory with a working tree, or a plain copy.
    Directory(PathBuf),
    /// A git repository, which is cloned into a directory that is removed afterwards.
    Remote(RemoteUrl),
}

/// Why nothing can be imported from a source.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No directory is there.
    #[error("cannot import `{}`: it is not a directory", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It is a store of ccsync.
    #[error("cannot import {source_name}: it is a store of ccsync")]
    Ours {
        /// The source, without secrets.
        source_name: String,
    },
    /// Its layout is unknown.
    #[error(
        "cannot import {source_name}: it is neither a store of claude-session-sync nor a copy of Claude Code's directory"
    )]
    Unknown {
        /// The source, without secrets.
        source_name: String,
    },
}

/// A source of a known layout.
pub(crate) struct OpenedSource {
    pub(crate) name: String,
    pub(crate) layout: Layout,
    pub(crate) root: PathBuf,
    /// Private, removed when dropped.
    pub(crate) staging_dir: StagingDir,
}

impl ImportSource {
    /// Takes `text` as a directory with files in it, relative to `cwd`, else as an address that
    /// git understands.
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

    /// The source as messages name it, without secrets.
    fn name(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Remote(url) => url.to_string(),
        }
    }

    pub(crate) fn open(&self, ctx: &Context<'_>) -> Result<OpenedSource, SyncError> {
        let staging_dir = StagingDir::create_in(&ctx.env.dirs.state)?;
        let path = match self {
            Self::Directory(path) => path.clone(),
            Self::Remote(url) => {
                let clone_dir = staging_dir.path().join("clone");
                let git = (ctx.env.git.clone(), ctx.interactive);
                clone(url, &clone_dir, git, Arc::clone(&ctx.progress))?;
                clone_dir
            }
        };
        if !path.is_dir() {
            return Err(ImportError::Missing { path }.into());
        }
        let name = self.name();
        let (root, layout) = recognize(&path, &name)?;
        Ok(OpenedSource {
            name,
            layout,
            root,
            staging_dir,
        })
    }
}

/// Returns the directory in which claude-session-sync keeps its clone, if it exists.
pub fn usual_source(env: &Env) -> Option<PathBuf> {
    let path = env.home.join(".claude-session-sync").join("repo");
    path.is_dir().then_some(path)
}

/// Returns true if there is a repository without a working tree.
fn is_bare(path: &Path) -> bool {
    path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir()
}

/// Returns the top directory of the source, and its layout.
fn recognize(path: &Path, name: &str) -> Result<(PathBuf, Layout), ImportError> {
    let source = SourceDirectory::new(path);
    if source.is_file("ccsync.json") {
        return Err(ImportError::Ours {
            source_name: format!("`{name}`"),
        });
    }
    if is_session_sync(&source) {
        let layout = if source.is_file("sessions/_paths.json") {
            Layout::Shared
        } else {
            Layout::PerMachine
        };
        return Ok((path.to_owned(), layout));
    }
    // The directory of the client, or its `projects/`.
    let root = match (path.file_name(), path.parent()) {
        (Some(name), Some(parent)) if name == "projects" => parent,
        _ => path,
    };
    if has_sessions(SourceDirectory::new(root)) {
        return Ok((root.to_owned(), Layout::ClaudeDir));
    }
    Err(ImportError::Unknown {
        source_name: format!("`{name}`"),
    })
}

/// Returns true if there is `sessions/`, and something that only claude-session-sync adds.
fn is_session_sync(source: &SourceDirectory) -> bool {
    let files = ["shared_placeholders.json", "sessions/_paths.json"];
    let directories = ["session_meta", "locks"];
    source.is_directory("sessions")
        && (files.iter().any(|name| source.is_file(name))
            || directories.iter().any(|name| source.is_directory(name)))
}

fn has_sessions(mut source: SourceDirectory) -> bool {
    if !source.is_directory("projects") {
        return false;
    }
    let projects = source.entries(&source.root().join("projects"));
    projects.iter().any(|project| {
        project.kind == EntryKind::Directory
            && source
                .entries(&project.path)
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
