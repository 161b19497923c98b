//! The clones of projects on this machine: which remote's working trees lie where.
//!
//! Owns `checkouts.json` in the state directory: working trees that were seen, and for each
//! session the place of its repository with which it was written here. All of it may be
//! lost: clones are found again, and where a session's repository was is then learned
//! from the session's own text (`repo`). What the file says is a hint: a working tree is
//! looked at before it is used. Must not change a repository.
//!
//! It is read when it is first needed, so that a command with nothing to do does not look at it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::checkouts::clone_search::Surroundings;
use crate::checkouts::identity::identity_of;
use crate::domain::id::SessionId;
use crate::domain::placeholder::Placeholders;
use crate::domain::project::{ProjectIdentity, WorktreeName};
use crate::project::{GitFacts, main_checkout, read};
use crate::sys::clock::Clock;
use crate::sys::env::Env;
use crate::sys::former_names::existing_file;
use crate::sys::fs::{PathError, write_cache};

pub(crate) const VERSION: u32 = 1;

/// More working trees than anybody has; those seen least lately are forgotten.
pub(crate) const MOST: usize = 2000;

/// No honest file is larger.
pub(crate) const LONGEST: u64 = 64 << 20;

/// The clones of this machine. May be shared by threads.
pub(crate) struct Clones {
    pub(crate) path: PathBuf,
    pub(crate) surroundings: Surroundings,
    pub(crate) today: String,
    pub(crate) state: Mutex<State>,
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
pub(crate) struct State {
    pub(crate) memory: Option<Memory>,
    pub(crate) changed: bool,
    pub(crate) searched: bool,
    /// What was read of directories by this command.
    pub(crate) facts: HashMap<PathBuf, Option<GitFacts>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) version: u32,
    /// By the top of the working tree.
    #[serde(rename = "checkouts", alias = "clones")]
    pub(crate) clones: BTreeMap<String, Seen>,
    /// The place of a session's repository with which its files here were written.
    pub(crate) used: BTreeMap<SessionId, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) identity: ProjectIdentity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) worktree: Option<WorktreeName>,
    /// The day on which it was seen last.
    pub(crate) seen: String,
}

impl Clones {
    /// What this machine knows. Nothing is read yet.
    pub(crate) fn new(env: &Env, placeholders: &Placeholders, clock: &dyn Clock) -> Self {
        Self {
            path: existing_file(&env.dirs.state, "checkouts.json"),
            surroundings: Surroundings::new(env, placeholders),
            today: clock.now().format("%Y-%m-%d").to_string(),
            state: Mutex::default(),
        }
    }

    /// The top of the main checkout of a clone of `identity`, as it is now:
    /// sub-directories and linked working trees belong to it. Looks for one where none is
    /// known. Of several, the first in order of paths.
    pub(crate) fn main_checkout(&self, identity: &ProjectIdentity) -> Option<PathBuf> {
        let trees = self.find(identity);
        let main = trees
            .iter()
            .find(|tree| tree.worktree.is_none())
            .map(|tree| tree.top.clone());
        main.or_else(|| {
            let top = main_checkout(&trees.first()?.top);
            self.learn_at(&top)
                .filter(|found| found == identity)
                .map(|_| top)
        })
    }

    /// The working trees of `identity`, as [`Self::present`]. Looks for one where none is known.
    pub(crate) fn find(&self, identity: &ProjectIdentity) -> Vec<WorkingTree> {
        let known = self.present(identity);
        if !known.is_empty() {
            return known;
        }
        self.search();
        self.present(identity)
    }

    /// The working trees of `identity` that are known and still are that, in order of paths.
    pub(crate) fn present(&self, identity: &ProjectIdentity) -> Vec<WorkingTree> {
        let is_still_one = |top: &PathBuf| {
            self.learn_at(top).as_ref() == Some(identity)
                && self.facts(top).is_some_and(|facts| facts.top == *top)
        };
        let tops: Vec<PathBuf> = self
            .ever(identity)
            .into_iter()
            .map(PathBuf::from)
            .filter(is_still_one)
            .collect();
        tops.into_iter()
            .map(|top| WorkingTree {
                worktree: self.facts(&top).and_then(|facts| facts.worktree),
                top,
            })
            .collect()
    }

    /// Where working trees of `identity` have ever been seen.
    pub(crate) fn ever(&self, identity: &ProjectIdentity) -> Vec<String> {
        let mut state = self.state();
        let clones = &self.memory(&mut state).clones;
        clones
            .iter()
            .filter(|(_, seen)| seen.identity == *identity)
            .map(|(top, _)| top.clone())
            .collect()
    }

    /// Looks for clones where people keep them, once in a command.
    pub(crate) fn search(&self) {
        if std::mem::replace(&mut self.state().searched, true) {
            return;
        }
        for directory in self.surroundings.candidates() {
            self.learn_at(&directory);
        }
        let tops: Vec<String> = self
            .memory(&mut self.state())
            .clones
            .keys()
            .cloned()
            .collect();
        for tree in tops
            .iter()
            .flat_map(|top| self.surroundings.linked_to(Path::new(top)))
        {
            self.learn_at(&tree);
        }
    }

