//! Localizes stored text for this machine.
//!
//! Owns the placeholders that text may be expanded with, and the expanders made from
//! them. Lines of this machine are expanded as they were written; lines of other machines
//! by the `localize` setting.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::checkouts::{
    Clones, current_placeholders::CurrentPlaceholders, locate::CheckoutLocator,
    locate::is_below_repo, locate::is_in_repo, locate::plain_project, locate::project_name,
};
use crate::config::{LocalizeMode, SecretsMode};
use crate::domain::{MachineId, Placeholders, PortablePath, SessionId};
use crate::rewrite::{Collapser, Expander, SecretView, TextKind, View, collapse_path};
use crate::secrets::Secrets;
use crate::store::{manifest::Manifest, manifest::PlaceholdersKey, manifest::Run};
use crate::sys::fs::is_dir_in_time;

/// One way to expand a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PlaceholderChoice {
    /// As its machine wrote it.
    AsWritten,
    /// With the placeholders of this index. 0 is the current set of this machine.
    With(View, usize),
}

/// The text in the place of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretChoice {
    /// Its value, or its redaction if the value is unknown here.
    Local,
    /// Its redaction.
    Redaction,
    /// Its placeholder: the same text on every machine.
    Placeholder,
}

/// One way to read a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) placeholders: PlaceholderChoice,
    pub(crate) secrets: SecretChoice,
}

impl Reading {
    /// As its machine wrote it, but for secrets: what is hashed and compared in the store.
    pub(crate) const WRITTEN: Self = Self {
        placeholders: PlaceholderChoice::AsWritten,
        secrets: SecretChoice::Placeholder,
    };
}

/// Maximum number of collapsers kept. Each takes some 10 kB, and sessions are not stored
/// in order of their projects.
const MAX_COLLAPSERS: usize = 256;

/// Maximum length of a title, in characters. ccsync itself writes 200, with longer paths.
const MAX_TITLE_CHARS: usize = 2000;

/// Localizes stored text for this machine.
pub(crate) struct Localizer {
    machine: MachineId,
    /// The current placeholders, then earlier ones, then those of other machines: files
    /// may be raw copies.
    placeholders: Vec<Placeholders>,
    /// Sets with the repository of a session, with the indexes after those above.
    with_repo: Mutex<Vec<Placeholders>>,
    setting: LocalizeMode,
    clones: Clones,
    /// Placeholders that machines have today.
    current: CurrentPlaceholders,
    expanders: Mutex<HashMap<(PlaceholdersKey, PlaceholderChoice), Arc<Expander>>>,
    collapsers: Mutex<Collapsers>,
    /// The secrets of this machine; none: nothing is searched for them.
    pub(super) secrets: Option<Arc<Secrets>>,
    /// Index of the set for each session, for commands that only read: its repository
    /// stays the same.
    repo_indexes: Mutex<HashMap<SessionId, usize>>,
    /// Sessions whose projects have a treatment of secrets of their own.
    pub(super) secrets_modes: Mutex<HashMap<SessionId, SecretsMode>>,
}

/// Collapsers by placeholders and known working directories.
type Collapsers = HashMap<(PlaceholdersKey, Vec<String>), Arc<Collapser>>;

impl Localizer {
    pub(crate) fn new(
        machine: MachineId,
        present: Placeholders,
        others: Vec<Placeholders>,
        setting: LocalizeMode,
        clones: Clones,
    ) -> Self {
        let mut placeholders = vec![present];
        for set in others {
            if !placeholders.contains(&set) {
                placeholders.push(set);
            }
        }
        let (with_repo, current, expanders, collapsers, repo_indexes) = Default::default();
        Self {
            machine,
            placeholders,
            with_repo,
            setting,
            clones,
            current,
            expanders,
            collapsers,
            secrets: None,
            repo_indexes,
            secrets_modes: Mutex::default(),
        }
    }

