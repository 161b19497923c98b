//! Locates `{{REPO}}` of a session: the top of the git working tree that the session
//! works in, on the machine that reads it.
//!
//! Owns the order of preference (`docs/projects.md`), and the list of all paths that a
//! file here may have been written with. Must not move a session that is here.

use std::path::{Path, PathBuf};

use crate::checkouts::{
    clones::Clones, clones::WorkingTree, former::former_project, former::is_of_former_project,
    identity::identity_of, origins::origins, origins::portable_top, origins::present_origins,
};
use crate::domain::{
    MachineId, Placeholder, PlaceholderName, Placeholders, PortablePath, ProjectGit,
    ProjectIdentity, SessionId, composed, path::is_safe_path,
};
use crate::project::GitFacts;
use crate::rewrite::{collapse_path, expand_path};
use crate::store::manifest::Manifest;
use crate::sys::fs::{canonicalize_existing, existing_spelling, is_dir_in_time};

/// Beginning of a portable path in the repository.
pub(crate) const PLACEHOLDER: &str = "{{REPO}}";

/// Maximum number of placeholder sets tried for an unknown local file.
const MAX_SETS: usize = 64;

/// Locates checkouts of sessions.
#[derive(Clone, Copy)]
pub(crate) struct CheckoutLocator<'a> {
    pub(crate) me: &'a MachineId,
    /// Placeholders: this machine's current ones, its earlier ones, those of other
    /// machines.
    pub(crate) bases: &'a [Placeholders],
    pub(crate) clones: &'a Clones,
}

