//! How a stored line reads on this machine.
//!
//! A line that this machine wrote reads as it wrote it; a foreign one reads by the
//! `paths` setting. A file on the disk may have been written under earlier settings or
//! roots, or be a raw copy: whether it *is* the stored session is decided by trying each
//! choice.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memmem;

use crate::checkouts::clones::Clones;
use crate::checkouts::current_placeholders::CurrentPlaceholders;
use crate::checkouts::locate::{
    Repos, is_below_repo, is_in_repo, name as repo_name, plain_project,
};
use crate::config::LocalizeMode;
use crate::domain::id::{MachineId, SessionId};
use crate::domain::path::PortablePath;
use crate::domain::placeholder::Placeholders;
use crate::localize::error::StoredDataError;
use crate::rewrite::{Collapser, Expander, TextKind, View, collapse_path};
use crate::store::manifest::{Manifest, PlaceholdersKey, Run};

/// One way to read a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PlaceholderChoice {
    /// As its machine wrote it.
    AsWritten,
    /// With the `n`-th root set that is known here (0 is the present one of this machine).
    With(View, usize),
}

/// Sessions are stored in no order of projects; each of these takes some ten kilobytes.
const MOST_COLLAPSERS: usize = 256;

/// More of a title nobody wants to see.
const LONGEST_TITLE: usize = 2000;

/// This machine's eyes.
pub(crate) struct Localizer {
    me: MachineId,
    /// The present roots, then the former ones, then those of other machines, from which
    /// files may have been copied raw.
    placeholders: Vec<Placeholders>,
    /// Sets with the repository of a session among them; they are numbered after those above.
    with_repo: Mutex<Vec<Placeholders>>,
    setting: LocalizeMode,
    clones: Clones,
    /// What machines were given for placeholders since they wrote.
    since: CurrentPlaceholders,
    expanders: Mutex<HashMap<(PlaceholdersKey, PlaceholderChoice), Arc<Expander>>>,
    collapsers: Mutex<Collapsers>,
    /// For those who only read: where the repository of a session is does not change for them.
    presents: Mutex<HashMap<SessionId, usize>>,
}

/// By the roots, and the working directories whose names are known.
type Collapsers = HashMap<(PlaceholdersKey, Vec<String>), Arc<Collapser>>;

/// Which session a text is read as.
pub(crate) struct StoredLineReader<'a> {
    localizer: &'a Localizer,
    manifest: &'a Manifest,
    /// The id that the local file has; a fork's lines are read under it.
    session: &'a SessionId,
    kind: TextKind,
    /// Working directories that the local file names.
    learned: Vec<String>,
    /// The root set with which the session is written here.
    present: OnceCell<usize>,
    /// Every root set with which it may have been written, where there are more than
    /// those of machines.
    ever: OnceCell<Vec<usize>>,
}

impl Localizer {
    pub(crate) fn new(
        me: MachineId,
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
        let (with_repo, since, expanders, collapsers, presents) = Default::default();
        Self {
            me,
            placeholders,
            with_repo,
            setting,
            clones,
            since,
            expanders,
            collapsers,
            presents,
        }
    }

    /// The same, with what is known of the present roots of machines.
    pub(crate) fn with_placeholders(self, since: CurrentPlaceholders) -> Self {
        Self { since, ..self }
    }

    pub(crate) fn me(&self) -> &MachineId {
        &self.me
    }

    /// The present roots of this machine.
    pub(crate) fn placeholders(&self) -> &Placeholders {
        &self.placeholders[0]
    }

    /// Takes note of what machines have for roots now.
    pub(crate) fn set_placeholders(&mut self, since: CurrentPlaceholders) {
        self.since = since;
    }

    /// What machines were given for placeholders since they wrote.
    pub(crate) fn since(&self) -> &CurrentPlaceholders {
        &self.since
    }

