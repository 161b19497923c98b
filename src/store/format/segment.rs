//! Cutting the text of a session's file into segments.
//!
//! A segment ends at the first line end at or past [`MIN_SEGMENT_BYTES`] of portable text, or in
//! the middle of a line at [`MAX_SEGMENT_BYTES`]. The cuts depend on the text before them alone,
//! so equal beginnings of files are equal segments, and a full segment never changes. Must not
//! know git or rewrite text: it is given each line in both forms.

use memchr::{memchr, memchr_iter, memrchr};

use super::manifest::{Run, Segment, StoredFile, short_hash};

/// A segment ends at the first line end at or past this many bytes.
pub const MIN_SEGMENT_BYTES: usize = 256 << 10;

/// Largest segment. Hosting services refuse files of 100 MB.
pub const MAX_SEGMENT_BYTES: usize = 32 << 20;

/// Largest file of the store, with some room. Larger ones are not this program's.
pub(crate) const MAX_FILE_BYTES: usize = MAX_SEGMENT_BYTES + MIN_SEGMENT_BYTES;

/// The sizes at which segments end. Tests use small ones.
#[derive(Debug, Clone, Copy)]
struct Cuts {
    min: usize,
    max: usize,
}

const CUTS: Cuts = Cuts {
    min: MIN_SEGMENT_BYTES,
    max: MAX_SEGMENT_BYTES,
};

/// Cuts a file. Segments leave through the `emit` argument as soon as they are complete.
///
/// A full segment is emitted when text follows it: only then is it known if its last line ends.
pub struct FileBuilder {
    cuts: Cuts,
    file: StoredFile,
    open: Vec<u8>,
    open_lines: u64,
    open_local_bytes: u64,
    open_local: blake3::Hasher,
    /// The unterminated last line as its machine wrote it. It counts for the segment where it ends.
    tail_local: Vec<u8>,
    /// True if that line must be ended before more text follows.
    is_closing: bool,
}

/// Receives complete segments: number in the file, and portable text.
pub type Emit<'a> = dyn FnMut(usize, Vec<u8>) + 'a;

impl FileBuilder {
    /// Begins an empty file.
    pub fn empty() -> Self {
        Self::with_cuts(CUTS)
    }

    fn with_cuts(cuts: Cuts) -> Self {
        Self {
            cuts,
            file: StoredFile::default(),
            open: Vec::new(),
            open_lines: 0,
            open_local_bytes: 0,
            open_local: blake3::Hasher::new(),
            tail_local: Vec::new(),
            is_closing: false,
        }
    }

    /// Continues after the first `lines` lines of `stored`.
    ///
    /// `open` is the portable text after the last full segment within these lines (see
    /// [`full_segments`]), and `open_local` is the same lines as their machines wrote them.
    pub fn resume(
        stored: &StoredFile,
        lines: u64,
        open: &[u8],
        open_local: &[u8],
        emit: &mut Emit<'_>,
    ) -> Self {
        Self::empty().resumed(stored, lines, open, open_local, emit)
    }

    fn resumed(
        mut self,
        stored: &StoredFile,
        lines: u64,
        open: &[u8],
        open_local: &[u8],
        emit: &mut Emit<'_>,
    ) -> Self {
        let full = self.cuts.full_segments(stored, lines);
        self.file.segments = stored.segments[..full].to_vec();
        self.file.runs = first_runs(&stored.runs, lines);
        self.file
            .previous_hashes
            .clone_from(&stored.previous_hashes);
        self.feed(open, open_local, emit);
        self
    }

    /// Appends lines in both forms, which have the same number of line ends.
    ///
    /// Only the very last line of a file may be unterminated. `run.lines` is ignored.
    pub fn append(&mut self, run: &Run, portable: &[u8], local: &[u8], emit: &mut Emit<'_>) {
        debug_assert_eq!(
            count_lines(portable),
            count_lines(local),
            "rewriting never adds or removes a line end"
        );
        self.count_run(run, count_lines(portable));
        self.feed(portable, local, emit);
    }

    fn feed(&mut self, portable: &[u8], local: &[u8], emit: &mut Emit<'_>) {
        if portable.is_empty() {
            return;
        }
        self.end_line(emit);
        self.grow(portable, local, emit);
    }

