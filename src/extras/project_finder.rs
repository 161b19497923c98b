//! Finds the project whose memory a directory of this machine holds, and the directory for a
//! bundle.
//!
//! A project is known by its git remote, else by the portable path of its main checkout. Must
//! not decode the client's directory names: they follow from the working directories that
//! sessions here and the client's own list of projects name.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::checkouts::{identity::portable, locate::place_of, locate::plain_project};
use crate::domain::{
    BundleId, PortablePath, ProjectIdentity, ProjectKey, client_dir::client_dir_name,
};
use crate::extras::state::{ExtrasState, KnownProject};
use crate::localize::Localizer;
use crate::project::main_checkout;
use crate::rewrite::collapse_path;
use crate::session::{projects::known_directories, projects::known_directories_stamp};
use crate::store::{Store, bundle::ExtrasBundle};
use crate::sys::{Env, fs::FileStamp, fs::is_dir_in_time, fs::look_in_time, fs::real_path};

/// A project as another program knows it.
pub(crate) struct ForeignProject {
    /// Portable path of its main checkout.
    pub(crate) path: PortablePath,
    /// The client's name of the portable path, if the path is only a guess.
    pub(crate) directory: Option<String>,
}

/// A foreign project as this store knows it.
pub(crate) struct IdentifiedProject {
    pub(crate) key: ProjectKey,
    /// Portable path of its main checkout.
    pub(crate) path: PortablePath,
    /// False if the key rests on a guess.
    pub(crate) is_certain: bool,
}

/// Looks projects up; everything that costs more than a look at the state is read at most once.
pub(crate) struct ProjectFinder<'a> {
    env: &'a Env,
    localizer: &'a Localizer,
    store: &'a Store,
    /// Main checkouts by the client's name of them.
    checkouts: OnceCell<BTreeMap<String, PathBuf>>,
    stamp: OnceCell<String>,
    /// Git remotes by the paths of working trees, from the sessions in the store.
    identities: OnceCell<BTreeMap<String, ProjectIdentity>>,
}

impl<'a> ProjectFinder<'a> {
    pub(crate) fn new(env: &'a Env, localizer: &'a Localizer, store: &'a Store) -> Self {
        Self {
            env,
            localizer,
            store,
            checkouts: OnceCell::new(),
            stamp: OnceCell::new(),
            identities: OnceCell::new(),
        }
    }

    /// Returns the project whose memory the directory `name` holds, if anything here tells.
    pub(crate) fn project(&self, name: &str, state: &mut ExtrasState) -> Option<KnownProject> {
        let known = state.projects.get(name);
        if let Some(known) = known
            && known.config == config_stamp(&known.checkout)
        {
            return Some(known.clone());
        }
        if state.unknown.get(name) == Some(self.stamp()) {
            return None;
        }
        let found = self.find_project(name, known.cloned());
        match &found {
            Some(project) => {
                state.unknown.remove(name);
                state.projects.insert(name.to_owned(), project.clone());
            }
            None => {
                let stamp = self.stamp().clone();
                state.unknown.insert(name.to_owned(), stamp);
            }
        }
        found
    }

    fn find_project(&self, name: &str, known: Option<KnownProject>) -> Option<KnownProject> {
        let checkout = known.as_ref().map(|known| &known.checkout);
        let checkout = checkout.filter(|path| is_dir_in_time(path)).or_else(|| {
            self.checkouts()
                .get(name)
                .filter(|path| is_dir_in_time(path))
        });
        if let Some(checkout) = checkout {
            return self.project_in(checkout);
        }
        // A clone that was moved, or is on a disk that is not mounted, still belongs to its
        // project.
        let project = known.or_else(|| self.project_in(self.checkouts().get(name)?))?;
        Some(KnownProject {
            config: None,
            ..project
        })
    }

    /// Returns the project on this machine whose memory the bundle holds.
    pub(crate) fn project_of(
        &self,
        id: &BundleId,
        bundle: &ExtrasBundle,
        state: &mut ExtrasState,
    ) -> Option<KnownProject> {
        let key = bundle.project.as_ref()?;
        let searched = state.unplaced.get(id) == Some(self.stamp()) && !self.has_clone(key);
        let mut found = self.at_stored_path(bundle, key);
        if !searched {
            found = found
                .or_else(|| self.among_checkouts(key))
                .or_else(|| self.among_clones(key));
            match &found {
                Some(project) => {
                    state.unplaced.remove(id);
                    let name = project.directory_name();
                    state.projects.insert(name, project.clone());
                }
                None => {
                    state.unplaced.insert(id.clone(), self.stamp().clone());
                }
            }
        }
        found
    }

    /// Returns the foreign project as this machine knows it. If it is not on this machine, a
    /// session in the store may name its git remote.
    pub(crate) fn identify(&self, project: &ForeignProject) -> IdentifiedProject {
        let named = project.directory.as_ref();
        // Several directories may have the same name; the client has worked in this one.
        let here = named
            .and_then(|name| self.checkout_named(name))
            .or_else(|| self.existing_directory(&project.path));
        if let Some(found) = here.and_then(|path| self.project_in(&main_checkout(&path))) {
            return IdentifiedProject {
                key: found.key,
                path: found.path,
                is_certain: true,
            };
        }
        let path = project.path.clone();
        match self.identity_in_store(&path) {
            Some(identity) => IdentifiedProject {
                key: ProjectKey::Identity(identity),
                path,
                is_certain: true,
            },
            None => IdentifiedProject {
                key: ProjectKey::at(&path),
                path,
                is_certain: project.directory.is_none(),
            },
        }
    }

