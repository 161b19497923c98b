//! Input of the picker: keys and the mouse, as the terminal reports them.

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PickerKey {
    Char(char),
    Ctrl(char),
    Alt(char),
    Backspace,
    Delete,
    /// Alt-Backspace.
    WordBackspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Left,
    Right,
    /// Ctrl-Left or Alt-Left.
    WordLeft,
    /// Ctrl-Right or Alt-Right.
    WordRight,
    Tab,
    Enter,
    Escape,
    F1,
}

/// An event of the mouse at a cell of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MouseEvent {
    pub(super) column: u16,
    pub(super) row: u16,
    pub(super) action: MouseAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MouseAction {
    Click,
    WheelUp,
    WheelDown,
}
