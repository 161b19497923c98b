//! Stores the lines of a local file: collapse, check, cut, write.
//!
//! Each piece is expanded again and compared with what was read before it is written.
//! Lines that do not expand exactly are stored verbatim and counted.

use std::sync::Arc;

use crate::domain::{SessionFile, SessionId};
use crate::localize::error::StoredDataError;
use crate::localize::line_reader::StoredLineReader;
use crate::localize::local_piece::{LocalPiece, PieceSource};
use crate::localize::localizer::{Localizer, SecretChoice};
use crate::localize::run_projects::{RunProject, RunProjects};
use crate::localize::stored_text::{LocalText, StoredText, text_kind};
use crate::rewrite::{Collapser, Expander, SecretView, TextKind};
use crate::session::{Facts, continued::Continued, files::is_verbatim, repair::damaged_lines};
use crate::store::Transaction;
use crate::store::manifest::{Manifest, PlaceholdersKey, Run, StoredFile};
use crate::store::segment::{FileBuilder, count_lines, full_segments, offset_after_lines};

/// Collapses the lines of one session on this machine.
pub(crate) struct Collector<'a> {
    localizer: &'a Localizer,
    projects: RunProjects<'a>,
    /// By the indexes of the projects.
    collapsers: Vec<LineCollapser>,
    /// The id in the local file, if the lines are stored under another one (a fork).
    written_as: Option<SessionId>,
}

/// Collapses lines that were written in one project.
struct LineCollapser {
    collapser: Arc<Collapser>,
    /// Replaces secrets only.
    secret_collapser: Arc<Collapser>,
    exact_expander: Arc<Expander>,
    /// The run of these lines.
    run: Run,
}

/// The file of a session that is being stored.
pub(crate) struct StoreTarget<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) file: &'a SessionFile,
    /// The stored file whose first lines are kept.
    pub(crate) earlier: Option<(&'a StoredText<'a>, Continuation)>,
    /// Stored lines that follow the local ones.
    pub(crate) after: &'a [StoredLine],
}

/// A line of the store, with the run that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredLine {
    pub(crate) run: Run,
    pub(crate) portable: Vec<u8>,
    /// The line as its machine wrote it.
    pub(crate) written: Vec<u8>,
}

/// The position at which a stored file continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Continuation {
    /// Stored lines that stay.
    pub(crate) lines: u64,
    /// True if the last of them gets a line end.
    pub(crate) close: bool,
    /// Offset of the new lines in the local file.
    pub(crate) offset: u64,
}

/// Counts of the collected lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CollectStats {
    /// New lines.
    pub(crate) lines: u64,
    /// Their bytes on this machine.
    pub(crate) bytes: u64,
    /// Lines among them that are stored verbatim because collapsing them would not be
    /// exact.
    pub(crate) verbatim: u64,
    /// Complete lines among them that are not records.
    pub(crate) damaged: u64,
    /// Secrets among them that became placeholders.
    pub(crate) masked: u64,
    /// Secrets among them that are stored.
    pub(crate) reported: u64,
}

impl std::ops::AddAssign for CollectStats {
    fn add_assign(&mut self, more: Self) {
        self.lines += more.lines;
        self.bytes += more.bytes;
        self.verbatim += more.verbatim;
        self.damaged += more.damaged;
        self.masked += more.masked;
        self.reported += more.reported;
    }
}

impl<'a> Collector<'a> {
    pub(crate) fn new(
        localizer: &'a Localizer,
        projects: RunProjects<'a>,
        written_as: Option<SessionId>,
    ) -> Self {
        Self {
            localizer,
            projects,
            collapsers: Vec::new(),
            written_as,
        }
    }

    /// Returns the projects that the lines so far were written in; the first one is that of the
    /// session.
    pub(crate) fn projects(&self) -> &[RunProject] {
        self.projects.projects()
    }

