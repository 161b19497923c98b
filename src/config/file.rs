//! The configuration of this machine, and its file.
//!
//! `ccsync config set` rewrites the file and loses comments in it; the first line of the
//! file says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::ConfigError;
use super::keys::SettingKey;
use super::names::FORMAT;
use super::placeholders::{check_not_private, home_placeholder, placeholder};
use super::values::{
    LocalizeMode, MachineIdentity, NONE, SecretsMode, SyncRules, checked_name, checked_remote,
    extras_text, invalid, parse_age, parse_extras,
};
use crate::domain::{CommitAuthor, ExtraKind, PlaceholderName, Placeholders, ProjectPattern};
use crate::sys::{Env, fs::real_path, fs::write_atomic};

/// Directory of Claude Code if nothing else is configured.
const DEFAULT_CLIENT_DIR: &str = "~/.claude";

const HEADER: &str =
    "# ccsync configuration; `ccsync config set` rewrites this file and drops comments.\n";

/// Content of the configuration file.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Address of the remote, if one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Author of commits; none: this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<CommitAuthor>,
    /// Directory of Claude Code that this configuration is for; a leading `~/` stands for the
    /// home directory. None: `~/.claude`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_dir: Option<String>,
    /// How much of a pulled session is localized.
    pub localize: LocalizeMode,
    /// Kinds of extras that are synced.
    pub extras: BTreeSet<ExtraKind>,
    /// Treatment of credentials; none: by whether the store is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretsMode>,
    /// Command that prints the key of an encrypted store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_command: Option<String>,
    /// Treatment of credentials in some projects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub project_secrets: BTreeMap<ProjectPattern, SecretsMode>,
    /// This machine.
    pub machine: MachineIdentity,
    /// Which sessions are synced.
    pub sync: SyncRules,
    /// The user's placeholders and their directories on this machine; a leading `~/` stands for
    /// the home directory.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub placeholders: BTreeMap<PlaceholderName, String>,
}

impl Config {
    /// Returns the configuration of a new machine: defaults only.
    ///
    /// # Errors
    /// [`ConfigError::InvalidValue`] for a name that is empty, too long or holds control
    /// characters.
    pub fn new(machine: MachineIdentity) -> Result<Self, ConfigError> {
        checked_name(&machine.name)?;
        Ok(Self {
            remote: None,
            author: None,
            client_dir: None,
            localize: LocalizeMode::default(),
            extras: BTreeSet::from(ExtraKind::DEFAULT),
            secrets: None,
            project_secrets: BTreeMap::new(),
            key_command: None,
            machine,
            sync: SyncRules::default(),
            placeholders: BTreeMap::new(),
        })
    }

