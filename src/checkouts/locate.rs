//! Where `{{REPO}}` of a session is: the top of the git working tree that the session
//! works in, on whichever machine it is read.
//!
//! Owns the order in which the places count (`docs/projects.md`) and every place that a
//! file here may have been written with. Must not move anything: a session that is here
//! stays as it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::checkouts::clones::{Clones, WorkingTree};
use crate::checkouts::identity::identity_of;
use crate::domain::id::{MachineId, SessionId};
use crate::domain::path::{PortablePath, is_safe_path};
use crate::domain::placeholder::{Placeholder, PlaceholderName, Placeholders};
use crate::domain::project::{ProjectGit, ProjectIdentity};
use crate::project::GitFacts;
use crate::rewrite::{collapse_path, expand_path};
use crate::store::manifest::Manifest;
use crate::sys::fs::canonicalize_existing;

/// What a path in the repository begins with in the store.
pub(crate) const PLACEHOLDER: &str = "{{REPO}}";

/// A file that is none of the stored ones is compared with no more root sets than these.
const MOST_SETS: usize = 64;

/// A session is written in no more places than these; a manifest may say otherwise.
const MOST_ORIGINS: usize = 32;

/// What decides where repositories are.
#[derive(Clone, Copy)]
pub(crate) struct Repos<'a> {
    pub(crate) me: &'a MachineId,
    /// This machine's own roots, the present ones first, then those of other machines.
    pub(crate) bases: &'a [Placeholders],
    pub(crate) clones: &'a Clones,
}

