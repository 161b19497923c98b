//! Claude Code's files on disk: the sessions, the running clients, the content of transcripts.
//!
//! Owns everything that the program knows about Claude Code, except for paths inside the text
//! ([`crate::rewrite`]). Facts were observed with client 2.1.329 on Linux. Must not know the
//! store, and never writes to the files of a running session.
//!
//! * [`files`]: the files of a session and their paths; [`discover`]: all sessions of this machine
//! * [`clean_up`]: when the client deletes a session
//! * [`auto`]: turning the client's hooks on and off
//! * [`client_settings`]: this program in the client's settings; `plugin`: as a plugin
//! * [`hooks`]: whether the client runs hooks
//! * [`continued`]: where a conversation goes on under another id
//! * [`live`]: sessions of running clients; [`launch`]: how the client is started
//! * [`facts`]: project, titles and times, read from records; `fields`: finding them in lines
//! * [`mentions`]: working directories and plans that records name
//! * [`projects`]: the directories that the client has worked in
//! * [`journal`]: writing session files so that it can be undone
//! * [`extras`]: memory, the user's `CLAUDE.md`, settings; [`instructions`]: files that it imports
//! * [`moved`]: directories that the client's settings move
//! * [`rename`]: another title; [`repair`]: repairing a damaged transcript
//! * [`turns`]: a transcript as a conversation; [`messages`]: all texts of a record

mod error;
mod local;
mod plugin;
mod scan;

pub mod auto;
pub mod clean_up;
pub mod client_settings;
pub mod continued;
pub mod discover;
pub mod extras;
pub mod facts;
pub(crate) mod fields;
pub mod files;
pub mod hooks;
pub mod instructions;
pub mod journal;
pub mod launch;
pub mod live;
pub mod mentions;
pub mod messages;
pub mod moved;
pub mod projects;
pub mod rename;
pub mod repair;
pub mod teams;
pub mod time;
pub mod turns;

pub use error::SessionError;
pub use local::LocalSession;
pub use scan::RefusedFile;

pub use discover::Discovery;
pub use extras::MAX_EXTRA_BYTES;
pub use facts::Facts;
