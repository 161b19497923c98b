//! The values of settings, and the rules for them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::keys::SettingKey;
use crate::domain::{ExtraKind, MachineId, ProjectPattern, size::ByteSize};

/// Value of an empty list, or of a limit that is not set.
pub(super) const NONE: &str = "none";

/// Age in days up to which sessions are pulled if nothing is configured.
const DEFAULT_PULL_MAX_AGE: u32 = 30;

/// Maximum age that can be set, in days.
const MAX_AGE_DAYS: u32 = 36_500;

/// Maximum length of a machine name, in characters.
const MAX_NAME_CHARS: usize = 64;

/// This machine, as `ccsync init` set it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineIdentity {
    /// Random and never changed.
    pub id: MachineId,
    /// For display.
    pub name: String,
    /// The host that it was set up on. If the host differs, the file is a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Which sessions are synced. `exclude` wins over `include`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncRules {
    /// Sync only projects that match one of these. Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<ProjectPattern>,
    /// Do not sync projects that match one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ProjectPattern>,
    /// Do not sync sessions that are larger, with all their files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<ByteSize>,
    /// Do not pull sessions without activity for more than this number of days.
    pub pull_max_age: u32,
    /// Do not push sessions without activity for more than this number of days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_max_age: Option<u32>,
}

impl Default for SyncRules {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            max_size: None,
            pull_max_age: DEFAULT_PULL_MAX_AGE,
            push_max_age: None,
        }
    }
}

/// How much of a pulled session is rewritten to this machine's paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalizeMode {
    /// `Never` for sessions whose text is signed, `Always` for the others.
    #[default]
    Auto,
    /// Every placeholder becomes this machine's path.
    Always,
    /// Only fields that Claude Code itself reads become this machine's paths.
    Never,
}

impl FromStr for LocalizeMode {
    type Err = ConfigError;

    /// Accepts the words of format 1.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" | "local" => Ok(Self::Always),
            "never" | "original" => Ok(Self::Never),
            _ => Err(invalid(SettingKey::Localize, text)),
        }
    }
}

impl fmt::Display for LocalizeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

/// Treatment of credentials in text that is to be stored.
///
/// The stricter one is greater: it applies if several do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretsMode {
    /// Nothing is searched for them.
    Off,
    /// They are stored, and reported.
    Warn,
    /// They become placeholders, whose values stay on this machine.
    Mask,
    /// Their session is not stored until a decision about them.
    Hold,
}

impl FromStr for SecretsMode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "mask" => Ok(Self::Mask),
            "hold" => Ok(Self::Hold),
            "warn" => Ok(Self::Warn),
            "off" => Ok(Self::Off),
            _ => Err(invalid(SettingKey::Secrets, text)),
        }
    }
}

impl fmt::Display for SecretsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mask => "mask",
            Self::Hold => "hold",
            Self::Warn => "warn",
            Self::Off => "off",
        })
    }
}

/// Returns the error for a value that does not fit its setting.
pub(super) fn invalid(key: SettingKey, value: &str) -> ConfigError {
    // A remote may contain a password, so only its beginning is shown.
    let shown = if key == SettingKey::Remote {
        8
    } else {
        usize::MAX
    };
    ConfigError::InvalidValue {
        key: key.name(),
        value: value.chars().take(shown).collect(),
        rule: rule(key),
    }
}

fn rule(key: SettingKey) -> &'static str {
    match key {
        SettingKey::Remote => {
            "give a URL or a path, without control characters and not beginning with `-`"
        }
        SettingKey::Name => "give 1 to 64 characters, none of them a control character",
        SettingKey::Author => "give a name and an address, such as `Al <al@example.com>`, or none",
        SettingKey::ClientDir => "give an absolute path, a path that begins with `~/`, or none",
        SettingKey::Localize => "give auto, always or never",
        SettingKey::Extras => {
            "give none, or some of memory, claude-md, plans, settings, commands, agents, skills, \
             separated by commas"
        }
        SettingKey::Secrets => "give mask, hold, warn or off",
        SettingKey::KeyCommand => "give a command in one line, or none",
        SettingKey::MaxSize => "give a size such as 200MB, or none",
        SettingKey::PullMaxAge => "give a number of days from 1 to 36500",
        SettingKey::PushMaxAge => "give a number of days from 1 to 36500, or none",
    }
}

/// Returns `remote` if it is safe as an argument of git. `transport` parses it later.
pub(super) fn checked_remote(remote: &str) -> Result<&str, ConfigError> {
    let is_bad =
        remote.trim().is_empty() || remote.starts_with('-') || remote.chars().any(char::is_control);
    if is_bad {
        return Err(invalid(SettingKey::Remote, remote));
    }
    Ok(remote)
}

pub(super) fn checked_name(name: &str) -> Result<&str, ConfigError> {
    let is_good = !name.trim().is_empty()
        && name.chars().count() <= MAX_NAME_CHARS
        && !name.chars().any(char::is_control);
    if is_good {
        Ok(name)
    } else {
        Err(invalid(SettingKey::Name, name))
    }
}

pub(super) fn parse_age(key: SettingKey, text: &str) -> Result<u32, ConfigError> {
    let days = text.parse().ok();
    days.filter(|days| (1..=MAX_AGE_DAYS).contains(days))
        .ok_or_else(|| invalid(key, text))
}

pub(super) fn parse_extras(text: &str) -> Result<BTreeSet<ExtraKind>, ConfigError> {
    if text.trim() == NONE {
        return Ok(BTreeSet::new());
    }
    let kinds: Result<_, _> = text.split(',').map(|kind| kind.trim().parse()).collect();
    kinds.map_err(|_| invalid(SettingKey::Extras, text))
}

pub(super) fn extras_text(kinds: &BTreeSet<ExtraKind>) -> String {
    if kinds.is_empty() {
        return NONE.to_owned();
    }
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(",")
}
