//! The repositories in which the lines of a session were written.

use std::collections::BTreeSet;

use crate::checkouts::former::former_project;
use crate::domain::{Placeholders, PortablePath};
use crate::rewrite::collapse_path;
use crate::store::{manifest::Manifest, manifest::PlaceholdersKey};

/// Maximum number of repositories of one session. A manifest is untrusted.
const MAX_ORIGINS: usize = 32;

/// Returns the placeholder sets with a repository, in the order of the lines written with
/// them.
pub(super) fn origins(manifest: &Manifest) -> Vec<&Placeholders> {
    let of_runs = manifest.transcript.runs.iter().map(|run| &run.placeholders);
    let mut seen = BTreeSet::new();
    let keys = of_runs
        .chain(manifest.placeholders.keys())
        .filter(|key| seen.insert(*key));
    keys.filter_map(|key| manifest.placeholders.get(key))
        .filter(|set| set.repo().is_some())
        .take(MAX_ORIGINS)
        .collect()
}

/// Returns the same without those of projects that the session has left.
pub(super) fn present_origins(manifest: &Manifest) -> impl Iterator<Item = &Placeholders> {
    let is_former = |set: &&Placeholders| {
        !manifest.former_projects.is_empty()
            && former_project(manifest, &PlaceholdersKey::new(set)).is_some()
    };
    let origins = origins(manifest).into_iter();
    origins.filter(move |set| !is_former(set))
}

/// Returns the repository of a placeholder set, below its other placeholders.
pub(super) fn portable_top(origin: &Placeholders) -> Option<PortablePath> {
    Some(collapse_path(
        &origin.without_repo(),
        &origin.repo()?.directory,
    ))
}
