//! The directory of a pulled session on this machine.
//!
//! A session that is here stays where it is, whatever its project is called now, unless its records
//! say that it was moved (`/cd`). Otherwise Claude
//! Code's directory for the project decides. A project below a placeholder that this machine has
//! not mapped has no directory, and none is guessed.

use std::path::{Path, PathBuf};

use crate::checkouts::locate::{
    CheckoutLocator, PLACEHOLDER, is_below_repo, plain_project, project_name,
};
use crate::domain::{
    client_dir::client_dir_name, path::PortablePath, placeholder::PlaceholderName,
    placeholder::Placeholders, url::has_drive,
};
use crate::localize::{error::StoredDataError, localizer::Localizer, stored_text::StoredText};
use crate::rewrite::{Expander, TextKind, View};
use crate::session::{
    facts::WorktreeRecord, facts::has_relocated, facts::last_worktree_record, files::project_dir,
};
use crate::store::manifest::Manifest;
use crate::sys::{Env, fs::canonicalize_existing};

/// The directory for a session that is not on this machine yet.
pub(crate) enum SessionLocation {
    /// A project directory, with a note for the user.
    Directory { path: PathBuf, note: Option<String> },
    /// No directory, for this reason.
    Missing(String),
}

impl SessionLocation {
    /// Replaces a missing directory by that of a session in `directory`.
    pub(crate) fn or_in(self, directory: Option<&Path>, env: &Env) -> Self {
        match (self, directory) {
            (Self::Missing(_), Some(directory)) => {
                let directory = canonicalize_existing(&directory.to_string_lossy());
                Self::Directory {
                    path: project_dir(env, &client_dir_name(&directory)),
                    note: None,
                }
            }
            (location, _) => location,
        }
    }
}

impl Localizer {
    /// Chooses the directory and the checkout of a session. `transcript` is that of the
    /// session.
    pub(crate) fn resolve_location(
        &self,
        manifest: &Manifest,
        transcript: &StoredText<'_>,
        env: &Env,
    ) -> Result<SessionLocation, StoredDataError> {
        self.choose_checkout(manifest);
        let note = self.leave_missing_worktree(manifest, transcript)?;
        let current = self.with_current_project(manifest);
        let name = directory_name(&current, &self.placeholders_for(manifest));
        Ok(match name {
            Ok(name) => SessionLocation::Directory {
                path: project_dir(env, &name),
                note,
            },
            Err(reason) => SessionLocation::Missing(reason),
        })
    }

    /// Returns the directory of a session that is here, if the stored lines from `from` on say that
    /// Claude Code has moved it elsewhere (`/cd`).
    pub(crate) fn moved_location(
        &self,
        manifest: &Manifest,
        transcript: &StoredText<'_>,
        from: u64,
        env: &Env,
    ) -> Result<Option<SessionLocation>, StoredDataError> {
        let mut is_moved = false;
        transcript.walk(from, &mut |piece| {
            is_moved |= has_relocated(piece.text);
            Ok(!is_moved)
        })?;
        if !is_moved {
            return Ok(None);
        }
        self.resolve_location(manifest, transcript, env).map(Some)
    }

    /// Keeps the path of an entered working tree unused if the tree is not here.
    ///
    /// Claude Code refuses to continue a session in a working tree that it entered
    /// (`EnterWorktree`) if another checkout has the tree's path. If nothing is at that
    /// path, it leaves the tree for the checkout in which it is started.
    fn leave_missing_worktree(
        &self,
        manifest: &Manifest,
        transcript: &StoredText<'_>,
    ) -> Result<Option<String>, StoredDataError> {
        let locator = self.locator();
        if !locator.replaces_worktree(manifest) || !is_in_entered_worktree(transcript)? {
            return Ok(None);
        }
        let id = &manifest.session;
        let name = manifest.git.as_ref().and_then(|git| git.worktree.as_ref());
        let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
        let goes_on = match locator.missing_checkout(manifest) {
            Some(missing) => {
                self.clones().record_checkout(id, Some(&missing.directory));
                format!("ccsync resume {id} continues in the checkout; or")
            }
            None => "before Claude Code continues it,".to_owned(),
        };
        Ok(Some(format!(
            "its working tree{name} is not here: {goes_on} create one with git worktree add, remove the transcript, and ccsync pull {id}"
        )))
    }
}

