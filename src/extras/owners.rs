//! Which directory of this machine a shelf belongs to, and the other way round.
//!
//! A memory is known by the project's git remote, else by the portable path of its main checkout. The client's directory names are
//! never decoded: which main checkout has which name follows from the working directories that sessions here, and the client's own list
//! of projects, name.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::checkouts::identity::portable;
use crate::checkouts::locate::plain_project;
use crate::domain::client_dir::client_dir_name;
use crate::domain::extras::{BundleId, ProjectKey};
use crate::domain::path::PortablePath;
use crate::domain::project::ProjectIdentity;
use crate::extras::foreign_text::ForeignProject;
use crate::extras::state::{KnownProject, State};
use crate::project::main_checkout;
use crate::rewrite::{collapse_path, expand_path};
use crate::session::projects::{known_directories, known_directories_stamp};
use crate::store::bundle::ExtrasBundle;
use crate::sys::fs::FileStamp;
use crate::workspace::open::Workspace;

/// Looks up directories; what costs more than a look into the state is found out once, and only where it is needed.
pub(crate) struct Places<'a> {
    workspace: &'a Workspace<'a>,
    /// Main checkouts by the client's name of them.
    checkouts: OnceCell<BTreeMap<String, PathBuf>>,
    stamp: OnceCell<String>,
    /// Git remotes by the paths of working trees, as sessions in the store say.
    identities: OnceCell<BTreeMap<String, ProjectIdentity>>,
}

impl<'a> Places<'a> {
    pub(crate) fn new(workspace: &'a Workspace<'a>) -> Self {
        Self {
            workspace,
            checkouts: OnceCell::new(),
            stamp: OnceCell::new(),
            identities: OnceCell::new(),
        }
    }

    /// The project whose memory lies in the directory `name`; `None` if nothing here says which it is.
    pub(crate) fn project(&self, name: &str, state: &mut State) -> Option<KnownProject> {
        if let Some(known) = state.projects.get(name)
            && known.config == config_stamp(&known.checkout)
        {
            return Some(known.clone());
        }
        if state.unknown.get(name) == Some(self.stamp()) {
            return None;
        }
        let found = self.find(name, state);
        match found {
            Some(_) => drop(state.unknown.remove(name)),
            None => drop(state.unknown.insert(name.to_owned(), self.stamp().clone())),
        }
        found
    }

    fn find(&self, name: &str, state: &mut State) -> Option<KnownProject> {
        let known = state.projects.get(name).cloned();
        let is_there = |path: &PathBuf| path.is_dir();
        let checkout = known
            .as_ref()
            .map(|known| known.checkout.clone())
            .filter(is_there);
        let Some(checkout) =
            checkout.or_else(|| self.checkouts().get(name).cloned().filter(is_there))
        else {
            // A clone that was moved or lies on a disk that is away is still one of its project.
            let project = known.or_else(|| self.look(self.checkouts().get(name)?))?;
            let project = KnownProject {
                config: None,
                ..project
            };
            state.projects.insert(name.to_owned(), project.clone());
            return Some(project);
        };
        let project = self.look(&checkout)?;
        state.projects.insert(name.to_owned(), project.clone());
        Some(project)
    }

    /// The directory name under `projects/` for the memory on this shelf, and its project; `None`: the project is not on this machine.
    pub(crate) fn directory(
        &self,
        id: &BundleId,
        bundle: &ExtrasBundle,
        state: &mut State,
    ) -> Option<(String, KnownProject)> {
        if state.without_place.get(id) == Some(self.stamp()) && !self.has_clone(bundle) {
            return self.at_its_path(bundle);
        }
        let key = bundle.project.as_ref();
        let found = self
            .at_its_path(bundle)
            .or_else(|| self.among_checkouts(key?))
            .or_else(|| self.among_clones(key?));
        match &found {
            Some((name, project)) => {
                state.without_place.remove(id);
                state.projects.insert(name.clone(), project.clone());
            }
            None => drop(state.without_place.insert(id.clone(), self.stamp().clone())),
        }
        found
    }

    /// What the project of another program is known by here, its portable path, and whether it is sure that it is this one. Where it is not on
    /// this machine, another machine's sessions in the store may say which git remote it has.
    pub(crate) fn project_at(
        &self,
        project: &ForeignProject,
    ) -> ((ProjectKey, PortablePath), bool) {
        let placeholders = self.workspace.localizer.placeholders();
        let here = expand_path(&project.path, placeholders)
            .map(PathBuf::from)
            .filter(|path| path.is_dir());
        let named = || {
            let name = project.directory.as_ref()?;
            let is_named = |path: &&PathBuf| {
                let portable = path.to_str().map(|path| collapse_path(placeholders, path));
                path.is_dir()
                    && portable.is_some_and(|portable| client_dir_name(portable.as_str()) == *name)
            };
            self.checkouts().values().find(is_named).cloned()
        };
        // Of directories that the client calls alike, the one in which it has been.
        let looked = named()
            .or(here)
            .and_then(|path| self.look(&main_checkout(&path)));
        match looked {
            Some(found) => ((found.key, found.path), true),
            None => {
                let identity = self.identity_in_store(&project.path);
                let is_sure = identity.is_some() || project.directory.is_none();
                let key = identity.map_or_else(
                    || ProjectKey::Path(project.path.clone()),
                    ProjectKey::Identity,
                );
                ((key, project.path.clone()), is_sure)
            }
        }
    }

