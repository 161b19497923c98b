//! Local bytes to portable bytes, and back.
//!
//! Owns the replacement of a machine's paths by placeholders ([`Collapser`]) and of placeholders by paths
//! ([`Expander`]), in running text and in single paths. `docs/dev/rewriting.md` holds the grammar and the rules with
//! examples. Pure: must not do I/O, read the clock, or know what a session is beyond lines of JSON or text.
//!
//! ```text
//! collapse:  patterns (where is a spelling?) -> boundary (is it whole?) -> strings (may it change?) -> placeholder
//! expand:    placeholder (what is meant?)    -> strings (may it change?) -> translate (how is it written there?)
//! ```

mod boundary;
mod collapse;
mod encoding;
mod expand;
mod outline;
mod path;
mod patterns;
mod placeholder;
mod spelling;
mod strings;
mod translate;

pub use collapse::Collapser;
pub use expand::{Expander, Oversized};
pub use path::{collapse_path, expand_path};

/// Every way in which the paths of `roots` may be written in a text: what may be read in place of a placeholder.
pub fn every_spelling(
    placeholders: &crate::domain::placeholder::Placeholders,
) -> impl Iterator<Item = String> {
    spelling::spellings(placeholders).map(|(_, _, spelled)| spelled)
}

/// What a text is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// Lines of which each is JSON, or was meant to be: `.jsonl`, `.json`.
    Json,
    /// Everything else.
    Plain,
}

/// How a session of another machine is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// Every path is the reading machine's.
    Local,
    /// As the origin wrote it, but for the fields that only the client reads.
    Original,
}
