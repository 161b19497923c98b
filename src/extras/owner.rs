//! The directories of this machine whose files travel, one for each owner, and the files in
//! them.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::{BundleId, ExtraKind, ProjectKey, RelativeName, hidden_name::is_litter};
use crate::extras::path_rewriter::PathRewriter;
use crate::extras::state::{DirectoryName, ExtrasState, KnownProject};
use crate::session::{extras::ExtrasListing, extras::extra_path, extras::first_extra_link};
use crate::store::bundle::ExtrasBundle;
use crate::sys::fs::knows_executables;
use crate::workspace::Workspace;

/// A directory of this machine with the files of one owner: a project, or the user.
pub(crate) struct ExtrasOwner {
    pub(crate) name: DirectoryName,
    pub(crate) bundle: BundleId,
    pub(crate) directory: PathBuf,
    /// The project whose memory it is; `None`: the files are the user's own.
    pub(crate) project: Option<KnownProject>,
    pub(crate) listing: ExtrasListing,
}

/// A file of an owner that travels; it may be missing here or in the store.
#[derive(Clone, Copy)]
pub(crate) struct OwnerFile<'o> {
    pub(crate) owner: &'o ExtrasOwner,
    pub(crate) rewriter: &'o PathRewriter,
    pub(crate) name: &'o RelativeName,
    pub(crate) kind: ExtraKind,
}

impl ExtrasOwner {
    pub(crate) fn path_rewriter(&self, workspace: &Workspace<'_>) -> PathRewriter {
        let (localizer, project) = (&workspace.localizer, self.project.as_ref());
        let mode = project.and_then(|project| {
            let remote = match &project.key {
                ProjectKey::Identity(identity) => Some(identity.as_str()),
                _ => None,
            };
            let filter = workspace.filter();
            filter.memory_secrets_mode(&project.checkout, remote)
        });
        let secrets = localizer.secrets().map(|secrets| match mode {
            Some(mode) => Arc::new(secrets.with_mode(mode)),
            None => Arc::clone(secrets),
        });
        PathRewriter::new(
            localizer.placeholders(),
            project.map(|project| (project.checkout.as_path(), &project.key)),
            secrets.as_ref(),
        )
    }

    pub(crate) fn new_bundle(&self) -> ExtrasBundle {
        let project = self.project.as_ref();
        ExtrasBundle::empty(
            project.map(|project| project.key.clone()),
            project.map(|project| project.path.clone()),
        )
    }

    /// Returns the name of a file for display: below the directory of the client.
    pub(crate) fn display_name(&self, name: &RelativeName) -> String {
        match self.bundle.is_user() {
            true => name.as_str().to_owned(),
            false => format!("projects/{}/memory/{name}", self.name),
        }
    }

    pub(crate) fn path(&self, name: &RelativeName) -> PathBuf {
        extra_path(&self.directory, name)
    }

    /// Returns the file `name`, unless its kind is not among the `synced` ones.
    pub(crate) fn file<'o>(
        &'o self,
        name: &'o RelativeName,
        rewriter: &'o PathRewriter,
        synced: &BTreeSet<ExtraKind>,
    ) -> Option<OwnerFile<'o>> {
        let kind = self.kind(name).filter(|kind| synced.contains(kind))?;
        Some(OwnerFile {
            owner: self,
            rewriter,
            name,
            kind,
        })
    }

    fn kind(&self, name: &RelativeName) -> Option<ExtraKind> {
        if self.bundle.is_user() {
            return ExtraKind::from_user_file(name.as_str());
        }
        // Hidden files are never listed, so they must not be written either.
        let is_ignored = |part: &str| part.starts_with('.') || is_litter(part);
        let is_listed = !name.as_str().split('/').any(is_ignored);
        is_listed.then_some(ExtraKind::Memory)
    }

    /// Returns the link that leads to the file, if any; links are not followed. The directory
    /// of the client itself may be one, because the user named it.
    pub(crate) fn link_to(&self, name: &RelativeName) -> Option<PathBuf> {
        let link = first_extra_link(&self.directory, name);
        link.filter(|link| !self.bundle.is_user() || *link != self.directory)
    }

    /// Returns true if there is nothing at all under this name.
    pub(crate) fn is_missing(&self, name: &RelativeName) -> bool {
        let missing = [ErrorKind::NotFound, ErrorKind::NotADirectory];
        std::fs::symlink_metadata(self.path(name)).is_err_and(|e| missing.contains(&e.kind()))
            && self.link_to(name).is_none()
    }

    /// Returns true if something that does not travel has this name.
    pub(crate) fn is_left(&self, name: &RelativeName) -> bool {
        let path = self.path(name);
        self.listing.skipped.iter().any(|(left, _)| *left == path)
    }

    /// Returns true if no file has changed since the last scan.
    pub(crate) fn is_unchanged(&self, state: &ExtrasState) -> bool {
        let mut listed = self.listing.files.keys();
        listed.all(|name| state.file(&self.name, name).is_some())
            && state.files(&self.name).all(|(name, file)| {
                self.listing.stamp(name) == file.stamp
                    && self.listing.executable.contains(name) == file.executable
            })
    }
}

impl OwnerFile<'_> {
    /// Returns true if the owner of the file may execute it; `None`: this does not matter for
    /// its kind, or the system does not know.
    pub(crate) fn executable(&self) -> Option<bool> {
        let matters = self.kind == ExtraKind::Skills && knows_executables();
        matters.then(|| self.owner.listing.executable.contains(self.name))
    }
}
