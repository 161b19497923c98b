//! Author of a commit, and the commit object.

use chrono::{DateTime, Utc};
use git2::Oid;

use super::format::machine::Machine;
use crate::domain::{CommitAuthor, CommitId, MachineId};

/// End of the e-mail address of every author. The machine's id is before it.
pub(super) const EMAIL_SUFFIX: &str = "@ccsync.invalid";

/// Beginning of the line that names the machine, if the address does not.
const MACHINE_LINE: &str = "Ccsync-Machine: ";

/// The machine that makes a commit, and the time.
#[derive(Debug, Clone)]
pub struct Author<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Time of the commit.
    pub time: DateTime<Utc>,
    /// Author to name instead of the machine.
    pub named: Option<&'a CommitAuthor>,
}

/// The machine of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommitMachine {
    pub(super) id: MachineId,
    /// Its name at the time. Untrusted text.
    pub(super) name: String,
}

impl Author<'_> {
    /// Returns the content of a commit object.
    pub(super) fn commit_object(&self, tree: Oid, parents: &[CommitId], message: &str) -> Vec<u8> {
        let machine = CommitMachine {
            id: self.machine.id.clone(),
            name: self.machine.name.clone(),
        };
        commit_object(&machine, self.named, self.time, tree, parents, message)
    }
}

/// Returns the content of a commit object.
///
/// libgit2 would write it as a loose object. This way it goes into the pack with the others.
pub(super) fn commit_object(
    machine: &CommitMachine,
    named: Option<&CommitAuthor>,
    time: DateTime<Utc>,
    tree: Oid,
    parents: &[CommitId],
    message: &str,
) -> Vec<u8> {
    let parents: String = parents.iter().map(|p| format!("parent {p}\n")).collect();
    let mut name = machine.name.clone();
    name.retain(|c| !c.is_control() && !"<>".contains(c));
    let name = match name.trim() {
        "" => "ccsync",
        name => name,
    };
    let id = &machine.id;
    let (author, line) = match named {
        Some(author) => (author.to_string(), format!("\n{MACHINE_LINE}{id} {name}\n")),
        None => (format!("{name} <{id}{EMAIL_SUFFIX}>"), String::new()),
    };
    let author = format!("{author} {} +0000", time.timestamp());
    format!("tree {tree}\n{parents}author {author}\ncommitter {author}\n\n{message}\n{line}")
        .into_bytes()
}

/// Returns the machine that made a commit; `None` if another program did.
pub(super) fn machine_of(commit: &git2::Commit<'_>) -> Option<CommitMachine> {
    let author = commit.author();
    let address = String::from_utf8_lossy(author.email_bytes()).into_owned();
    if let Some(id) = address.strip_suffix(EMAIL_SUFFIX) {
        let name = String::from_utf8_lossy(author.name_bytes()).into_owned();
        return Some(CommitMachine {
            id: id.parse().ok()?,
            name,
        });
    }
    let message = String::from_utf8_lossy(commit.message_raw_bytes()).into_owned();
    let line = message.lines().last()?.strip_prefix(MACHINE_LINE)?;
    let (id, name) = line.split_once(' ')?;
    Some(CommitMachine {
        id: id.parse().ok()?,
        name: name.to_owned(),
    })
}
