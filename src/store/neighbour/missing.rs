//! Which objects one repository lacks of a commit that another has.
//!
//! What git itself relies on: where a reference leads to a commit, everything that belongs to it is there. So only what comes after such
//! commits is looked at, as differences of trees. Every object on the way is checked against its name when it is read.

use std::collections::HashSet;

use git2::{ObjectType, Oid};

use super::NotDone;
use crate::store::StoreError;
use crate::store::reader::Objects;
use crate::store::tree::{Entries, entries};
use crate::sys::signal;

/// With more of them, looking what comes before what takes longer than git's start.
const MOST_COMMITS: usize = 200;
/// What is known of each takes some 100 bytes of memory.
const MOST_OBJECTS: usize = 200_000;
/// What is no stream that can be taken as it is has to be compressed. Git does not do that: it sends the differences of which a pack is made.
const MOST_BYTES_TO_COMPRESS: usize = 64 << 20;

/// No tree of this program's is as deep.
const DEEPEST: usize = 100;

/// Collects objects for one transfer.
pub(super) struct Missing<'a> {
    from: Objects<'a>,
    seen: HashSet<Oid>,
    found: Vec<(ObjectType, Oid)>,
    to_compress: usize,
    /// Those that had arrived when this began. An earlier one is no reason to stop: locks are given back after one.
    signals: usize,
}

impl<'a> Missing<'a> {
    /// Of what `from` has.
    pub(super) fn of(from: Objects<'a>) -> Self {
        Self {
            from,
            seen: HashSet::new(),
            found: Vec::new(),
            to_compress: 0,
            signals: signal::count(),
        }
    }

    /// Adds `commit` and everything that belongs to it, but for what belongs to commits that are known at the other side.
    pub(super) fn add(
        &mut self,
        commit: Oid,
        is_known: impl Fn(Oid) -> Result<bool, NotDone>,
    ) -> Result<(), NotDone> {
        // What is equal to something before it is passed over, and a tree that was looked at is not looked at again. Both are right only if what
        // comes before was added before: a tree may return to what it was.
        for (oid, commit) in self.unknown_commits(commit, is_known)? {
            let former = commit
                .parents
                .iter()
                .map(|parent| Ok(Commit::read(self.from, *parent)?.tree));
            let former = former.collect::<Result<Vec<_>, NotDone>>()?;
            self.note(ObjectType::Commit, oid)?;
            self.add_tree(commit.tree, &former, 0)?;
        }
        Ok(())
    }

    /// The commits that the other side lacks, each after those that come before it.
    fn unknown_commits(
        &mut self,
        commit: Oid,
        is_known: impl Fn(Oid) -> Result<bool, NotDone>,
    ) -> Result<Vec<(Oid, Commit)>, NotDone> {
        enum Step {
            Look(Oid),
            /// All that comes before it stands before it.
            Take(Oid, Commit),
        }
        let (mut steps, mut commits, mut looked_at) = (vec![Step::Look(commit)], Vec::new(), 0);
        while let Some(step) = steps.pop() {
            let oid = match step {
                Step::Take(oid, commit) => {
                    commits.push((oid, commit));
                    continue;
                }
                Step::Look(oid) if self.seen.contains(&oid) || is_known(oid)? => continue,
                Step::Look(oid) => oid,
            };
            looked_at += 1;
            if looked_at > MOST_COMMITS {
                return Err(NotDone::LeaveToGit);
            }
            self.seen.insert(oid);
            let commit = Commit::read(self.from, oid)?;
            let before: Vec<Step> = commit.parents.iter().copied().map(Step::Look).collect();
            steps.push(Step::Take(oid, commit));
            steps.extend(before);
        }
        Ok(commits)
    }

