//! Everything a person sees: streams, colours, progress, tables, the picker, JSON documents.
//!
//! Owns how things look. Must not decide anything, touch files or know how sync works: of `sync` it reads only the plain
//! data of [`crate::report::transfer`]. Whatever comes from a transcript, a path or a remote goes through [`sanitize`] first.

pub(crate) mod difference;
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
