//! What travels beside sessions: prose and settings that belong to a project or to the user, and where they are kept in the store.
//!
//! A *shelf* holds the files of one owner: the memory of one project, or what the user has for all of them. Pure: no I/O.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::checked::checked_text;
use super::path::PortablePath;
use super::project::ProjectIdentity;

/// A kind of file that may travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtraKind {
    /// `projects/<directory>/memory/**`
    Memory,
    /// `CLAUDE.md` of the user.
    ClaudeMd,
    /// `plans/*.md` of the user: what sessions have planned.
    Plans,
    /// `settings.json` of the user; it can name programs that the client runs.
    Settings,
    /// `commands/**` of the user; they can run programs.
    Commands,
    /// `agents/**` of the user; they can run programs.
    Agents,
    /// `skills/**` of the user; they can run programs.
    Skills,
}

/// So many plans, the newest, are sent and kept in the store: what a session is to go on with is among them.
pub const MAX_PLANS: usize = 256;

/// Why a text names no kind of file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` does not travel beside sessions", .0.escape_debug())]
pub struct UnknownExtra(String);

impl ExtraKind {
    /// All kinds, as people list them.
    pub const ALL: [Self; 7] = [
        Self::Memory,
        Self::ClaudeMd,
        Self::Plans,
        Self::Settings,
        Self::Commands,
        Self::Agents,
        Self::Skills,
    ];

    /// What travels if nobody says otherwise: prose.
    pub const DEFAULT: [Self; 3] = [Self::Memory, Self::ClaudeMd, Self::Plans];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::ClaudeMd => "claude-md",
            Self::Plans => "plans",
            Self::Settings => "settings",
            Self::Commands => "commands",
            Self::Agents => "agents",
            Self::Skills => "skills",
        }
    }

    /// Whether the client may run programs because of it, so that nothing of it is taken over without a yes.
    pub fn can_run_code(self) -> bool {
        !matches!(self, Self::Memory | Self::ClaudeMd | Self::Plans)
    }

    /// Whether the client clears such files up by itself (2.1.329: plans after `cleanupPeriodDays`): one that is gone was not removed on purpose.
    pub fn is_cleared_up(self) -> bool {
        self == Self::Plans
    }

    /// The kind of a file of the user by its name in the client's directory; `None`: it never travels.
    pub fn from_user_file(name: &str) -> Option<Self> {
        match name.split_once('/') {
            None if name == "CLAUDE.md" => Some(Self::ClaudeMd),
            None if name == "settings.json" => Some(Self::Settings),
            Some(("plans", file)) if file.ends_with(".md") && !file.contains('/') => {
                Some(Self::Plans)
            }
            Some(("commands", _)) => Some(Self::Commands),
            Some(("agents", _)) => Some(Self::Agents),
            Some(("skills", _)) => Some(Self::Skills),
            _ => None,
        }
    }
}

impl FromStr for ExtraKind {
    type Err = UnknownExtra;

    fn from_str(text: &str) -> Result<Self, UnknownExtra> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownExtra(text.to_owned()))
    }
}

/// By what a project is the same one on all machines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectKey {
    /// Its git remote.
    Identity(ProjectIdentity),
    /// Where it has none: the portable path of its main checkout.
    Path(PortablePath),
}

impl ProjectKey {
    /// The identity or the path as text, unsanitised.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Identity(identity) => identity.as_str(),
            Self::Path(path) => path.as_str(),
        }
    }
}

/// Names a shelf: its directory in the store, `user` or `memory/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BundleId(String);

/// Why a text is not a [`BundleId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a shelf of the store", .0.escape_debug())]
pub struct InvalidBundle(String);

const USER: &str = "user";
const MEMORY: &str = "memory/";

/// The longest readable part of a shelf's name.
const READABLE: usize = 40;

impl BundleId {
    /// The shelf of the user's own files.
    pub fn user() -> Self {
        Self(USER.to_owned())
    }

    /// The shelf of a project's memory: a readable part of its key, then the hash of all of it.
    pub fn of_project(key: &ProjectKey) -> Self {
        let kind = if matches!(key, ProjectKey::Identity(_)) {
            "identity"
        } else {
            "path"
        };
        let hash = blake3::derive_key(
            "ccsync memory of a project, version 1",
            format!("{kind}\n{}", key.as_str()).as_bytes(),
        );
        let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let last = key.as_str().rsplit(['/', '\\']).next().unwrap_or_default();
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let readable: String = last.chars().map(plain).take(READABLE).collect();
        Self(format!("{MEMORY}{}-{hash}", readable.trim_matches('-')))
    }

    /// Its directory in the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it holds the user's own files.
    pub fn is_user(&self) -> bool {
        self.0 == USER
    }
}

checked_text!(BundleId, InvalidBundle, Self::checked);

impl BundleId {
    fn checked(text: String) -> Result<Self, InvalidBundle> {
        let plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        let name = text.strip_prefix(MEMORY);
        let is_memory = name.is_some_and(|name| {
            (17..=READABLE + 17).contains(&name.len()) && name.chars().all(plain)
        });
        if text == USER || is_memory {
            Ok(Self(text))
        } else {
            Err(InvalidBundle(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_every_project_name_has_a_valid_bundle_id() {
        let identity = |text: &str| ProjectKey::Identity(ProjectIdentity::new(text).unwrap());
        let app = BundleId::of_project(&identity("github.com/al/My.App"));
        assert!(app.as_str().starts_with("memory/my-app-"), "{app}");
        assert_ne!(app, BundleId::of_project(&identity("github.com/bo/My.App")));
        for key in [
            identity("github.com/al/目"),
            ProjectKey::Path(PortablePath::new("{{HOME}}")),
            ProjectKey::Path(PortablePath::new(format!("/{}", "x".repeat(300)))),
            ProjectKey::Path(PortablePath::new("C:\\work\\..\u{1b}")),
        ] {
            let bundle = BundleId::of_project(&key);
            assert_eq!(BundleId::try_from(bundle.as_str().to_owned()), Ok(bundle));
        }
    }

    #[test]
    fn extras_bundle_id_rejects_other_directories() {
        for bad in [
            "",
            "memory/",
            "memory/x",
            "memory/../../../../../../etc/passwd",
            "sessions/aaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(BundleId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(BundleId::user().is_user());
    }

    #[test]
    fn extras_unknown_user_file_is_not_synced() {
        for never in [
            "settings.local.json",
            ".credentials.json",
            "plugins/x",
            "sessions/1.json",
            "CLAUDE.md/x",
            "x",
            "plans/x",
            "plans/old/x.md",
        ] {
            assert_eq!(ExtraKind::from_user_file(never), None, "{never}");
        }
        assert_eq!(
            ExtraKind::from_user_file("commands/a/b.md"),
            Some(ExtraKind::Commands)
        );
        assert_eq!(
            ExtraKind::from_user_file("plans/a.md"),
            Some(ExtraKind::Plans)
        );
    }
}