/// Returns true if Claude Code is in a working tree that it entered, which is the session's
/// repository.
fn is_in_entered_worktree(transcript: &StoredText<'_>) -> Result<bool, StoredDataError> {
    let mut last = None;
    transcript.walk(0, &mut |piece| {
        last = last_worktree_record(piece.text).or(last.take());
        Ok(true)
    })?;
    Ok(matches!(last, Some(WorktreeRecord::Entered(path)) if path == PLACEHOLDER))
}

/// Returns the name of Claude Code's directory for the project, or why the project has no
/// directory here.
fn directory_name(manifest: &Manifest, placeholders: &Placeholders) -> Result<String, String> {
    let name = match &manifest.project {
        Some(project) => {
            let path = CheckoutLocator::project_directory(manifest, placeholders);
            let path = path.ok_or_else(|| missing_directory(manifest, project))?;
            client_dir_name(&canonicalize_existing(&path))
        }
        None => expand_name(manifest, placeholders)
            .ok_or("no record says which project it belongs to")?,
    };
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || !name.bytes().all(is_valid) {
        return Err("its directory in the store is not a valid one of Claude Code".to_owned());
    }
    Ok(name)
}

/// Returns the name of Claude Code's directory for the session on the machine with these
/// placeholders.
pub(crate) fn expand_name(manifest: &Manifest, placeholders: &Placeholders) -> Option<String> {
    let origin = manifest.placeholders.values().next()?;
    let expander = Expander::new(origin, placeholders, View::Local);
    let mut name = Vec::new();
    expander.expand(manifest.directory.as_bytes(), TextKind::Plain, &mut name);
    String::from_utf8(name).ok()
}

fn missing_directory(manifest: &Manifest, project: &PortablePath) -> String {
    let plain = plain_project(manifest).filter(|_| is_below_repo(manifest));
    if let (Some(name), Some(plain)) = (project_name(manifest), &plain) {
        let git = manifest.git.as_ref();
        let remote = git.and_then(|git| git.remote.as_ref());
        let remote = remote.filter(|remote| is_plain_word(remote.as_str()));
        let remote = remote.map_or_else(|| "its repository".to_owned(), ToString::to_string);
        let placeholder = placeholder_name(plain.as_str())
            .map(|name| format!(", or: ccsync config add-placeholder {name}=PATH"))
            .unwrap_or_default();
        return format!(
            "no clone of {name} here: clone {remote}, then ccsync pull in it{placeholder}"
        );
    }
    let project = plain.as_ref().unwrap_or(project);
    match placeholder_name(project.as_str()) {
        Some(name) => {
            format!("no place for `{project}` here: ccsync config add-placeholder {name}=PATH")
        }
        None if has_drive(project.as_str()) => format!(
            "`{project}` is a path of Windows: on its machine, ccsync config add-placeholder NAME=PATH (below WSL: NAME=/mnt/c/PATH), then ccsync push"
        ),
        None => format!(
            "`{project}` is not a path of this system: ccsync config add-placeholder NAME=PATH on its machine"
        ),
    }
}

/// Returns true if a shell takes the text as one plain word. It is untrusted, and the user may copy
/// it into one.
fn is_plain_word(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"@:/._~+-".contains(&b))
}

/// Returns the name of the placeholder that a path begins with. Only a valid name may stand in a
/// command: the text is untrusted.
fn placeholder_name(project: &str) -> Option<&str> {
    let (name, _) = project.strip_prefix("{{")?.split_once("}}")?;
    name.parse::<PlaceholderName>().is_ok().then_some(name)
}
