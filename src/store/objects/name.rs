//! Names of git objects.

use git2::{ObjectType, Oid};
use sha1::{Digest, Sha1};

use crate::domain::CommitId;

/// Returns the name that git gives an object: the SHA-1 of `<kind> <length>\0<data>`.
pub(crate) fn object_name(kind: ObjectType, data: &[u8]) -> Oid {
    let mut hasher = Sha1::new();
    hasher.update(format!("{} {}\0", kind.str(), data.len()));
    hasher.update(data);
    Oid::from_bytes(&hasher.finalize()).expect("a SHA-1 digest has the length of an object name")
}

/// Returns the name of a commit object.
pub(crate) fn oid(commit: &CommitId) -> Result<Oid, git2::Error> {
    Oid::from_str(commit.as_str())
}

/// Returns the id of the commit with this object name.
pub(crate) fn commit_id(oid: Oid) -> CommitId {
    oid.to_string()
        .parse()
        .expect("git prints object names as 40 lower-case digits")
}
