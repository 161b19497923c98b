//! Coloured lines of the report of `ccsync verify`.

use crate::ui::{ATTENTION, HINT, sanitize::one_line, style::paint};

pub(super) fn attention(text: &str) -> String {
    paint(ATTENTION, &one_line(text))
}

pub(super) fn hint(command: &str) -> String {
    format!("  {}", paint(HINT, command))
}
