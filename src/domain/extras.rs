//! Extras: synced files that are not sessions, and the names of their bundles in the store.
//!
//! A *bundle* has the files of one owner: the memory of one project, or the user's own files.
//! Pure: no I/O.

use std::borrow::Cow;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::checked::{checked_text, ensure};
use super::composed::composed;
use super::hex::to_hex;
use super::hidden_name::{HiddenName, is_litter};
use super::path::PortablePath;
use super::project::ProjectIdentity;

/// A kind of extras.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtraKind {
    /// `projects/<directory>/memory/**`, and `agent-memory/**` of the user.
    Memory,
    /// The user's instructions: `CLAUDE.md`, `rules/**` and `output-styles/**`.
    ClaudeMd,
    /// `plans/*.md` of the user: the plans of sessions.
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

/// Maximum number of plans in the store; only the newest are synced.
pub const MAX_PLANS: usize = 256;

/// The directory of this program's plugin below that of the client. It names programs of this
/// machine, and is not synced.
pub const PLUGIN: &str = "skills/ccsync";

/// The reason why a text is not a kind of extras.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of extras `{}`", .0.escape_debug())]
pub struct UnknownExtra(String);

impl ExtraKind {
    /// All kinds, in the order of their display.
    pub const ALL: [Self; 7] = [
        Self::Memory,
        Self::ClaudeMd,
        Self::Plans,
        Self::Settings,
        Self::Commands,
        Self::Agents,
        Self::Skills,
    ];

    /// The kinds that are synced by default.
    pub const DEFAULT: [Self; 3] = [Self::Memory, Self::ClaudeMd, Self::Plans];

    /// Returns its name in the configuration.
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

    /// Returns true if the client may run programs because of it, so that it needs an approval.
    pub fn can_run_code(self) -> bool {
        !matches!(self, Self::Memory | Self::ClaudeMd | Self::Plans)
    }

    /// Returns true if the client itself deletes such files (2.1.329: plans after
    /// `cleanupPeriodDays`). Then a missing file was not removed on purpose.
    pub fn is_deleted_by_client(self) -> bool {
        self == Self::Plans
    }

    /// Lists its directories below the client's directory, without those of projects.
    pub fn user_directories(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &["agent-memory"],
            Self::ClaudeMd => &["rules", "output-styles"],
            Self::Plans => &["plans"],
            Self::Settings => &[],
            Self::Commands => &["commands"],
            Self::Agents => &["agents"],
            Self::Skills => &["skills"],
        }
    }

    /// Returns the kind of a file in the client's directory; `None` if it is never synced.
    pub fn from_user_file(name: &str) -> Option<Self> {
        if is_in_plugin(name) {
            return None;
        }
        let Some((first, below)) = name.split_once('/') else {
            return match name {
                "CLAUDE.md" => Some(Self::ClaudeMd),
                "settings.json" => Some(Self::Settings),
                _ => None,
            };
        };
        let has_directory = |kind: &Self| kind.user_directories().contains(&first);
        let kind = Self::ALL.into_iter().find(has_directory)?;
        kind.has_user_file(below).then_some(kind)
    }

    /// Returns true if a file below one of its directories is synced.
    fn has_user_file(self, below: &str) -> bool {
        if below.split('/').any(is_litter) {
            return false;
        }
        let is_text = below.ends_with(".md");
        let is_hidden = || below.split('/').any(|part| part.starts_with('.'));
        match self {
            Self::Plans => is_text && !below.contains('/') && !is_hidden(),
            Self::ClaudeMd => is_text && !is_hidden(),
            Self::Skills => below.split('/').all(|part| HiddenName::of(part).is_none()),
            _ => !is_hidden(),
        }
    }
}

/// Compares as file systems do that ignore the case.
fn is_in_plugin(name: &str) -> bool {
    let start = name.get(..PLUGIN.len());
    let rest = name.get(PLUGIN.len()..).unwrap_or_default();
    start.is_some_and(|start| start.eq_ignore_ascii_case(PLUGIN))
        && (rest.is_empty() || rest.starts_with('/'))
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

/// The key of a project, the same on all machines. Two spellings of a path are equal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectKey {
    /// The identity of its git remote.
    Identity(ProjectIdentity),
    /// The portable path of its main checkout, if it has no remote.
    Path(PortablePath),
}

impl ProjectKey {
    /// Returns the key of a project without a remote.
    pub fn at(path: &PortablePath) -> Self {
        Self::Path(PortablePath::new(composed(path.as_str())))
    }