impl CheckoutLocator<'_> {
    /// Returns the repository that the files of `session` here are written with, or would
    /// be.
    ///
    /// `manifest` is the session's, or that of a fork that it has become.
    pub(crate) fn locate(self, manifest: &Manifest, session: &SessionId) -> Option<Placeholder> {
        if !is_in_repo(manifest) {
            return None;
        }
        let used = self
            .clones
            .recorded_checkout(session)
            .or_else(|| self.clones.recorded_checkout(&manifest.session))
            .filter(|top| !is_of_former_project(manifest, self.clones, top));
        used.and_then(|top| placeholder_at_path(self.present(), &top))
            .or_else(|| self.last_checkout(manifest))
            .or_else(|| self.locate_checkout(manifest, false))
    }

    /// Returns the repository for a session that is not here yet. With `search`, also
    /// searches for unknown clones.
    pub(crate) fn locate_checkout(self, manifest: &Manifest, search: bool) -> Option<Placeholder> {
        if !is_in_repo(manifest) {
            return None;
        }
        let own = self.last_checkout(manifest);
        if let Some(own) = own
            .as_ref()
            .filter(|own| is_dir_in_time(Path::new(&own.directory)))
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

    /// Returns true if the session works in a linked working tree outside its main
    /// checkout, and its repository here is not a linked one.
    pub(crate) fn replaces_worktree(self, manifest: &Manifest) -> bool {
        let was_linked = manifest
            .git
            .as_ref()
            .is_some_and(|git| git.worktree.is_some());
        let here = |placeholder: Placeholder| {
            self.clones
                .facts(Path::new(&canonicalize_existing(&placeholder.directory)))
        };
        was_linked
            && !is_in_nested_worktree(manifest)
            && self
                .locate(manifest, &manifest.session)
                .and_then(here)
                .is_some_and(|facts| facts.worktree.is_none())
    }

    /// Returns a possible location of the repository where nothing exists.
    pub(crate) fn missing_checkout(self, manifest: &Manifest) -> Option<Placeholder> {
        let places = self.possible_checkouts(manifest, self.present());
        places.into_iter().find(|placeholder| {
            Path::new(&placeholder.directory)
                .symlink_metadata()
                .is_err()
        })
    }

    /// Returns every placeholder set that a file of `session` here may have been written
    /// with, for text with `{{REPO}}`.
    ///
    /// `directories` are working directories that the file itself names.
    pub(crate) fn candidate_placeholders(
        self,
        manifest: &Manifest,
        session: &SessionId,
        directories: &[String],
    ) -> Vec<Placeholders> {
        if !is_in_repo(manifest) {
            return Vec::new();
        }
        let present = self.present();
        let mut placeholders: Vec<Placeholder> =
            self.locate(manifest, session).into_iter().collect();
        let tops = directories
            .iter()
            .flat_map(|directory| tops(directory, &project_tail(manifest)));
        placeholders.extend(tops.filter_map(|top| placeholder_at_path(present, &top)));
        placeholders.extend(self.last_checkout(manifest));
        placeholders.extend(self.possible_checkouts(manifest, present));
        placeholders.extend(self.former_checkouts(manifest));
        let projects = identity(manifest).into_iter();
        let projects = projects.chain(manifest.former_projects.values());
        let seen: Vec<String> = projects
            .take(MAX_SETS)
            .flat_map(|project| self.clones.known_tops(project))
            .collect();
        placeholders.extend(
            seen.iter()
                .filter_map(|top| placeholder_at_path(present, top)),
        );
        let mut sets: Vec<Placeholders> = placeholders
            .iter()
            .map(|placeholder| present.with(placeholder.clone()))
            .collect();
        // The location under earlier placeholders, or on another machine.
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
        sets.truncate(MAX_SETS);
        sets
    }

    /// Returns the working tree of `facts` as the repository of a session in it.
    ///
    /// It is the main checkout if that contains the working tree: Claude Code creates its
    /// own ones there (`.claude/worktrees`). `None` if it is not a clone of a remote, or
    /// not a valid project directory: the home directory, one that contains it, or one
    /// with a placeholder. `present` is the session's repository so far: if it is that
    /// working tree, it stays.
    pub(crate) fn checkout_at(
        self,
        facts: &GitFacts,
        present: Option<Placeholder>,
    ) -> Option<Placeholder> {
        self.clones.record(facts)?;
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

    /// Returns the working directory of the session on the machine with these
    /// placeholders.
    ///
    /// If a linked working tree is missing, it is the directory in the main checkout that
    /// would contain it.
    pub(crate) fn project_directory(
        manifest: &Manifest,
        placeholders: &Placeholders,
    ) -> Option<String> {
        let directory = place_of(manifest.project.as_ref()?, placeholders)?;
        if is_in_nested_worktree(manifest) && !is_dir_in_time(Path::new(&directory)) {
            let below = manifest
                .git
                .as_ref()
                .map(|git| git.directory.as_str())
                .filter(|below| !below.is_empty());
            let below = below.map(|below| format!("/{below}")).unwrap_or_default();
            return place_of(
                &PortablePath::new(format!("{PLACEHOLDER}{below}")),
                placeholders,
            );
        }
        Some(directory)
    }

    /// Returns `checkout`, unless a placeholder of this machine has its directory.
    pub(crate) fn usable_checkout(self, checkout: Placeholder) -> Option<Placeholder> {
        let top = canonicalize_existing(&checkout.directory);
        let present = self.present();
        let is_taken = present.placeholders.iter().any(|other| {
            canonicalize_existing(&other.directory) == top || other.directory == checkout.directory
        });
        let home = present.get(PlaceholderName::home().as_str());
        let holds_home = home.is_some_and(|home| {
            Path::new(&canonicalize_existing(&home.directory)).starts_with(&top)
        });
        (!is_taken && !holds_home).then_some(checkout)
    }

    /// Returns the working trees among which [`Self::locate_checkout`] chooses.
    pub(crate) fn existing_checkouts(self, manifest: &Manifest) -> Vec<WorkingTree> {
        identity(manifest)
            .map(|identity| self.clones.existing(identity))
            .unwrap_or_default()
    }

    fn present(&self) -> &Placeholders {
        &self.bases[0]
    }

    /// Returns the repository that this machine last wrote the session with.
    fn last_checkout(self, manifest: &Manifest) -> Option<Placeholder> {
        let own = manifest
            .transcript
            .runs
            .iter()
            .rev()
            .filter(|run| run.machine == *self.me)
            .filter(|run| former_project(manifest, &run.placeholders).is_none());
        own.filter_map(|run| manifest.placeholders.get(&run.placeholders)?.repo())
            .next()
            .cloned()
    }

    /// Returns the locations of the recorded repositories under the placeholders `base`,
    /// that of the session's beginning first.
    fn possible_checkouts(self, manifest: &Manifest, base: &Placeholders) -> Vec<Placeholder> {
        let places =
            present_origins(manifest).filter_map(|origin| place_of(&portable_top(origin)?, base));
        places
            .filter_map(|path| placeholder_at_path(base, &path))
            .collect()
    }

    /// Returns the locations of repositories that the session has left, with this machine's
    /// placeholders.
    fn former_checkouts(self, manifest: &Manifest) -> Vec<Placeholder> {
        if manifest.former_projects.is_empty() {
            return Vec::new();
        }
        let tops = origins(manifest).into_iter().filter_map(portable_top);
        let places = tops.filter_map(|top| place_of(&top, self.present()));
        places
            .filter_map(|path| placeholder_at_path(self.present(), &path))
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
            .map(|placeholder| canonicalize_existing(&placeholder.directory).into())
            .collect();
        same.iter()
            .for_each(|place| drop(self.clones.record_at(place)));
        let tail = project_tail(manifest);
        let has_directory = |tree: &WorkingTree| {
            let directory = tree.top.join(&tail).to_string_lossy().into_owned();
            is_dir_in_time(Path::new(&existing_spelling(directory)))
        };
        let worktree = manifest.git.as_ref().and_then(|git| git.worktree.as_ref());
        let worktree = worktree.filter(|_| !is_in_nested_worktree(manifest));
        let is_the_worktree =
            |tree: &WorkingTree| worktree.is_some() && tree.worktree.as_ref() == worktree;
        let mut trees = self.clones.existing(identity);
        let has_none = |is: &dyn Fn(&WorkingTree) -> bool| !trees.iter().any(is);
        if search && (has_none(&has_directory) || worktree.is_some() && has_none(&is_the_worktree))
        {
            self.clones.search();
            trees = self.clones.existing(identity);
        }
        let names: Vec<&str> = present_origins(manifest)
            .filter_map(|origin| last_part(&origin.repo()?.directory))
            .collect();
        let is_named = |tree: &WorkingTree| {
            let name = tree.top.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| names.iter().any(|n| composed(name) == composed(n)))
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

/// Returns true if text of the session may contain `{{REPO}}`.
pub(crate) fn is_in_repo(manifest: &Manifest) -> bool {
    below_repo(manifest).is_some()
        || manifest
            .placeholders
            .values()
            .any(|set| set.repo().is_some())
}

/// Returns true if the session's project is in a repository that moves with it.
pub(crate) fn is_below_repo(manifest: &Manifest) -> bool {
    below_repo(manifest).is_some()
}

/// Returns the project without `{{REPO}}`: its path when the session began, below another
/// placeholder.
pub(crate) fn plain_project(manifest: &Manifest) -> Option<PortablePath> {
    let Some(below) = below_repo(manifest) else {
        return manifest.project.clone();
    };
    let top = present_origins(manifest).find_map(portable_top)?;
    Some(PortablePath::new(format!("{top}{below}")))
}

/// Returns the name of a project without a location here: `github.com/al/app/crates/x`.
/// Untrusted text.
pub(crate) fn project_name(manifest: &Manifest) -> Option<String> {
    Some(format!("{}{}", identity(manifest)?, below_repo(manifest)?))
}

/// Returns the identity of the remote of the session's project.
pub(crate) fn identity(manifest: &Manifest) -> Option<&ProjectIdentity> {
    manifest.git.as_ref()?.identity.as_ref()
}

/// Returns true if the session and `facts` have the same remote.
pub(crate) fn matches_remote(manifest: &Manifest, facts: &GitFacts) -> bool {
    let there = identity(manifest);
    there.is_some() && identity_of(facts).as_ref() == there
}

/// Returns the part of the project after `{{REPO}}`: nothing, or `/` and a directory.
fn below_repo(manifest: &Manifest) -> Option<&str> {
    let below = manifest
        .project
        .as_ref()?
        .as_str()
        .strip_prefix(PLACEHOLDER)?;
    (below.is_empty() || below.starts_with('/')).then_some(below)
}

/// Returns the directory of the project in its repository, safe to join to a path.
fn project_tail(manifest: &Manifest) -> String {
    let below = below_repo(manifest)
        .unwrap_or_default()
        .trim_start_matches('/');
    if is_safe_path(below) {
        below.to_owned()
    } else {
        String::new()
    }
}

/// Returns true if the session works in a linked working tree inside its main checkout,
/// which is `REPO` then.
fn is_in_nested_worktree(manifest: &Manifest) -> bool {
    let is_linked = |git: &&ProjectGit| {
        git.worktree.is_some() && git.directory.as_str() != project_tail(manifest)
    };
    is_below_repo(manifest) && manifest.git.as_ref().is_some_and(|git| is_linked(&git))
}

fn last_part(path: &str) -> Option<&str> {
    path.rsplit(['/', '\\']).next()
}

/// Returns the possible tops for a working directory, if the project is at `tail` in its
/// repository.
fn tops(directory: &str, tail: &str) -> Vec<String> {
    let whole = directory.trim_end_matches('/').to_owned();
    let above = whole
        .strip_suffix(tail)
        .and_then(|above| above.strip_suffix('/'))
        .map(str::to_owned);
    above.into_iter().chain([whole]).collect()
}

/// Returns the directory of a portable path on this machine, as it is spelled here.
pub(crate) fn place_of(path: &PortablePath, placeholders: &Placeholders) -> Option<String> {
    expand_path(path, placeholders).map(existing_spelling)
}

/// Returns the placeholder of a repository at `path`: in the form of this machine's
/// placeholders, and with links resolved.
pub(super) fn placeholder_at_path(base: &Placeholders, path: &str) -> Option<Placeholder> {
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