    fn grow(&mut self, mut portable: &[u8], mut local: &[u8], emit: &mut Emit<'_>) {
        while !portable.is_empty() {
            if self.is_full() {
                self.seal(emit);
            }
            let (now, later) = portable.split_at(self.cut_at(portable));
            let ends = memchr_iter(b'\n', now).count();
            let (now_local, later_local) = local.split_at(offset_after_lines(local, ends));
            self.open.extend_from_slice(now);
            self.open_lines += ends as u64;
            self.count_local(now_local);
            (portable, local) = (later, later_local);
        }
        self.tail_local.extend_from_slice(local);
    }

    fn count_local(&mut self, local: &[u8]) {
        self.open_local.update(local);
        self.open_local_bytes += local.len() as u64;
    }

    /// Ends an unterminated last line, so that lines of another machine can follow it.
    pub fn close_line(&mut self) {
        self.is_closing = self.is_unterminated();
    }

    /// Adds the line end that [`Self::close_line`] asked for. It is cut like any other byte.
    fn end_line(&mut self, emit: &mut Emit<'_>) {
        if std::mem::take(&mut self.is_closing) {
            let mut local = std::mem::take(&mut self.tail_local);
            local.push(b'\n');
            self.grow(b"\n", &local, emit);
        }
    }

    fn is_unterminated(&self) -> bool {
        self.open.last().is_some_and(|b| *b != b'\n')
    }

    /// Marks the last line as one that its machine never finished.
    pub fn mark_last_line_torn(&mut self) {
        let Some(last) = self.file.runs.last_mut().filter(|run| !run.torn) else {
            return;
        };
        let torn = Run {
            lines: 1,
            torn: true,
            ..last.clone()
        };
        last.lines -= 1;
        if last.lines == 0 {
            self.file.runs.pop();
        }
        self.file.runs.push(torn);
    }

    /// Emits the open segment and returns the description of the file.
    pub fn finish(mut self, emit: &mut Emit<'_>) -> StoredFile {
        self.end_line(emit);
        self.file.unterminated = self.is_unterminated();
        if self.file.unterminated {
            self.open_lines += 1;
            let tail = std::mem::take(&mut self.tail_local);
            self.count_local(&tail);
        }
        if !self.open.is_empty() {
            self.seal(emit);
        }
        self.file
    }

    fn count_run(&mut self, run: &Run, lines: u64) {
        if lines == 0 {
            return;
        }
        match self.file.runs.last_mut() {
            Some(last) if !last.torn && !run.torn && same_writer(last, run) => last.lines += lines,
            _ => self.file.runs.push(Run {
                lines,
                ..run.clone()
            }),
        }
    }

    /// Returns how many bytes of `portable` belong to the open segment.
    fn cut_at(&self, portable: &[u8]) -> usize {
        let room = self.cuts.max - self.open.len();
        let missing = self.cuts.min.saturating_sub(self.open.len() + 1);
        let from = missing.min(portable.len());
        let line_end = memchr(b'\n', &portable[from..]).map_or(portable.len(), |at| from + at + 1);
        line_end.min(room)
    }

    fn is_full(&self) -> bool {
        self.open.len() >= self.cuts.max
            || self.open.len() >= self.cuts.min && !self.is_unterminated()
    }

    fn seal(&mut self, emit: &mut Emit<'_>) {
        let text = std::mem::take(&mut self.open);
        self.file.segments.push(Segment {
            bytes: text.len() as u64,
            lines: std::mem::take(&mut self.open_lines),
            local_bytes: std::mem::take(&mut self.open_local_bytes),
            local_hash: short_hash(&self.open_local),
        });
        self.open_local.reset();
        emit(self.file.segments.len() - 1, text);
    }
}

/// Counts the full segments at the beginning of `stored` that are within its first `lines` lines.
pub fn full_segments(stored: &StoredFile, lines: u64) -> usize {
    CUTS.full_segments(stored, lines)
}