impl Repos<'_> {
    /// The repository of `session` as its files here are written: as they were, if they
    /// are here. `manifest` is the session's, or that of a fork that it has become.
    pub(crate) fn of(self, manifest: &Manifest, session: &SessionId) -> Option<Placeholder> {
        if !is_in_repo(manifest) {
            return None;
        }
        let used = self
            .clones
            .used(session)
            .or_else(|| self.clones.used(&manifest.session));
        used.and_then(|top| placeholder_at_path(self.present(), &top))
            .or_else(|| self.own(manifest))
            .or_else(|| self.locate_checkout(manifest, false))
    }

    /// The repository of a session that is not here yet. With `search`, also looks for
    /// clones that nobody has told of.
    pub(crate) fn locate_checkout(self, manifest: &Manifest, search: bool) -> Option<Placeholder> {
        if !is_in_repo(manifest) {
            return None;
        }
        let own = self.own(manifest);
        if let Some(own) = own
            .as_ref()
            .filter(|own| Path::new(&own.directory).is_dir())
        {
            return Some(own.clone());
        }
        let tree =
            identity(manifest).and_then(|identity| self.clone_of(manifest, identity, search));
        tree.and_then(|tree| placeholder_at_path(self.present(), tree.top.to_str()?))
            .or(own)
            .or_else(|| {
                self.possible_checkouts(manifest, self.present())
                    .into_iter()
                    .next()
            })
    }

    /// Returns true if the session works in a linked working tree that lies beside its
    /// main checkout, and its repository here is no linked one.
    pub(crate) fn replaces_worktree(self, manifest: &Manifest) -> bool {
        let was_linked = manifest
            .git
            .as_ref()
            .is_some_and(|git| git.worktree.is_some());
        let here = |root: Placeholder| {
            self.clones
                .facts(Path::new(&canonicalize_existing(&root.directory)))
        };
        was_linked
            && !is_in_nested_worktree(manifest)
            && self
                .of(manifest, &manifest.session)
                .and_then(here)
                .is_some_and(|facts| facts.worktree.is_none())
    }

    /// The repository where it would be by this machine's roots, if nothing is there.
    pub(crate) fn missing_checkout(self, manifest: &Manifest) -> Option<Placeholder> {
        let places = self.possible_checkouts(manifest, self.present());
        places
            .into_iter()
            .find(|root| Path::new(&root.directory).symlink_metadata().is_err())
    }

    /// Every set of roots by which a file of `session` here may have been written, for
    /// text with `{{REPO}}` in it. `learned` are working directories that the file itself
    /// names.
    pub(crate) fn ever(
        self,
        manifest: &Manifest,
        session: &SessionId,
        learned: &[String],
    ) -> Vec<Placeholders> {
        if !is_in_repo(manifest) {
            return Vec::new();
        }
        let present = self.present();
        let mut placeholders: Vec<Placeholder> = self.of(manifest, session).into_iter().collect();
        let tops = learned
            .iter()
            .flat_map(|directory| tops(directory, &tail(manifest)));
        placeholders.extend(tops.filter_map(|top| placeholder_at_path(present, &top)));
        placeholders.extend(self.own(manifest));
        placeholders.extend(self.possible_checkouts(manifest, present));
        let seen = identity(manifest)
            .map(|identity| self.clones.ever(identity))
            .unwrap_or_default();
        placeholders.extend(
            seen.iter()
                .filter_map(|top| placeholder_at_path(present, top)),
        );
        let mut sets: Vec<Placeholders> = placeholders
            .iter()
            .map(|root| present.with(root.clone()))
            .collect();
        // As it lay under former roots, or as another machine has it.
        for base in self.bases.iter().skip(1) {
            sets.extend(
                self.possible_checkouts(manifest, base)
                    .into_iter()
                    .chain(placeholders.first().cloned())
                    .map(|r| base.with(r)),
            );
        }
        sets.extend(origins(manifest).into_iter().cloned());
        let mut seen = Vec::new();
        sets.retain(|set| {
            let is_new = !seen.contains(set);
            if is_new {
                seen.push(set.clone());
            }
            is_new
        });
        sets.truncate(MOST_SETS);
        sets
    }

    /// The working tree of which git says `facts`, as a root of a session in it; the main
    /// checkout, if the working tree lies in that: where the client makes its own
    /// (`.claude/worktrees`), and what a session in one names besides. `None` if it is no
    /// clone of a remote, or no place for a project: the home directory, what holds it,
    /// or what has a placeholder already. `present` is where the session's repository is
    /// so far: if it is that very working tree, it stays.
    pub(crate) fn working_tree(
        self,
        facts: &GitFacts,
        present: Option<Placeholder>,
    ) -> Option<Placeholder> {
        self.clones.learn(facts)?;
        if let Some(present) = present
            .filter(|present| Path::new(&canonicalize_existing(&present.directory)) == facts.top)
        {
            return self.usable_checkout(present);
        }
        let top = if facts.top.starts_with(&facts.main) {
            &facts.main
        } else {
            &facts.top
        };
        self.usable_checkout(placeholder_at_path(self.present(), top.to_str()?)?)
    }

    /// The working directory of the session on the machine with these roots. A linked
    /// working tree that is not there stands for the main checkout that it would lie in.
    pub(crate) fn directory(manifest: &Manifest, placeholders: &Placeholders) -> Option<String> {
        let directory = expand_path(manifest.project.as_ref()?, placeholders)?;
        if is_in_nested_worktree(manifest) && !Path::new(&directory).is_dir() {
            let below = manifest
                .git
                .as_ref()
                .map(|git| git.directory.as_str())
                .filter(|below| !below.is_empty());
            let below = below.map(|below| format!("/{below}")).unwrap_or_default();
            return expand_path(
                &PortablePath::new(format!("{PLACEHOLDER}{below}")),
                placeholders,
            );
        }
        Some(directory)
    }

    /// `root`, unless it would take the place of a root of this machine.
    pub(crate) fn usable_checkout(self, root: Placeholder) -> Option<Placeholder> {
        let top = canonicalize_existing(&root.directory);
        let present = self.present();
        let is_taken = present.placeholders.iter().any(|other| {
            canonicalize_existing(&other.directory) == top || other.directory == root.directory
        });
        let home = present.get(PlaceholderName::home().as_str());
        let holds_home = home.is_some_and(|home| {
            Path::new(&canonicalize_existing(&home.directory)).starts_with(&top)
        });
        (!is_taken && !holds_home).then_some(root)
    }

    /// The working trees among which `Self::anew` chooses.
    pub(crate) fn clones_of(self, manifest: &Manifest) -> Vec<WorkingTree> {
        identity(manifest)
            .map(|identity| self.clones.present(identity))
            .unwrap_or_default()
    }

    fn present(&self) -> &Placeholders {
        &self.bases[0]
    }

    /// Where this machine itself last wrote the session.
    fn own(self, manifest: &Manifest) -> Option<Placeholder> {
        let own = manifest
            .transcript
            .runs
            .iter()
            .rev()
            .filter(|run| run.machine == *self.me);
        own.filter_map(|run| manifest.placeholders.get(&run.placeholders)?.repo())
            .next()
            .cloned()
    }

    /// Where the repositories of other machines would be by the roots `base`, that of the
    /// session's beginning first.
    fn possible_checkouts(self, manifest: &Manifest, base: &Placeholders) -> Vec<Placeholder> {
        let places = origins(manifest)
            .into_iter()
            .filter_map(|origin| expand_path(&plain(origin)?, base));
        places
            .filter_map(|path| placeholder_at_path(base, &path))
            .collect()
    }

    fn clone_of(
        self,
        manifest: &Manifest,
        identity: &ProjectIdentity,
        search: bool,
    ) -> Option<WorkingTree> {
        let same: Vec<PathBuf> = self
            .possible_checkouts(manifest, self.present())
            .iter()
            .map(|root| canonicalize_existing(&root.directory).into())
            .collect();
        same.iter()
            .for_each(|place| drop(self.clones.learn_at(place)));
        let tail = tail(manifest);
        let has_directory = |tree: &WorkingTree| tree.top.join(&tail).is_dir();
        let worktree = manifest.git.as_ref().and_then(|git| git.worktree.as_ref());
        let worktree = worktree.filter(|_| !is_in_nested_worktree(manifest));
        let is_the_worktree =
            |tree: &WorkingTree| worktree.is_some() && tree.worktree.as_ref() == worktree;
        let mut trees = self.clones.present(identity);
        let has_none = |is: &dyn Fn(&WorkingTree) -> bool| !trees.iter().any(is);
        if search && (has_none(&has_directory) || worktree.is_some() && has_none(&is_the_worktree))
        {
            self.clones.search();
            trees = self.clones.present(identity);
        }
        let names: Vec<&str> = origins(manifest)
            .into_iter()
            .filter_map(|origin| last_part(&origin.repo()?.directory))
            .collect();
        let is_named = |tree: &WorkingTree| {
            tree.top
                .file_name()
                .is_some_and(|name| names.iter().any(|n| name == *n))
        };
        // `false` comes first.
        trees.into_iter().min_by_key(|tree| {
            let order = [
                has_directory(tree),
                same.contains(&tree.top),
                is_the_worktree(tree),
                tree.worktree.is_none(),
                is_named(tree),
            ];
            (order.map(|better| !better), tree.top.clone())
        })
    }
}

