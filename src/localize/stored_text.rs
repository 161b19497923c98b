//! Walks through text in whole lines: a stored file run by run, a local file piece by
//! piece.
//!
//! Keeps only a few segments, or one longer line, in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::domain::SessionFile;
use crate::localize::error::StoredDataError;
use crate::rewrite::TextKind;
use crate::session::files::is_verbatim;
use crate::store::Snapshot;
use crate::store::manifest::{Manifest, Run, Segment, StoredFile};
use crate::store::segment::{MAX_SEGMENT_BYTES, count_lines, offset_after_lines, whole_lines_len};
use crate::sys::fs::PathError;

/// Approximate size of the pieces of local files, in bytes.
const PIECE: usize = 1 << 20;

/// Maximum length of lines for which memory is not checked, in bytes.
const MAX_UNCHECKED_BYTES: usize = 16 << 20;

/// Copies of a line that collapsing and storing it needs at most at one time, by measurement.
const COPIES_OF_LINE: usize = 6;

/// One file of a session in one commit of the store.
#[derive(Clone, Copy)]
pub(crate) struct StoredText<'a> {
    pub(crate) snapshot: &'a Snapshot<'a>,
    pub(crate) manifest: &'a Manifest,
    pub(crate) name: &'a SessionFile,
    pub(crate) file: &'a StoredFile,
}

/// Whole lines of one run (or the unterminated end of the file), portable.
pub(crate) struct Piece<'a> {
    pub(crate) run: &'a Run,
    pub(crate) text: &'a [u8],
    pub(crate) lines: u64,
}

impl<'a> StoredText<'a> {
    /// Returns the file of this name, if the session has it.
    pub(crate) fn new(
        snapshot: &'a Snapshot<'a>,
        manifest: &'a Manifest,
        name: &'a SessionFile,
    ) -> Option<Self> {
        Some(Self {
            snapshot,
            manifest,
            name,
            file: manifest.file(name)?,
        })
    }

    /// Returns the transcript of the session.
    pub(crate) fn transcript(snapshot: &'a Snapshot<'a>, manifest: &'a Manifest) -> Self {
        Self {
            snapshot,
            manifest,
            name: &SessionFile::Transcript,
            file: &manifest.transcript,
        }
    }

    pub(crate) fn kind(&self) -> TextKind {
        text_kind(self.name)
    }