impl Cuts {
    fn full_segments(self, stored: &StoredFile, lines: u64) -> usize {
        let mut seen = 0;
        let is_full = |segment: &&Segment| {
            seen += segment.lines;
            // A segment of the maximum size may end in the middle of a line, which ends later.
            seen <= lines && (self.min as u64..self.max as u64).contains(&segment.bytes)
        };
        let terminated = stored
            .segments
            .len()
            .saturating_sub(usize::from(stored.unterminated));
        stored.segments[..terminated]
            .iter()
            .take_while(is_full)
            .count()
    }
}

/// Returns the runs of the first `lines` lines.
fn first_runs(runs: &[Run], mut lines: u64) -> Vec<Run> {
    let mut first = Vec::new();
    for run in runs {
        let take = run.lines.min(lines);
        if take > 0 {
            first.push(Run {
                lines: take,
                ..run.clone()
            });
        }
        lines -= take;
    }
    first
}

fn same_writer(a: &Run, b: &Run) -> bool {
    a.machine == b.machine
        && a.placeholders == b.placeholders
        && a.verbatim == b.verbatim
        && a.written_as == b.written_as
}

/// Counts the lines of `text`, including an unterminated last one.
pub fn count_lines(text: &[u8]) -> u64 {
    let ends = memchr_iter(b'\n', text).count() as u64;
    ends + u64::from(text.last().is_some_and(|b| *b != b'\n'))
}

/// Returns the offset after the `lines`-th line end of `text`, or its length if it has fewer.
pub fn offset_after_lines(text: &[u8], lines: usize) -> usize {
    match lines.checked_sub(1) {
        None => 0,
        Some(nth) => memchr_iter(b'\n', text)
            .nth(nth)
            .map_or(text.len(), |at| at + 1),
    }
}

