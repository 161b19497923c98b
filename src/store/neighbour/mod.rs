//! A repository on the same disk, reached without the `git` program.
//!
//! Starting `git` twice and having it look at everything takes longer than all the rest of a small push. What is done here instead is what
//! git does: the objects that the other side lacks are written there as a pack and are on its disk, then the references move under git's
//! own locks, if they are as expected. Only where the repository is plain (`plain`), and only for what git would not do better (`missing`).
//! Whatever is out of the ordinary, a failure included, is left to git, which does it or says why not: up to the moment in which
//! a reference moves, nothing has changed but that objects may have come that nobody needs yet.
//!
//! `whole` copies everything, for the first fetch.

use std::path::Path;

use git2::Oid;

use super::object::{PackWriter, Readable};
use super::reader::{Objects, Reader};
use super::{HEAD_REF, Store, commit_id, oid};
use crate::domain::id::CommitId;
use crate::domain::progress::{Phase, Progress};
use crate::sys::fail_point::fail_point;
use missing::Missing;
use plain::Plain;
use refs::{Lock, Refs};

mod missing;
mod plain;
mod refs;
mod whole;

/// Where a neighbour is.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    /// As the user writes it: settings may say that it means another place.
    pub text: &'a str,
    /// Its directory.
    pub path: &'a Path,
}

/// One reference to be moved.
#[derive(Debug, Clone, Copy)]
pub struct Move<'a> {
    /// Its full name.
    pub name: &'a str,
    /// What it is to become; `None` deletes it.
    pub new: Option<&'a CommitId>,
    /// What it must be now; `None`: it must not exist.
    pub expected: Option<&'a CommitId>,
}

/// What became of references that were to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// All are as asked; also if they were before.
    Done,
    /// The one of this name was not as expected, and none has moved.
    NotAsExpected(String),
}

/// Why nothing was done.
#[derive(Debug)]
pub enum NotDone {
    /// Something is not as it usually is. Git does it then, or says what is wrong.
    LeaveToGit,
    /// The user interrupted.
    Interrupted,
}

impl<E: std::error::Error> From<E> for NotDone {
    fn from(_: E) -> Self {
        Self::LeaveToGit
    }
}