    /// The session with its project as it would be called if it were stored today: for
    /// where it belongs, not for its text.
    pub(crate) fn with_current_project<'m>(&self, manifest: &'m Manifest) -> Cow<'m, Manifest> {
        match self.since.project(manifest, self.placeholders()) {
            Some(project) => Cow::Owned(Manifest {
                project: Some(project),
                ..manifest.clone()
            }),
            None => Cow::Borrowed(manifest),
        }
    }

    /// What is known of clones.
    pub(crate) fn clones(&self) -> &Clones {
        &self.clones
    }

    /// Where the repositories of sessions are.
    pub(crate) fn repos(&self) -> Repos<'_> {
        Repos {
            me: &self.me,
            bases: &self.placeholders,
            clones: &self.clones,
        }
    }

    /// The present roots, with the repository of the session.
    pub(crate) fn roots_of(&self, manifest: &Manifest) -> Placeholders {
        match self.repos().of(manifest, &manifest.session) {
            Some(repo) => self.placeholders().with(repo),
            None => self.placeholders().clone(),
        }
    }

    /// Decides where the repository of a session is that is not here yet. Looks for
    /// clones if none is known.
    pub(crate) fn settle(&self, manifest: &Manifest) {
        if is_in_repo(manifest) {
            let repo = self.repos().locate_checkout(manifest, true);
            self.clones.use_for(
                &manifest.session,
                repo.as_ref().map(|repo| repo.directory.as_str()),
            );
        }
    }

    /// Where the project is on this machine, or would be if it were here, below this
    /// machine's own roots. Looks for clones if none is known. Untrusted text.
    pub(crate) fn place_of_project(&self, manifest: &Manifest) -> Option<PortablePath> {
        if !is_below_repo(manifest) {
            return self
                .since
                .project(manifest, self.placeholders())
                .or_else(|| manifest.project.clone());
        }
        let repos = self.repos();
        let is_settled = self.clones.used(&manifest.session).is_some();
        let repo = if is_settled {
            repos.of(manifest, &manifest.session)
        } else {
            repos.locate_checkout(manifest, true)
        };
        let here =
            repo.and_then(|repo| Repos::directory(manifest, &self.placeholders().with(repo)));
        here.map(|path| collapse_path(self.placeholders(), &path))
            .or_else(|| plain_project(manifest))
    }

    /// The project as people here know it: where it is on this machine, else by its
    /// remote. Untrusted text.
    pub(crate) fn project(&self, manifest: &Manifest) -> Option<String> {
        let project = manifest.project.as_ref()?;
        if !is_below_repo(manifest) {
            let today = self.since.project(manifest, self.placeholders());
            return Some(today.as_ref().unwrap_or(project).to_string());
        }
        let here = Repos::directory(manifest, &self.roots_of(manifest))
            .filter(|path| Path::new(path).is_dir());
        let here = here.map(|path| collapse_path(self.placeholders(), &path).to_string());
        here.or_else(|| repo_name(manifest))
            .or_else(|| Some(plain_project(manifest)?.to_string()))
    }

    /// A collapser, made once for equal roots and directories.
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
        if collapsers.len() >= MOST_COLLAPSERS && !collapsers.contains_key(&key) {
            collapsers.clear();
        }
        Arc::clone(
            collapsers
                .entry(key)
                .or_insert_with(|| Arc::new(Collapser::new(placeholders, directories))),
        )
    }

    /// What proves that text collapsed with `roots` comes back.
    pub(crate) fn prover(&self, placeholders: &Placeholders) -> Arc<Expander> {
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

    /// The number of `set`.
    fn number(&self, set: Placeholders) -> usize {
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

    /// The set of this number.
    fn set(&self, n: usize) -> Placeholders {
        match n.checked_sub(self.placeholders.len()) {
            None => self.placeholders[n].clone(),
            Some(n) => self
                .with_repo
                .lock()
                .unwrap_or_else(PoisonError::into_inner)[n]
                .clone(),
        }
    }

    /// Reads files of `manifest` as files of the session `session`.
    pub(crate) fn reader<'a>(
        &'a self,
        manifest: &'a Manifest,
        session: &'a SessionId,
        kind: TextKind,
    ) -> StoredLineReader<'a> {
        let (learned, present, ever) = Default::default();
        StoredLineReader {
            localizer: self,
            manifest,
            session,
            kind,
            learned,
            present,
            ever,
        }
    }

    /// The title the client would show, with this machine's paths. Untrusted text.
    pub(crate) fn title(&self, manifest: &Manifest) -> Option<String> {
        self.words(manifest, manifest.titles.shown()?)
    }

    /// The first prompt, with this machine's paths. Untrusted text.
    pub(crate) fn first_prompt(&self, manifest: &Manifest) -> Option<String> {
        self.words(manifest, manifest.titles.first_prompt.as_deref()?)
    }

    fn words(&self, manifest: &Manifest, portable: &str) -> Option<String> {
        // What this program wrote has 200 characters before its paths are collapsed.
        let title: String = portable.chars().take(LONGEST_TITLE).collect();
        let choice = PlaceholderChoice::With(View::Local, self.number(self.roots_of(manifest)));
        // Whose words it is, it does not say: a first prompt is of whoever began, most
        // titles are of whoever wrote last.
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
            expander.expand(title.as_bytes(), TextKind::Plain, &mut shown);
            let shown = String::from_utf8_lossy(&shown).into_owned();
            if !shown.contains("{{") {
                return Some(shown);
            }
            likeliest.get_or_insert(shown);
        }
        Some(likeliest.unwrap_or(title))
    }

    /// Stored text as a person reads it here: with this machine's paths, whatever the
    /// setting for files on the disk is.
    ///
    /// # Errors
    /// [`StoredDataError::Oversized`]
    pub(crate) fn localised<'t>(
        &self,
        manifest: &Manifest,
        run: &Run,
        kind: TextKind,
        portable: &'t [u8],
    ) -> Result<Cow<'t, [u8]>, StoredDataError> {
        if run.verbatim || memmem::find(portable, b"{{").is_none() {
            return Ok(Cow::Borrowed(portable));
        }
        let reader = self.reader(manifest, &manifest.session, kind);
        let in_repo = manifest
            .placeholders
            .get(&run.placeholders)
            .is_some_and(|origin| origin.repo().is_some());
        let present = if in_repo { self.present(manifest) } else { 0 };
        reader
            .read(run, PlaceholderChoice::With(View::Local, present), portable)
            .map(Cow::Owned)
    }

    /// The roots with which [`Self::localised`] reads the sessions: the present ones,
    /// with each of their repositories.
    pub(crate) fn localising<'m>(
        &self,
        manifests: impl Iterator<Item = &'m Manifest>,
    ) -> Vec<Placeholders> {
        let numbers: BTreeSet<usize> = manifests
            .map(|manifest| self.present(manifest))
            .chain([0])
            .collect();
        numbers.into_iter().map(|n| self.set(n)).collect()
    }

    /// The number of the present roots with the repository of the session, if it has one;
    /// found out once.
    pub(crate) fn present(&self, manifest: &Manifest) -> usize {
        if !is_in_repo(manifest) {
            return 0;
        }
        let known = |presents: &mut HashMap<_, _>| presents.get(&manifest.session).copied();
        let presents = || self.presents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = known(&mut presents()) {
            return present;
        }
        let present = self.number(self.roots_of(manifest));
        presents().insert(manifest.session.clone(), present);
        present
    }

    /// Returns true if text that the model has seen stays on this machine as its origin wrote it.
    pub(crate) fn uses_original_paths(&self, manifest: &Manifest) -> bool {
        self.view_of(manifest) == View::Original
    }

    fn view_of(&self, manifest: &Manifest) -> View {
        match self.setting {
            LocalizeMode::Always => View::Local,
            LocalizeMode::Never => View::Original,
            LocalizeMode::Auto if manifest.bound => View::Original,
            LocalizeMode::Auto => View::Local,
        }
    }

    fn expander(
        &self,
        manifest: &Manifest,
        run: &Run,
        choice: PlaceholderChoice,
    ) -> Option<Arc<Expander>> {
        let key = (run.placeholders.clone(), choice);
        // What another thread has entered is whole, whatever became of that thread.
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
            PlaceholderChoice::With(view, n) => Expander::new(origin, &self.set(n), view),
        });
        expanders.insert(key, Arc::clone(&expander));
        Some(expander)
    }
}