    /// Where the objects are.
    pub(super) fn from(&self) -> Objects<'a> {
        self.from
    }

    /// The objects with their kinds.
    pub(super) fn found(&self) -> &[(ObjectType, Oid)] {
        &self.found
    }

    /// # Errors
    /// [`NotDone::Interrupted`] if a signal has arrived since this began.
    pub(super) fn go_on(&self) -> Result<(), NotDone> {
        if signal::count() > self.signals {
            Err(NotDone::Interrupted)
        } else {
            Ok(())
        }
    }

    fn add_tree(&mut self, tree: Oid, former: &[Oid], depth: usize) -> Result<(), NotDone> {
        if former.contains(&tree) || self.seen.contains(&tree) {
            return Ok(());
        }
        if depth > DEEPEST {
            return Err(NotDone::LeaveToGit);
        }
        self.note(ObjectType::Tree, tree)?;
        let former: Vec<Entries> = former
            .iter()
            .map(|former| entries(self.from, Some(*former)))
            .collect::<Result<_, StoreError>>()?;
        for (name, leaf) in entries(self.from, Some(tree))? {
            let before = || former.iter().filter_map(|entries| entries.get(&name));
            if before().any(|before| *before == leaf) {
                continue;
            }
            match leaf.kind() {
                Some(ObjectType::Tree) => {
                    let before: Vec<Oid> = before()
                        .filter(|leaf| leaf.is_directory())
                        .map(|leaf| leaf.oid)
                        .collect();
                    self.add_tree(leaf.oid, &before, depth + 1)?;
                }
                Some(kind) if !self.seen.contains(&leaf.oid) => self.note(kind, leaf.oid)?,
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn note(&mut self, kind: ObjectType, oid: Oid) -> Result<(), NotDone> {
        self.go_on()?;
        if !self.from.can_be_taken_as_it_is(oid) {
            self.to_compress = self.to_compress.saturating_add(self.from.size(oid)?);
        }
        self.seen.insert(oid);
        self.found.push((kind, oid));
        let too_much = self.found.len() > MOST_OBJECTS || self.to_compress > MOST_BYTES_TO_COMPRESS;
        if too_much {
            Err(NotDone::LeaveToGit)
        } else {
            Ok(())
        }
    }
}

/// What a commit leads to.
struct Commit {
    tree: Oid,
    parents: Vec<Oid>,
}

impl Commit {
    fn read(objects: Objects<'_>, oid: Oid) -> Result<Self, NotDone> {
        /// This program's are a thousand times smaller.
        const LONGEST: usize = 1 << 20;
        if objects.size(oid)? > LONGEST {
            return Err(NotDone::LeaveToGit);
        }
        Self::parse(&objects.read(ObjectType::Commit, oid)?).ok_or(NotDone::LeaveToGit)
    }

    /// `tree`, then a line for each parent, then lines of other kinds.
    fn parse(text: &[u8]) -> Option<Self> {
        let name = |line: &[u8], what: &str| {
            let hex = line
                .strip_prefix(what.as_bytes())
                .filter(|hex| hex.len() == 40)?;
            Oid::from_str(std::str::from_utf8(hex).ok()?).ok()
        };
        let mut lines = text.split(|byte| *byte == b'\n');
        let tree = name(lines.next()?, "tree ")?;
        let parents = lines
            .take_while(|line| line.starts_with(b"parent "))
            .map(|line| name(line, "parent "));
        Some(Self {
            tree,
            parents: parents.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use git2::Repository;
    use git2::build::TreeUpdateBuilder;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::store::reader::Reader;

    const PATHS: [&str; 6] = ["a", "d/b", "d/e/c", "d/e/g", "f/b", "f/e/c"];

    /// A commit: what comes before it, and the commit whose files it has, with some changed. Few paths and few contents: trees return to
    /// what they were, at the same place and at another.
    #[derive(Debug, Clone)]
    struct Made {
        parents: Vec<Index>,
        files_of: Index,
        changes: Vec<(Index, Option<u8>)>,
    }

    fn made() -> impl Strategy<Value = Made> {
        let changes = vec(
            (any::<Index>(), proptest::option::weighted(0.8, 0..2_u8)),
            0..3,
        );
        (vec(any::<Index>(), 1..3), any::<Index>(), changes).prop_map(
            |(parents, files_of, changes)| Made {
                parents,
                files_of,
                changes,
            },
        )
    }

    fn commit(repo: &Repository, when: i64, files: &BTreeMap<&str, u8>, parents: &[Oid]) -> Oid {
        let mut update = TreeUpdateBuilder::new();
        for (path, content) in files {
            update.upsert(*path, repo.blob(&[*content]).unwrap(), git2::FileMode::Blob);
        }
        let none = repo
            .find_tree(repo.treebuilder(None).unwrap().write().unwrap())
            .unwrap();
        let tree = repo
            .find_tree(update.create_updated(repo, &none).unwrap())
            .unwrap();
        // Of two that are otherwise equal, one is later.
        let time = git2::Time::new(when, 0);
        let by = git2::Signature::new("a", "a@b", &time).unwrap();
        let parents: Vec<_> = parents
            .iter()
            .map(|parent| repo.find_commit(*parent).unwrap())
            .collect();
        repo.commit(
            None,
            &by,
            &by,
            "",
            &tree,
            &parents.iter().collect::<Vec<_>>(),
        )
        .unwrap()
    }

    /// The commits, and everything that belongs to them.
    fn below(repo: &Repository, heads: &[Oid]) -> (BTreeSet<Oid>, BTreeSet<Oid>) {
        let mut walk = repo.revwalk().unwrap();
        heads.iter().for_each(|head| walk.push(*head).unwrap());
        let commits: BTreeSet<Oid> = walk.map(Result::unwrap).collect();
        let mut objects = commits.clone();
        for commit in &commits {
            let tree = repo.find_commit(*commit).unwrap().tree().unwrap();
            objects.insert(tree.id());
            tree.walk(git2::TreeWalkMode::PreOrder, |_, entry| {
                objects.insert(entry.id());
                git2::TreeWalkResult::Ok
            })
            .unwrap();
        }
        (commits, objects)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_left_out_of_any_history(
            history in vec(made(), 1..12),
            known in vec(any::<Index>(), 0..3),
            wanted in vec(any::<Index>(), 1..3),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let repo = Repository::init_bare(dir.path()).unwrap();
            let first = BTreeMap::from(PATHS.map(|path| (path, 0)));
            let mut commits = vec![(commit(&repo, 0, &first, &[]), first)];
            for (when, made) in (1..).zip(history) {
                let mut files = made.files_of.get(&commits).1.clone();
                for (path, content) in made.changes {
                    let path = *path.get(&PATHS);
                    match content {
                        Some(content) => drop(files.insert(path, content)),
                        None => drop(files.remove(path)),
                    }
                }
                let parents: BTreeSet<Oid> = made.parents.iter().map(|parent| parent.get(&commits).0).collect();
                commits.push((commit(&repo, when, &files, &Vec::from_iter(parents)), files));
            }
            let (known, there) = below(&repo, &known.iter().map(|known| known.get(&commits).0).collect::<Vec<_>>());
            let wanted: Vec<Oid> = wanted.iter().map(|wanted| wanted.get(&commits).0).collect();
            let reader = Reader::new(repo.path());
            let mut missing = Missing::of(Objects { repo: &repo, reader: &reader });
            for wanted in &wanted {
                missing.add(*wanted, |commit| Ok(known.contains(&commit))).unwrap();
            }
            let found: Vec<Oid> = missing.found().iter().map(|(_, oid)| *oid).collect();
            let once = BTreeSet::from_iter(found.iter().copied());
            prop_assert_eq!(found.len(), once.len(), "nothing goes over twice");
            let needed = below(&repo, &wanted).1;
            prop_assert!(once.is_subset(&needed));
            let left_out: Vec<&Oid> = needed.iter().filter(|oid| !once.contains(oid) && !there.contains(oid)).collect();
            prop_assert!(left_out.is_empty(), "left out: {:?}", left_out);
        }
    }
}
