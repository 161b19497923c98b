//! Placeholders: named directories, and the system whose path rules they follow.

use serde::{Deserialize, Serialize};

use super::checked::{checked_text, ensure};

/// Longest name of a placeholder, in bytes.
const MAX_NAME: usize = 64;

/// Longest directory of a placeholder, in bytes.
const MAX_DIRECTORY: usize = 4096;

/// The operating system whose rules a machine's paths follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Linux and other Unix systems.
    Linux,
    /// macOS.
    Macos,
    /// Windows, Git Bash included: native paths are `C:\x`.
    Windows,
    /// Linux inside Windows: paths are those of Linux, `/mnt/c/x` is also `C:\x`.
    Wsl,
}

/// The name of a placeholder, `HOME` or `PROJECTS`: an upper-case ASCII letter, then upper-case
/// letters, digits, `_`; 1 to 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlaceholderName(String);

/// A name that stands for a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Placeholder {
    /// The name.
    pub name: PlaceholderName,
    /// The absolute path in the native form of its machine, without a trailing separator.
    #[serde(alias = "path")]
    pub directory: String,
    /// The same directory with links resolved, if that differs (the client writes resolved paths).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
}

/// All placeholders of one machine at one time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Placeholders {
    /// The system whose rules the paths follow.
    pub system: System,
    /// The placeholders, sorted by name, one per name.
    #[serde(alias = "roots")]
    pub placeholders: Vec<Placeholder>,
}

/// The reason why a placeholder is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlaceholder {
    /// The name does not follow the rule of [`PlaceholderName`].
    #[error("invalid placeholder name `{}`: use upper-case letters, digits and `_`, beginning with a letter", .0.escape_debug())]
    Name(String),
    /// The path is not absolute on its system, is a file-system root, or has a control character.
    #[error("invalid placeholder directory `{}`: give an absolute path below the root of the file system", .0.escape_debug())]
    Path(String),
}

impl PlaceholderName {
    /// Returns the name for the home directory, which every machine has.
    pub fn home() -> Self {
        Self("HOME".to_owned())
    }

    /// Returns the name for the top of the git working tree of a session.
    pub fn repo() -> Self {
        Self("REPO".to_owned())
    }

    /// Returns true for a name that users cannot define.
    pub fn is_reserved(&self) -> bool {
        matches!(self.as_str(), "HOME" | "REPO")
    }
}

fn check_name(text: &str) -> Result<(), InvalidPlaceholder> {
    let is_allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let is_valid = text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(is_allowed)
        && text.len() <= MAX_NAME;
    ensure(is_valid, || InvalidPlaceholder::Name(text.to_owned()))
}

checked_text!(PlaceholderName, InvalidPlaceholder, check_name);

impl System {
    /// Returns true if native paths use backslashes and drive letters.
    pub fn is_windows(self) -> bool {
        self == Self::Windows
    }

    /// Returns true if names that differ only in case are one file on most disks.
    pub fn ignores_case(self) -> bool {
        matches!(self, Self::Windows | Self::Macos)
    }

    /// Returns the separator of native paths.
    pub fn separator(self) -> char {
        if self.is_windows() { '\\' } else { '/' }
    }

    /// Returns the system that this program was built for; `sys::env` recognises WSL.
    pub fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::Macos
        } else {
            Self::Linux
        }
    }
}

impl Placeholder {
    /// Creates a placeholder; checks its paths by the rules of `system` and removes trailing
    /// separators.
    ///
    /// # Errors
    /// [`InvalidPlaceholder::Path`] if a path is relative, the root of the file system, or has a
    /// control character.
    pub fn new(
        system: System,
        name: PlaceholderName,
        directory: &str,
        resolved: Option<&str>,
    ) -> Result<Self, InvalidPlaceholder> {
        let directory = clean(system, directory)?;
        let resolved = resolved.map(|path| clean(system, path)).transpose()?;
        Ok(Self {
            name,
            resolved: resolved.filter(|path| *path != directory),
            directory,
        })
    }
}

impl Placeholders {
    /// Creates a set, sorted by name; of two placeholders with one name the later one wins.
    pub fn new(system: System, placeholders: impl IntoIterator<Item = Placeholder>) -> Self {
        let by_name: std::collections::BTreeMap<_, _> = placeholders
            .into_iter()
            .map(|placeholder| (placeholder.name.clone(), placeholder))
            .collect();
        Self {
            system,
            placeholders: by_name.into_values().collect(),
        }
    }

    /// Returns the placeholder with this name.
    pub fn get(&self, name: &str) -> Option<&Placeholder> {
        self.placeholders
            .iter()
            .find(|placeholder| placeholder.name.as_str() == name)
    }

    /// Returns the placeholder for the session's git working tree, if it has one.
    pub fn repo(&self) -> Option<&Placeholder> {
        self.get(PlaceholderName::repo().as_str())
    }

    /// Returns the set with this placeholder, which replaces one with its name.
    #[must_use]
    pub fn with(&self, placeholder: Placeholder) -> Self {
        let all = self.placeholders.iter().cloned().chain([placeholder]);
        Self::new(self.system, all)
    }

    /// Returns the set without the placeholder of a session.
    #[must_use]
    pub fn without_repo(&self) -> Self {
        let repo = PlaceholderName::repo();
        Self {
            system: self.system,
            placeholders: self
                .placeholders
                .iter()
                .filter(|placeholder| placeholder.name != repo)
                .cloned()
                .collect(),
        }
    }

    /// Checks a set from outside (a manifest, a machine file) by the rules of
    /// [`Placeholder::new`].
    ///
    /// # Errors
    /// For the first placeholder that breaks a rule.
    pub fn validated(self) -> Result<Self, InvalidPlaceholder> {
        let system = self.system;
        let placeholders = self
            .placeholders
            .into_iter()
            .map(|r| Placeholder::new(system, r.name, &r.directory, r.resolved.as_deref()));
        Ok(Self::new(
            system,
            placeholders.collect::<Result<Vec<_>, _>>()?,
        ))
    }
}

fn clean(system: System, path: &str) -> Result<String, InvalidPlaceholder> {
    let separators: &[char] = if system.is_windows() {
        &['\\', '/']
    } else {
        &['/']
    };
    let trimmed = path.trim_end_matches(separators);
    let absolute = if system.is_windows() {
        let b = trimmed.as_bytes();
        b.len() > 3 && b[0].is_ascii_alphabetic() && b[1] == b':' && matches!(b[2], b'\\' | b'/')
    } else {
        trimmed.len() > 1 && trimmed.starts_with('/')
    };
    if !absolute || trimmed.chars().any(char::is_control) || trimmed.len() > MAX_DIRECTORY {
        return Err(InvalidPlaceholder::Path(path.to_owned()));
    }
    Ok(if system.is_windows() {
        trimmed.replace('/', "\\")
    } else {
        trimmed.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholder_path_is_absolute_and_not_filesystem_root() {
        let directory = |system, path| {
            Placeholder::new(system, PlaceholderName::home(), path, None).map(|p| p.directory)
        };
        assert_eq!(
            directory(System::Linux, "/home/al/").as_deref(),
            Ok("/home/al")
        );
        assert_eq!(
            directory(System::Windows, "C:/Users/al/").as_deref(),
            Ok("C:\\Users\\al")
        );
        for (system, bad) in [
            (System::Linux, "/"),
            (System::Linux, "home"),
            (System::Linux, "/a\nb"),
            (System::Windows, "C:\\"),
        ] {
            assert!(directory(system, bad).is_err(), "{bad:?}");
        }
    }
}
