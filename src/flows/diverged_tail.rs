//! The ends of a transcript that was continued differently, here and in the store.

use std::collections::BTreeMap;

use crate::domain::session_file::SessionFile;
use crate::localize::{
    StoredLine, StoredLineReader, error::StoredDataError, local_copy::LocalCopy,
    localizer::Localizer, stored_text::LocalText, stored_text::StoredText,
};
use crate::session::{turns::Tail, turns::choice_kind};
use crate::store::manifest::Run;

/// Bytes before an end in which the user's choices are looked for.
const REPEATED_BYTES: u64 = 64 << 10;

/// The end of a stored transcript.
#[derive(Default)]
pub(crate) struct StoredTail {
    pub(crate) tail: Tail,
    /// The last line of each kind with a choice of the user.
    choices: BTreeMap<&'static str, StoredLine>,
}

impl StoredTail {
    /// Returns the lines with what the user chose in this end and is lost without it. `other` is
    /// the end that stays; if `is_later`, this one was written later.
    pub(crate) fn choices_beyond(mut self, other: &Tail, is_later: bool) -> Vec<StoredLine> {
        let kinds = self.tail.choices_beyond(other, is_later).into_keys();
        kinds.filter_map(|kind| self.choices.remove(kind)).collect()
    }
}

/// Reads the end of a local file from `offset` on.
pub(crate) fn local_tail(
    local: &LocalCopy<'_>,
    file: &SessionFile,
    offset: u64,
) -> Result<Tail, StoredDataError> {
    let mut tail = Tail::default();
    local.open(file, offset)?.each_piece(|piece| {
        tail.add(piece);
        Ok(())
    })?;
    Ok(tail)
}

/// Reads the part of a local file before `offset`, where Claude Code repeats what the user chose.
pub(crate) fn local_lines_before(
    local: &LocalCopy<'_>,
    file: &SessionFile,
    offset: u64,
) -> Result<Tail, StoredDataError> {
    let begin = offset.saturating_sub(REPEATED_BYTES);
    let mut tail = Tail::default();
    LocalText::open(&local.path(file), begin, offset)?.each_piece(|piece| {
        tail.add(piece);
        Ok(())
    })?;
    Ok(tail)
}

/// Reads the end of a stored file after `lines` lines.
pub(crate) fn stored_tail(
    localizer: &Localizer,
    stored: &StoredText<'_>,
    lines: u64,
) -> Result<StoredTail, StoredDataError> {
    let mut read = StoredTail::default();
    stored.walk(lines, &mut |piece| {
        read.tail.add(piece.text);
        for line in piece.text.split_inclusive(|byte| *byte == b'\n') {
            let Some(kind) = choice_kind(line).filter(|_| line.ends_with(b"\n")) else {
                continue;
            };
            let (manifest, kind_of_text) = (stored.manifest, stored.kind());
            let written =
                StoredLineReader::as_written(localizer, manifest, piece.run, kind_of_text, line)?;
            let line = StoredLine {
                run: Run {
                    lines: 0,
                    ..piece.run.clone()
                },
                portable: line.to_vec(),
                written,
            };
            read.choices.insert(kind, line);
        }
        Ok(true)
    })?;
    Ok(read)
}
