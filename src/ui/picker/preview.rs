//! The preview of a session: what is known about it, its last turns, wrapped to the width of the
//! screen, and the scroll position. Pure.

use chrono::{DateTime, Utc};
use textwrap::{Options, WordSplitter, wrap};

use super::row::PickerRow;
use crate::domain::{SessionId, Turn, TurnSpeaker};
use crate::ui::{format::age, format::count, sanitize};

/// Maximum length of one turn, in characters.
const MAX_TEXT: usize = 10_000;
/// Maximum number of previews that are kept for the next look.
const MAX_PANES: usize = 16;
/// Maximum number of listed tools of one turn; more are only counted.
const MAX_TOOLS: usize = 12;

/// Kind of a line, which selects its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    Heading,
    Text,
    Tool,
    Note,
}

/// One line that fits the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PreviewLine {
    pub(super) kind: LineKind,
    pub(super) text: String,
}

/// The turns of one session on the screen.
pub(super) struct PreviewPane {
    session: SessionId,
    /// `None` while they are being read.
    turns: Option<Turns>,
    lines: Vec<PreviewLine>,
    /// Width that `lines` were wrapped to; zero before that.
    width: usize,
    height: usize,
    /// Number of lines below the screen. Zero at first: users recognise a session by its
    /// end.
    below: usize,
}

/// The turns of a session, or the reason why they cannot be read.
pub(super) type Turns = Result<Vec<Turn>, String>;

/// A move over the lines of a preview.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scroll {
    Up(usize),
    Down(usize),
    PageUp,
    PageDown,
}

/// The previews that were shown last.
#[derive(Default)]
pub(super) struct Previews {
    /// The one shown last is at the end.
    panes: Vec<PreviewPane>,
}

impl Previews {
    /// Shows a session. Returns it if its turns are to be read.
    pub(super) fn show(&mut self, session: &SessionId) -> Option<SessionId> {
        let known = self.panes.iter().position(|pane| pane.session == *session);
        if let Some(known) = known {
            let pane = self.panes.remove(known);
            self.panes.push(pane);
            return None;
        }
        self.panes.push(PreviewPane::new(session.clone()));
        if self.panes.len() > MAX_PANES {
            self.panes.remove(0);
        }
        Some(session.clone())
    }

    /// Returns the preview of a session that was shown.
    pub(super) fn pane(&mut self, session: &SessionId) -> Option<&mut PreviewPane> {
        let mut panes = self.panes.iter_mut();
        panes.find(|pane| pane.session == *session)
    }

    pub(super) fn set_turns(&mut self, session: &SessionId, turns: Turns) {
        if let Some(pane) = self.pane(session) {
            pane.turns = Some(turns);
            pane.width = 0;
        }
    }

    /// Forgets everything: there may be newer turns.
    pub(super) fn refresh(&mut self) {
        self.panes.clear();
    }
}

impl PreviewPane {
    fn new(session: SessionId) -> Self {
        Self {
            session,
            turns: None,
            lines: Vec::new(),
            width: 0,
            height: 1,
            below: 0,
        }
    }

    /// Adapts to the size of the screen. Wraps again if the width changed.
    pub(super) fn fit(&mut self, width: usize, height: usize, now: DateTime<Utc>) {
        self.height = height.max(1);
        if self.width != width.max(1) {
            self.width = width.max(1);
            self.lines = match &self.turns {
                Some(turns) => lines(turns, self.width, now),
                None => Vec::new(),
            };
        }
        self.below = self.below.min(self.max_below());
    }

    /// Returns the lines on the screen, the index of the first one, and the number of all
    /// lines.
    pub(super) fn visible(&self) -> (&[PreviewLine], usize, usize) {
        let end = self.lines.len() - self.below;
        let start = end.saturating_sub(self.height);
        (&self.lines[start..end], start, self.lines.len())
    }

    pub(super) fn scroll(&mut self, scroll: Scroll) {
        let (below, max) = (self.below, self.max_below());
        self.below = match scroll {
            Scroll::Up(lines) => below.saturating_add(lines),
            Scroll::PageUp => below + self.height,
            Scroll::Down(lines) => below.saturating_sub(lines),
            Scroll::PageDown => below.saturating_sub(self.height),
        }
        .min(max);
    }

