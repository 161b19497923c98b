//! Roots: the directories that have a placeholder, and the system whose path rules they follow.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::checked::checked_text;

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

/// The name of a root, `HOME` or `PROJECTS`: an upper-case ASCII letter, then upper-case letters, digits, `_`; 1 to 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlaceholderName(String);

/// A directory with a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Placeholder {
    /// The name that stands in the placeholder.
    pub name: PlaceholderName,
    /// Absolute path in the native form of its machine, without a trailing separator.
    #[serde(alias = "path")]
    pub directory: String,
    /// The same directory with symbolic links resolved, where that differs (the client writes resolved paths).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
}

/// All roots of one machine at one time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Placeholders {
    /// Whose path rules the paths follow.
    pub system: System,
    /// The roots, sorted by name, one per name.
    #[serde(alias = "roots")]
    pub placeholders: Vec<Placeholder>,
}

/// Why a root was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlaceholder {
    /// The name does not follow the rule of [`PlaceholderName`].
    #[error("`{}` is not a placeholder name: use upper-case letters, digits and `_`, beginning with a letter", .0.escape_debug())]
    Name(String),
    /// The path is not absolute on its system, is a file-system root, or holds a control character.
    #[error("`{}` cannot be a placeholder's directory: give an absolute path below the file-system root", .0.escape_debug())]
    Path(String),
}

impl PlaceholderName {
    /// The name of the home directory's root, which every machine has.
    pub fn home() -> Self {
        Self("HOME".to_owned())
    }

    /// The name of the root that a session has for itself: the top of the git working tree that it works in.
    pub fn repo() -> Self {
        Self("REPO".to_owned())
    }

    /// Whether it stands for something that no person chooses.
    pub fn is_reserved(&self) -> bool {
        matches!(self.as_str(), "HOME" | "REPO")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PlaceholderName {
    type Err = InvalidPlaceholder;

    fn from_str(text: &str) -> Result<Self, InvalidPlaceholder> {
        let ok = text
            .bytes()
            .enumerate()
            .all(|(at, b)| b.is_ascii_uppercase() || at > 0 && (b.is_ascii_digit() || b == b'_'));
        if ok && !text.is_empty() && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPlaceholder::Name(text.to_owned()))
        }
    }
}

checked_text!(PlaceholderName, InvalidPlaceholder, |text| text.parse());

impl System {
    /// Whether native paths use backslashes and drive letters.
    pub fn is_windows(self) -> bool {
        self == Self::Windows
    }

    /// The separator of native paths.
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
    /// A root whose paths are checked against the rules of `system`; trailing separators are removed.
    ///
    /// # Errors
    /// [`InvalidPlaceholder::Path`] if a path is relative, the root of the file system, or holds a control character.
    pub fn new(
        system: System,
        name: PlaceholderName,
        path: &str,
        resolved: Option<&str>,
    ) -> Result<Self, InvalidPlaceholder> {
        let directory = clean(system, path)?;
        let resolved = resolved
            .map(|p| clean(system, p))
            .transpose()?
            .filter(|p| *p != directory);
        Ok(Self {
            name,
            directory,
            resolved,
        })
    }
}

impl Placeholders {
    /// A set of roots sorted by name; of two roots with one name the later wins.
    pub fn new(system: System, placeholders: impl IntoIterator<Item = Placeholder>) -> Self {
        let by_name: std::collections::BTreeMap<_, _> = placeholders
            .into_iter()
            .map(|r| (r.name.clone(), r))
            .collect();
        Self {
            system,
            placeholders: by_name.into_values().collect(),
        }
    }

    /// The root of this name.
    pub fn get(&self, name: &str) -> Option<&Placeholder> {
        self.placeholders.iter().find(|r| r.name.as_str() == name)
    }

    /// The root of the session that the set is for, if its working directory lay in a git working tree.
    pub fn repo(&self) -> Option<&Placeholder> {
        self.get(PlaceholderName::repo().as_str())
    }

    /// The same set with this root, in the place of one of its name.
    #[must_use]
    pub fn with(&self, root: Placeholder) -> Self {
        Self::new(self.system, self.placeholders.iter().cloned().chain([root]))
    }

    /// The roots of the machine alone, without that of a session.
    #[must_use]
    pub fn without_repo(&self) -> Self {
        let repo = PlaceholderName::repo();
        Self {
            system: self.system,
            placeholders: self
                .placeholders
                .iter()
                .filter(|root| root.name != repo)
                .cloned()
                .collect(),
        }
    }

    /// Checks what came from outside (a manifest, a machine file) by the rules of [`Placeholder::new`].
    ///
    /// # Errors
    /// The first root that breaks a rule.
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
    if !absolute || trimmed.chars().any(char::is_control) || trimmed.len() > 4096 {
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
        let root = |system, path| {
            Placeholder::new(system, PlaceholderName::home(), path, None).map(|r| r.directory)
        };
        assert_eq!(root(System::Linux, "/home/al/").as_deref(), Ok("/home/al"));
        assert_eq!(
            root(System::Windows, "C:/Users/al/").as_deref(),
            Ok("C:\\Users\\al")
        );
        for (system, bad) in [
            (System::Linux, "/"),
            (System::Linux, "home"),
            (System::Linux, "/a\nb"),
            (System::Windows, "C:\\"),
        ] {
            assert!(root(system, bad).is_err(), "{bad:?}");
        }
    }
}
