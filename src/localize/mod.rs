//! Converts stored lines to local text and back, and finds where a session belongs. Must
//! not write files.

pub mod collect;
pub mod compare;
pub mod error;
mod learned_secrets;
pub mod line_reader;
pub mod local_copy;
mod local_piece;
mod local_secrets;
pub mod localizer;
pub mod location;
pub(crate) mod run_projects;
pub mod stored_text;

pub use error::StoredDataError;
pub(crate) use local_copy::LocalCopy;
pub(crate) use localizer::Localizer;
pub(crate) use stored_text::{LocalText, StoredText};

pub(crate) use collect::StoredLine;
pub(crate) use learned_secrets::values_in;
pub(crate) use line_reader::StoredLineReader;