/// Returns true if some of the session's text may hold `{{REPO}}`.
pub(crate) fn is_in_repo(manifest: &Manifest) -> bool {
    below_repo(manifest).is_some()
        || manifest
            .placeholders
            .values()
            .any(|set| set.repo().is_some())
}

/// Returns true if the session's project lies in a repository that moves with it.
pub(crate) fn is_below_repo(manifest: &Manifest) -> bool {
    below_repo(manifest).is_some()
}

/// The project as another machine would have it that knows no repository: where the
/// session's beginning has it, below a root of that machine.
pub(crate) fn plain_project(manifest: &Manifest) -> Option<PortablePath> {
    let Some(below) = below_repo(manifest) else {
        return manifest.project.clone();
    };
    let top = origins(manifest).into_iter().find_map(plain)?;
    Some(PortablePath::new(format!("{top}{below}")))
}

/// How a project in a repository is called that has no place here:
/// `github.com/al/app/crates/x`. Untrusted text.
pub(crate) fn name(manifest: &Manifest) -> Option<String> {
    Some(format!("{}{}", identity(manifest)?, below_repo(manifest)?))
}

/// What the remote of the session's project is known by.
pub(crate) fn identity(manifest: &Manifest) -> Option<&ProjectIdentity> {
    manifest.git.as_ref()?.identity.as_ref()
}

