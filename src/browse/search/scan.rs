//! Searches one session: scans its bytes piece by piece and parses candidate lines.

use std::borrow::Cow;

use crate::browse::search::hits::{HitCollector, HitContext};
use crate::browse::search::pattern::{LineFilter, Pattern};
use crate::domain::{RelativeName, SessionFile, Speaker};
use crate::localize::{
    LocalText, Localizer, StoredDataError, stored_text::segment_at, stored_text::text_kind,
};
use crate::rewrite::TextKind;
use crate::session::{LocalSession, messages::RecordMessages, messages::messages};
use crate::store::manifest::{Manifest, Run, StoredFile};
use crate::store::segment::{count_lines, offset_after_lines, whole_lines_len};
use crate::store::{SessionFiles, Snapshot};
use crate::sys::signal::interrupted;
use crate::workspace::SyncError;

/// Maximum length of a line that is searched.
const MAX_LINE_BYTES: usize = 64_000_000;

/// Values shared by all sessions.
pub(crate) struct Scan<'a> {
    pub(crate) localizer: &'a Localizer,
    pub(crate) pattern: &'a Pattern,
    pub(crate) candidates: &'a LineFilter,
    pub(crate) shown: usize,
}

/// Content of a session's file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Records of the conversation, or of one with a sub-agent.
    Records { agent: bool },
    /// Raw output of a tool.
    Output,
}

impl Content {
    /// Returns the content of a file; `None` if it has no messages.
    fn for_file(name: &SessionFile) -> Option<Self> {
        match name.name().map(RelativeName::as_str) {
            None => Some(Self::Records { agent: false }),
            Some(name) if name.ends_with(".jsonl") => Some(Self::Records {
                agent: name.starts_with("subagents/"),
            }),
            Some(name) if name.starts_with("tool-results/") => Some(Self::Output),
            Some(_) => None,
        }
    }
}

/// Callback for a candidate line and its offset.
type EachLine<'e> = dyn FnMut(usize, &[u8], &mut HitCollector) -> Result<(), SyncError> + 'e;

/// A piece of whole lines of a stored file.
struct Piece<'a> {
    manifest: &'a Manifest,
    file: &'a StoredFile,
    kind: TextKind,
    text: &'a [u8],
    /// Lines before it.
    lines: u64,
}

