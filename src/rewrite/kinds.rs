//! The kinds of text, and the two ways of localizing it.

/// Kind of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// Lines of JSON, valid or not: `.jsonl`, `.json`.
    Json,
    /// Everything else.
    Plain,
}

/// How a session of another machine is localized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// Every path is the reading machine's.
    Local,
    /// Unchanged, except for the fields that only the client reads.
    Original,
}
