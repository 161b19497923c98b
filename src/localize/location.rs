//! Where a pulled session belongs on this machine.
//!
//! A session that is here already stays where it is, whatever its project is called now. Otherwise the client's directory for the
//! project decides; a project under a root that this machine has not mapped has no place, and none is guessed.

use std::path::{Path, PathBuf};

use crate::checkouts::locate::{PLACEHOLDER, Repos, is_below_repo, name, plain_project};
use crate::domain::client_dir::client_dir_name;
use crate::domain::path::PortablePath;
use crate::domain::placeholder::Placeholders;
use crate::localize::error::StoredDataError;
use crate::localize::localizer::Localizer;
use crate::localize::stored_text::StoredText;
use crate::rewrite::{Expander, TextKind};
use crate::session::facts::{WorktreeRecord, last_worktree_record};
use crate::session::files::projects_dir;
use crate::store::manifest::Manifest;
use crate::sys::fs::canonicalize_existing;

/// A place, or the reason why there is none.
pub(crate) type Place = Result<PathBuf, String>;

impl Localizer {
    /// Decides where the repository of a session is that is not on this machine yet.
    ///
    /// Claude Code refuses a session that it took into a working tree beside its checkout
    /// (`EnterWorktree`) if another checkout has that tree's place. So if the tree is missing, its
    /// place stays empty, and Claude Code leaves it for the checkout in which it is started.
    ///
    /// Returns a note for the user in that case.
    pub(crate) fn resolve_location(
        &self,
        manifest: &Manifest,
        transcript: &StoredText<'_>,
    ) -> Result<Option<String>, StoredDataError> {
        self.settle(manifest);
        let repos = self.repos();
        if !repos.replaces_worktree(manifest) || !is_in_entered_worktree(transcript)? {
            return Ok(None);
        }
        let id = &manifest.session;
        let name = manifest.git.as_ref().and_then(|git| git.worktree.as_ref());
        let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
        let goes_on = match repos.missing_checkout(manifest) {
            Some(missing) => {
                self.clones().use_for(id, Some(&missing.directory));
                format!("ccsync resume {id} goes on in the checkout; or")
            }
            None => "before the client goes on with it,".to_owned(),
        };
        Ok(Some(format!(
            "its working tree{name} is not here: {goes_on} make one with git worktree add, remove the transcript, and ccsync pull {id}"
        )))
    }
}

/// Whether the client is in a working tree that it has entered, which is the session's repository.
fn is_in_entered_worktree(transcript: &StoredText<'_>) -> Result<bool, StoredDataError> {
    let mut entered = None;
    transcript.walk(0, &mut |piece| {
        entered = last_worktree_record(piece.text).or(entered.take());
        Ok(true)
    })?;
    Ok(entered.is_some_and(
        |record| matches!(record, WorktreeRecord::Entered(path) if path == PLACEHOLDER),
    ))
}

/// The project directory for `manifest` below `claude_dir`.
pub(crate) fn place(
    manifest: &Manifest,
    placeholders: &Placeholders,
    claude_dir: &Path,
) -> Result<Place, StoredDataError> {
    let name = match &manifest.project {
        Some(project) => match Repos::directory(manifest, placeholders) {
            Some(path) => client_dir_name(&canonicalize_existing(&path)),
            None => return Ok(Err(no_place(manifest, project.as_str()))),
        },
        None => match expand_name(manifest, placeholders) {
            Some(name) => name,
            None => return Ok(Err("no record says which project it belongs to".to_owned())),
        },
    };
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !plain {
        return Ok(Err(
            "its directory in the store is not one the client makes".to_owned(),
        ));
    }
    Ok(Ok(projects_dir(claude_dir).join(name)))
}

fn expand_name(manifest: &Manifest, placeholders: &Placeholders) -> Option<String> {
    let origin = manifest.placeholders.values().next()?;
    let mut name = Vec::new();
    Expander::new(origin, placeholders, crate::rewrite::View::Local).expand(
        manifest.directory.as_bytes(),
        TextKind::Plain,
        &mut name,
    );
    String::from_utf8(name).ok()
}

fn no_place(manifest: &Manifest, project: &str) -> String {
    let plain = plain_project(manifest).filter(|_| is_below_repo(manifest));
    if let (Some(name), Some(plain)) = (name(manifest), &plain) {
        let remote = manifest
            .git
            .as_ref()
            .and_then(|git| git.remote.as_ref())
            .filter(|r| is_plain_word(r.as_str()));
        let remote = remote.map_or_else(|| "its repository".to_owned(), ToString::to_string);
        let root = placeholder_name(plain.as_str());
        let root = root
            .map(|root| format!(", or: ccsync config add-placeholder {root}=PATH"))
            .unwrap_or_default();
        return format!(
            "no clone of {name} here: git clone {remote}, then ccsync pull in it{root}"
        );
    }
    let project = plain.as_ref().map_or(project, PortablePath::as_str);
    match placeholder_name(project) {
        Some(root) => {
            format!("no place for `{project}` here: ccsync config add-placeholder {root}=PATH")
        }
        None => {
            format!(
                "`{project}` is no path of this system: ccsync config add-placeholder NAME=PATH on its machine"
            )
        }
    }
}

/// Whether it is for a shell what it is for a person. It was written by somebody else, and may be copied into one.
fn is_plain_word(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"@:/._~+-".contains(&b))
}

fn placeholder_name(project: &str) -> Option<&str> {
    project
        .strip_prefix("{{")
        .and_then(|rest| rest.split_once("}}"))
        .map(|(name, _)| name)
}

/// Whether the session is recent enough to be brought here unasked.
pub(crate) fn is_recent(
    last_activity: Option<&str>,
    now: chrono::DateTime<chrono::Utc>,
    days: u32,
) -> bool {
    let time = last_activity.and_then(crate::session::time::parse_time);
    time.is_none_or(|time| (now - time).num_days() < i64::from(days))
}
