//! The settings that commands work with: file, environment and defaults together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::error::ConfigError;
use super::file::Config;
use super::values::{LocalizeMode, MachineIdentity, SecretsMode, SyncRules};
use crate::domain::{CommitAuthor, ExtraKind, Placeholders, ProjectPattern};
use crate::sys::Env;

/// The settings of this machine.
#[derive(Clone)]
pub struct Settings {
    /// This machine.
    pub machine: MachineIdentity,
    /// Address of the remote, if one is configured.
    pub remote: Option<String>,
    /// Author of commits, if it is not this machine.
    pub author: Option<CommitAuthor>,
    /// How much of a pulled session is localized.
    pub localize: LocalizeMode,
    /// Kinds of extras that are synced.
    pub extras: BTreeSet<ExtraKind>,
    /// Treatment of credentials.
    pub secrets: SecretsMode,
    /// Treatment of credentials in some projects.
    pub project_secrets: BTreeMap<ProjectPattern, SecretsMode>,
    /// Command that prints the key of an encrypted store.
    pub key_command: Option<String>,
    /// Which sessions are synced.
    pub sync: SyncRules,
    /// All placeholders of this machine.
    pub placeholders: Placeholders,
}

impl Settings {
    /// Resolves the configuration in an environment.
    ///
    /// # Errors
    /// [`ConfigError`] if a placeholder cannot be used.
    pub fn resolve(config: &Config, env: &Env) -> Result<Self, ConfigError> {
        config.check_client_dir(env)?;
        Ok(Self {
            machine: config.machine.clone(),
            remote: config.remote.clone(),
            author: config.author.clone().or_else(|| env.committer.clone()),
            localize: config.localize,
            extras: config.extras.clone(),
            secrets: config.secrets.unwrap_or_else(|| default_secrets(env)),
            project_secrets: config.project_secrets.clone(),
            key_command: config.key_command.clone(),
            sync: config.sync.clone(),
            placeholders: config.placeholder_set(env)?,
        })
    }
}

/// Returns the treatment of credentials that the user has not set. The remote of an encrypted
/// store does not see them.
fn default_secrets(env: &Env) -> SecretsMode {
    match env.dirs.mirror().exists() {
        true => SecretsMode::Off,
        false => SecretsMode::Mask,
    }
}

/// Omits the remote, which may contain a password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("machine", &self.machine)
            .field("localize", &self.localize)
            .field("extras", &self.extras)
            .field("sync", &self.sync)
            .field("placeholders", &self.placeholders)
            .finish_non_exhaustive()
    }
}