    /// Returns the checkout here whose portable path the client would name `name`.
    fn checkout_named(&self, name: &str) -> Option<PathBuf> {
        let placeholders = self.localizer.placeholders();
        let is_named = |path: &&PathBuf| {
            let portable = path.to_str().map(|path| collapse_path(placeholders, path));
            is_dir_in_time(path)
                && portable.is_some_and(|path| client_dir_name(path.as_str()) == name)
        };
        self.checkouts().values().find(is_named).cloned()
    }

    /// Returns the local path of `path` if it is a directory.
    fn existing_directory(&self, path: &PortablePath) -> Option<PathBuf> {
        let path = PathBuf::from(place_of(path, self.localizer.placeholders())?);
        is_dir_in_time(&path).then_some(path)
    }

    /// Returns the git remote that a session in the store names for the working tree at `path`.
    fn identity_in_store(&self, path: &PortablePath) -> Option<ProjectIdentity> {
        let identities = self
            .identities
            .get_or_init(|| self.read_identities().unwrap_or_default());
        identities.get(path.as_str()).cloned()
    }

    /// Reads the git remotes in the store by path. Skips what cannot be read.
    fn read_identities(&self) -> Option<BTreeMap<String, ProjectIdentity>> {
        let snapshot = self.store.head_snapshot().ok()?;
        let mut identities = BTreeMap::new();
        for id in snapshot.sessions().ok()?.into_keys() {
            if let Ok(Some(manifest)) = snapshot.manifest(&id)
                && let Some(git) = manifest.git.as_ref().filter(|git| git.directory.is_top())
                && let (Some(path), Some(identity)) = (plain_project(&manifest), &git.identity)
            {
                identities.insert(path.to_string(), identity.clone());
            }
        }
        Some(identities)
    }

    /// Returns the project if it is at the path that the bundle names.
    fn at_stored_path(&self, bundle: &ExtrasBundle, key: &ProjectKey) -> Option<KnownProject> {
        let path = self.existing_directory(bundle.path.as_ref()?)?;
        let project = self.project_in(&look_in_time(&path, real_path)?.ok()?)?;
        (project.key == *key).then_some(project)
    }

    fn among_checkouts(&self, key: &ProjectKey) -> Option<KnownProject> {
        let checkouts = self.checkouts().values();
        let mut projects = checkouts.filter_map(|path| self.project_in(path));
        projects.find(|project| project.key == *key)
    }

    /// Returns the project in a clone in which the client has not worked yet.
    fn among_clones(&self, key: &ProjectKey) -> Option<KnownProject> {
        let ProjectKey::Identity(identity) = key else {
            return None;
        };
        let checkout = self.localizer.clones().main_checkout(identity)?;
        let project = self.project_in(&checkout)?;
        (project.key == *key).then_some(project)
    }

    fn has_clone(&self, key: &ProjectKey) -> bool {
        match key {
            ProjectKey::Identity(identity) => {
                !self.localizer.clones().existing(identity).is_empty()
            }
            ProjectKey::Path(_) => false,
        }
    }

    fn checkouts(&self) -> &BTreeMap<String, PathBuf> {
        self.checkouts.get_or_init(|| {
            let mut checkouts: BTreeMap<String, PathBuf> = BTreeMap::new();
            for directory in known_directories(&self.env.claude_dir, &self.env.home) {
                let checkout = main_checkout(&directory);
                let Some(name) = checkout.to_str().map(client_dir_name) else {
                    continue;
                };
                // Several paths may have one name. An existing directory is preferred.
                let known = checkouts.entry(name).or_insert_with(|| checkout.clone());
                if !is_dir_in_time(known) && is_dir_in_time(&checkout) {
                    *known = checkout;
                }
            }
            checkouts
        })
    }

    fn stamp(&self) -> &String {
        self.stamp
            .get_or_init(|| known_directories_stamp(&self.env.claude_dir, &self.env.home))
    }

    /// Returns the project in a main checkout, which may not exist any more.
    fn project_in(&self, checkout: &Path) -> Option<KnownProject> {
        let placeholders = self.localizer.placeholders();
        let path = collapse_path(placeholders, checkout.to_str()?);
        let facts = self.localizer.clones().facts(checkout);
        let identity = facts
            .filter(|facts| facts.directory.is_top())
            .and_then(|facts| portable(facts, placeholders).identity);
        let key = identity.map_or_else(|| ProjectKey::at(&path), ProjectKey::Identity);
        Some(KnownProject {
            checkout: checkout.to_owned(),
            path,
            key,
            config: config_stamp(checkout),
        })
    }
}

fn config_stamp(checkout: &Path) -> Option<FileStamp> {
    look_in_time(&checkout.join(".git/config"), |path| {
        FileStamp::read(path).ok()
    })?
}
