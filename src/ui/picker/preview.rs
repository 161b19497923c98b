//! The look into a session: its last turns, wrapped to the width of the screen, and how far they are scrolled. Pure.

use chrono::{DateTime, Utc};
use textwrap::{Options, WordSplitter, wrap};

use super::key::Key;
use crate::domain::turn::{Turn, TurnSpeaker};
use crate::ui::format::{age, count};
use crate::ui::sanitize;

/// More of one turn is not shown: nobody recognises a session by page forty.
const LONGEST_TEXT: usize = 10_000;
/// More tools of one turn are counted only.
const MOST_TOOLS: usize = 12;

/// What a line of the look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Heading,
    Text,
    Tool,
    Note,
}

/// One line that fits the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// The turns of one session on the screen.
pub(super) struct PreviewPane {
    turns: Result<Vec<Turn>, String>,
    lines: Vec<Line>,
    /// For which width `lines` are.
    width: usize,
    height: usize,
    /// Lines below the screen: the end of a conversation is what it is recognised by, so it is shown first.
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

    /// Tells how large the screen is; wraps anew if it became wider or narrower.
    pub(super) fn fit(&mut self, width: usize, height: usize, now: DateTime<Utc>) {
        self.height = height.max(1);
        if self.width != width.max(1) {
            self.width = width.max(1);
            self.lines = lines(&self.turns, self.width, now);
        }
        self.below = self.below.min(self.most_below());
    }

    /// The lines on the screen, the number of the first of them, and how many there are in all.
    pub(super) fn visible(&self) -> (&[Line], usize, usize) {
        let end = self.lines.len() - self.below;
        let start = end.saturating_sub(self.height);
        (&self.lines[start..end], start, self.lines.len())
    }

    /// Scrolls.
    pub(super) fn press(&mut self, key: Key) {
        let (below, most) = (self.below, self.most_below());
        self.below = match key {
            Key::Up => below + 1,
            Key::PageUp => below + self.height,
            Key::Home => most,
            Key::Down => below.saturating_sub(1),
            Key::PageDown | Key::Char(' ') => below.saturating_sub(self.height),
            Key::End => 0,
            _ => below,
        }
        .min(most);
    }

    fn most_below(&self) -> usize {
        self.lines.len().saturating_sub(self.height)
    }
}

/// The turns in lines of at most `width` cells.
pub(super) fn lines(
    turns: &Result<Vec<Turn>, String>,
    width: usize,
    now: DateTime<Utc>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    match turns {
        Err(why) => wrapped(&mut lines, Kind::Note, why, "", width),
        Ok(turns) if turns.is_empty() => wrapped(
            &mut lines,
            Kind::Note,
            "nothing has been said yet",
            "",
            width,
        ),
        Ok(turns) => {
            let mut before = None;
            for turn in turns {
                let is_new_speaker = before.replace(turn.speaker) != Some(turn.speaker)
                    || turn.speaker == TurnSpeaker::User;
                if !lines.is_empty() {
                    wrapped(&mut lines, Kind::Text, "", "", width);
                }
                if is_new_speaker {
                    wrapped(&mut lines, Kind::Heading, &heading(turn, now), "", width);
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
        TurnSpeaker::Client => "summary of what was before",
    };
    turn.time.map_or_else(
        || who.to_owned(),
        |time| format!("{who}, {}", age(time, now)),
    )
}

fn push_turn(lines: &mut Vec<Line>, turn: &Turn, width: usize) {
    let end = turn
        .text
        .char_indices()
        .nth(LONGEST_TEXT)
        .map_or(turn.text.len(), |(at, _)| at);
    for paragraph in turn.text[..end]
        .trim_end()
        .trim_start_matches(['\r', '\n'])
        .lines()
    {
        wrapped(lines, Kind::Text, paragraph, "  ", width);
    }
    if end < turn.text.len() {
        wrapped(lines, Kind::Note, "(and more)", "  ", width);
    }
    for tool in turn.tools.iter().take(MOST_TOOLS) {
        wrapped(lines, Kind::Tool, tool, "  - ", width);
    }
    if turn.tools.len() > MOST_TOOLS {
        let more = format!(
            "(and {})",
            count((turn.tools.len() - MOST_TOOLS) as u64, "more tool")
        );
        wrapped(lines, Kind::Note, &more, "  - ", width);
    }
}

/// Adds `text` in lines of at most `width` cells, all of them indented as deep as `bullet` is long.
fn wrapped(lines: &mut Vec<Line>, kind: Kind, text: &str, bullet: &str, width: usize) {
    let clean = sanitize::one_line(text.trim_end());
    if clean.is_empty() {
        lines.push(Line {
            kind,
            text: String::new(),
        });
        return;
    }
    // No indentation where it would leave next to nothing for the text.
    let bullet = if width > 4 * bullet.len() { bullet } else { "" };
    let indent = " ".repeat(bullet.len());
    let options = Options::new(width)
        .word_splitter(WordSplitter::NoHyphenation)
        .initial_indent(bullet)
        .subsequent_indent(&indent);
    lines.extend(wrap(&clean, options).into_iter().map(|line| Line {
        kind,
        text: line.into_owned(),
    }));
}