impl<'a> StoredLineReader<'a> {
    /// Returns true if this machine wrote the run.
    pub(crate) fn is_mine(&self, run: &Run) -> bool {
        run.machine == self.localizer.me
    }

    /// The same, for a local file that names these working directories.
    pub(crate) fn with_learned(self, learned: Vec<String>) -> Self {
        Self {
            learned,
            ever: OnceCell::new(),
            ..self
        }
    }

    /// Returns true if there are readings that depend on where the session's repository is.
    pub(crate) fn depends_on_repo(&self) -> bool {
        is_in_repo(self.manifest)
    }

    /// How the run is written to this machine's disk now. What this machine wrote stays,
    /// wherever its repository is now.
    pub(crate) fn preferred(&self, run: &Run) -> PlaceholderChoice {
        let origin = self.manifest.placeholders.get(&run.placeholders);
        let as_written = self.is_mine(run)
            && origin.is_some_and(|origin| origin.without_repo() == *self.localizer.placeholders());
        if as_written {
            PlaceholderChoice::AsWritten
        } else {
            PlaceholderChoice::With(self.localizer.view_of(self.manifest), self.present())
        }
    }

    fn present(&self) -> usize {
        *self.present.get_or_init(|| {
            let repo = self.localizer.repos().of(self.manifest, self.session);
            repo.map_or(0, |repo| {
                self.localizer
                    .number(self.localizer.placeholders().with(repo))
            })
        })
    }

