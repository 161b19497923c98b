//! Names in the configuration, and the version of its format.

/// Name of the file in the configuration directory.
pub const FILE_NAME: &str = "config.toml";

/// Format version that is written. Older ones are read, newer ones are refused.
pub(super) const FORMAT: i64 = 2;

/// The tables of the file.
pub(super) const TABLE_NAMES: [&str; 4] = ["machine", "sync", "placeholders", "project_secrets"];

/// The names of all settings, in the order of [`super::SettingKey`].
pub(super) const KEY_NAMES: [&str; 11] = [
    "remote",
    "name",
    "author",
    "client_dir",
    "localize",
    "extras",
    "secrets",
    "key_command",
    "max_size",
    "pull_max_age",
    "push_max_age",
];