    /// Stores a local file: the kept lines of the earlier one, then those of `local`.
    ///
    /// `facts` takes in the new lines of a transcript.
    pub(crate) fn store(
        &mut self,
        tx: &mut Transaction<'_>,
        target: &StoreTarget<'_>,
        local: &mut LocalText,
        mut facts: Option<&mut Facts>,
    ) -> Result<(StoredFile, CollectStats), StoredDataError> {
        let (session, name) = (target.session, target.file);
        let mut failure = None;
        let mut emit = emitter(tx, session, name, &mut failure);
        let mut builder = match target.earlier {
            None => FileBuilder::empty(),
            Some((stored, from)) => resume(self.localizer, stored, from, &mut emit)?,
        };
        let mut collected = CollectStats::default();
        let mut text_lines = target.earlier.map_or(0, |(_, from)| from.lines);
        let source = PieceSource {
            session,
            file: name,
        };
        let mut unterminated = None;
        let lines_only = name.is_append_only();
        loop {
            let piece = local.next_lines()?;
            if piece.is_empty() {
                break;
            }
            if lines_only {
                collected.damaged += damaged_lines(&piece);
            }
            let piece = LocalPiece::search(self.localizer, &piece, source, text_lines)?;
            text_lines += count_lines(piece.text);
            collected.masked += piece.masked;
            collected.reported += piece.reported;
            let secrets = self.localizer.secret_view(SecretChoice::Local);
            let mut at = 0;
            for (lines, collapser) in self.divide(name, piece.text) {
                let part = piece.part(at..at + lines.len());
                at += lines.len();
                collected += if is_verbatim(name) && part.secrets.is_empty() {
                    collapser.append_as_it_is(&mut builder, lines, &mut emit)
                } else {
                    let appended = collapser.append(&mut builder, name, &part, secrets, &mut emit);
                    appended.map_err(|line| StoredDataError::UnmaskedSecret {
                        file: name.key().to_owned(),
                        line,
                    })?
                };
            }
            if let Some(facts) = facts.as_deref_mut() {
                facts.absorb(&piece.redacted());
            }
            let piece = piece.text;
            unterminated = (piece.last() != Some(&b'\n')).then(|| last_line(piece).to_vec());
        }
        if !target.after.is_empty() && unterminated.is_some() {
            builder.close_line();
        }
        for line in target.after {
            builder.append(&line.run, &line.portable, &line.written, &mut emit);
            if let Some(facts) = facts.as_deref_mut() {
                facts.absorb(&line.written);
            }
        }
        let unterminated = unterminated.filter(|_| target.after.is_empty());
        if lines_only && unterminated.is_some_and(|line| !is_complete_json(&line)) {
            builder.mark_last_line_torn();
        }
        let file = builder.finish(&mut emit);
        drop(emit);
        self.localizer.save_secrets()?;
        if file.lines() != file.runs.iter().map(|run| run.lines).sum::<u64>() {
            // A line would begin before another one ends. Nothing of this is committed.
            return Err(StoredDataError::Inconsistent {
                session: session.clone(),
            });
        }
        failure.map_or(Ok((file, collected)), Err)
    }

    /// Divides lines among the projects in which they were written.
    fn divide<'t>(
        &mut self,
        file: &SessionFile,
        lines: &'t [u8],
    ) -> Vec<(&'t [u8], &LineCollapser)> {
        let pieces = match file {
            SessionFile::Transcript => self.projects.divide(lines),
            SessionFile::Named(_) => vec![(lines, 0)],
        };
        let new = &self.projects.projects()[self.collapsers.len()..];
        let (localizer, written_as) = (self.localizer, &self.written_as);
        let new = new
            .iter()
            .map(|project| LineCollapser::new(localizer, project, written_as.clone()));
        self.collapsers.extend(new);
        let pieces = pieces.into_iter();
        pieces
            .map(|(lines, project)| (lines, &self.collapsers[project]))
            .collect()
    }
}

