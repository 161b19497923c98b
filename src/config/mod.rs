//! The configuration file and its keys, resolved into [`Settings`].
//!
//! Owns `config.toml`, its keys and their rules. Must not contact the remote or look at sessions.

mod error;
mod file;
mod keys;
mod load;
mod names;
mod placeholders;
mod settings;
#[cfg(all(test, unix))]
mod tests;
mod values;

pub use error::ConfigError;
pub use file::Config;
pub use keys::Key;
pub use names::FILE_NAME;
pub use settings::Settings;
pub use values::{LocalizeMode, MachineIdentity, SyncRules};
