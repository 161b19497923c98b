//! Everything that the user sees: streams, colours, progress, tables, the picker, JSON
//! documents.
//!
//! Owns how things look. Must not make decisions, access files or know how sync works: it
//! reads only plain data, such as [`crate::report::transfer`]. Text from a transcript, a
//! path or a remote must go through [`sanitize`] first.

pub(crate) mod difference;
pub(crate) mod extras;
pub(crate) mod format;
pub(crate) mod hits;
pub(crate) mod json;
pub(crate) mod notes;
pub(crate) mod output;
pub(crate) mod picker;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod report;
pub(crate) mod sanitize;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod turns;

pub(crate) use output::Output;
pub(crate) use style::{ATTENTION, HEADING, HINT, QUIET};
pub(crate) use table::{Cell, Table};