/// Returns true if git says of both the same remote.
pub(crate) fn matches_remote(manifest: &Manifest, facts: &GitFacts) -> bool {
    let there = identity(manifest);
    there.is_some() && identity_of(facts).as_ref() == there
}

/// What follows after `{{REPO}}` in the project: nothing, or `/` and a directory.
fn below_repo(manifest: &Manifest) -> Option<&str> {
    let below = manifest
        .project
        .as_ref()?
        .as_str()
        .strip_prefix(PLACEHOLDER)?;
    (below.is_empty() || below.starts_with('/')).then_some(below)
}

/// The directory of the project in its repository, safe to be joined to a path.
fn tail(manifest: &Manifest) -> String {
    let below = below_repo(manifest)
        .unwrap_or_default()
        .trim_start_matches('/');
    if is_safe_path(below) {
        below.to_owned()
    } else {
        String::new()
    }
}

/// Returns true if the session works in a linked working tree that lies in its main
/// checkout, which is `REPO` then.
fn is_in_nested_worktree(manifest: &Manifest) -> bool {
    let is_linked =
        |git: &&ProjectGit| git.worktree.is_some() && git.directory.as_str() != tail(manifest);
    is_below_repo(manifest) && manifest.git.as_ref().is_some_and(|git| is_linked(&git))
}

/// The root sets that have a repository, in the order in which lines were written with
/// them; no more than any honest session has.
fn origins(manifest: &Manifest) -> Vec<&Placeholders> {
    let of_runs = manifest.transcript.runs.iter().map(|run| &run.placeholders);
    let mut seen = BTreeSet::new();
    let keys = of_runs
        .chain(manifest.placeholders.keys())
        .filter(|key| seen.insert(*key));
    keys.filter_map(|key| manifest.placeholders.get(key))
        .filter(|set| set.repo().is_some())
        .take(MOST_ORIGINS)
        .collect()
}

/// The repository of a root set, below its other roots.
fn plain(origin: &Placeholders) -> Option<PortablePath> {
    Some(collapse_path(
        &origin.without_repo(),
        &origin.repo()?.directory,
    ))
}

fn last_part(path: &str) -> Option<&str> {
    path.rsplit(['/', '\\']).next()
}

/// The tops that a working directory may have, of a project in `tail` of its repository.
fn tops(directory: &str, tail: &str) -> Vec<String> {
    let whole = directory.trim_end_matches('/').to_owned();
    let above = whole
        .strip_suffix(tail)
        .and_then(|above| above.strip_suffix('/'))
        .map(str::to_owned);
    above.into_iter().chain([whole]).collect()
}

/// The root of a repository at `path`: as this machine's roots spell it, and with links resolved.
fn placeholder_at_path(base: &Placeholders, path: &str) -> Option<Placeholder> {
    let spelled = expand_path(&collapse_path(base, path), base)?;
    Placeholder::new(
        base.system,
        PlaceholderName::repo(),
        &spelled,
        Some(&canonicalize_existing(&spelled)),
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placeholder::System;

    #[test]
    fn repo_top_candidates_come_from_directory() {
        assert_eq!(
            tops("/h/app/crates/x", "crates/x"),
            ["/h/app", "/h/app/crates/x"]
        );
        assert_eq!(tops("/h/app", ""), ["/h/app"]);
        assert_eq!(tops("/h/my-crates/x", "crates/x"), ["/h/my-crates/x"]);
    }

    #[test]
    fn repo_path_uses_form_of_placeholders() {
        let home = |path: &str, resolved| {
            Placeholder::new(System::Linux, PlaceholderName::home(), path, resolved).unwrap()
        };
        let base = Placeholders::new(
            System::Linux,
            [home("/no/such/home", Some("/no/such/disk"))],
        );
        assert_eq!(
            placeholder_at_path(&base, "/no/such/disk/app")
                .unwrap()
                .directory,
            "/no/such/home/app"
        );
        assert_eq!(
            placeholder_at_path(&base, "/no/such/other")
                .unwrap()
                .directory,
            "/no/such/other"
        );
        for bad in ["/", "relative", "C:\\x", "/no/../x"] {
            assert_eq!(placeholder_at_path(&base, bad), None, "{bad}");
        }
    }
}