    fn compared(&self) -> Result<&ProjectIdentity, Cow<'_, str>> {
        match self {
            Self::Identity(identity) => Ok(identity),
            Self::Path(path) => Err(composed(path.as_str())),
        }
    }

    /// Returns the identity or the path as text, not sanitized.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Identity(identity) => identity.as_str(),
            Self::Path(path) => path.as_str(),
        }
    }

    /// Returns the key with the address in the case in which it is compared.
    pub fn to_compared(&self) -> Self {
        match self {
            Self::Identity(identity) => Self::Identity(identity.to_compared()),
            Self::Path(path) => Self::Path(path.clone()),
        }
    }
}

impl PartialEq for ProjectKey {
    fn eq(&self, other: &Self) -> bool {
        self.compared() == other.compared()
    }
}

impl Eq for ProjectKey {}

/// The id of a bundle: its directory in the store, `user` or `memory/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BundleId(String);

/// The reason why a text is not a [`BundleId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid bundle id `{}`", .0.escape_debug())]
pub struct InvalidBundle(String);

const USER: &str = "user";
const MEMORY: &str = "memory/";

/// Longest readable part of the name of a bundle, in bytes.
const MAX_READABLE: usize = 40;

impl BundleId {
    /// Returns the id of the user's own files.
    pub fn user() -> Self {
        Self(USER.to_owned())
    }

    /// Returns the id of a project's memory: a readable part of its key, then the hash of the key.
    pub fn from_project(key: &ProjectKey) -> Self {
        let kind = match key {
            ProjectKey::Identity(_) => "identity",
            ProjectKey::Path(_) => "path",
        };
        let hash = blake3::derive_key(
            "ccsync memory of a project, version 1",
            format!("{kind}\n{}", key.as_str()).as_bytes(),
        );
        let hash = to_hex(&hash[..8]);
        let last = key.as_str().rsplit(['/', '\\']).next().unwrap_or_default();
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let readable: String = last.chars().map(plain).take(MAX_READABLE).collect();
        Self(format!("{MEMORY}{}-{hash}", readable.trim_matches('-')))
    }

    /// Returns true if both may be bundles of one project, whose address earlier programs kept in
    /// its own case.
    pub fn may_be_renamed(&self, other: &Self) -> bool {
        let readable = |id: &Self| {
            id.0.rsplit_once('-')
                .map(|(readable, _)| readable.to_owned())
        };
        self != other && !self.is_user() && readable(self) == readable(other)
    }

    /// Returns true for the user's own files.
    pub fn is_user(&self) -> bool {
        self.0 == USER
    }
}

fn check_bundle_id(text: &str) -> Result<(), InvalidBundle> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let is_memory = text.strip_prefix(MEMORY).is_some_and(|name| {
        (17..=MAX_READABLE + 17).contains(&name.len()) && name.chars().all(is_plain)
    });
    ensure(text == USER || is_memory, || InvalidBundle(text.to_owned()))
}

checked_text!(BundleId, InvalidBundle, check_bundle_id);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_every_project_name_has_a_valid_bundle_id() {
        let identity = |text: &str| ProjectKey::Identity(ProjectIdentity::new(text).unwrap());
        let app = BundleId::from_project(&identity("github.com/al/My.App"));
        assert!(app.as_str().starts_with("memory/my-app-"), "{app}");
        assert_ne!(
            app,
            BundleId::from_project(&identity("github.com/bo/My.App"))
        );
        for key in [
            identity("github.com/al/目"),
            ProjectKey::Path(PortablePath::new("{{HOME}}")),
            ProjectKey::Path(PortablePath::new(format!("/{}", "x".repeat(300)))),
            ProjectKey::Path(PortablePath::new("C:\\work\\..\u{1b}")),
        ] {
            let bundle = BundleId::from_project(&key);
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
            "plans/.x.md",
            "rules/x.sh",
            "output-styles/.x.md",
            "agent-memory/a/.x.md",
            "agent-memory",
            "agents/.x.md",
            "skills/x/.env",
            "skills/x/.git/hooks/post-checkout",
            "skills/x/._SKILL.md",
            "commands/desktop.ini",
            "daemon/control.key",
            "jobs/1/state.json",
            "paste-cache/0.txt",
            "skills/ccsync/hooks/hooks.json",
            "skills/CCsync/README.md",
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
        for (name, kind) in [
            ("rules/rust/a.md", ExtraKind::ClaudeMd),
            ("output-styles/terse.md", ExtraKind::ClaudeMd),
            ("agent-memory/scribe/MEMORY.md", ExtraKind::Memory),
            ("skills/x/.env.example", ExtraKind::Skills),
            ("skills/x/.claude-plugin/plugin.json", ExtraKind::Skills),
            ("skills/ccsync-tips/SKILL.md", ExtraKind::Skills),
        ] {
            assert_eq!(ExtraKind::from_user_file(name), Some(kind), "{name}");
        }
    }
}
