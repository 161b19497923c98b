//! The projects that a session has left for another one (`/cd` in Claude Code).
//!
//! The manifest records which placeholders belong to which of them. Must not locate anything.

use crate::checkouts::clones::Clones;
use crate::domain::ProjectIdentity;
use crate::store::{manifest::Manifest, manifest::PlaceholdersKey};

/// Returns the project in which the lines with these placeholders were written, if it is not the
/// present one.
pub(crate) fn former_project<'m>(
    manifest: &'m Manifest,
    key: &PlaceholdersKey,
) -> Option<&'m ProjectIdentity> {
    let former = manifest.former_projects.get(key)?;
    (present_project(manifest) != Some(former)).then_some(former)
}

/// Returns true if the clone at `top` is one of a project that the session has left.
pub(crate) fn is_of_former_project(manifest: &Manifest, clones: &Clones, top: &str) -> bool {
    if manifest.former_projects.is_empty() {
        return false;
    }
    clones.last_identity(top).is_some_and(|identity| {
        let mut former = manifest.former_projects.values();
        present_project(manifest) != Some(&identity) && former.any(|project| *project == identity)
    })
}

/// Records that the session has left `project`: all placeholders so far are of it, except those
/// for which another one is recorded and `present`.
pub(crate) fn leave_project(
    manifest: &mut Manifest,
    project: &ProjectIdentity,
    present: Option<&PlaceholdersKey>,
) {
    let keys = manifest.placeholders.iter();
    let keys = keys.filter(|(key, set)| set.repo().is_some() && Some(*key) != present);
    for (key, _) in keys {
        let former = manifest.former_projects.entry(key.clone());
        former.or_insert_with(|| project.clone());
    }
}

fn present_project(manifest: &Manifest) -> Option<&ProjectIdentity> {
    manifest.git.as_ref()?.identity.as_ref()
}
