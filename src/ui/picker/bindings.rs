//! The keys of the picker: one table for the keyboard, the help and the documentation.

use super::key::PickerKey::{
    self, Char, Ctrl, Down, End, Enter, Escape, F1, Home, PageDown, PageUp, Tab, Up,
};
use super::view::Toggle;

/// Meaning of a key in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListCommand {
    Open,
    /// Clears the filter first.
    Leave,
    Cancel,
    Preview,
    Rename,
    Help,
    Move(Movement),
    Toggle(Toggle),
}

/// A move of the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Movement {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

/// A line of the help.
pub(super) struct Binding {
    /// Name of the keys.
    pub(super) label: &'static str,
    pub(super) effect: &'static str,
    commands: &'static [(PickerKey, ListCommand)],
}

const fn binding(
    label: &'static str,
    effect: &'static str,
    commands: &'static [(PickerKey, ListCommand)],
) -> Binding {
    Binding {
        label,
        effect,
        commands,
    }
}

const fn toggle(
    label: &'static str,
    effect: &'static str,
    commands: &'static [(PickerKey, ListCommand); 1],
) -> Binding {
    binding(label, effect, commands)
}

use ListCommand::{Cancel, Help, Leave, Move, Open, Preview, Rename};

/// The keys of the list. Space and `?` are letters once the filter has a letter.
pub(super) const BINDINGS: [Binding; 19] = [
    binding(
        "text",
        "filter: the letters of each word in order, near each other, in any column; the first prompt and the start of the id count, too",
        &[],
    ),
    binding(
        "Up, Down, Ctrl+P, Ctrl+N",
        "move",
        &[
            (Up, Move(Movement::Up)),
            (Ctrl('p'), Move(Movement::Up)),
            (Down, Move(Movement::Down)),
            (Ctrl('n'), Move(Movement::Down)),
        ],
    ),
    binding(
        "Page Up, Page Down, Home, End",
        "move by a page, to the first or the last session",
        &[
            (PageUp, Move(Movement::PageUp)),
            (PageDown, Move(Movement::PageDown)),
            (Home, Move(Movement::First)),
            (End, Move(Movement::Last)),
        ],
    ),
    binding("Enter", "open the session", &[(Enter, Open)]),
    binding(
        "Space, Tab, Ctrl+V, Right",
        "preview the last turns on the whole screen; Space only while the filter is empty, Right at its end",
        &[(Char(' '), Preview), (Tab, Preview), (Ctrl('v'), Preview)],
    ),
    binding("Ctrl+R", "rename the session", &[(Ctrl('r'), Rename)]),
    binding(
        "Esc",
        "clear the filter; cancel if it is empty",
        &[(Escape, Leave)],
    ),
    binding("Ctrl+C", "cancel", &[(Ctrl('c'), Cancel)]),
    toggle(
        "Ctrl+A",
        "all projects, or only that of the current directory",
        &[(Ctrl('a'), ListCommand::Toggle(Toggle::Projects))],
    ),
    toggle(
        "Ctrl+B",
        "all branches, or only the one that is checked out",
        &[(Ctrl('b'), ListCommand::Toggle(Toggle::Branch))],
    ),
    toggle(
        "Ctrl+O",
        "all machines, or only this one, or each other one in turn",
        &[(Ctrl('o'), ListCommand::Toggle(Toggle::Machine))],
    ),
    toggle(
        "Ctrl+T",
        "any age, or only the last day, 7 or 30 days",
        &[(Ctrl('t'), ListCommand::Toggle(Toggle::Age))],
    ),
    toggle(
        "Ctrl+F",
        "with or without forks",
        &[(Ctrl('f'), ListCommand::Toggle(Toggle::Forks))],
    ),
    toggle(
        "Ctrl+G",
        "with or without headless sessions (`claude -p`, SDK)",
        &[(Ctrl('g'), ListCommand::Toggle(Toggle::Headless))],
    ),
    toggle(
        "Ctrl+X",
        "with or without archived sessions",
        &[(Ctrl('x'), ListCommand::Toggle(Toggle::Archived))],
    ),
    binding(
        "Left, Right, Alt+B, Alt+F, Ctrl+E",
        "move in the filter: by a letter, by a word, to its end",
        &[],
    ),
    binding(
        "Ctrl+W, Alt+Backspace, Alt+D, Ctrl+U, Ctrl+K, Ctrl+Y",
        "delete a word, up to the start, up to the end; insert what was deleted",
        &[],
    ),
    binding(
        "mouse",
        "click: select, and open what is selected; wheel: move, or scroll the preview; hold Shift to select text",
        &[],
    ),
    binding(
        "?, F1",
        "show this help; ? only while the filter is empty",
        &[(Char('?'), Help), (F1, Help)],
    ),
];

/// Returns the meaning of a key in the list; `None` for one that edits the filter.
pub(super) fn command(key: PickerKey, is_filter_empty: bool) -> Option<ListCommand> {
    if matches!(key, Char(_)) && !is_filter_empty {
        return None;
    }
    let mut commands = BINDINGS.iter().flat_map(|binding| binding.commands);
    commands
        .find(|(other, _)| *other == key)
        .map(|(_, command)| *command)
}

/// One line of the help on the screen.
pub(super) struct HelpLine {
    pub(super) keys: &'static str,
    pub(super) effect: String,
    /// The cell in which the effect begins.
    pub(super) indent: usize,
}

/// Returns the help in lines of `width` cells. A narrow screen shows keys and effect on lines of
/// their own.
pub(super) fn help_lines(width: usize) -> Vec<HelpLine> {
    const KEYS: usize = 24;
    let indent = if width >= 3 * KEYS { KEYS } else { 2 };
    let room = width.saturating_sub(indent).max(1);
    let mut lines = Vec::new();
    for binding in &BINDINGS {
        let mut keys = binding.label;
        if keys.len() + 2 > indent {
            lines.push(HelpLine {
                keys,
                effect: String::new(),
                indent,
            });
            keys = "";
        }
        for effect in textwrap::wrap(binding.effect, room) {
            lines.push(HelpLine {
                keys,
                effect: effect.into_owned(),
                indent,
            });
            keys = "";
        }
    }
    lines
}
