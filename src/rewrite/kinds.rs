//! The kinds of text, and the ways of localizing it.

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
    /// As `Local`, without the resolved links: written by earlier versions.
    FormerLocal,
    /// As `Original`, without the resolved links: written by earlier versions.
    FormerOriginal,
}
