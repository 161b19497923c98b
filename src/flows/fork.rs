//! Forks: the tail that lost its session's id goes on under an id of its own.
//!
//! The id depends on nothing but what diverged from what, so every machine that makes the fork makes the same one, and a tail that grows
//! stays the same fork.

use crate::domain::id::SessionId;
use crate::domain::session_file::SessionFile;
use crate::localize::stored_text::StoredText;
use crate::store::SessionState;
use crate::store::manifest::{ForkOf, Manifest, Run, StoredFile};
use crate::store::{Snapshot, Transaction};
use crate::workspace::error::SyncError;

/// The id of the fork that leaves `session` after `lines` lines of `file` with `line` (portable, without its line end).
///
/// A version 8 UUID (RFC 9562) made of a BLAKE3 hash.
pub(crate) fn fork_id(
    session: &SessionId,
    file: &SessionFile,
    lines: u64,
    line: &[u8],
) -> SessionId {
    let mut hasher = blake3::Hasher::new_derive_key("ccsync fork id, version 1");
    hasher.update(format!("{session}\n{}\n{lines}\n", file.key()).as_bytes());
    hasher.update(line.strip_suffix(b"\n").unwrap_or(line));
    uuid_of(&hasher)
}

fn uuid_of(hasher: &blake3::Hasher) -> SessionId {
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    let uuid = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    uuid.to_string().parse().expect("a UUID is a session id")
}

/// The id of the healed copy of `session` whose transcript, before its ids are renamed, has the hash `healed`.
///
/// A version 8 UUID too: the same damage healed again is the same copy.
pub(crate) fn repaired_id(session: &SessionId, healed: &blake3::Hash) -> SessionId {
    let mut hasher = blake3::Hasher::new_derive_key("ccsync repaired id, version 1");
    hasher.update(format!("{session}\n{healed}").as_bytes());
    uuid_of(&hasher)
}

/// The id of the session that the state `state` of `session` becomes when it is restored beside it: that of one state is the same everywhere.
///
/// A version 8 UUID too.
pub(crate) fn restored_id(session: &SessionId, state: &SessionState) -> SessionId {
    let mut hasher = blake3::Hasher::new_derive_key("ccsync restored id, version 1");
    hasher.update(format!("{session}\n{state}").as_bytes());
    uuid_of(&hasher)
}

/// The manifest of the fork `fork` that has the contents of `of` and leaves `from` after `lines` lines.
pub(crate) fn fork_manifest(
    of: &Manifest,
    from: &SessionId,
    fork: &SessionId,
    lines: u64,
) -> Manifest {
    let mut manifest = of.clone();
    manifest.session = fork.clone();
    manifest.fork_of = Some(ForkOf {
        session: from.clone(),
        lines,
    });
    for run in all_runs(&mut manifest) {
        run.written_as.get_or_insert_with(|| of.session.clone());
    }
    manifest
}

/// Adds `ours`, whole, as a fork that leaves `from`; the segments are shared with the session it was.
pub(crate) fn add_fork(
    tx: &mut Transaction<'_>,
    snapshot: &Snapshot<'_>,
    ours: &Manifest,
    (from, fork): (&SessionId, &SessionId),
    lines: u64,
) -> Result<(), SyncError> {
    for (name, file) in ours.all_files() {
        share_file(
            tx,
            &StoredText {
                snapshot,
                manifest: ours,
                name: &name,
                file,
            },
            fork,
        )?;
    }
    Ok(tx.write_manifest(&fork_manifest(ours, from, fork, lines))?)
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

/// `file` with its runs marked as written under the id `session`, where they name no other.
pub(crate) fn written_as(mut file: StoredFile, session: &SessionId) -> StoredFile {
    for run in &mut file.runs {
        run.written_as.get_or_insert_with(|| session.clone());
    }
    file
}

fn all_runs(manifest: &mut Manifest) -> impl Iterator<Item = &mut Run> {
    manifest.transcript.runs.iter_mut().chain(
        manifest
            .files
            .values_mut()
            .flat_map(|file| file.runs.iter_mut()),
    )
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
