//! Compares a local file with the stored one: equal, shorter, longer, or different.
//!
//! Expands the stored text and compares bytes; assumes nothing from sizes or times. A
//! torn last line is special (`docs/dev/claude-code.md`): it is of no use elsewhere, and
//! old versions of Claude Code append to it.

use crate::localize::error::StoredDataError;
use crate::localize::line_reader::StoredLineReader;
use crate::localize::localizer::Reading;
use crate::localize::stored_text::{LocalText, Piece, StoredText};
use crate::rewrite::MAX_SECRET_BYTES;
use crate::store::{manifest::Run, segment::offset_after_lines};

/// How a local file relates to a stored one. Lines are counted in the stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The local file is what this machine would have of the stored one.
    Same,
    /// The local file ends inside the stored one: after `lines` lines, which end at
    /// `offset`, perhaps with a part of the next.
    Behind { lines: u64, offset: u64 },
    /// The local file continues after the first `lines` stored lines, from `offset`. If
    /// `close`, the last of them gets a line end first.
    Ahead {
        lines: u64,
        close: bool,
        offset: u64,
    },
    /// They differ after `lines` lines, which end at `offset`.
    Diverged { lines: u64, offset: u64 },
}

/// Compares `local`, from its start, with `stored` as `reader` reads it.
pub(crate) fn relate(
    local: &mut LocalText,
    stored: &StoredText<'_>,
    reader: &StoredLineReader<'_>,
) -> Result<Relation, StoredDataError> {
    let mut walk = Walk {
        local,
        reader,
        lines: 0,
        total: stored.file.lines(),
        close: false,
        found: None,
    };
    stored.walk(0, &mut |piece| walk.piece(&piece))?;
    walk.conclude()
}

struct Walk<'a, 'b> {
    local: &'a mut LocalText,
    reader: &'a StoredLineReader<'b>,
    lines: u64,
    total: u64,
    close: bool,
    found: Option<Relation>,
}

impl Walk<'_, '_> {
    /// Compares one piece; returns false at the end of the walk.
    fn piece(&mut self, piece: &Piece<'_>) -> Result<bool, StoredDataError> {
        let terminated = piece.text.last() == Some(&b'\n');
        if terminated && !piece.run.torn && self.matches_whole(piece)? {
            return Ok(true);
        }
        let mut text = piece.text;
        while !text.is_empty() {
            let line = &text[..offset_after_lines(text, 1)];
            let go_on = if line.last() == Some(&b'\n') {
                self.line(piece.run, line)?
            } else {
                self.last_line(piece.run, line)?
            };
            if !go_on {
                return Ok(false);
            }
            text = &text[line.len()..];
        }
        Ok(true)
    }