    /// Returns the localizer with the secrets of this machine.
    pub(crate) fn with_secrets(self, secrets: Arc<Secrets>) -> Self {
        Self {
            secrets: Some(secrets),
            ..self
        }
    }

    /// Returns the secrets of this machine.
    pub(crate) fn secrets(&self) -> Option<&Arc<Secrets>> {
        self.secrets.as_ref()
    }

    /// Returns how the secrets of stored text are expanded.
    pub(crate) fn secret_view(&self, choice: SecretChoice) -> SecretView<'_> {
        match (choice, &self.secrets) {
            (SecretChoice::Placeholder, _) => SecretView::Placeholder,
            (SecretChoice::Local, Some(secrets)) => SecretView::Value(secrets.as_ref()),
            (SecretChoice::Local | SecretChoice::Redaction, _) => SecretView::Redaction,
        }
    }

    /// Returns the localizer with the placeholders that machines have today.
    pub(crate) fn with_current_placeholders(self, current: CurrentPlaceholders) -> Self {
        Self { current, ..self }
    }

    pub(crate) fn machine(&self) -> &MachineId {
        &self.machine
    }

    /// Returns the current placeholders of this machine.
    pub(crate) fn placeholders(&self) -> &Placeholders {
        &self.placeholders[0]
    }

    /// Replaces the placeholders that machines have today.
    pub(crate) fn set_current_placeholders(&mut self, current: CurrentPlaceholders) {
        self.current = current;
    }

    /// Returns the placeholders that machines have today.
    pub(crate) fn current_placeholders(&self) -> &CurrentPlaceholders {
        &self.current
    }

    /// Returns the manifest with the project path under today's placeholders.
    ///
    /// Use it for locating the session, not for its text.
    pub(crate) fn with_current_project<'m>(&self, manifest: &'m Manifest) -> Cow<'m, Manifest> {
        match self.current.project(manifest, self.placeholders()) {
            Some(project) => Cow::Owned(Manifest {
                project: Some(project),
                ..manifest.clone()
            }),
            None => Cow::Borrowed(manifest),
        }
    }

    /// Returns the known clones.
    pub(crate) fn clones(&self) -> &Clones {
        &self.clones
    }

    /// Returns the locator of sessions' checkouts.
    pub(crate) fn locator(&self) -> CheckoutLocator<'_> {
        CheckoutLocator {
            me: &self.machine,
            bases: &self.placeholders,
            clones: &self.clones,
        }
    }

    /// Returns the placeholder sets that local files may have been written with: those of this
    /// machine, present and former, and those of other machines.
    pub(crate) fn known_placeholders(&self) -> &[Placeholders] {
        &self.placeholders
    }

    /// Returns the current placeholders with the repository of a session.
    pub(crate) fn placeholders_for(&self, manifest: &Manifest) -> Placeholders {
        match self.locator().locate(manifest, &manifest.session) {
            Some(repo) => self.placeholders().with(repo),
            None => self.placeholders().clone(),
        }
    }

    /// Chooses and records the checkout of a session that is not here yet. Searches for
    /// clones if none is known.
    pub(crate) fn choose_checkout(&self, manifest: &Manifest) {
        if is_in_repo(manifest) {
            let repo = self.locator().locate_checkout(manifest, true);
            self.clones.record_checkout(
                &manifest.session,
                repo.as_ref().map(|repo| repo.directory.as_str()),
            );
        }
    }

    /// Returns the portable path of a project on this machine, or where it would be.
    ///
    /// Searches for clones if none is known. Untrusted text.
    pub(crate) fn project_location(&self, manifest: &Manifest) -> Option<PortablePath> {
        if !is_below_repo(manifest) {
            return self
                .current
                .project(manifest, self.placeholders())
                .or_else(|| manifest.project.clone());
        }
        let locator = self.locator();
        let is_settled = self.clones.recorded_checkout(&manifest.session).is_some();
        let repo = if is_settled {
            locator.locate(manifest, &manifest.session)
        } else {
            locator.locate_checkout(manifest, true)
        };
        let here = repo.and_then(|repo| {
            CheckoutLocator::project_directory(manifest, &self.placeholders().with(repo))
        });
        here.map(|path| collapse_path(self.placeholders(), &path))
            .or_else(|| plain_project(manifest))
    }

    /// Returns the project for display: its path on this machine, else its remote.
    /// Untrusted text.
    pub(crate) fn project(&self, manifest: &Manifest) -> Option<String> {
        let project = manifest.project.as_ref()?;
        if !is_below_repo(manifest) {
            let today = self.current.project(manifest, self.placeholders());
            return Some(today.as_ref().unwrap_or(project).to_string());
        }
        let here = CheckoutLocator::project_directory(manifest, &self.placeholders_for(manifest))
            .filter(|path| is_dir_in_time(Path::new(path)));
        let here = here.map(|path| collapse_path(self.placeholders(), &path).to_string());
        here.or_else(|| project_name(manifest))
            .or_else(|| Some(plain_project(manifest)?.to_string()))
    }

    /// Returns the collapser for these placeholders and directories, from a cache.
    pub(crate) fn collapser(
        &self,
        placeholders: &Placeholders,
        directories: &[String],
    ) -> Arc<Collapser> {
        let key = (PlaceholdersKey::new(placeholders), directories.to_vec());
        let mut collapsers = self
            .collapsers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if collapsers.len() >= MAX_COLLAPSERS && !collapsers.contains_key(&key) {
            collapsers.clear();
        }
        let new = || {
            let collapser = Collapser::new(placeholders, directories);
            Arc::new(match &self.secrets {
                Some(secrets) => collapser.with_secrets(Arc::clone(secrets) as _),
                None => collapser,
            })
        };
        Arc::clone(collapsers.entry(key).or_insert_with(new))
    }

    /// Returns the collapser that replaces secrets only.
    pub(crate) fn secret_collapser(&self) -> Arc<Collapser> {
        let none = Placeholders::new(self.placeholders().system, []);
        self.collapser(&none, &[])
    }

    /// Returns the expander that checks that collapsed text expands to the original.
    pub(crate) fn exact_expander(&self, placeholders: &Placeholders) -> Arc<Expander> {
        let key = (
            PlaceholdersKey::new(placeholders),
            PlaceholderChoice::AsWritten,
        );
        let mut expanders = self
            .expanders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            expanders
                .entry(key)
                .or_insert_with(|| Arc::new(Expander::exact(placeholders))),
        )
    }

    /// Returns the number of placeholder sets that are valid for every session.
    pub(super) fn known_count(&self) -> usize {
        self.placeholders.len()
    }

    /// Returns the index of a placeholder set.
    pub(super) fn index_of(&self, set: Placeholders) -> usize {
        if let Some(n) = self.placeholders.iter().position(|known| *known == set) {
            return n;
        }
        let mut more = self
            .with_repo
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let n = more
            .iter()
            .position(|known| *known == set)
            .unwrap_or_else(|| {
                more.push(set);
                more.len() - 1
            });
        self.placeholders.len() + n
    }

    /// Returns the placeholder set with this index.
    pub(super) fn placeholders_at(&self, n: usize) -> Placeholders {
        match n.checked_sub(self.placeholders.len()) {
            None => self.placeholders[n].clone(),
            Some(n) => self
                .with_repo
                .lock()
                .unwrap_or_else(PoisonError::into_inner)[n]
                .clone(),
        }
    }

    /// Returns the title that Claude Code would show, localized. Untrusted text.
    pub(crate) fn title(&self, manifest: &Manifest) -> Option<String> {
        self.localize_title(manifest, manifest.titles.shown()?)
    }

    /// Returns the tag of a session.
    pub(crate) fn tag(&self, manifest: &Manifest) -> Option<String> {
        self.localize_title(manifest, manifest.labels.tag.as_deref()?)
    }

    /// Returns the first prompt, localized. Untrusted text.
    pub(crate) fn first_prompt(&self, manifest: &Manifest) -> Option<String> {
        self.localize_title(manifest, manifest.titles.first_prompt.as_deref()?)
    }

    fn localize_title(&self, manifest: &Manifest, portable: &str) -> Option<String> {
        let title: String = portable.chars().take(MAX_TITLE_CHARS).collect();
        let choice =
            PlaceholderChoice::With(View::Local, self.index_of(self.placeholders_for(manifest)));
        // The manifest does not say which run a title comes from, so each run's
        // placeholders are tried. Most titles come from the last one.
        let (mut tried, mut likeliest) = (BTreeSet::new(), None);
        for run in manifest
            .transcript
            .runs
            .iter()
            .rev()
            .filter(|run| tried.insert(&run.placeholders))
        {
            let Some(expander) = self.expander(manifest, run, choice) else {
                continue;
            };
            let mut shown = Vec::new();
            let view = SecretView::Redaction;
            let done = expander.expand_bounded(title.as_bytes(), TextKind::Plain, view, &mut shown);
            if done.is_err() {
                continue;
            }
            let shown = String::from_utf8_lossy(&shown).into_owned();
            if !shown.contains("{{") {
                return Some(shown);
            }
            likeliest.get_or_insert(shown);
        }
        Some(likeliest.unwrap_or(title))
    }

    /// Returns the placeholder sets that [`Self::localize_text`] uses for these sessions.
    pub(crate) fn placeholders_in_use<'m>(
        &self,
        manifests: impl Iterator<Item = &'m Manifest>,
    ) -> Vec<Placeholders> {
        let numbers: BTreeSet<usize> = manifests
            .map(|manifest| self.current_index(manifest))
            .chain([0])
            .collect();
        numbers
            .into_iter()
            .map(|n| self.placeholders_at(n))
            .collect()
    }

    /// Returns the index of the current placeholders with the repository of the session,
    /// from a cache.
    pub(crate) fn current_index(&self, manifest: &Manifest) -> usize {
        if !is_in_repo(manifest) {
            return 0;
        }
        let known = |repo_indexes: &mut HashMap<_, _>| repo_indexes.get(&manifest.session).copied();
        let repo_indexes = || {
            self.repo_indexes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(present) = known(&mut repo_indexes()) {
            return present;
        }
        let present = self.index_of(self.placeholders_for(manifest));
        repo_indexes().insert(manifest.session.clone(), present);
        present
    }

    /// Returns true if text that the model has seen keeps the paths of the machine that
    /// wrote it.
    pub(crate) fn uses_original_paths(&self, manifest: &Manifest) -> bool {
        self.view_for(manifest) == View::Original
    }

    pub(super) fn view_for(&self, manifest: &Manifest) -> View {
        match self.setting {
            LocalizeMode::Always => View::Local,
            LocalizeMode::Never => View::Original,
            LocalizeMode::Auto if manifest.bound => View::Original,
            LocalizeMode::Auto => View::Local,
        }
    }

    pub(super) fn expander(
        &self,
        manifest: &Manifest,
        run: &Run,
        choice: PlaceholderChoice,
    ) -> Option<Arc<Expander>> {
        let key = (run.placeholders.clone(), choice);
        // An entry is complete even if the thread that added it panicked.
        let mut expanders = self
            .expanders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(expander) = expanders.get(&key) {
            return Some(Arc::clone(expander));
        }
        let origin = manifest.placeholders.get(&run.placeholders)?;
        let expander = Arc::new(match choice {
            PlaceholderChoice::AsWritten => Expander::exact(origin),
            PlaceholderChoice::With(view, n) => {
                Expander::new(origin, &self.placeholders_at(n), view)
            }
        });
        expanders.insert(key, Arc::clone(&expander));
        Some(expander)
    }
}
