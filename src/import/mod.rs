//! Sessions and extras from other tools.

pub mod agents;
pub mod claude_session_sync;
pub mod client;
pub mod directory;
pub mod extras;
pub mod foreign;
pub mod inventory;
pub mod jobs;
pub mod listing;
pub mod machines;
pub mod origin;
pub mod run;
pub mod source;
pub mod staging;
pub mod store;
pub mod text;
pub mod types;