    /// Handles the common case: all lines of the piece are there in one reading.
    fn matches_whole(&mut self, piece: &Piece<'_>) -> Result<bool, StoredDataError> {
        for reading in self.reader.readings(piece.run, piece.text) {
            if self.consume_if_next(&self.reader.read(piece.run, reading, piece.text)?)? {
                self.reader.record_reading(piece.run, reading);
                self.lines += piece.lines;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Compares one line that ends with a line end.
    fn line(&mut self, run: &Run, line: &[u8]) -> Result<bool, StoredDataError> {
        for reading in self.reader.readings(run, line) {
            if self.consume_if_next(&self.reader.read(run, reading, line)?)? {
                self.reader.record_reading(run, reading);
                self.lines += 1;
                return Ok(true);
            }
        }
        if self.learn_secrets(run, line)? {
            self.lines += 1;
            return Ok(true);
        }
        if run.torn && (!self.reader.is_mine(run) || !self.ends_inside(run, line)?) {
            // Other machines do not have it, not even a part that looks alike, and its own machine
            // may have dropped it when it rewrote the file.
            self.lines += 1;
            return Ok(true);
        }
        self.end_here(run, line)
    }

    /// Compares a line whose secrets this machine has lost; learns their values.
    fn learn_secrets(&mut self, run: &Run, line: &[u8]) -> Result<bool, StoredDataError> {
        let lost = self.reader.lost_secrets(run, line);
        if lost.is_empty() {
            return Ok(false);
        }
        let longest = 2 * line.len() + lost.len() * MAX_SECRET_BYTES;
        let next = self.local.peek(longest)?;
        let next = next[..offset_after_lines(next, 1)].to_vec();
        let is_same = self.reader.learn_secrets(run, line, &next, &lost)?;
        if is_same {
            self.local.consume(next.len());
        }
        Ok(is_same)
    }

    /// Compares the last line of the stored file, which has no line end.
    fn last_line(&mut self, run: &Run, line: &[u8]) -> Result<bool, StoredDataError> {
        for reading in self.reader.readings(run, line) {
            let text = self.reader.read(run, reading, line)?;
            if !self.starts_with(&text)? {
                continue;
            }
            let offset = self.local.offset();
            let rest = self.local.peek(text.len() + 2)?[text.len()..].to_vec();
            self.found = Some(match rest.as_slice() {
                [] => Relation::Same,
                [b'\n'] if !self.reader.is_mine(run) => Relation::Same,
                [b'\n', ..] if !self.reader.is_mine(run) => Relation::Ahead {
                    lines: self.total,
                    close: true,
                    offset: offset + text.len() as u64 + 1,
                },
                // This machine completed its own line or began the next one: all of it is
                // collapsed again.
                _ if self.reader.is_mine(run) => Relation::Ahead {
                    lines: self.lines,
                    close: false,
                    offset,
                },
                _ => Relation::Diverged {
                    lines: self.lines,
                    offset,
                },
            });
            return Ok(false);
        }
        if run.torn {
            self.lines += 1;
            self.close = true;
            return Ok(true);
        }
        self.end_here(run, line)
    }

    /// Returns true if the local file ends inside `line`, with at least a byte of it.
    fn ends_inside(&mut self, run: &Run, line: &[u8]) -> Result<bool, StoredDataError> {
        for reading in self.reader.readings(run, line) {
            let text = self.reader.read(run, reading, line)?;
            let left = self.local.peek(text.len())?;
            if !left.is_empty() && left.len() < text.len() && text.starts_with(left) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ends the walk at a line that is not next in the local file: the file ends in it,
    /// or differs.
    fn end_here(&mut self, run: &Run, line: &[u8]) -> Result<bool, StoredDataError> {
        let offset = self.local.offset();
        for reading in self.reader.readings(run, line) {
            let text = self.reader.read(run, reading, line)?;
            let left = self.local.peek(text.len() + 1)?;
            if left.len() < text.len() && text.starts_with(left) {
                self.found = Some(Relation::Behind {
                    lines: self.lines,
                    offset,
                });
                return Ok(false);
            }
        }
        self.found = Some(Relation::Diverged {
            lines: self.lines,
            offset,
        });
        Ok(false)
    }

    /// Returns the result after all stored lines.
    fn conclude(self) -> Result<Relation, StoredDataError> {
        if let Some(found) = self.found {
            return Ok(found);
        }
        let offset = self.local.offset();
        let more = !self.local.peek(1)?.is_empty();
        Ok(if more {
            Relation::Ahead {
                lines: self.total,
                close: self.close,
                offset,
            }
        } else {
            Relation::Same
        })
    }

    fn starts_with(&mut self, text: &[u8]) -> Result<bool, StoredDataError> {
        Ok(self.local.peek(text.len())? == text)
    }

    fn consume_if_next(&mut self, text: &[u8]) -> Result<bool, StoredDataError> {
        let found = self.starts_with(text)?;
        if found {
            self.local.consume(text.len());
        }
        Ok(found)
    }
}

/// Returns the reading in which `line` begins with `part`, the last bytes of a local
/// file.
pub(crate) fn completing_reading(
    reader: &StoredLineReader<'_>,
    run: &Run,
    line: &[u8],
    part: &[u8],
) -> Result<Option<Reading>, StoredDataError> {
    for reading in reader.readings(run, line) {
        if reader.read(run, reading, line)?.starts_with(part) {
            return Ok(Some(reading));
        }
    }
    Ok(None)
}