impl Store {
    /// Moves references of a neighbour, all or none, if each is as expected, and brings it what they need.
    ///
    /// # Errors
    /// [`NotDone`]: no reference has moved, or a disk failed between one and the next.
    pub fn push_to_neighbour(
        &self,
        address: Address<'_>,
        moves: &[Move<'_>],
        progress: &dyn Progress,
    ) -> Result<Moved, NotDone> {
        let plain = Plain::open(address.text, address.path, &self.repo.config()?.snapshot()?)?;
        let refs = Refs::of(&plain.path);
        let steps = match Step::needed(&refs, moves)? {
            Ok(steps) if steps.is_empty() => return Ok(Moved::Done),
            Ok(steps) => steps,
            Err(other) => return Ok(other),
        };
        if plain.is_untidy()
            || steps
                .iter()
                .any(|step| step.new.is_none() && is_current(&plain, step.name))
        {
            return Err(NotDone::LeaveToGit);
        }
        self.send_objects(&plain, &refs, &steps, progress)?;
        Step::carry_out(&refs, &steps)
    }

    /// Brings here what the neighbour's branch needs, and takes note of where it is. `None`: there is no such branch.
    ///
    /// # Errors
    /// [`NotDone`].
    pub fn fetch_from_neighbour(
        &self,
        address: Address<'_>,
        progress: &dyn Progress,
    ) -> Result<Option<CommitId>, NotDone> {
        if whole::copy_objects(address.path, self.repo.path()) {
            // Git looks whether everything hangs together.
            return Err(NotDone::LeaveToGit);
        }
        let plain = Plain::open(address.text, address.path, &self.repo.config()?.snapshot()?)?;
        let Some(theirs) = Refs::of(&plain.path).read(HEAD_REF)? else {
            return Ok(None);
        };
        let ours = [self.head()?, self.remote_head()?].into_iter().flatten();
        let ours = ours
            .map(|commit| oid(&commit))
            .collect::<Result<Vec<_>, _>>()?;
        let reader = Reader::new(&plain.path);
        let from = Objects {
            repo: &plain.repo,
            reader: &reader,
        };
        let mut missing = Missing::of(from);
        missing.add(theirs, |commit| self.is_below(commit, &ours))?;
        let packs = self.repo.path().join("objects/pack");
        copy(
            &missing,
            (&packs, Readable::ByUser),
            (progress, Phase::Fetch),
        )?;
        let theirs = commit_id(theirs);
        self.set_remote_head(Some(&theirs))?;
        Ok(Some(theirs))
    }

    fn send_objects(
        &self,
        plain: &Plain,
        refs: &Refs<'_>,
        steps: &[Step<'_>],
        progress: &dyn Progress,
    ) -> Result<(), NotDone> {
        // What the branch has, a reference that is new there need not bring.
        let there = steps
            .iter()
            .map(|step| Ok(step.expected))
            .chain([refs.read(HEAD_REF)]);
        let there: Vec<Oid> = there
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?;
        let here = |commit: &Oid| self.repo.find_commit(*commit).is_ok();
        let there: Vec<Oid> = there.into_iter().filter(here).collect();
        let mut missing = Missing::of(self.objects());
        for new in steps.iter().filter_map(|step| step.new) {
            missing.add(new, |commit| self.is_below(commit, &there))?;
        }
        let packs = plain.path.join("objects/pack");
        let readable = readable_as(&packs)?;
        copy(&missing, (&packs, readable), (progress, Phase::Send))
    }

    /// Whether `commit` is one of `heads`, or comes before one.
    fn is_below(&self, commit: Oid, heads: &[Oid]) -> Result<bool, NotDone> {
        if heads.contains(&commit) {
            return Ok(true);
        }
        if self.repo.find_commit(commit).is_err() {
            return Ok(false);
        }
        heads.iter().try_fold(false, |below, head| {
            Ok(below || self.repo.graph_descendant_of(*head, commit)?)
        })
    }
}

/// Whether the branch is the one that a clone would check out, which git does not delete.
fn is_current(plain: &Plain, name: &str) -> bool {
    let head = plain.repo.find_reference("HEAD");
    head.is_ok_and(|head| head.symbolic_target().ok().flatten() == Some(name))
}

#[cfg(unix)]
fn readable_as(directory: &Path) -> Result<Readable, NotDone> {
    use std::os::unix::fs::MetadataExt;
    Ok(Readable::AsDirectory {
        mode: std::fs::metadata(directory)?.mode(),
    })
}

#[cfg(not(unix))]
fn readable_as(_: &Path) -> Result<Readable, NotDone> {
    Ok(Readable::ByUser)
}

/// Writes objects, each checked against its name, as one pack into a directory of packs.
fn copy(
    missing: &Missing<'_>,
    into: (&Path, Readable),
    (progress, phase): (&dyn Progress, Phase),
) -> Result<(), NotDone> {
    if missing.found().is_empty() {
        return Ok(());
    }
    progress.begin(phase, missing.found().len() as u64, 0);
    let copied = copy_each(missing, into, || progress.advance(1, 0));
    progress.end();
    copied
}

fn copy_each(
    missing: &Missing<'_>,
    (into, readable): (&Path, Readable),
    copied: impl Fn(),
) -> Result<(), NotDone> {
    let mut pack = PackWriter::create(into)?;
    for (kind, oid) in missing.found().iter().copied() {
        missing.go_on()?;
        match missing.from().read_to_copy(kind, oid)? {
            (content, Some(stream)) => pack.put_compressed(kind, oid, content.len(), &stream)?,
            (content, None) => pack.put(kind, oid, content)?,
        }
        copied();
    }
    Ok(pack.finish(readable)?)
}

/// A reference that has to move.
struct Step<'a> {
    name: &'a str,
    new: Option<Oid>,
    expected: Option<Oid>,
}

impl<'a> Step<'a> {
    /// Those that are not as asked yet; or else that one is not as expected.
    fn needed(refs: &Refs<'_>, moves: &[Move<'a>]) -> Result<Result<Vec<Self>, Moved>, NotDone> {
        let mut needed = Vec::new();
        for Move {
            name,
            new,
            expected,
        } in moves
        {
            let (new, expected) = (new.map(oid).transpose()?, expected.map(oid).transpose()?);
            let now = refs.read(name)?;
            // To git, the deletion of what does not exist has not been done already.
            if now == new && (new.is_some() || expected.is_none()) {
                continue;
            }
            if now != expected {
                return Ok(Err(Moved::NotAsExpected((*name).to_owned())));
            }
            needed.push(Self {
                name,
                new,
                expected,
            });
        }
        Ok(Ok(needed))
    }

    fn carry_out(refs: &Refs<'_>, steps: &[Self]) -> Result<Moved, NotDone> {
        let mut locks = steps
            .iter()
            .map(|step| refs.lock(step.name))
            .collect::<Result<Vec<Lock>, _>>()?;
        let deleted: Vec<&str> = steps
            .iter()
            .filter(|step| step.new.is_none())
            .map(|step| step.name)
            .collect();
        let _packed = if deleted.is_empty() {
            None
        } else {
            Some(refs.lock_packed(&deleted)?)
        };
        fail_point("the references of a neighbour are locked");
        for (step, lock) in steps.iter().zip(&mut locks) {
            // Only now nobody else can move it any more.
            if refs.read(step.name)? != step.expected {
                return Ok(Moved::NotAsExpected(step.name.to_owned()));
            }
            if let Some(new) = step.new {
                lock.prepare(new)?;
            }
        }
        for (step, lock) in steps.iter().zip(locks) {
            if step.new.is_some() {
                lock.commit()
            } else {
                lock.delete()
            }?;
        }
        Ok(Moved::Done)
    }
}
