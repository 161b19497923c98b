//! Author of a commit, and the commit object.

use chrono::{DateTime, Utc};
use git2::Oid;

use super::format::machine::Machine;
use crate::domain::CommitId;

/// End of the e-mail address of every author. The machine's id is before it.
pub(super) const EMAIL_SUFFIX: &str = "@ccsync.invalid";

/// The machine that makes a commit, and the time.
#[derive(Debug, Clone)]
pub struct Author<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Time of the commit.
    pub time: DateTime<Utc>,
}

impl Author<'_> {
    /// Returns the content of a commit object.
    ///
    /// libgit2 would write it as a loose object. This way it goes into the pack with the others.
    pub(super) fn commit_object(&self, tree: Oid, parents: &[CommitId], message: &str) -> Vec<u8> {
        let parents: String = parents.iter().map(|p| format!("parent {p}\n")).collect();
        let author = self.signature();
        format!("tree {tree}\n{parents}author {author}\ncommitter {author}\n\n{message}\n")
            .into_bytes()
    }

    fn signature(&self) -> String {
        let mut name = self.machine.name.clone();
        name.retain(|c| !c.is_control() && !"<>".contains(c));
        let name = match name.trim() {
            "" => "ccsync",
            name => name,
        };
        let (id, time) = (&self.machine.id, self.time.timestamp());
        format!("{name} <{id}{EMAIL_SUFFIX}> {time} +0000")
    }
}