    fn ever(&self) -> &[usize] {
        self.ever.get_or_init(|| {
            let sets = self
                .localizer
                .repos()
                .ever(self.manifest, self.session, &self.learned);
            sets.into_iter()
                .map(|set| self.localizer.number(set))
                .collect()
        })
    }

    /// Takes note that the local file has `run` in this choice: what comes after it is
    /// written with the same repository.
    pub(crate) fn found(&self, run: &Run, choice: PlaceholderChoice) {
        if let PlaceholderChoice::With(_, n) = choice
            && n != self.present()
            && self
                .manifest
                .placeholders
                .get(&run.placeholders)
                .is_some_and(|origin| origin.repo().is_some())
            && let Some(repo) = self.localizer.set(n).repo()
        {
            self.localizer
                .clones
                .use_for(self.session, Some(&repo.directory));
        }
    }

    /// Every way in which the run may lie on this machine's disk, the likeliest first.
    /// The others are put together only if they are asked for.
    pub(crate) fn choices(&self, run: &Run) -> impl Iterator<Item = PlaceholderChoice> {
        let preferred = self.preferred(run);
        let others = move || {
            let numbers = self
                .ever()
                .iter()
                .copied()
                .chain(0..self.localizer.placeholders.len());
            let with = numbers.flat_map(|n| {
                [
                    PlaceholderChoice::With(View::Original, n),
                    PlaceholderChoice::With(View::Local, n),
                ]
            });
            let mut seen = vec![preferred];
            let all: Vec<PlaceholderChoice> = std::iter::once(PlaceholderChoice::AsWritten)
                .chain(with)
                .collect();
            all.into_iter().filter(move |choice| {
                let is_new = !seen.contains(choice);
                if is_new {
                    seen.push(*choice);
                }
                is_new
            })
        };
        std::iter::once(preferred).chain(std::iter::once_with(others).flatten())
    }

    /// The text of `run` under one choice.
    ///
    /// # Errors
    /// [`StoredDataError::Oversized`]
    pub(crate) fn read(
        &self,
        run: &Run,
        choice: PlaceholderChoice,
        portable: &[u8],
    ) -> Result<Vec<u8>, StoredDataError> {
        let mut text = Vec::with_capacity(portable.len() + portable.len() / 8);
        match self
            .localizer
            .expander(self.manifest, run, choice)
            .filter(|_| !run.verbatim)
        {
            Some(expander) => {
                let session = || self.manifest.session.clone();
                let done = expander.expand_bounded(portable, self.kind, &mut text);
                done.map_err(|source| StoredDataError::Oversized {
                    session: session(),
                    source,
                })?;
            }
            None => text.extend_from_slice(portable),
        }
        Ok(self.rename(run, text))
    }

    /// The text of `run` as its machine wrote it, the session's name included.
    pub(crate) fn as_written(
        localizer: &'a Localizer,
        manifest: &'a Manifest,
        run: &Run,
        kind: TextKind,
        portable: &[u8],
    ) -> Result<Vec<u8>, StoredDataError> {
        let session = run.written_as.as_ref().unwrap_or(&manifest.session);
        localizer
            .reader(manifest, session, kind)
            .read(run, PlaceholderChoice::AsWritten, portable)
    }

    /// The text as it is written to this machine's disk now.
    pub(crate) fn read_preferred(
        &self,
        run: &Run,
        portable: &[u8],
    ) -> Result<Vec<u8>, StoredDataError> {
        self.read(run, self.preferred(run), portable)
    }

    /// The portable text of `run`, with the name of the session that it is read as.
    pub(crate) fn portable(&self, run: &Run, portable: &[u8]) -> Vec<u8> {
        self.rename(run, portable.to_vec())
    }

    /// A fork's lines say the id of the session they were written under; on the disk they
    /// say the file's.
    fn rename(&self, run: &Run, text: Vec<u8>) -> Vec<u8> {
        let written_as = run.written_as.as_ref().unwrap_or(&self.manifest.session);
        if written_as == self.session || !matches!(self.kind, TextKind::Json) {
            return text;
        }
        renamed(&text, written_as, self.session)
    }
}

/// JSON text in which every record of the session `old` says that it is one of `new`.
pub(crate) fn renamed(text: &[u8], old: &SessionId, new: &SessionId) -> Vec<u8> {
    let [old, new] = [old, new].map(|id| format!("\"sessionId\":\"{id}\""));
    let mut renamed = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in memmem::find_iter(text, old.as_bytes()) {
        renamed.extend_from_slice(&text[from..at]);
        renamed.extend_from_slice(new.as_bytes());
        from = at + old.len();
    }
    renamed.extend_from_slice(&text[from..]);
    renamed
}
