//! One line of text that the user edits, with the keys of readline. Pure.

use unicode_segmentation::UnicodeSegmentation;

use super::key::PickerKey;

/// The text, and where the next letter goes.
#[derive(Debug, Default)]
pub(super) struct LineEditor {
    text: String,
    /// An offset in bytes, between two characters as the user sees them.
    cursor: usize,
    /// The text that was deleted last, for Ctrl-Y.
    deleted: String,
}

/// Meaning of a key for a line of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    Insert(char),
    Move(Target),
    Delete(Target),
    /// Inserts what was deleted last.
    Yank,
}

/// The other end of a move or a deletion that begins at the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Left,
    Right,
    /// The beginning of the word, of letters and digits.
    WordLeft,
    /// The end of the word.
    WordRight,
    /// The space before the word.
    SpaceLeft,
    Start,
    End,
}

use Target::{End, Left, Right, SpaceLeft, Start, WordLeft, WordRight};

impl Edit {
    /// Returns what a key does in any line of text.
    pub(super) fn from_key(key: PickerKey) -> Option<Self> {
        Some(match key {
            PickerKey::Char(c) => Self::Insert(c),
            PickerKey::Left => Self::Move(Left),
            PickerKey::Right => Self::Move(Right),
            PickerKey::WordLeft | PickerKey::Alt('b') => Self::Move(WordLeft),
            PickerKey::WordRight | PickerKey::Alt('f') => Self::Move(WordRight),
            PickerKey::Ctrl('e') => Self::Move(End),
            PickerKey::Backspace => Self::Delete(Left),
            PickerKey::Delete | PickerKey::Ctrl('d') => Self::Delete(Right),
            PickerKey::WordBackspace => Self::Delete(WordLeft),
            PickerKey::Alt('d') => Self::Delete(WordRight),
            PickerKey::Ctrl('w') => Self::Delete(SpaceLeft),
            PickerKey::Ctrl('u') => Self::Delete(Start),
            PickerKey::Ctrl('k') => Self::Delete(End),
            PickerKey::Ctrl('y') => Self::Yank,
            _ => return None,
        })
    }

    /// Returns what a key does in a text that has the whole keyboard.
    pub(super) fn from_key_alone(key: PickerKey) -> Option<Self> {
        Some(match key {
            PickerKey::Home | PickerKey::Ctrl('a') => Self::Move(Start),
            PickerKey::End => Self::Move(End),
            PickerKey::Ctrl('b') => Self::Move(Left),
            PickerKey::Ctrl('f') => Self::Move(Right),
            _ => return Self::from_key(key),
        })
    }
}

impl LineEditor {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            cursor: text.len(),
            deleted: String::new(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text before the cursor and after it.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.cursor == self.text.len()
    }

    /// Inserts text; line breaks become spaces.
    pub(super) fn insert(&mut self, text: &str) {
        let clean: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.text.insert_str(self.cursor, &clean);
        self.cursor += clean.len();
    }

    /// Returns true if the text has changed.
    pub(super) fn apply(&mut self, edit: Edit) -> bool {
        let length = self.text.len();
        match edit {
            Edit::Insert(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Edit::Move(target) => self.cursor = self.find(target),
            Edit::Delete(target) => self.delete_to(self.find(target), target),
            Edit::Yank => self.insert(&self.deleted.clone()),
        }
        self.text.len() != length
    }

    fn delete_to(&mut self, end: usize, target: Target) {
        let range = self.cursor.min(end)..self.cursor.max(end);
        self.cursor = range.start;
        let deleted: String = self.text.drain(range).collect();
        if !matches!(target, Left | Right) && !deleted.is_empty() {
            self.deleted = deleted;
        }
    }

    fn find(&self, target: Target) -> usize {
        let (before, after) = self.parts();
        match target {
            Start => 0,
            End => self.text.len(),
            Left => self.cursor - before.graphemes(true).next_back().map_or(0, str::len),
            Right => self.cursor + after.graphemes(true).next().map_or(0, str::len),
            WordLeft => before.len() - word(before.chars().rev(), char::is_alphanumeric),
            SpaceLeft => before.len() - word(before.chars().rev(), |c| !c.is_whitespace()),
            WordRight => self.cursor + word(after.chars(), char::is_alphanumeric),
        }
    }
}

/// Returns the bytes up to the far end of the next word.
fn word(chars: impl Iterator<Item = char>, is_inside: impl Fn(char) -> bool) -> usize {
    let mut has_begun = false;
    chars
        .take_while(|c| {
            let inside = is_inside(*c);
            let go_on = inside || !has_begun;
            has_begun |= inside;
            go_on
        })
        .map(char::len_utf8)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, edits: &[Edit]) -> String {
        let mut line = LineEditor::new(text);
        for edit in edits {
            line.apply(*edit);
        }
        let (before, after) = line.parts();
        format!("{before}|{after}")
    }

    #[test]
    fn edit_word_keys_are_those_of_readline() {
        let key = |key| Edit::from_key(key).unwrap();
        let (alt_b, alt_d) = (key(PickerKey::Alt('b')), key(PickerKey::Alt('d')));
        let (ctrl_w, ctrl_y) = (key(PickerKey::Ctrl('w')), key(PickerKey::Ctrl('y')));
        assert_eq!(edited("fix src/a.rs", &[alt_b]), "fix src/a.|rs");
        assert_eq!(edited("fix src/a.rs", &[ctrl_w]), "fix |");
        assert_eq!(edited("fix src  ", &[ctrl_w]), "fix |");
        assert_eq!(edited("a bc d", &[alt_b, alt_b, alt_d]), "a | d");
        assert_eq!(edited("a bc", &[ctrl_w, alt_b, ctrl_y]), "bc|a ");
        assert_eq!(edited("a bc", &[alt_b, key(PickerKey::Ctrl('k'))]), "a |");
        assert_eq!(edited("a bc", &[alt_b, key(PickerKey::Ctrl('u'))]), "|bc");
        assert_eq!(
            edited("ab c", &[alt_b, alt_b, key(PickerKey::WordRight)]),
            "ab| c"
        );
        assert_eq!(edited("a b.", &[key(PickerKey::WordBackspace)]), "a |");
    }

    #[test]
    fn edit_moves_over_whole_characters() {
        let left = Edit::Move(Left);
        assert_eq!(edited("ae\u{301}", &[left]), "a|e\u{301}");
        assert_eq!(edited("a👩‍🔧", &[Edit::Delete(Left)]), "a|");
        assert_eq!(edited("a", &[left, left, Edit::Delete(Left)]), "|a");
        assert_eq!(edited("ab", &[left, Edit::Insert('x')]), "ax|b");
    }

    #[test]
    fn edit_pasted_lines_become_one() {
        let mut line = LineEditor::default();
        line.insert("a\nb\u{1b}");
        assert_eq!(line.text(), "a b ");
    }
}
