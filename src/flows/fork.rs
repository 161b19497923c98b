//! Forks: the tail of a session that lost its id is continued under an id of its own.
//!
//! The id depends only on what diverged from what. So every machine that makes the fork gives it
//! the same id, and a tail that grows stays the same fork.

use crate::domain::{SessionFile, SessionId};
use crate::localize::StoredText;
use crate::store::manifest::{ForkOf, Manifest, StoredFile};
use crate::store::{SessionState, Snapshot, Transaction};
use crate::workspace::SyncError;

/// A fork that is to be stored.
pub(crate) struct NewFork<'a> {
    /// The session that it leaves.
    pub(crate) from: &'a SessionId,
    pub(crate) id: &'a SessionId,
    /// Lines of the transcript in common.
    pub(crate) lines: u64,
}

/// Returns the id of the fork that leaves `session` after `lines` lines of `file`, and
/// continues with the portable `line`.
///
/// A version 8 UUID (RFC 9562) made of a BLAKE3 hash.
pub(crate) fn fork_id(
    session: &SessionId,
    file: &SessionFile,
    lines: u64,
    line: &[u8],
) -> SessionId {
    let mut hasher = blake3::Hasher::new_derive_key("ccsync fork id, version 1");
    let file = file.key();
    hasher.update(format!("{session}\n{file}\n{lines}\n").as_bytes());
    hasher.update(line.strip_suffix(b"\n").unwrap_or(line));
    uuid_from(&hasher)
}

/// Returns the id of the repaired copy of `session` whose transcript, before its ids are renamed,
/// has this hash. The same damage, repaired again, gives the same id.
pub(crate) fn repaired_id(session: &SessionId, repaired: &blake3::Hash) -> SessionId {
    let mut hasher = blake3::Hasher::new_derive_key("ccsync repaired id, version 1");
    hasher.update(format!("{session}\n{repaired}").as_bytes());
    uuid_from(&hasher)
}

/// Returns the id of the fork that restores `state` of `session`: the same on every machine.
pub(crate) fn restored_id(session: &SessionId, state: &SessionState) -> SessionId {
    let mut hasher = blake3::Hasher::new_derive_key("ccsync restored id, version 1");
    hasher.update(format!("{session}\n{state}").as_bytes());
    uuid_from(&hasher)
}

fn uuid_from(hasher: &blake3::Hasher) -> SessionId {
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    let uuid = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    uuid.to_string().parse().expect("a UUID is a session id")
}

/// Returns the manifest of a fork that has the contents of `contents`.
pub(crate) fn fork_manifest(contents: &Manifest, fork: &NewFork<'_>) -> Manifest {
    let mut manifest = contents.clone();
    manifest.session = fork.id.clone();
    manifest.continued_in = None;
    manifest.fork_of = Some(ForkOf {
        session: fork.from.clone(),
        lines: fork.lines,
    });
    mark_written_as(&mut manifest.transcript, &contents.session);
    for file in manifest.files.values_mut() {
        mark_written_as(file, &contents.session);
    }
    manifest
}

/// Adds a fork with all of `contents`. It shares the segments.
pub(crate) fn add_fork(
    tx: &mut Transaction<'_>,
    snapshot: &Snapshot<'_>,
    contents: &Manifest,
    fork: &NewFork<'_>,
) -> Result<(), SyncError> {
    for (file, _) in contents.all_files() {
        if let Some(stored) = StoredText::new(snapshot, contents, &file) {
            share_file(tx, &stored, fork.id)?;
        }
    }
    Ok(tx.write_manifest(&fork_manifest(contents, fork))?)
}

/// Gives `session` every segment of one file.
pub(crate) fn share_file(
    tx: &mut Transaction<'_>,
    stored: &StoredText<'_>,
    session: &SessionId,
) -> Result<(), SyncError> {
    for number in 0..stored.file.segments.len() {
        tx.reuse_segment(
            stored.snapshot,
            stored.manifest,
            stored.name,
            number,
            session,
        )?;
    }
    Ok(())
}

/// Marks the runs of a file as written under the id `session`, unless they name another one.
pub(crate) fn mark_written_as(file: &mut StoredFile, session: &SessionId) {
    for run in &mut file.runs {
        run.written_as.get_or_insert_with(|| session.clone());
    }
}

/// Returns the number of transcript lines of a fork that the session it left does not have.
pub(crate) fn own_lines(fork: &Manifest) -> u64 {
    let common = fork.fork_of.as_ref().map_or(0, |fork| fork.lines);
    fork.transcript.lines().saturating_sub(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fork_id_depends_on_diverged_content_only() {
        let session: SessionId = "3f2a8c1e-0000-4000-8000-000000000000"
            .parse()
            .expect("an id");
        let id = |lines, line: &[u8]| fork_id(&session, &SessionFile::Transcript, lines, line);
        assert_eq!(id(3, b"x\n"), id(3, b"x"));
        assert_ne!(id(3, b"x"), id(4, b"x"));
        assert_ne!(id(3, b"x"), id(3, b"y"));
        let text = id(3, b"x").to_string();
        assert_eq!((text.len(), &text[14..15]), (36, "8"), "{text}");
    }
}