/// Returns the length of `text` up to its last line end.
pub fn whole_lines_len(text: &[u8]) -> usize {
    memrchr(b'\n', text).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::manifest::PlaceholdersKey;

    const SMALL: Cuts = Cuts { min: 8, max: 24 };

    /// A file and the text of its segments.
    type Built = (StoredFile, Vec<Vec<u8>>);

    /// Returns the form on the machine's disk, which has other lengths.
    fn local(portable: &[u8]) -> Vec<u8> {
        String::from_utf8_lossy(portable)
            .replace('a', "AAA")
            .into_bytes()
    }

    fn run(machine: char) -> Run {
        let machine = machine.to_string().repeat(32).parse().unwrap();
        let placeholders: PlaceholdersKey = serde_json::from_str("\"0123456789abcdef\"").unwrap();
        Run {
            machine,
            placeholders,
            lines: 0,
            verbatim: false,
            torn: false,
            written_as: None,
        }
    }

    fn build(pieces: &[&[u8]], closing: bool) -> Built {
        build_on(FileBuilder::with_cuts(SMALL), Vec::new(), pieces, closing)
    }

    fn build_on(
        mut builder: FileBuilder,
        mut texts: Vec<Vec<u8>>,
        pieces: &[&[u8]],
        closing: bool,
    ) -> Built {
        let mut emit = |number: usize, text: Vec<u8>| {
            assert_eq!(number, texts.len(), "segments come in order");
            texts.push(text);
        };
        for piece in pieces {
            builder.append(&run('a'), piece, &local(piece), &mut emit);
        }
        if closing {
            builder.close_line();
        }
        (builder.finish(&mut emit), texts)
    }

    /// Continues after the first `lines` lines of `built`, as a later push does.
    fn resume(built: &Built, lines: u64, closing: bool, more: &[&[u8]]) -> Built {
        let (stored, texts) = built;
        let whole = SMALL.full_segments(stored, lines);
        let sealed: u64 = stored.segments[..whole].iter().map(|s| s.lines).sum();
        let open = texts[whole..].concat();
        let open = &open[..offset_after_lines(&open, (lines - sealed) as usize)];
        let mut texts = texts[..whole].to_vec();
        let mut builder = FileBuilder::with_cuts(SMALL).resumed(
            stored,
            lines,
            open,
            &local(open),
            &mut |number, text| {
                assert_eq!(number, texts.len());
                texts.push(text);
            },
        );
        if closing {
            builder.close_line();
        }
        build_on(builder, texts, more, false)
    }

    /// Generates lines around the sizes of the cuts. The last one may be unterminated.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        (
            proptest::collection::vec("[ab]{0,12}|[ab]{20,60}|b{23}|b{24}|b{48}", 0..16),
            any::<bool>(),
        )
            .prop_map(|(lines, terminated)| {
                let mut text = lines.join("\n").into_bytes();
                if terminated && !text.is_empty() && text.last() != Some(&b'\n') {
                    text.push(b'\n');
                }
                text
            })
    }

    /// Cuts `text` after the lines that `at` marks.
    fn split<'t>(text: &'t [u8], at: &[bool]) -> Vec<&'t [u8]> {
        let mut pieces = vec![&text[..0]];
        let mut start = 0;
        for (line, ends_piece) in text.split_inclusive(|b| *b == b'\n').zip(at.iter().cycle()) {
            let end = pieces.last().unwrap().len() + line.len();
            *pieces.last_mut().unwrap() = &text[start..start + end];
            if *ends_piece {
                start += end;
                pieces.push(&text[start..start]);
            }
        }
        pieces
    }

    proptest! {
        #[test]
        fn segments_joined_equal_the_text(text in text()) {
            let (file, texts) = build(&[&text], false);
            prop_assert_eq!(texts.concat(), text.clone());
            prop_assert_eq!(file.lines(), count_lines(&text));
            prop_assert_eq!(file.local_bytes(), local(&text).len() as u64);
            prop_assert_eq!(file.unterminated, text.last().is_some_and(|b| *b != b'\n'));
            prop_assert_eq!(file.runs.iter().map(|r| r.lines).sum::<u64>(), file.lines());
            for (segment, text) in file.segments.iter().zip(&texts) {
                prop_assert_eq!(segment.bytes, text.len() as u64);
                prop_assert!(text.len() <= SMALL.max && !text.is_empty());
            }
            // All but the last are full, and no byte longer than necessary.
            for text in texts.iter().rev().skip(1) {
                let by_line = text.len() >= SMALL.min && text.ends_with(b"\n");
                prop_assert!(by_line || text.len() == SMALL.max);
                prop_assert!(!text[SMALL.min - 1..text.len() - 1].contains(&b'\n'));
            }
        }

        #[test]
        fn segments_cuts_depend_on_text_alone(text in text(), at in proptest::collection::vec(any::<bool>(), 1..8)) {
            let whole = build(&[&text], false);
            let pieces = split(&text, &at);
            prop_assert_eq!(&build(&pieces, false), &whole);
            // A push after each piece gives the same file.
            let mut grown = build(&[], false);
            for piece in pieces {
                grown = resume(&grown, grown.0.lines(), false, &[piece]);
            }
            prop_assert_eq!(&grown, &whole);
        }

        #[test]
        fn segments_sealed_segment_never_changes(text in text(), more in text()) {
            let before = build(&[&text], false);
            let sealed = SMALL.full_segments(&before.0, before.0.lines());
            let after = resume(&before, before.0.lines(), true, &[&more]);
            prop_assert_eq!(&after.0.segments[..sealed], &before.0.segments[..sealed]);
            prop_assert_eq!(&after.1[..sealed], &before.1[..sealed]);
        }

        #[test]
        fn segments_resume_equals_build_from_kept_lines(text in text(), part in 0.0..1.0f64, more in text()) {
            let whole = build(&[&text], false);
            let lines = (whole.0.lines() as f64 * part) as u64;
            let kept = &text[..offset_after_lines(&text, lines as usize)];
            prop_assert_eq!(resume(&whole, lines, false, &[&more]), build(&[kept, &more], false));
        }

        #[test]
        fn segments_closed_last_line_equals_terminated_line(text in text(), more in text()) {
            let mut closed = text.clone();
            if text.last().is_some_and(|b| *b != b'\n') {
                closed.push(b'\n');
            }
            let unclosed = build(&[&text], false);
            let lines = unclosed.0.lines();
            prop_assert_eq!(build(&[&text], true), build(&[&closed], false));
            prop_assert_eq!(resume(&unclosed, lines, true, &[&more]), build(&[&closed, &more], false));
        }
    }
}
