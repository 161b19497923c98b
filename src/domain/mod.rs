//! The vocabulary of the program: identifiers, paths, placeholders, patterns, sizes, addresses of
//! remotes, the git facts of a project, progress, turns, search hits, kinds of errors.
//!
//! Owns the types that every other module uses. Must not do I/O, read the clock, use git or know
//! about the terminal.

pub(crate) mod checked;
pub mod client_dir;
pub mod commit_author;
pub mod composed;
pub mod error;
pub mod extras;
pub mod glob;
pub mod hex;
pub mod hidden_name;
pub mod history_point;
pub mod hit;
pub mod hook_event;
pub mod id;
pub mod parse;
pub mod path;
pub mod pattern;
pub mod placeholder;
pub mod progress;
pub mod project;
pub mod secret;
pub mod secret_text;
pub mod session_file;
pub mod shell;
pub mod size;
pub mod successors;
pub mod turn;
pub mod url;

pub use composed::composed;
pub use error::{ErrorKind, UPDATE_CCSYNC, UserError};
pub use extras::{BundleId, ExtraKind, ProjectKey};
pub use hit::{SessionName, Speaker};
pub use hook_event::HookEvent;
pub use id::{CommitId, MachineId, SessionId};
pub use parse::InvalidData;
pub use path::{PortablePath, RelativeName};
pub use pattern::ProjectPattern;
pub use placeholder::{InvalidPlaceholder, Placeholder, PlaceholderName, Placeholders, System};
pub use progress::{Phase, Progress};
pub use project::{ProjectGit, ProjectIdentity};
pub use secret::SecretName;
pub use session_file::SessionFile;
pub use successors::Successors;
pub use turn::{Turn, TurnSpeaker};

pub use commit_author::CommitAuthor;
