//! Replaces paths by placeholders, and placeholders by paths.
//!
//! Owns [`Collapser`] (local text to portable text), [`Expander`] (the way back) and both
//! directions for single paths. `docs/dev/rewriting.md` holds the grammar and the rules with
//! examples. Pure: must not do I/O, read the clock, or know of a session more than lines of
//! JSON or text.
//!
//! ```text
//! collapse:  patterns (find) -> boundary (whole path?) -> strings (protected?) -> placeholder
//! expand:    placeholder (parse) -> strings (protected?) -> translate (local form)
//! ```

mod boundary;
mod collapse;
mod encoding;
mod expand;
mod kinds;
mod meaning;
mod outline;
mod path;
mod path_form;
mod patterns;
mod placeholder;
mod secret;
mod strings;
mod translate;

pub use collapse::Collapser;
pub use expand::{Expander, Oversized};
pub use kinds::{TextKind, View};
pub use path::{collapse_path, expand_path};
pub use path_form::every_path_form;
pub use secret::{
    MAX_SECRET_BYTES, REDACTION_START, SecretFinder, SecretSpan, SecretValues, SecretView,
    redaction, redaction_at, replace_spans, replaceable, secret_placeholder, secrets_in,
    spans_within,
};
