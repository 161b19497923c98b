//! Writing unpushed commits again, because the remote refuses them as they are: with another
//! author, or without merges.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid, Sort};

use super::author::{commit_object, machine_of};
use super::error::StoreError;
use super::layout::HEAD_REF;
use super::objects::name::{commit_id, oid};
use super::repository::Store;
use crate::domain::{CommitAuthor, id::CommitId};
use chrono::DateTime;

/// Required form of unpushed commits.
#[derive(Debug, Clone, Copy)]
pub struct CommitForm<'a> {
    /// The author that every commit must name.
    pub author: Option<&'a CommitAuthor>,
    /// Merges are not allowed.
    pub linear: bool,
}

impl Store {
    /// Returns the author of the user's own commits, by git's configuration.
    pub fn users_author(&self) -> Option<CommitAuthor> {
        let config = self.repo.config().ok()?;
        let text = |key| config.get_string(key).ok();
        CommitAuthor::new(format!("{} <{}>", text("user.name")?, text("user.email")?)).ok()
    }

    /// Returns true if a commit that the remote does not have does not have the form.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn must_restack(&self, form: CommitForm<'_>) -> Result<bool, StoreError> {
        for id in self.unpushed()? {
            let commit = self.repo.find_commit(id)?;
            let has_author = form.author.is_none_or(|author| {
                commit.author().email_bytes() == author.address().as_bytes()
                    && commit.committer().email_bytes() == author.address().as_bytes()
            });
            if !has_author || form.linear && commit.parent_count() > 1 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes the commits that the remote does not have again, in the given form, and moves the
    /// head. The files stay as they are. Returns the new commit of each former one.
    ///
    /// If merges are not allowed and there is one, all commits become one, on top of the remote's:
    /// between two merged histories there is no state that both had.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn restack(
        &self,
        form: CommitForm<'_>,
    ) -> Result<BTreeMap<CommitId, CommitId>, StoreError> {
        let (Some(head), remote) = (self.head()?, self.remote_head()?) else {
            return Ok(BTreeMap::new());
        };
        let unpushed = self.unpushed()?;
        let mut has_merge = false;
        for id in &unpushed {
            has_merge |= self.repo.find_commit(*id)?.parent_count() > 1;
        }
        let mut new = BTreeMap::new();
        if form.linear && has_merge {
            let commit = self.squash(&head, remote.as_ref(), &unpushed, form.author)?;
            new.extend(unpushed.iter().map(|id| (commit_id(*id), commit.clone())));
        } else {
            for id in unpushed.iter().rev() {
                let parents: Vec<CommitId> = self
                    .repo
                    .find_commit(*id)?
                    .parent_ids()
                    .map(commit_id)
                    .map(|parent| new.get(&parent).cloned().unwrap_or(parent))
                    .collect();
                let commit = self.repo.find_commit(*id)?;
                let again = self.write_again(&commit, commit.tree_id(), &parents, form.author)?;
                new.insert(commit_id(*id), again);
            }
        }
        if let Some(commit) = new.get(&head) {
            self.set_ref(HEAD_REF, Some(commit), "push")?;
        }
        Ok(new)
    }

    /// Makes one commit of all that the remote does not have, and moves the head. Returns the new
    /// commit of each former one.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn squash_unsent(
        &self,
        author: Option<&CommitAuthor>,
    ) -> Result<BTreeMap<CommitId, CommitId>, StoreError> {
        let (Some(head), remote) = (self.head()?, self.remote_head()?) else {
            return Ok(BTreeMap::new());
        };
        let unpushed = self.unpushed()?;
        let commit = self.squash(&head, remote.as_ref(), &unpushed, author)?;
        self.set_ref(HEAD_REF, Some(&commit), "push")?;
        let new = unpushed.iter().map(|id| (commit_id(*id), commit.clone()));
        Ok(new.collect())
    }

    /// Makes one commit of all, with the author and message of the newest that is no merge.
    fn squash(
        &self,
        head: &CommitId,
        remote: Option<&CommitId>,
        unpushed: &[Oid],
        author: Option<&CommitAuthor>,
    ) -> Result<CommitId, StoreError> {
        let mut newest = self.repo.find_commit(oid(head)?)?;
        for id in unpushed {
            let commit = self.repo.find_commit(*id)?;
            if commit.parent_count() < 2 && machine_of(&commit).is_some() {
                newest = commit;
                break;
            }
        }
        let parents: Vec<CommitId> = remote.cloned().into_iter().collect();
        self.write_again(&newest, self.tree_of(head)?, &parents, author)
    }

    fn write_again(
        &self,
        commit: &git2::Commit<'_>,
        tree: Oid,
        parents: &[CommitId],
        author: Option<&CommitAuthor>,
    ) -> Result<CommitId, StoreError> {
        let Some(machine) = machine_of(commit) else {
            // Another program made it; it stays as it is.
            return Ok(commit_id(commit.id()));
        };
        let message = String::from_utf8_lossy(commit.message_raw_bytes()).into_owned();
        let subject = message.lines().next().unwrap_or_default();
        let time = DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default();
        let object = commit_object(&machine, author, time, tree, parents, subject);
        let id = self.repo.odb()?.write(ObjectType::Commit, &object)?;
        Ok(commit_id(id))
    }

    /// Returns the commits that the remote does not have, children before parents.
    fn unpushed(&self) -> Result<Vec<Oid>, StoreError> {
        let Some(head) = self.head()? else {
            return Ok(Vec::new());
        };
        let mut walk = self.repo.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL)?;
        walk.push(oid(&head)?)?;
        if let Some(remote) = self.remote_head()? {
            walk.hide(oid(&remote)?)?;
        }
        Ok(walk.collect::<Result<_, _>>()?)
    }
}
