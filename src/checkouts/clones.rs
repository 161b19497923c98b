//! The clones of projects on this machine.
//!
//! Owns `checkouts.json` in the state directory: known working trees, and for each
//! session the checkout that its files here were written with. It is a cache: clones are
//! found again, and the checkout of a session is read from the session's own text. A
//! working tree in the file is checked before it is used. Must not change a repository.
//!
//! The file is read on first use, so that a command with nothing to do does not read it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use crate::checkouts::{clone_search::CloneSearch, identity::identity_of};
use crate::domain::url::{RemoteKind, RemoteUrl, project_identity};
use crate::domain::{Placeholders, ProjectIdentity, SessionId, project::WorktreeName};
use crate::project::{GitFacts, SshHosts, main_checkout, read};
use crate::sys::{Clock, Env, former_names::existing_file, fs::PathError, fs::write_cache};

pub(crate) const VERSION: u32 = 1;

/// Maximum number of working trees recorded. The one seen least recently is forgotten
/// first.
pub(crate) const MAX_CLONES: usize = 2000;

/// Maximum size of the file, in bytes. A larger one is ignored.
pub(crate) const MAX_FILE_BYTES: u64 = 64 << 20;

/// The clones of this machine. May be shared by threads.
pub(crate) struct Clones {
    pub(crate) path: PathBuf,
    pub(crate) search_paths: CloneSearch,
    pub(crate) today: String,
    pub(crate) state: Mutex<ClonesState>,
    home: PathBuf,
    /// Read when the first remote is reached by ssh.
    ssh_hosts: OnceLock<SshHosts>,
}

/// A working tree on this machine that belongs to a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkingTree {
    /// Its top, links resolved.
    pub(crate) top: PathBuf,
    /// Its name, if it is linked to another one.
    pub(crate) worktree: Option<WorktreeName>,
}

#[derive(Default)]
pub(crate) struct ClonesState {
    pub(crate) cache: Option<CloneCache>,
    pub(crate) changed: bool,
    pub(crate) searched: bool,
    /// Git facts of directories, as read by this command.
    pub(crate) facts: HashMap<PathBuf, Option<GitFacts>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct CloneCache {
    pub(crate) version: u32,
    /// Known clones by the top of the working tree.
    #[serde(rename = "checkouts", alias = "clones")]
    pub(crate) clones: BTreeMap<String, KnownClone>,
    /// Checkouts that the files of sessions here were written with.
    pub(crate) used: BTreeMap<SessionId, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownClone {
    pub(crate) identity: ProjectIdentity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) worktree: Option<WorktreeName>,
    /// Day on which it was last seen.
    pub(crate) seen: String,
}

impl Clones {
    /// Creates the clones of this machine. Reads nothing yet.
    pub(crate) fn new(env: &Env, placeholders: &Placeholders, clock: &dyn Clock) -> Self {
        Self {
            path: existing_file(&env.dirs.state, "checkouts.json"),
            search_paths: CloneSearch::new(env, placeholders),
            today: clock.now().format("%Y-%m-%d").to_string(),
            state: Mutex::default(),
            home: env.home.clone(),
            ssh_hosts: OnceLock::new(),
        }
    }

    /// Returns the top of the main checkout of a clone of `identity`, the first in order
    /// of paths.
    ///
    /// Searches for clones if none is known.
    pub(crate) fn main_checkout(&self, identity: &ProjectIdentity) -> Option<PathBuf> {
        let trees = self.find(identity);
        let main = trees
            .iter()
            .find(|tree| tree.worktree.is_none())
            .map(|tree| tree.top.clone());
        main.or_else(|| {
            let top = main_checkout(&trees.first()?.top);
            self.record_at(&top)
                .filter(|found| found == identity)
                .map(|_| top)
        })
    }

    /// Returns the working trees of `identity`, as [`Self::existing`]. Searches if none
    /// is known.
    pub(crate) fn find(&self, identity: &ProjectIdentity) -> Vec<WorkingTree> {
        let known = self.existing(identity);
        if !known.is_empty() {
            return known;
        }
        self.search();
        self.existing(identity)
    }

    /// Returns the known working trees that still belong to `identity`, in order of
    /// paths.
    pub(crate) fn existing(&self, identity: &ProjectIdentity) -> Vec<WorkingTree> {
        let is_still_clone = |top: &PathBuf| {
            self.record_at(top).as_ref() == Some(identity)
                && self.facts(top).is_some_and(|facts| facts.top == *top)
        };
        let tops: Vec<PathBuf> = self
            .known_tops(identity)
            .into_iter()
            .map(PathBuf::from)
            .filter(is_still_clone)
            .collect();
        tops.into_iter()
            .map(|top| WorkingTree {
                worktree: self.facts(&top).and_then(|facts| facts.worktree),
                top,
            })
            .collect()
    }

