//! Cutting a file into segments as it is written.
//!
//! Owns the cut rule: a segment ends at the first line end at or past [`CUT`] bytes of portable text, or in the middle of a line at
//! [`LIMIT`]. The cuts are a pure function of the text before them, so equal prefixes are equal segments and sealed
//! segments never change. Must not know about git or rewriting: it is given each line in both forms.

use memchr::{memchr, memchr_iter, memrchr};

use super::manifest::{Run, Segment, StoredFile, short_hash};

/// Segments end at the first line end at or past this many bytes.
pub const CUT: usize = 256 << 10;

/// No segment is longer than this, so that no stored file nears the 100 MB limit of hosting services.
pub const LIMIT: usize = 32 << 20;

/// A file of a session under construction. Segments leave through the `emit` argument as they are sealed.
pub struct FileBuilder {
    file: StoredFile,
    open: Vec<u8>,
    open_lines: u64,
    open_local_bytes: u64,
    open_local: blake3::Hasher,
}

/// Receives sealed segments: position in the file and portable text.
pub type Emit<'a> = dyn FnMut(usize, Vec<u8>) + 'a;

impl FileBuilder {
    /// An empty file.
    pub fn empty() -> Self {
        Self {
            file: StoredFile::default(),
            open: Vec::new(),
            open_lines: 0,
            open_local_bytes: 0,
            open_local: blake3::Hasher::new(),
        }
    }

    /// Goes on after the first `lines` lines of `stored`.
    ///
    /// `open` is the portable text after the last whole segment within those lines (see [`whole_segments`]) and
    /// `open_local` the same lines as their machines wrote them.
    pub fn resume(stored: &StoredFile, lines: u64, open: &[u8], open_local: &[u8], emit: &mut Emit<'_>) -> Self {
        let mut builder = Self::empty();
        builder.file.segments = stored.segments[..whole_segments(stored, lines)].to_vec();
        builder.file.runs = first_runs(&stored.runs, lines);
        builder.file.superseded = stored.superseded.clone();
        builder.feed(open, open_local, emit);
        builder
    }

    /// Appends whole lines (or, at the very end, one unterminated line) in both forms; `run.lines` is ignored.
    ///
    /// Both forms must hold the same number of line ends.
    pub fn append(&mut self, run: &Run, portable: &[u8], local: &[u8], emit: &mut Emit<'_>) {
        debug_assert_eq!(count_lines(portable), count_lines(local), "rewriting never adds or removes a line end");
        self.count_run(run, count_lines(portable));
        self.feed(portable, local, emit);
    }

    fn feed(&mut self, mut portable: &[u8], mut local: &[u8], emit: &mut Emit<'_>) {
        while !portable.is_empty() {
            let take = self.cut_at(portable);
            let ends = memchr_iter(b'\n', &portable[..take]).count();
            let is_rest = take == portable.len();
            let local_take = if is_rest { local.len() } else { offset_after_lines(local, ends) };
            self.grow(&portable[..take], &local[..local_take], ends, is_rest);
            (portable, local) = (&portable[take..], &local[local_take..]);
            if self.is_full() {
                self.seal(emit);
            }
        }
    }

    /// Ends an unterminated last line, so that lines of another machine can follow it.
    pub fn close_line(&mut self) {
        self.open.push(b'\n');
        self.open_local.update(b"\n");
        self.open_local_bytes += 1;
    }

    /// Marks the last line as one that its machine never finished.
    pub fn mark_last_line_torn(&mut self) {
        let Some(last) = self.file.runs.last_mut() else { return };
        if last.torn {
            return;
        }
        let torn = Run { lines: 1, torn: true, ..last.clone() };
        last.lines -= 1;
        if last.lines == 0 {
            self.file.runs.pop();
        }
        self.file.runs.push(torn);
    }

    /// Emits the open segment and returns the finished description.
    pub fn finish(mut self, emit: &mut Emit<'_>) -> StoredFile {
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
            _ => self.file.runs.push(Run { lines, ..run.clone() }),
        }
    }

    /// How many bytes of `portable` belong to the open segment.
    fn cut_at(&self, portable: &[u8]) -> usize {
        let room = LIMIT - self.open.len();
        let from = CUT.saturating_sub(self.open.len() + 1).min(portable.len());
        let line_end = memchr(b'\n', &portable[from..]).map_or(portable.len(), |at| from + at + 1);
        line_end.min(room)
    }

    fn is_full(&self) -> bool {
        self.open.len() >= LIMIT || self.open.len() >= CUT && self.open.last() == Some(&b'\n')
    }

    fn grow(&mut self, portable: &[u8], local: &[u8], line_ends: usize, is_rest: bool) {
        let unterminated = is_rest && portable.last() != Some(&b'\n');
        self.open.extend_from_slice(portable);
        self.open_lines += line_ends as u64 + u64::from(unterminated);
        self.open_local.update(local);
        self.open_local_bytes += local.len() as u64;
    }

    fn seal(&mut self, emit: &mut Emit<'_>) {
        let text = std::mem::take(&mut self.open);
        self.file.unterminated = text.last().is_some_and(|b| *b != b'\n');
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

/// How many leading segments of `stored` are sealed and lie wholly within its first `lines` lines.
///
/// The last segment of a file counts as sealed only if it is full by the cut rule.
pub fn whole_segments(stored: &StoredFile, lines: u64) -> usize {
    let mut seen = 0;
    let mut whole = 0;
    let terminated = stored.segments.len() - usize::from(stored.unterminated && !stored.segments.is_empty());
    for segment in &stored.segments[..terminated] {
        seen += segment.lines;
        // A segment cut in the middle of a line (only past LIMIT) is never whole by itself: its line ends later.
        if seen > lines || segment.bytes < CUT as u64 || segment.bytes >= LIMIT as u64 {
            break;
        }
        whole += 1;
    }
    whole
}

/// The runs of the first `lines` lines.
fn first_runs(runs: &[Run], mut lines: u64) -> Vec<Run> {
    let mut first = Vec::new();
    for run in runs {
        let take = run.lines.min(lines);
        if take > 0 {
            first.push(Run { lines: take, ..run.clone() });
        }
        lines -= take;
    }
    first
}

fn same_writer(a: &Run, b: &Run) -> bool {
    a.machine == b.machine && a.roots == b.roots && a.verbatim == b.verbatim && a.written_as == b.written_as
}

/// Lines in `text`, an unterminated last one included.
pub fn count_lines(text: &[u8]) -> u64 {
    let ends = memchr_iter(b'\n', text).count() as u64;
    ends + u64::from(text.last().is_some_and(|b| *b != b'\n'))
}

/// Offset just after the `lines`-th line end of `text`, or its length if it has fewer.
pub fn offset_after_lines(text: &[u8], lines: usize) -> usize {
    match lines.checked_sub(1) {
        None => 0,
        Some(nth) => memchr_iter(b'\n', text).nth(nth).map_or(text.len(), |at| at + 1),
    }
}

/// Length of the part of `text` that ends with a line end.
pub fn whole_lines_len(text: &[u8]) -> usize {
    memrchr(b'\n', text).map_or(0, |at| at + 1)
}
