//! Whether a repository on this disk is plain: whether the `git` program would do with it what this program does, and nothing else.
//!
//! Owns the list of what makes it unusual. In doubt it is, and git has its say.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{Config, Repository, RepositoryOpenFlags};

use super::NotDone;

/// Settings of the repository, or of its user, that change what is accepted or shown, or run programs.
const OF_RECEIVER: [&str; 7] = [
    "receive.",
    "transfer.",
    "uploadpack.",
    "uploadarchive.",
    "extensions.",
    "hook.",
    "core.alternaterefs",
];

/// Settings of the user's that change what is sent, checked or allowed.
const OF_SENDER: [&str; 4] = [
    "protocol.",
    "push.gpgsign",
    "push.pushoption",
    "fetch.fsckobjects",
];

/// Hooks that run where something is pushed to.
const HOOKS: [&str; 6] = [
    "pre-receive",
    "update",
    "post-receive",
    "post-update",
    "reference-transaction",
    "proc-receive",
];

/// What makes a repository more than its own objects and references.
const UNUSUAL: [&str; 7] = [
    ".git",
    "shallow",
    "logs",
    "worktrees",
    "reftable",
    "objects/info/alternates",
    "objects/info/http-alternates",
];

/// As git does it by default (`gc.autoPackLimit`).
const MOST_PACKS: i64 = 50;

/// A plain bare repository on this disk.
pub(super) struct Plain {
    pub(super) repo: Repository,
    pub(super) path: PathBuf,
    config: Config,
}

impl Plain {
    /// Looks at the repository at `path`, which the user calls `address`; `own` are the settings of the store.
    pub(super) fn open(address: &str, path: &Path, own: &Config) -> Result<Self, NotDone> {
        if UNUSUAL
            .iter()
            .any(|name| fs::symlink_metadata(path.join(name)).is_ok())
            || address.contains('%')
        {
            return Err(NotDone::LeaveToGit);
        }
        // Refuses what belongs to somebody else, as git does, and formats that it does not know.
        let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
        let repo = Repository::open_ext(path, flags, std::iter::empty::<&Path>())?;
        let mut config = repo.config()?;
        let config = config.snapshot()?;
        let plain = Self {
            repo,
            path: path.to_owned(),
            config,
        };
        let directories = ["objects/pack", "refs/heads"];
        if !plain.repo.is_bare()
            || directories.iter().any(|name| {
                !fs::symlink_metadata(path.join(name)).is_ok_and(|found| found.is_dir())
            })
            || plain.has_unusual_settings()?
            || plain.has_hooks()?
            || changes_sending(own, address)?
        {
            return Err(NotDone::LeaveToGit);
        }
        Ok(plain)
    }

    /// Whether git would tidy up here after a push. It does so beside other work and may take long.
    pub(super) fn is_untidy(&self) -> bool {
        let number = |name: &str, default| self.config.get_i64(name).unwrap_or(default);
        let switched_off =
            number("gc.auto", 1) <= 0 || !self.config.get_bool("maintenance.auto").unwrap_or(true);
        let most = number("gc.autopacklimit", MOST_PACKS);
        if switched_off || most <= 0 {
            return false;
        }
        let entries = fs::read_dir(self.path.join("objects/pack"))
            .into_iter()
            .flatten()
            .flatten();
        let counts = |path: &Path| {
            path.extension().is_some_and(|e| e == "idx") && !path.with_extension("keep").exists()
        };
        let packs = entries.filter(|entry| counts(&entry.path())).count();
        // The same number as git's: below it, git would not tidy up either, and the number would never fall.
        i64::try_from(packs).is_ok_and(|packs| packs > most)
    }

    fn has_unusual_settings(&self) -> Result<bool, NotDone> {
        let logs = |name: &str, value: &str| name == "core.logallrefupdates" && value != "false";
        any(&self.config, |name, value| {
            is_one_of(&OF_RECEIVER, name) || logs(name, value)
        })
    }

    fn has_hooks(&self) -> Result<bool, NotDone> {
        let directory = match self.config.get_path("core.hookspath") {
            Ok(directory) => self.path.join(directory),
            Err(e) if e.code() == git2::ErrorCode::NotFound => self.path.join("hooks"),
            Err(e) => return Err(e.into()),
        };
        Ok(HOOKS
            .iter()
            .any(|name| fs::symlink_metadata(directory.join(name)).is_ok()))
    }
}

fn changes_sending(own: &Config, address: &str) -> Result<bool, NotDone> {
    let leads_elsewhere = |name: &str, value: &str| {
        name.starts_with("url.") && name.ends_with("insteadof") && address.starts_with(value)
    };
    any(own, |name, value| {
        is_one_of(&OF_SENDER, name) || leads_elsewhere(name, value)
    })
}

/// Whether a setting is as described, or only git can tell which hold: the library does not know all conditions of `includeIf`.
fn any(config: &Config, is_wanted: impl Fn(&str, &str) -> bool) -> Result<bool, NotDone> {
    let mut found = false;
    config.entries(None)?.for_each(|entry| {
        let name = entry.name().unwrap_or("receive.").to_ascii_lowercase();
        // A name alone, without `=`, has none, and the library does not ask itself.
        let value = if entry.has_value() {
            entry.value().unwrap_or_default()
        } else {
            ""
        };
        found |= name.starts_with("includeif.hasconfig") || is_wanted(&name, value);
    })?;
    Ok(found)
}

fn is_one_of(prefixes: &[&str], name: &str) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}