impl LineCollapser {
    fn new(localizer: &Localizer, project: &RunProject, written_as: Option<SessionId>) -> Self {
        let placeholders = &project.placeholders;
        Self {
            collapser: localizer.collapser(placeholders, &project.directories),
            secret_collapser: localizer.secret_collapser(),
            exact_expander: localizer.exact_expander(placeholders),
            run: Run {
                machine: localizer.machine().clone(),
                placeholders: PlaceholdersKey::new(placeholders),
                lines: 0,
                verbatim: false,
                torn: false,
                written_as,
            },
        }
    }

    /// Collapses `piece`, checks it, and appends it.
    ///
    /// # Errors
    /// The number of a line with a secret that cannot be replaced exactly.
    fn append(
        &self,
        builder: &mut FileBuilder,
        file: &SessionFile,
        piece: &LocalPiece<'_>,
        secrets: SecretView<'_>,
        emit: &mut dyn FnMut(usize, Vec<u8>),
    ) -> Result<CollectStats, u64> {
        let mut collected = CollectStats {
            lines: count_lines(piece.text),
            bytes: piece.text.len() as u64,
            ..CollectStats::default()
        };
        let kind = text_kind(file);
        let whole = [self.collapser_for(file)];
        if let Some(portable) = self.exact_form(&whole, piece, kind, secrets) {
            builder.append(&self.run(false), &portable, &piece.written(), emit);
            return Ok(collected);
        }
        // Some line does not expand exactly: keep that one unchanged but for its secrets, and
        // collapse the others.
        let collapsers = [self.collapser_for(file), &self.secret_collapser];
        let mut at = 0;
        while at < piece.text.len() {
            let end = at + offset_after_lines(&piece.text[at..], 1);
            let line = piece.part(at..end);
            let collapsers = &collapsers[..1 + usize::from(!line.secrets.is_empty())];
            let portable = self.exact_form(collapsers, &line, kind, secrets);
            if portable.is_none() && !line.secrets.is_empty() {
                return Err(line.first_line);
            }
            collected.verbatim += u64::from(portable.is_none());
            let run = self.run(portable.is_none());
            let portable = portable.as_deref().unwrap_or(line.text);
            builder.append(&run, portable, &line.written(), emit);
            at = end;
        }
        Ok(collected)
    }

    /// Returns the collapser for a file: of copies of a user's files, only secrets are replaced.
    fn collapser_for(&self, file: &SessionFile) -> &Collapser {
        if is_verbatim(file) {
            &self.secret_collapser
        } else {
            &self.collapser
        }
    }

    /// Returns the portable form of a piece, by the first of the collapsers whose form expands
    /// exactly.
    fn exact_form(
        &self,
        collapsers: &[&Collapser],
        piece: &LocalPiece<'_>,
        kind: TextKind,
        secrets: SecretView<'_>,
    ) -> Option<Vec<u8>> {
        collapsers.iter().find_map(|collapser| {
            let mut portable = Vec::with_capacity(piece.text.len());
            collapser.collapse_with(piece.text, kind, &piece.secrets, &mut portable);
            self.is_exact(&portable, piece.text, kind, secrets)
                .then_some(portable)
        })
    }

    /// Appends `piece` unchanged: the file is the same on every machine.
    fn append_as_it_is(
        &self,
        builder: &mut FileBuilder,
        piece: &[u8],
        emit: &mut dyn FnMut(usize, Vec<u8>),
    ) -> CollectStats {
        builder.append(&self.run(true), piece, piece, emit);
        CollectStats {
            lines: count_lines(piece),
            bytes: piece.len() as u64,
            ..CollectStats::default()
        }
    }

    fn is_exact(
        &self,
        portable: &[u8],
        local: &[u8],
        kind: TextKind,
        secrets: SecretView<'_>,
    ) -> bool {
        let mut again = Vec::with_capacity(local.len());
        // Readers use the same expansion limit, so it is checked within that.
        let done = self
            .exact_expander
            .expand_bounded(portable, kind, secrets, &mut again);
        done.is_ok() && again == local && count_lines(portable) == count_lines(local)
    }

    fn run(&self, verbatim: bool) -> Run {
        Run {
            verbatim,
            ..self.run.clone()
        }
    }
}

