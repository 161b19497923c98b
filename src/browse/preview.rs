//! Reads the end of a conversation for a preview.
//!
//! Reads only the end of a transcript and takes no lock. Must not change anything.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::domain::{SessionId, Turn};
use crate::localize::StoredText;
use crate::session::turns::last_turns as turns_at_end;
use crate::session::{discover::find_transcript, time::parse_time};
use crate::store::{Snapshot, manifest::Manifest, manifest::StoredFile};
use crate::sys::fs::PathError;
use crate::workspace::{Context, LookupScope, ReadOnlyStore, SyncError};

/// Bytes read first, and in each further step while they contain too few turns. One line
/// alone can have megabytes.
const ENDS: [u64; 3] = [256 << 10, 2 << 20, 16 << 20];

/// Returns the last `most` turns of a session, the oldest first, with this machine's
/// paths: from the local file or the store, whichever is longer. Fetches nothing. Returns
/// fewer turns if they are very far from the end.
///
/// # Errors
/// `LookupError::NoSession`; what cannot be read.
pub fn last_turns(
    ctx: &Context<'_>,
    session: &SessionId,
    most: usize,
) -> Result<Vec<Turn>, SyncError> {
    let here = find_transcript(&ctx.env.claude_dir, session);
    let stored = ReadOnlyStore::open(ctx)?;
    let snapshot = stored
        .as_ref()
        .map(|stored| stored.store.head_snapshot())
        .transpose()?;
    let manifest = match &snapshot {
        Some(snapshot) => snapshot.manifest(session)?,
        None => None,
    };
    let of_file = here.map(|path| turns_of_file(&path, most)).transpose()?;
    match (of_file, manifest, &stored, &snapshot) {
        (Some(here), Some(manifest), Some(stored), Some(snapshot))
            if may_continue(&manifest, &here) =>
        {
            // A preview of the local file is better than none.
            let there = stored.turns(snapshot, &manifest, most).unwrap_or_default();
            Ok(if newest(&there) > newest(&here) {
                there
            } else {
                here
            })
        }
        (Some(turns), ..) => Ok(turns),
        (None, Some(manifest), Some(stored), Some(snapshot)) => {
            stored.turns(snapshot, &manifest, most)
        }
        _ => Err(LookupScope::Anywhere.no_session(session).into()),
    }
}

/// Returns true if the store may have turns after the local ones.
fn may_continue(manifest: &Manifest, turns: &[Turn]) -> bool {
    manifest.last_activity.as_deref().and_then(parse_time) > newest(turns)
}

fn newest(turns: &[Turn]) -> Option<DateTime<Utc>> {
    turns.iter().filter_map(|turn| turn.time).max()
}

fn turns_of_file(path: &Path, most: usize) -> Result<Vec<Turn>, SyncError> {
    enough(most, |bytes| {
        end_of_file(path, bytes).map_err(|e| PathError::new("read", path, e).into())
    })
}

/// Returns the time of the last turn in a file.
pub(crate) fn newest_of_file(path: &Path) -> Option<DateTime<Utc>> {
    newest(&turns_of_file(path, 1).ok()?)
}

/// Reads a growing part of the end until it contains `most` turns. `read` also returns
/// true if that was everything.
fn enough(
    most: usize,
    mut read: impl FnMut(u64) -> Result<(Vec<u8>, bool), SyncError>,
) -> Result<Vec<Turn>, SyncError> {
    let mut turns = Vec::new();
    for bytes in ENDS {
        let (text, is_everything) = read(bytes)?;
        turns = turns_at_end(&text, most);
        if is_everything || turns.len() >= most {
            break;
        }
    }
    Ok(turns)
}

/// Returns the complete lines among the last `bytes` bytes.
fn end_of_file(path: &Path, bytes: u64) -> std::io::Result<(Vec<u8>, bool)> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(bytes);
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    // Claude Code may be appending to it.
    file.take(bytes).read_to_end(&mut text)?;
    if start > 0 {
        let first_line = memchr::memchr(b'\n', &text).map_or(text.len(), |at| at + 1);
        text.drain(..first_line);
    }
    Ok((text, start == 0))
}

impl ReadOnlyStore {
    fn turns(
        &self,
        snapshot: &Snapshot<'_>,
        manifest: &Manifest,
        most: usize,
    ) -> Result<Vec<Turn>, SyncError> {
        enough(most, |bytes| self.end_of_text(snapshot, manifest, bytes))
    }

    fn end_of_text(
        &self,
        snapshot: &Snapshot<'_>,
        manifest: &Manifest,
        bytes: u64,
    ) -> Result<(Vec<u8>, bool), SyncError> {
        let file = &manifest.transcript;
        let text = StoredText::transcript(snapshot, manifest);
        let from = lines_before_end(file, bytes);
        let mut end = Vec::new();
        text.walk(from, &mut |piece| {
            end.extend_from_slice(&self.localizer.localize_text(
                manifest,
                piece.run,
                text.kind(),
                piece.text,
            )?);
            Ok(true)
        })?;
        Ok((end, from == 0))
    }
}

/// Returns the number of lines before the segments that contain the last `bytes` bytes.
fn lines_before_end(file: &StoredFile, bytes: u64) -> u64 {
    let mut left = bytes;
    let at_end = file.segments.iter().rev().take_while(|segment| {
        let is_wanted = left > 0;
        left = left.saturating_sub(segment.bytes);
        is_wanted
    });
    file.lines() - at_end.map(|segment| segment.lines).sum::<u64>()
}