    /// Takes note of the working tree that `directory` is the top of or lies in; the
    /// identity of its remote.
    pub(crate) fn learn_at(&self, directory: &Path) -> Option<ProjectIdentity> {
        let facts = self.facts(directory)?;
        self.learn(&facts)
    }

    /// Takes note of a working tree; the identity of its remote.
    pub(crate) fn learn(&self, facts: &GitFacts) -> Option<ProjectIdentity> {
        let identity = identity_of(facts)?;
        let top = facts.top.to_str()?.to_owned();
        let seen = Seen {
            identity: identity.clone(),
            worktree: facts.worktree.clone(),
            seen: self.today.clone(),
        };
        let mut state = self.state();
        let clones = &mut self.memory(&mut state).clones;
        if clones.get(&top) != Some(&seen) {
            clones.insert(top, seen);
            forget_old(clones);
            state.changed = true;
        }
        drop(state);
        if facts.main != facts.top && !self.state().facts.contains_key(&facts.main) {
            self.learn_at(&facts.main);
        }
        Some(identity)
    }

    /// What git says of `directory`, asked once in a command.
    pub(crate) fn facts(&self, directory: &Path) -> Option<GitFacts> {
        if let Some(facts) = self.state().facts.get(directory) {
            return facts.clone();
        }
        let facts = read(directory);
        self.state()
            .facts
            .insert(directory.to_owned(), facts.clone());
        facts
    }

    /// Where the repository of `session` was when its files were written here.
    pub(crate) fn used(&self, session: &SessionId) -> Option<String> {
        let mut state = self.state();
        self.memory(&mut state).used.get(session).cloned()
    }

    /// Takes note of where the repository of `session` is for what is written here from
    /// now on; `None`: nowhere.
    pub(crate) fn use_for(&self, session: &SessionId, top: Option<&str>) {
        let mut state = self.state();
        let used = &mut self.memory(&mut state).used;
        if used.get(session).map(String::as_str) == top {
            return;
        }
        match top {
            Some(top) => drop(used.insert(session.clone(), top.to_owned())),
            None => drop(used.remove(session)),
        }
        state.changed = true;
    }

    /// Forgets where the repositories of sessions were that are not in `present`.
    pub(crate) fn retain_used(&self, present: &BTreeSet<&SessionId>) {
        let mut state = self.state();
        // What was not needed so far is not read for this.
        let Some(memory) = &mut state.memory else {
            return;
        };
        let before = memory.used.len();
        memory.used.retain(|session, _| present.contains(session));
        let has_changed = memory.used.len() != before;
        state.changed |= has_changed;
    }

    /// Writes down what was learned.
    ///
    /// # Errors
    /// [`PathError`]
    pub(crate) fn save(&self) -> Result<(), PathError> {
        let mut state = self.state();
        let changed = std::mem::replace(&mut state.changed, false);
        let Some(memory) = state.memory.as_ref().filter(|_| changed) else {
            return Ok(());
        };
        let json = serde_json::to_vec(memory)
            .expect("maps with text keys and plain values always serialise");
        write_cache(&self.path, &json)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // What another thread has entered is whole, whatever became of that thread.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn memory<'s>(&self, state: &'s mut State) -> &'s mut Memory {
        state.memory.get_or_insert_with(|| Memory::load(&self.path))
    }
}

impl Memory {
    /// One that is missing, damaged or of another version knows nothing.
    pub(crate) fn load(path: &Path) -> Self {
        let is_honest = path
            .metadata()
            .is_ok_and(|metadata| metadata.len() <= LONGEST);
        let read = || {
            serde_json::from_slice::<Self>(&std::fs::read(path).ok().filter(|_| is_honest)?).ok()
        };
        read()
            .filter(|memory| memory.version == VERSION)
            .unwrap_or(Self {
                version: VERSION,
                ..Self::default()
            })
    }
}

pub(crate) fn forget_old(clones: &mut BTreeMap<String, Seen>) {
    if clones.len() > MOST
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
    use crate::sys::fs::write_atomic;

    pub(crate) fn clones(home: &Path) -> Clones {
        let surroundings = Surroundings::of_home(home);
        Clones {
            path: home.join("checkouts.json"),
            surroundings,
            today: "2026-01-02".to_owned(),
            state: Mutex::default(),
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
        let home = dir.path().canonicalize().unwrap();
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
            .present(&app())
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
        // What is remembered is looked at before it counts.
        repo.remote_set_url("origin", "https://example.org/other")
            .unwrap();
        assert_eq!(clones(&home).main_checkout(&app()), None);
        assert_eq!(
            later.ever(&app()).len(),
            2,
            "where it was is not forgotten by who has seen it"
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
            assert_eq!(known.used(&session), None, "{text}");
            known.use_for(&session, Some("/a"));
            known.save().unwrap();
            let again = clones(dir.path());
            assert_eq!(again.used(&session).as_deref(), Some("/a"));
            again.retain_used(&BTreeSet::new());
            assert_eq!(again.used(&session), None);
        }
    }

    #[test]
    pub(crate) fn clones_unused_cache_is_not_read_or_written() {
        let dir = tempfile::tempdir().unwrap();
        let known = clones(dir.path());
        known.retain_used(&BTreeSet::new());
        known.save().unwrap();
        assert!(known.state().memory.is_none() && !known.path.exists());
    }
}
