//! The keys that the picker knows.

/// A key, by its meaning in the picker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PickerKey {
    Char(char),
    Backspace,
    /// Ctrl-U.
    Clear,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Left,
    Right,
    Tab,
    Enter,
    Escape,
    /// Ctrl-C.
    Cancel,
}