impl Scan<'_> {
    /// Searches a session in the store, its transcript after the first `skip` lines.
    pub(crate) fn stored(
        &self,
        snapshot: &Snapshot<'_>,
        files: &SessionFiles<'_>,
        manifest: &Manifest,
        skip: u64,
        found: &mut HitCollector,
    ) -> Result<(), SyncError> {
        let mut buffer = Vec::new();
        for (name, file) in manifest.all_files() {
            let Some(content) = Content::for_file(&name) else {
                continue;
            };
            let kind = text_kind(&name);
            let skip = if name.is_transcript() { skip } else { 0 };
            let (first, _) = segment_at(&file.segments, skip);
            let mut lines: u64 = file.segments[..first]
                .iter()
                .map(|segment| segment.lines)
                .sum();
            buffer.clear();
            for (number, segment) in file.segments.iter().enumerate().skip(first) {
                if found.is_enough() || interrupted() {
                    return Ok(());
                }
                files.segment(snapshot, &name, file, number, &mut buffer)?;
                let is_last = number + 1 == file.segments.len();
                let whole = if is_last {
                    buffer.len()
                } else {
                    whole_lines_len(&buffer)
                };
                let skipped = offset_after_lines(
                    &buffer[..whole],
                    usize::try_from(skip.saturating_sub(lines)).unwrap_or(usize::MAX),
                );
                let before = lines + count_lines(&buffer[..skipped]);
                self.piece(
                    content,
                    &Piece {
                        manifest,
                        file,
                        kind,
                        text: &buffer[skipped..whole],
                        lines: before,
                    },
                    found,
                )?;
                lines += segment.lines;
                // The rest is the beginning of a line that continues in the next segment.
                buffer.drain(..whole);
                drop_if_too_long(&mut buffer, found);
            }
        }
        Ok(())
    }

    fn piece(
        &self,
        content: Content,
        piece: &Piece<'_>,
        found: &mut HitCollector,
    ) -> Result<(), SyncError> {
        let mut runs = Runs::new(piece);
        match content {
            // Its lines are searched together, so that multi-line text is found.
            Content::Output if piece.file.runs.len() == 1 => {
                if self.candidates.find(piece.text, 0).is_some() {
                    self.output(&self.local(&mut runs, 0, piece.text)?, found);
                }
                Ok(())
            }
            _ => self.each_candidate(content, piece.text, found, &mut |at, line, found| {
                let line = self.local(&mut runs, at, line)?;
                match content {
                    Content::Records { agent } => self.record(&line, agent, found),
                    Content::Output => self.output(&line, found),
                }
                Ok(())
            }),
        }
    }

    /// Returns the line at offset `at` of a piece, localized.
    fn local<'t>(
        &self,
        runs: &mut Runs<'_>,
        at: usize,
        line: &'t [u8],
    ) -> Result<Cow<'t, [u8]>, SyncError> {
        let Piece { manifest, kind, .. } = runs.piece;
        match runs.find_run(at) {
            Some(run) => Ok(self.localizer.localize_text(manifest, run, *kind, line)?),
            None => Err(StoredDataError::Inconsistent {
                session: manifest.session.clone(),
            }
            .into()),
        }
    }

    /// Searches a session that only this machine has.
    pub(crate) fn here(
        &self,
        session: &LocalSession,
        found: &mut HitCollector,
    ) -> Result<(), SyncError> {
        for (name, stamp) in &session.files {
            let Some(content) = Content::for_file(name) else {
                continue;
            };
            let mut text = LocalText::open(&session.path(name), 0, stamp.len)?;
            loop {
                let piece = text.next_lines()?;
                if piece.is_empty() || found.is_enough() || interrupted() {
                    break;
                }
                match content {
                    Content::Records { agent } => {
                        self.each_candidate(content, &piece, found, &mut |_, line, found| {
                            self.record(line, agent, found);
                            Ok(())
                        })?;
                    }
                    Content::Output => self.output(&piece, found),
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with every candidate line of `text` and its offset.
    fn each_candidate(
        &self,
        content: Content,
        text: &[u8],
        found: &mut HitCollector,
        each: &mut EachLine<'_>,
    ) -> Result<(), SyncError> {
        let mut from = 0;
        let next = |from| match content {
            Content::Records { .. } => self.candidates.find_in_records(text, from),
            Content::Output => self.candidates.find(text, from),
        };
        let may_say_it =
            |line: &[u8]| content == Content::Output || self.candidates.may_match(line);
        while let Some(at) = next(from) {
            let start = memchr::memrchr(b'\n', &text[from..at]).map_or(from, |end| from + end + 1);
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |n| at + n);
            if may_say_it(&text[start..end]) {
                each(start, &text[start..end], found)?;
            }
            if found.is_enough() {
                break;
            }
            from = text.len().min(end + 1);
        }
        Ok(())
    }

    fn record(&self, line: &[u8], of_agent: bool, found: &mut HitCollector) {
        let RecordMessages {
            time,
            is_agent,
            messages,
        } = messages(line);
        for message in messages {
            let context = HitContext {
                speaker: message.speaker,
                is_agent: is_agent || of_agent,
                time,
            };
            found.search(&message.text, &self.pattern.regex, &context);
        }
    }

    fn output(&self, text: &[u8], found: &mut HitCollector) {
        let context = HitContext {
            speaker: Speaker::Output,
            is_agent: false,
            time: None,
        };
        found.search(
            &String::from_utf8_lossy(text),
            &self.pattern.regex,
            &context,
        );
    }
}

fn drop_if_too_long(line: &mut Vec<u8>, found: &mut HitCollector) {
    if line.len() > MAX_LINE_BYTES {
        // The rest of the line, which comes later, is not a record.
        line.clear();
        found.warning = Some(format!(
            "a line of more than {} MB was not searched",
            MAX_LINE_BYTES / 1_000_000
        ));
    }
}

/// Finds the run of a line. Asked in order; lines are counted only if there is more than
/// one run.
struct Runs<'a> {
    piece: &'a Piece<'a>,
    runs: &'a [Run],
    /// Lines before the first of `runs`.
    before: u64,
    /// Offset up to which lines are counted, and their number.
    counted: (usize, u64),
}

impl<'a> Runs<'a> {
    fn new(piece: &'a Piece<'a>) -> Self {
        Self {
            piece,
            runs: &piece.file.runs,
            before: 0,
            counted: (0, piece.lines),
        }
    }

    /// Returns the run of the line that begins at offset `at`.
    fn find_run(&mut self, at: usize) -> Option<&'a Run> {
        if self.piece.file.runs.len() > 1 {
            let (to, lines) = self.counted;
            let line = lines + memchr::memchr_iter(b'\n', &self.piece.text[to..at]).count() as u64;
            self.counted = (at, line);
            while line >= self.before + self.runs.first()?.lines {
                self.before += self.runs.first()?.lines;
                self.runs = &self.runs[1..];
            }
        }
        self.runs.first()
    }
}