    /// The git remote of the working tree whose top is at `path`, by what sessions in the store say. What cannot be read says nothing.
    fn identity_in_store(&self, path: &PortablePath) -> Option<ProjectIdentity> {
        let read = || {
            let snapshot = self.workspace.store.head_snapshot().ok()?;
            let manifests = snapshot
                .sessions()
                .ok()?
                .into_keys()
                .filter_map(|id| snapshot.manifest(&id).ok()?);
            let known = manifests.filter_map(|manifest| {
                let git = manifest.git.as_ref().filter(|git| git.directory.is_top())?;
                Some((plain_project(&manifest)?.to_string(), git.identity.clone()?))
            });
            Some(known.collect())
        };
        self.identities
            .get_or_init(|| read().unwrap_or_default())
            .get(path.as_str())
            .cloned()
    }

    /// Where the machine that stored it first would have it here, if that is the project.
    fn at_its_path(&self, bundle: &ExtrasBundle) -> Option<(String, KnownProject)> {
        let path = PathBuf::from(expand_path(
            bundle.path.as_ref()?,
            self.workspace.localizer.placeholders(),
        )?);
        let path = path.is_dir().then(|| path.canonicalize().ok())??;
        let project = self
            .look(&path)
            .filter(|project| project.checkout == path)?;
        (Some(&project.key) == bundle.project.as_ref()).then(|| Some((name_of(&path)?, project)))?
    }

    fn among_checkouts(&self, key: &ProjectKey) -> Option<(String, KnownProject)> {
        let candidates = self
            .checkouts()
            .iter()
            .filter_map(|(name, path)| Some((name.clone(), self.look(path)?)));
        candidates
            .into_iter()
            .find(|(_, project)| project.key == *key)
    }

    /// Whether a clone of the project has been seen since it was looked for in vain.
    fn has_clone(&self, bundle: &ExtrasBundle) -> bool {
        let Some(ProjectKey::Identity(identity)) = &bundle.project else {
            return false;
        };
        !self
            .workspace
            .localizer
            .clones()
            .present(identity)
            .is_empty()
    }

    /// A clone in which the client has not been yet.
    fn among_clones(&self, key: &ProjectKey) -> Option<(String, KnownProject)> {
        let ProjectKey::Identity(identity) = key else {
            return None;
        };
        let checkout = self.workspace.localizer.clones().main_checkout(identity)?;
        let project = self.look(&checkout).filter(|project| project.key == *key)?;
        Some((name_of(&checkout)?, project))
    }

    fn checkouts(&self) -> &BTreeMap<String, PathBuf> {
        self.checkouts.get_or_init(|| {
            let env = self.workspace.ctx.env;
            let directories = known_directories(&env.claude_dir, &env.home);
            let mut checkouts = BTreeMap::new();
            for directory in directories {
                let checkout = main_checkout(&directory);
                if let Some(name) = name_of(&checkout) {
                    // Names are not unique; a directory that is there comes before one that was.
                    let known = checkouts.entry(name).or_insert_with(|| checkout.clone());
                    if !known.is_dir() && checkout.is_dir() {
                        *known = checkout;
                    }
                }
            }
            checkouts
        })
    }

    fn stamp(&self) -> &String {
        let env = self.workspace.ctx.env;
        self.stamp
            .get_or_init(|| known_directories_stamp(&env.claude_dir, &env.home))
    }

    /// What is known of the project in a main checkout, which may be gone.
    fn look(&self, checkout: &Path) -> Option<KnownProject> {
        let placeholders = self.workspace.localizer.placeholders();
        let path = collapse_path(placeholders, checkout.to_str()?);
        let facts = self
            .workspace
            .localizer
            .clones()
            .facts(checkout)
            .filter(|facts| facts.directory.is_top());
        let identity = facts.and_then(|facts| portable(facts, placeholders).identity);
        let key = identity.map_or_else(|| ProjectKey::Path(path.clone()), ProjectKey::Identity);
        Some(KnownProject {
            checkout: checkout.to_owned(),
            path,
            key,
            config: config_stamp(checkout),
        })
    }
}

fn name_of(checkout: &Path) -> Option<String> {
    checkout.to_str().map(client_dir_name)
}

fn config_stamp(checkout: &Path) -> Option<FileStamp> {
    FileStamp::read(&checkout.join(".git/config")).ok()
}
