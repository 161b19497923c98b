//! The configuration file and its settings, resolved into [`Settings`].
//!
//! Owns `config.toml`, its settings and their rules. Must not contact the remote or read
//! sessions.

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
pub use keys::SettingKey;
pub use names::FILE_NAME;
pub use placeholders::is_private;
pub use settings::Settings;
pub use values::{LocalizeMode, MachineIdentity, SecretsMode, SyncRules};
