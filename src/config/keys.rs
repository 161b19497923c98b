//! The names of settings, and their former names.

use std::str::FromStr;

use super::error::ConfigError;
use super::names::KEY_NAMES;

/// A setting that `ccsync config get` and `set` accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingKey {
    /// Address of the remote.
    Remote,
    /// Name of the machine.
    Name,
    /// Author of commits.
    Author,
    /// Directory of Claude Code.
    ClientDir,
    /// How much of a pulled session is localized.
    Localize,
    /// Kinds of extras that are synced.
    Extras,
    /// Treatment of credentials.
    Secrets,
    /// Command that prints the key of an encrypted store.
    KeyCommand,
    /// Maximum size of a session that is synced.
    MaxSize,
    /// Maximum age of a session that is pulled.
    PullMaxAge,
    /// Maximum age of a session that is pushed.
    PushMaxAge,
}

impl SettingKey {
    /// The names of all settings, as the user writes them.
    pub const NAMES: [&str; 11] = KEY_NAMES;

    /// Returns the name, as the user writes it.
    pub fn name(self) -> &'static str {
        KEY_NAMES[self as usize]
    }

    /// Returns the setting with this name in a table of the file. Accepts the names of
    /// format 1.
    pub(super) fn in_table(table: &str, name: &str) -> Option<Self> {
        match (table, name) {
            ("", "remote") => Some(Self::Remote),
            ("machine", "name") => Some(Self::Name),
            ("", "client_dir") => Some(Self::ClientDir),
            ("", "author") => Some(Self::Author),
            ("", "localize" | "paths") => Some(Self::Localize),
            ("", "extras" | "beside") => Some(Self::Extras),
            ("", "secrets") => Some(Self::Secrets),
            ("", "key_command") => Some(Self::KeyCommand),
            ("sync", "max_size") => Some(Self::MaxSize),
            ("sync", "pull_max_age") | ("", "days") => Some(Self::PullMaxAge),
            ("sync", "push_max_age" | "max_age") => Some(Self::PushMaxAge),
            _ => None,
        }
    }
}

impl FromStr for SettingKey {
    type Err = ConfigError;

    fn from_str(key: &str) -> Result<Self, ConfigError> {
        ["", "machine", "sync"]
            .into_iter()
            .find_map(|table| Self::in_table(table, key))
            .ok_or_else(|| ConfigError::UnknownKey {
                key: key.to_owned(),
            })
    }
}