/// Returns a builder that continues at `from`.
pub(crate) fn resume(
    localizer: &Localizer,
    stored: &StoredText<'_>,
    from: Continuation,
    emit: &mut dyn FnMut(usize, Vec<u8>),
) -> Result<FileBuilder, StoredDataError> {
    let whole = full_segments(stored.file, from.lines);
    let sealed: u64 = stored.file.segments[..whole].iter().map(|s| s.lines).sum();
    let (mut open, mut open_local) = (Vec::new(), Vec::new());
    let mut left = from.lines - sealed;
    if left > 0 {
        stored.walk(sealed, &mut |piece| {
            let take = left.min(piece.lines);
            let text = &piece.text[..offset_after_lines(piece.text, take as usize)];
            open.extend_from_slice(text);
            let written = StoredLineReader::as_written(
                localizer,
                stored.manifest,
                piece.run,
                stored.kind(),
                text,
            )?;
            open_local.extend_from_slice(&written);
            left -= take;
            Ok(left > 0)
        })?;
    }
    let mut builder = FileBuilder::resume(stored.file, from.lines, &open, &open_local, emit);
    if from.close {
        builder.close_line();
    }
    Ok(builder)
}

/// Returns a callback that writes segments to `tx`. It keeps the first error, because the
/// builder cannot fail.
pub(crate) fn emitter<'a>(
    tx: &'a mut Transaction<'_>,
    session: &'a SessionId,
    name: &'a SessionFile,
    failure: &'a mut Option<StoredDataError>,
) -> impl FnMut(usize, Vec<u8>) + 'a {
    move |number, text| {
        if failure.is_none() {
            *failure = tx
                .write_segment(session, name, number, text)
                .err()
                .map(StoredDataError::from);
        }
    }
}

/// Gives `session` the segments of `stored` that are within its first `lines` lines.
pub(crate) fn share_segments(
    tx: &mut Transaction<'_>,
    session: &SessionId,
    stored: &StoredText<'_>,
    lines: u64,
) -> Result<(), StoredDataError> {
    for number in 0..full_segments(stored.file, lines) {
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

/// Records the `facts` in `manifest`, and removes placeholders of no run. Collapses titles like any
/// text.
pub(crate) fn describe(manifest: &mut Manifest, localizer: &Localizer, facts: Facts) {
    let collapse = |title: Option<String>| title.map(|title| collapse_title(localizer, &title));
    let titles = &mut manifest.titles;
    titles.custom = collapse(facts.custom_title).or(titles.custom.take());
    titles.ai = collapse(facts.ai_title).or(titles.ai.take());
    titles.last_prompt = collapse(facts.last_prompt).or(titles.last_prompt.take());
    titles.first_prompt = titles.first_prompt.take().or(collapse(facts.first_prompt));
    let labels = &mut manifest.labels;
    if let Some(tag) = collapse(facts.tag) {
        labels.tag = (!tag.is_empty()).then_some(tag);
    }
    labels.headless = facts.headless.unwrap_or(labels.headless);
    manifest.last_activity = manifest.last_activity.take().max(facts.last_activity);
    manifest.bound |= facts.bound;
    match facts.continued {
        Continued::Unchanged => {}
        Continued::Here => manifest.continued_in = None,
        Continued::In(successor) => manifest.continued_in = Some(successor),
    }
    manifest.prune_placeholders();
}

/// Returns the portable form of a title.
pub(crate) fn collapse_title(localizer: &Localizer, title: &str) -> String {
    let mut portable = Vec::new();
    localizer.collapser(localizer.placeholders(), &[]).collapse(
        title.as_bytes(),
        TextKind::Plain,
        &mut portable,
    );
    String::from_utf8(portable).unwrap_or_else(|_| title.to_owned())
}

fn last_line(text: &[u8]) -> &[u8] {
    memchr::memrchr(b'\n', text).map_or(text, |at| &text[at + 1..])
}

/// Returns true if an unterminated last line is a complete record.
pub(crate) fn is_complete_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}
