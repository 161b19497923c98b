//! Compares the lines of a stored file with the hashes in its manifest.

use crate::store::{manifest::Segment, manifest::StoredFile, manifest::short_hash};

/// Sums the lines of a file, segment by segment.
pub(super) struct SegmentSums<'a> {
    segments: &'a [Segment],
    number: usize,
    lines: u64,
    bytes: u64,
    hasher: blake3::Hasher,
    /// Numbers of the segments that differ.
    wrong: Vec<u64>,
}

impl<'a> SegmentSums<'a> {
    pub(super) fn new(file: &'a StoredFile) -> Self {
        let hasher = blake3::Hasher::new();
        Self {
            segments: &file.segments,
            number: 0,
            lines: 0,
            bytes: 0,
            hasher,
            wrong: Vec::new(),
        }
    }

    /// Returns the lines left in the current segment. Skips segments without a line end.
    pub(super) fn lines_left(&mut self) -> u64 {
        while let Some(segment) = self.segments.get(self.number) {
            if self.lines < segment.lines {
                return segment.lines - self.lines;
            }
            self.close();
        }
        u64::MAX
    }

    pub(super) fn add(&mut self, lines: u64, written: &[u8]) {
        self.lines += lines;
        self.bytes += written.len() as u64;
        self.hasher.update(written);
    }

    fn close(&mut self) {
        let Some(segment) = self.segments.get(self.number) else {
            return;
        };
        if (self.lines, self.bytes) != (segment.lines, segment.local_bytes)
            || short_hash(&self.hasher) != segment.local_hash
        {
            self.wrong.push(self.number as u64);
        }
        self.number += 1;
        (self.lines, self.bytes) = (0, 0);
        self.hasher.reset();
    }

    pub(super) fn finish(mut self) -> Vec<u64> {
        while self.number < self.segments.len() {
            self.close();
        }
        self.wrong
    }
}
