//! How two stored files relate.

use crate::checkouts::locate::is_in_repo;
use crate::domain::SessionId;
use crate::localize::{Localizer, StoredDataError, StoredText, localizer::Reading};
use crate::rewrite::expand_path;
use crate::store::{manifest::Run, segment::offset_after_lines};

/// How our stored file relates to theirs, as their machines wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredRelation {
    /// Theirs contains ours.
    Contained,
    /// Ours continues after the last line of theirs.
    Longer,
    /// They differ after this many lines.
    Diverged(u64),
}

/// Compares our stored file with theirs.
pub(crate) fn relate_stored(
    localizer: &Localizer,
    mine: &StoredText<'_>,
    other: &StoredText<'_>,
) -> Result<StoredRelation, StoredDataError> {
    // Equal leading segments have equal text: only what follows is read.
    let pairs = mine.file.segments.iter().zip(&other.file.segments);
    let equal = pairs.take_while(|(a, b)| a == b && a.lines > 0);
    let skipped: u64 = equal.map(|(segment, _)| segment.lines).sum();
    let hasher = LineHasher {
        localizer,
        session: &other.manifest.session,
        // If one of them has the repository, the other may have the same lines without it.
        in_repo: is_in_repo(mine.manifest) || is_in_repo(other.manifest),
    };
    let mine = hasher.hashes(mine, skipped)?;
    let other = hasher.hashes(other, skipped)?;
    let pairs = mine.iter().zip(&other);
    let common = pairs.take_while(|(a, b)| a.matches(b)).count();
    Ok(if common == mine.len() {
        StoredRelation::Contained
    } else if common == other.len() {
        StoredRelation::Longer
    } else {
        StoredRelation::Diverged(skipped + common as u64)
    })
}

/// Hashes of a line without its line end, under the session id that it is compared for:
/// the lines of a fork may be stored under its own id or under that of the session it
/// left.
struct LineHash {
    /// Hash of the line as its machine wrote it.
    written: [u8; 16],
    /// Hash of the portable line. After the loss of its store, a machine stores lines of
    /// other machines as its own, with its own paths.
    portable: Option<[u8; 16]>,
    /// Hash of the line as a machine without a repository stores it: after the loss of
    /// its store, a machine may have no clone of the project.
    plain: Option<[u8; 16]>,
}

impl LineHash {
    fn matches(&self, other: &Self) -> bool {
        self.written == other.written
            || self.portable.is_some() && self.portable == other.portable
            || self.plain.is_some() && self.plain == other.plain
    }
}

struct LineHasher<'a> {
    localizer: &'a Localizer,
    session: &'a SessionId,
    in_repo: bool,
}

impl LineHasher<'_> {
    /// Returns the hash of each line after the first `from`.
    fn hashes(&self, text: &StoredText<'_>, from: u64) -> Result<Vec<LineHash>, StoredDataError> {
        let reader = self
            .localizer
            .reader(text.manifest, self.session, text.kind());
        let mut hashes = Vec::new();
        text.walk(from, &mut |piece| {
            let as_written = reader.read(piece.run, Reading::WRITTEN, piece.text)?;
            let written = hashes_of_lines(&as_written);
            let portable = hashes_of_lines(&reader.portable(piece.run, piece.text));
            let plain = if self.in_repo {
                self.without_repo(text, piece.run, &as_written)
            } else {
                None
            };
            let plain = plain.map(|plain| hashes_of_lines(&plain));
            let mut plain = plain.unwrap_or_default().into_iter();
            let is_portable = |hash| (!piece.run.verbatim).then_some(hash);
            let both = written.into_iter().zip(portable);
            hashes.extend(both.map(|(written, portable)| LineHash {
                written,
                portable: is_portable(portable),
                plain: plain.next().and_then(is_portable),
            }));
            Ok(true)
        })?;
        Ok(hashes)
    }

    /// Collapses lines of `run`, given as written, as a machine does that knows no repository.
    fn without_repo(&self, text: &StoredText<'_>, run: &Run, written: &[u8]) -> Option<Vec<u8>> {
        let origin = text.manifest.placeholders.get(&run.placeholders)?;
        let project = text.manifest.project.as_ref();
        let directory = project.and_then(|project| expand_path(project, origin));
        let collapser = self
            .localizer
            .collapser(&origin.without_repo(), &Vec::from_iter(directory));
        let mut plain = Vec::with_capacity(written.len());
        collapser.collapse(written, text.kind(), &mut plain);
        Some(plain)
    }
}

fn hashes_of_lines(mut text: &[u8]) -> Vec<[u8; 16]> {
    let mut hashes = Vec::new();
    while !text.is_empty() {
        let (line, after) = text.split_at(offset_after_lines(text, 1));
        let hash = blake3::hash(line.strip_suffix(b"\n").unwrap_or(line));
        let hash = hash.as_bytes()[..16].try_into();
        hashes.push(hash.expect("a BLAKE3 hash has 32 bytes"));
        text = after;
    }
    hashes
}