    /// Calls `each` with the text after the first `lines` lines, until it returns `false`.
    pub(crate) fn walk(
        &self,
        lines: u64,
        each: &mut dyn FnMut(Piece<'_>) -> Result<bool, StoredDataError>,
    ) -> Result<(), StoredDataError> {
        let (first, mut line) = segment_at(&self.file.segments, lines);
        let mut runs = Runs {
            left: &self.file.runs,
            end: 0,
        };
        let mut carried = Vec::new();
        for number in first..self.file.segments.len() {
            let bytes = self.file.segments[number].bytes as usize + carried.len();
            check_memory(bytes).map_err(|e| {
                let name = format!("session {} in the store", self.manifest.session);
                PathError::new("read", Path::new(&name), e)
            })?;
            let text =
                self.snapshot
                    .segment(&self.manifest.session, self.name, self.file, number)?;
            let mut text = if carried.is_empty() {
                text
            } else {
                [std::mem::take(&mut carried), text].concat()
            };
            if number + 1 < self.file.segments.len() {
                // Only a line longer than a segment may be cut: it continues in the next
                // segment.
                carried = text.split_off(whole_lines_len(&text));
            }
            let skipped = lines.saturating_sub(line).min(count_lines(&text));
            let text = &text[offset_after_lines(&text, skipped as usize)..];
            line += skipped;
            if !self.split_runs(text, &mut line, &mut runs, each)? {
                return Ok(());
            }
        }
        // In a hostile or damaged session the manifest has more lines than the text.
        if line == self.file.lines() {
            Ok(())
        } else {
            Err(self.inconsistent())
        }
    }

    fn inconsistent(&self) -> StoredDataError {
        StoredDataError::Inconsistent {
            session: self.manifest.session.clone(),
        }
    }

    /// Returns all of the portable text, which must be short.
    pub(crate) fn portable(&self) -> Result<Vec<u8>, StoredDataError> {
        self.lines(0, self.file.lines())
    }

    /// Returns the portable text of lines `from..to`, which must be few.
    pub(crate) fn lines(&self, from: u64, to: u64) -> Result<Vec<u8>, StoredDataError> {
        let mut text = Vec::new();
        let mut left = to - from;
        self.walk(from, &mut |piece| {
            let take = left.min(piece.lines);
            text.extend_from_slice(&piece.text[..offset_after_lines(piece.text, take as usize)]);
            left -= take;
            Ok(left > 0)
        })?;
        Ok(text)
    }

    fn split_runs(
        &self,
        mut text: &[u8],
        line: &mut u64,
        runs: &mut Runs<'_>,
        each: &mut dyn FnMut(Piece<'_>) -> Result<bool, StoredDataError>,
    ) -> Result<bool, StoredDataError> {
        while !text.is_empty() {
            let (run, left) = runs.find_run(*line).ok_or_else(|| self.inconsistent())?;
            let end = offset_after_lines(text, usize::try_from(left).unwrap_or(usize::MAX));
            let lines = count_lines(&text[..end]);
            *line += lines;
            if !each(Piece {
                run,
                text: &text[..end],
                lines,
            })? {
                return Ok(false);
            }
            text = &text[end..];
        }
        Ok(true)
    }
}

/// Finds the last segment that begins with the beginning of a line at or before line
/// `lines`. Also returns the number of lines before it.
pub(crate) fn segment_at(segments: &[Segment], lines: u64) -> (usize, u64) {
    let (mut start, mut line) = ((0, 0), 0);
    let mut goes_on = false;
    for (number, segment) in segments.iter().enumerate() {
        if line > lines {
            return start;
        }
        if !goes_on {
            start = (number, line);
        }
        // Only a line longer than a segment may be cut: it continues in the next one.
        goes_on = segment.lines == 0 || segment.bytes >= MAX_SEGMENT_BYTES as u64;
        line += segment.lines;
    }
    // Nothing is left, except segments without line ends, which must be read.
    if line > lines || goes_on {
        start
    } else {
        (segments.len(), line)
    }
}

/// The runs of a file, iterated once.
struct Runs<'a> {
    left: &'a [Run],
    /// The line after those of the first run.
    end: u64,
}

impl<'a> Runs<'a> {
    /// Returns the run that contains `line`, and how many of its lines are left from
    /// there. `line` is not before the last one asked for.
    fn find_run(&mut self, line: u64) -> Option<(&'a Run, u64)> {
        if self.end == 0 {
            self.end = self.left.first()?.lines;
        }
        while line >= self.end {
            self.left = &self.left[1..];
            self.end += self.left.first()?.lines;
        }
        Some((&self.left[0], self.end - line))
    }
}

/// Returns the rewriter's kind of text for a file.
pub(crate) fn text_kind(name: &SessionFile) -> TextKind {
    let is_json = name.is_append_only() || name.key().ends_with(".json");
    if is_json && !is_verbatim(name) {
        TextKind::Json
    } else {
        TextKind::Plain
    }
}

/// A file of this machine, read from front to back up to a fixed limit.
pub(crate) struct LocalText {
    path: std::path::PathBuf,
    file: File,
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
    limit: u64,
}

impl LocalText {
    /// Opens `path` at `offset`; ignores bytes from `limit` on.
    pub(crate) fn open(path: &Path, offset: u64, limit: u64) -> Result<Self, StoredDataError> {
        let fail = |source| PathError::new("read", path, source);
        let mut file = File::open(path).map_err(fail)?;
        file.seek(SeekFrom::Start(offset)).map_err(fail)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            buffer: Vec::new(),
            start: 0,
            offset,
            limit,
        })
    }

    /// Returns the offset of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the next `wanted` bytes, or fewer at the end.
    pub(crate) fn peek(&mut self, wanted: usize) -> Result<&[u8], StoredDataError> {
        if self.buffer.len() - self.start < wanted {
            self.buffer.drain(..self.start);
            self.start = 0;
            self.fill(wanted)?;
        }
        let end = self.buffer.len().min(self.start + wanted);
        Ok(&self.buffer[self.start..end])
    }

    /// Skips bytes that [`Self::peek`] returned.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
        debug_assert!(self.start <= self.buffer.len());
    }

    /// Returns the next whole lines, about [`PIECE`] bytes; at the end the rest, then
    /// nothing.
    pub(crate) fn next_lines(&mut self) -> Result<Vec<u8>, StoredDataError> {
        let mut wanted = PIECE;
        loop {
            let seen = self.peek(wanted)?;
            let len = if seen.len() < wanted {
                seen.len()
            } else {
                whole_lines_len(seen)
            };
            if len > 0 || seen.len() < wanted {
                check_memory(len).map_err(|e| PathError::new("read", &self.path, e))?;
                let piece = self.peek(len)?.to_vec();
                self.consume(len);
                return Ok(piece);
            }
            wanted *= 2;
        }
    }

    /// Calls `each` with the rest in pieces of whole lines.
    pub(crate) fn each_piece(
        mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), StoredDataError>,
    ) -> Result<(), StoredDataError> {
        loop {
            let piece = self.next_lines()?;
            if piece.is_empty() {
                return Ok(());
            }
            each(&piece)?;
        }
    }

    fn fill(&mut self, wanted: usize) -> Result<(), StoredDataError> {
        let have = self.buffer.len();
        let left = self.limit.saturating_sub(self.offset + have as u64);
        let more = (wanted.max(PIECE) - have).min(usize::try_from(left).unwrap_or(usize::MAX));
        let fail = |source| PathError::new("read", &self.path, source);
        // `read_to_end` ends the program if the buffer cannot grow.
        let reserved = self.buffer.try_reserve_exact(more);
        reserved.map_err(|_| fail(too_little_memory(wanted)))?;
        let read = (&self.file)
            .take(more as u64)
            .read_to_end(&mut self.buffer)
            .map_err(fail)?;
        if read < more {
            return Err(fail(io::Error::other("it became shorter while it was read")).into());
        }
        Ok(())
    }
}

