//! This machine and the other machines of the store: set-up, names, placeholders, notes.

pub mod directory;
pub mod encrypt;
pub mod error;
pub mod join_encrypted;
pub mod key_answer;
pub mod names;
pub mod notes;
pub mod sessions_stored_before;
pub mod set_path;
pub mod set_up;
pub mod store_key;
pub mod suggested_placeholders;
pub mod unfinished_set_up;