    fn max_below(&self) -> usize {
        self.lines.len().saturating_sub(self.height)
    }
}

/// Returns what is known about a session, a name and a value each.
pub(super) fn facts(row: &PickerRow) -> Vec<(&'static str, &str)> {
    let facts = [
        ("project", row.project.as_str()),
        ("branch", &row.branch),
        ("machine", &row.machine),
        ("open on", &row.lock),
        ("active", &row.age),
        ("size", &row.size),
        ("marks", &row.marks),
        ("id", row.session.as_str()),
    ];
    let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
    known.collect()
}

/// Returns the turns in lines of at most `width` cells.
pub(super) fn lines(turns: &Turns, width: usize, now: DateTime<Utc>) -> Vec<PreviewLine> {
    let mut lines = Vec::new();
    match turns {
        Err(reason) => push_wrapped(&mut lines, LineKind::Note, reason, "", width),
        Ok(turns) if turns.is_empty() => {
            push_wrapped(&mut lines, LineKind::Note, "no messages yet", "", width);
        }
        Ok(turns) => {
            let mut before = None;
            for turn in turns {
                let is_new_speaker = before.replace(turn.speaker) != Some(turn.speaker)
                    || turn.speaker == TurnSpeaker::User;
                if !lines.is_empty() {
                    push_wrapped(&mut lines, LineKind::Text, "", "", width);
                }
                if is_new_speaker {
                    push_wrapped(
                        &mut lines,
                        LineKind::Heading,
                        &heading(turn, now),
                        "",
                        width,
                    );
                }
                push_turn(&mut lines, turn, width);
            }
        }
    }
    lines
}

fn heading(turn: &Turn, now: DateTime<Utc>) -> String {
    let who = match turn.speaker {
        TurnSpeaker::User => "you",
        TurnSpeaker::Assistant => "assistant",
        TurnSpeaker::Client => "summary of earlier turns",
    };
    turn.time.map_or_else(
        || who.to_owned(),
        |time| format!("{who}, {}", age(time, now)),
    )
}

fn push_turn(lines: &mut Vec<PreviewLine>, turn: &Turn, width: usize) {
    let end = turn
        .text
        .char_indices()
        .nth(MAX_TEXT)
        .map_or(turn.text.len(), |(at, _)| at);
    for paragraph in turn.text[..end]
        .trim_end()
        .trim_start_matches(['\r', '\n'])
        .lines()
    {
        push_wrapped(lines, LineKind::Text, paragraph, "  ", width);
    }
    if end < turn.text.len() {
        push_wrapped(lines, LineKind::Note, "(and more)", "  ", width);
    }
    for tool in turn.tools.iter().take(MAX_TOOLS) {
        push_wrapped(lines, LineKind::Tool, tool, "  - ", width);
    }
    if turn.tools.len() > MAX_TOOLS {
        let more = format!(
            "(and {})",
            count((turn.tools.len() - MAX_TOOLS) as u64, "more tool")
        );
        push_wrapped(lines, LineKind::Note, &more, "  - ", width);
    }
}

/// Adds `text` in lines of at most `width` cells, indented by the length of `bullet`.
fn push_wrapped(
    lines: &mut Vec<PreviewLine>,
    kind: LineKind,
    text: &str,
    bullet: &str,
    width: usize,
) {
    let clean = sanitize::one_line(text.trim_end());
    if clean.is_empty() {
        lines.push(PreviewLine {
            kind,
            text: String::new(),
        });
        return;
    }
    // No indentation on very narrow screens.
    let bullet = if width > 4 * bullet.len() { bullet } else { "" };
    let indent = " ".repeat(bullet.len());
    let options = Options::new(width)
        .word_splitter(WordSplitter::NoHyphenation)
        .initial_indent(bullet)
        .subsequent_indent(&indent);
    lines.extend(wrap(&clean, options).into_iter().map(|line| PreviewLine {
        kind,
        text: line.into_owned(),
    }));
}
