//! The preview of a session: its last turns, wrapped to the width of the screen, and the
//! scroll position. Pure.

use chrono::{DateTime, Utc};
use textwrap::{Options, WordSplitter, wrap};

use super::key::PickerKey;
use crate::domain::{Turn, TurnSpeaker};
use crate::ui::{format::age, format::count, sanitize};

/// Maximum length of one turn, in characters.
const MAX_TEXT: usize = 10_000;
/// Maximum number of listed tools of one turn; more are only counted.
const MAX_TOOLS: usize = 12;

/// LineKind of a line, which selects its style.
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
    turns: Result<Vec<Turn>, String>,
    lines: Vec<PreviewLine>,
    /// Width that `lines` were wrapped to.
    width: usize,
    height: usize,
    /// Number of lines below the screen. Zero at first: users recognise a session by its
    /// end.
    below: usize,
}

impl PreviewPane {
    pub(super) fn new(turns: Result<Vec<Turn>, String>) -> Self {
        Self {
            turns,
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
            self.lines = lines(&self.turns, self.width, now);
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

    /// Handles a key: scrolls.
    pub(super) fn press(&mut self, key: PickerKey) {
        let (below, max) = (self.below, self.max_below());
        self.below = match key {
            PickerKey::Up => below + 1,
            PickerKey::PageUp => below + self.height,
            PickerKey::Home => max,
            PickerKey::Down => below.saturating_sub(1),
            PickerKey::PageDown | PickerKey::Char(' ') => below.saturating_sub(self.height),
            PickerKey::End => 0,
            _ => below,
        }
        .min(max);
    }

    fn max_below(&self) -> usize {
        self.lines.len().saturating_sub(self.height)
    }
}

/// Returns the turns in lines of at most `width` cells.
pub(super) fn lines(
    turns: &Result<Vec<Turn>, String>,
    width: usize,
    now: DateTime<Utc>,
) -> Vec<PreviewLine> {
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