    /// Returns the tops of all working trees of `identity` that were ever seen.
    pub(crate) fn known_tops(&self, identity: &ProjectIdentity) -> Vec<String> {
        let mut state = self.state();
        let clones = &self.cache(&mut state).clones;
        clones
            .iter()
            .filter(|(_, seen)| seen.identity == *identity)
            .map(|(top, _)| top.clone())
            .collect()
    }

    /// Returns the identity that the working tree with this top had when it was last seen.
    pub(crate) fn last_identity(&self, top: &str) -> Option<ProjectIdentity> {
        let mut state = self.state();
        let seen = self.cache(&mut state).clones.get(top)?;
        Some(seen.identity.clone())
    }

    /// Searches for clones, once per command.
    pub(crate) fn search(&self) {
        if std::mem::replace(&mut self.state().searched, true) {
            return;
        }
        for directory in self.search_paths.candidates() {
            self.record_at(&directory);
        }
        let tops: Vec<String> = self
            .cache(&mut self.state())
            .clones
            .keys()
            .cloned()
            .collect();
        for tree in tops
            .iter()
            .flat_map(|top| self.search_paths.linked_to(Path::new(top)))
        {
            self.record_at(&tree);
        }
    }

    /// Records the working tree that contains `directory`. Returns its identity.
    pub(crate) fn record_at(&self, directory: &Path) -> Option<ProjectIdentity> {
        let facts = self.facts(directory)?;
        self.record(&facts)
    }

    /// Records a working tree. Returns its identity.
    pub(crate) fn record(&self, facts: &GitFacts) -> Option<ProjectIdentity> {
        let identity = identity_of(facts)?;
        let top = facts.top.to_str()?.to_owned();
        let seen = KnownClone {
            identity: identity.clone(),
            worktree: facts.worktree.clone(),
            seen: self.today.clone(),
        };
        let mut state = self.state();
        let clones = &mut self.cache(&mut state).clones;
        if clones.get(&top) != Some(&seen) {
            clones.insert(top, seen);
            forget_old(clones);
            state.changed = true;
        }
        drop(state);
        if facts.main != facts.top && !self.state().facts.contains_key(&facts.main) {
            self.record_at(&facts.main);
        }
        Some(identity)
    }

    /// Returns the git facts of `directory`, read once per command.
    pub(crate) fn facts(&self, directory: &Path) -> Option<GitFacts> {
        if let Some(facts) = self.state().facts.get(directory) {
            return facts.clone();
        }
        let mut facts = read(directory);
        if let Some(remote) = facts.as_mut().and_then(|facts| facts.remote.as_mut()) {
            *remote = self.with_real_host(remote);
        }
        self.state()
            .facts
            .insert(directory.to_owned(), facts.clone());
        facts
    }

    /// Replaces an alias of the user's ssh configuration in an address. The host names of one
    /// server that only differ in the port stay.
    fn with_real_host(&self, remote: &RemoteUrl) -> RemoteUrl {
        if *remote.kind() != RemoteKind::Ssh {
            return remote.clone();
        }
        let hosts = self.ssh_hosts.get_or_init(|| SshHosts::read(&self.home));
        let real = remote.with_real_host(|host| hosts.real_name(host));
        let identity = |url: &RemoteUrl| project_identity(&url.without_secrets()?);
        match identity(&real) == identity(remote) {
            true => remote.clone(),
            false => real,
        }
    }

    /// Returns the checkout that the files of `session` here were written with.
    pub(crate) fn recorded_checkout(&self, session: &SessionId) -> Option<String> {
        let mut state = self.state();
        self.cache(&mut state).used.get(session).cloned()
    }

    /// Records the checkout that files of `session` are written with from now on, if any.
    pub(crate) fn record_checkout(&self, session: &SessionId, top: Option<&str>) {
        let mut state = self.state();
        let used = &mut self.cache(&mut state).used;
        if used.get(session).map(String::as_str) == top {
            return;
        }
        match top {
            Some(top) => drop(used.insert(session.clone(), top.to_owned())),
            None => drop(used.remove(session)),
        }
        state.changed = true;
    }

    /// Forgets the checkouts of sessions that are not in `present`.
    pub(crate) fn retain_checkouts(&self, present: &BTreeSet<&SessionId>) {
        let mut state = self.state();
        // An unused cache is not read for this.
        let Some(cache) = &mut state.cache else {
            return;
        };
        let before = cache.used.len();
        cache.used.retain(|session, _| present.contains(session));
        let has_changed = cache.used.len() != before;
        state.changed |= has_changed;
    }