/// Returns the offset after the last line end of the first `len` bytes of `path`.
pub(crate) fn last_line_end(path: &Path, len: u64) -> Result<u64, StoredDataError> {
    const BLOCK: u64 = 64 << 10;
    let fail = |source| PathError::new("read", path, source);
    let mut file = File::open(path).map_err(fail)?;
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start)).map_err(fail)?;
        file.read_exact(&mut block).map_err(fail)?;
        if let Some(at) = memchr::memrchr(b'\n', &block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Returns an error if there is too little memory for the copies of a very long text, so that the
/// other sessions go on: the program ends when an allocation fails.
fn check_memory(len: usize) -> io::Result<()> {
    if len <= MAX_UNCHECKED_BYTES {
        return Ok(());
    }
    let probe = Vec::<u8>::new().try_reserve_exact(len.saturating_mul(COPIES_OF_LINE));
    probe.map_err(|_| too_little_memory(len))
}

fn too_little_memory(len: usize) -> io::Error {
    let reason = format!(
        "too little memory for a line or part of {} MB",
        len / 1_000_000
    );
    io::Error::new(io::ErrorKind::OutOfMemory, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reading_starts_at_nearest_segment() {
        let segment = |bytes: u64, lines| Segment {
            bytes,
            lines,
            local_bytes: bytes,
            local_hash: String::new(),
        };
        let limit = MAX_SEGMENT_BYTES as u64;
        // Ten lines; ten, the last of which continues through two more segments; ten.
        let segments = [
            segment(9, 10),
            segment(limit, 9),
            segment(limit, 0),
            segment(7, 1),
            segment(9, 10),
        ];
        for (line, expected) in [
            (0, (0, 0)),
            (9, (0, 0)),
            (10, (1, 10)),
            (18, (1, 10)),
            (19, (1, 10)),
            (20, (4, 20)),
            (29, (4, 20)),
            (30, (5, 30)),
        ] {
            assert_eq!(segment_at(&segments, line), expected, "line {line}");
        }
        assert_eq!(segment_at(&[], 0), (0, 0));
        let hostile = [segment(9, 10), segment(0, 0), segment(0, 0)];
        assert_eq!(
            segment_at(&hostile, 10),
            (1, 10),
            "empty segments are not skipped"
        );
        assert_eq!(segment_at(&hostile[1..], 0), (0, 0));
    }

    #[test]
    fn text_line_without_memory_is_an_error() {
        assert!(check_memory(MAX_UNCHECKED_BYTES).is_ok());
        let error = check_memory(usize::MAX / 2).unwrap_err();
        assert!(error.to_string().contains("too little memory"), "{error}");
    }
}