    /// Writes the file, durably and readable by its owner only. If the path is a symbolic
    /// link, writes to its target.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        let text = toml::to_string(self).map_err(ConfigError::Serialise)?;
        let text = format!("{HEADER}\nformat = {FORMAT}\n{text}");
        // Users link to a file in a repository of their own.
        let target = real_path(path).unwrap_or_else(|_| path.to_owned());
        Ok(write_atomic(&target, text.as_bytes())?)
    }

    /// Returns the value of a setting as the user writes it, if it is set.
    pub fn get(&self, key: SettingKey) -> Option<String> {
        match key {
            SettingKey::Remote => self.remote.clone(),
            SettingKey::Name => Some(self.machine.name.clone()),
            SettingKey::Author => self.author.as_ref().map(ToString::to_string),
            SettingKey::ClientDir => self.client_dir.clone(),
            SettingKey::Localize => Some(self.localize.to_string()),
            SettingKey::Extras => Some(extras_text(&self.extras)),
            SettingKey::Secrets => self.secrets.map(|mode| mode.to_string()),
            SettingKey::KeyCommand => self.key_command.clone(),
            SettingKey::MaxSize => self.sync.max_size.map(|size| size.to_string()),
            SettingKey::PullMaxAge => Some(self.sync.pull_max_age.to_string()),
            SettingKey::PushMaxAge => self.sync.push_max_age.map(|days| days.to_string()),
        }
    }

    /// Sets a setting.
    ///
    /// # Errors
    /// [`ConfigError::InvalidValue`]; the configuration is then unchanged.
    pub fn set(&mut self, key: SettingKey, value: &str) -> Result<(), ConfigError> {
        let limit = Some(value).filter(|value| *value != NONE);
        match key {
            SettingKey::Remote => self.remote = Some(checked_remote(value)?.to_owned()),
            SettingKey::Name => self.machine.name = checked_name(value)?.to_owned(),
            SettingKey::Author => {
                let author = limit.map(str::parse).transpose();
                self.author = author.map_err(|_| invalid(key, value))?;
            }
            SettingKey::ClientDir => {
                let is_good = |dir: &str| dir.starts_with("~/") || Path::new(dir).is_absolute();
                if limit.is_some_and(|dir| !is_good(dir)) {
                    return Err(invalid(key, value));
                }
                self.client_dir = limit.map(str::to_owned);
            }
            SettingKey::Localize => self.localize = value.parse()?,
            SettingKey::Extras => self.extras = parse_extras(value)?,
            SettingKey::Secrets => self.secrets = limit.map(str::parse).transpose()?,
            SettingKey::KeyCommand => {
                let is_bad = |command: &str| {
                    command.trim().is_empty() || command.chars().any(char::is_control)
                };
                if limit.is_some_and(is_bad) {
                    return Err(invalid(key, value));
                }
                self.key_command = limit.map(str::to_owned);
            }
            SettingKey::MaxSize => {
                let size = limit.map(str::parse).transpose();
                self.sync.max_size = size.map_err(|_| invalid(key, value))?;
            }
            SettingKey::PullMaxAge => self.sync.pull_max_age = parse_age(key, value)?,
            SettingKey::PushMaxAge => {
                let days = limit.map(|days| parse_age(key, days)).transpose()?;
                self.sync.push_max_age = days;
            }
        }
        Ok(())
    }

    /// Makes this the configuration for the directory of Claude Code in an environment.
    pub fn adopt_client_dir(&mut self, env: &Env) {
        let below_home = env.claude_dir.strip_prefix(&env.home);
        let text = match below_home {
            Ok(below) => format!("~/{}", below.display()),
            Err(_) => env.claude_dir.to_string_lossy().into_owned(),
        };
        self.client_dir = Some(text).filter(|text| text != DEFAULT_CLIENT_DIR);
    }

    /// Refuses another directory of Claude Code than the one that this configuration is for: its
    /// sessions would be mixed with those of the first, which may belong to another account.
    ///
    /// # Errors
    /// [`ConfigError::OtherClientDir`].
    pub fn check_client_dir(&self, env: &Env) -> Result<(), ConfigError> {
        let configured = self.client_dir.as_deref().unwrap_or(DEFAULT_CLIENT_DIR);
        let own = match configured.strip_prefix("~/") {
            Some(below) => env.home.join(below),
            None => PathBuf::from(configured),
        };
        let resolved = |path: &Path| real_path(path).unwrap_or_else(|_| path.to_owned());
        if own == env.claude_dir || resolved(&own) == resolved(&env.claude_dir) {
            return Ok(());
        }
        Err(ConfigError::OtherClientDir {
            own,
            other: env.claude_dir.clone(),
        })
    }

    /// Sets the directory of a placeholder on this machine.
    ///
    /// # Errors
    /// [`ConfigError`] for `HOME`, `REPO` and for a directory that cannot have a
    /// placeholder; the configuration is then unchanged.
    pub fn set_placeholder(
        &mut self,
        name: PlaceholderName,
        dir: &str,
        env: &Env,
    ) -> Result<(), ConfigError> {
        check_not_private(&placeholder(&name, dir, env)?)?;
        self.placeholders.insert(name, dir.to_owned());
        Ok(())
    }

    /// Returns all placeholders of this machine: `HOME` and the user's.
    ///
    /// # Errors
    /// [`ConfigError`] if a directory cannot have a placeholder.
    pub fn placeholder_set(&self, env: &Env) -> Result<Placeholders, ConfigError> {
        let mut placeholders = vec![home_placeholder(env)?];
        for (name, dir) in &self.placeholders {
            placeholders.push(placeholder(name, dir, env)?);
        }
        Ok(Placeholders::new(env.system, placeholders))
    }
}

/// Omits the remote, which may contain a password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("localize", &self.localize)
            .field("extras", &self.extras)
            .field("secrets", &self.secrets)
            .field("project_secrets", &self.project_secrets)
            .field("machine", &self.machine)
            .field("sync", &self.sync)
            .field("placeholders", &self.placeholders)
            .finish_non_exhaustive()
    }
}