    /// Writes the cache if it changed.
    ///
    /// # Errors
    /// [`PathError`]
    pub(crate) fn save(&self) -> Result<(), PathError> {
        let mut state = self.state();
        let changed = std::mem::replace(&mut state.changed, false);
        let Some(cache) = state.cache.as_ref().filter(|_| changed) else {
            return Ok(());
        };
        let json = serde_json::to_vec(cache)
            .expect("maps with text keys and plain values always serialise");
        write_cache(&self.path, &json)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ClonesState> {
        // An entry is complete even if the thread that added it panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cache<'s>(&self, state: &'s mut ClonesState) -> &'s mut CloneCache {
        state
            .cache
            .get_or_insert_with(|| CloneCache::load(&self.path))
    }
}

impl CloneCache {
    /// Reads the cache. One that is missing, damaged or of another version is empty.
    pub(crate) fn load(path: &Path) -> Self {
        let is_small = path
            .metadata()
            .is_ok_and(|metadata| metadata.len() <= MAX_FILE_BYTES);
        let read =
            || serde_json::from_slice::<Self>(&std::fs::read(path).ok().filter(|_| is_small)?).ok();
        read()
            .filter(|cache| cache.version == VERSION)
            .unwrap_or(Self {
                version: VERSION,
                ..Self::default()
            })
    }
}

pub(crate) fn forget_old(clones: &mut BTreeMap<String, KnownClone>) {
    if clones.len() > MAX_CLONES
        && let Some(oldest) = clones
            .iter()
            .min_by(|a, b| a.1.seen.cmp(&b.1.seen))
            .map(|(top, _)| top.clone())
    {
        clones.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::{real_path, write_atomic};

    pub(crate) fn clones(home: &Path) -> Clones {
        let search_paths = CloneSearch::for_home(home);
        Clones {
            path: home.join("checkouts.json"),
            search_paths,
            today: "2026-01-02".to_owned(),
            state: Mutex::default(),
            home: home.to_owned(),
            ssh_hosts: OnceLock::new(),
        }
    }

    pub(crate) fn repository(directory: &Path, remote: &str) -> git2::Repository {
        let repo = git2::Repository::init(directory).unwrap();
        repo.remote("origin", remote).unwrap();
        let tree = repo.treebuilder(None).unwrap().write().unwrap();
        let author =
            git2::Signature::new("t", "t@example.invalid", &git2::Time::new(0, 0)).unwrap();
        repo.commit(
            Some("HEAD"),
            &author,
            &author,
            "begin",
            &repo.find_tree(tree).unwrap(),
            &[],
        )
        .unwrap();
        repo
    }

    pub(crate) fn app() -> ProjectIdentity {
        ProjectIdentity::new("github.com/al/app").unwrap()
    }

    #[test]
    pub(crate) fn clones_main_checkout_found_from_worktree_and_project_list() {
        let dir = tempfile::tempdir().unwrap();
        let home = real_path(dir.path()).unwrap();
        let main = home.join(".work/main");
        let repo = repository(&main, "git@github.com:al/app.git");
        repo.worktree("side", &home.join(".work/side"), None)
            .unwrap();
        assert_eq!(clones(&home).main_checkout(&app()), None);
        let list = serde_json::json!({"projects": {home.join(".work/side").to_str().unwrap(): {}}});
        write_atomic(&home.join(".claude.json"), list.to_string().as_bytes()).unwrap();
        let known = clones(&home);
        assert_eq!(known.main_checkout(&app()), Some(main.clone()));
        let trees: Vec<_> = known
            .existing(&app())
            .into_iter()
            .map(|tree| (tree.top, tree.worktree))
            .collect();
        assert_eq!(
            trees,
            [
                (main.clone(), None),
                (
                    home.join(".work/side"),
                    Some(WorktreeName::new("side").unwrap())
                )
            ]
        );
        known.save().unwrap();
        std::fs::remove_file(home.join(".claude.json")).unwrap();
        let later = clones(&home);
        assert_eq!(
            later.main_checkout(&app()),
            Some(main.clone()),
            "remembered"
        );
        // A remembered clone is checked before it counts.
        repo.remote_set_url("origin", "https://example.org/other")
            .unwrap();
        assert_eq!(clones(&home).main_checkout(&app()), None);
        assert_eq!(
            later.known_tops(&app()).len(),
            2,
            "the former location stays known"
        );
    }

    #[test]
    pub(crate) fn clones_unreadable_cache_is_empty_and_rewritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkouts.json");
        let session: SessionId = "3f2a8c1e-0000-4000-8000-000000000000".parse().unwrap();
        let newer =
            r#"{"version":2,"checkouts":{},"used":{"3f2a8c1e-0000-4000-8000-000000000000":"/x"}}"#;
        for text in ["", "{\"version\":1,\"che", newer, "[]"] {
            write_atomic(&path, text.as_bytes()).unwrap();
            let known = clones(dir.path());
            assert_eq!(known.recorded_checkout(&session), None, "{text}");
            known.record_checkout(&session, Some("/a"));
            known.save().unwrap();
            let again = clones(dir.path());
            assert_eq!(again.recorded_checkout(&session).as_deref(), Some("/a"));
            again.retain_checkouts(&BTreeSet::new());
            assert_eq!(again.recorded_checkout(&session), None);
        }
    }

    #[test]
    pub(crate) fn clones_unused_cache_is_not_read_or_written() {
        let dir = tempfile::tempdir().unwrap();
        let known = clones(dir.path());
        known.retain_checkouts(&BTreeSet::new());
        known.save().unwrap();
        assert!(known.state().cache.is_none() && !known.path.exists());
    }
}
