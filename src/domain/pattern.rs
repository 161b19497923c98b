//! Patterns that name projects, as people write them in the settings and on the command line.
//!
//! Owns their grammar (`docs/what-is-synced.md`) and what they match. Must not look at the disk: whoever compiles a pattern says how a
//! directory may be spelled here.

use std::str::FromStr;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use super::checked::checked_text;
use super::placeholder::System;

/// No honest pattern is longer.
const MAX_BYTES: usize = 4096;

/// A pattern: of a directory (`~/work/**`, `/srv/*`, `{{WORK}}/x`), of a git remote (`github.com/acme/*`), or the name of any directory.
/// It covers what it matches and everything below that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectPattern(String);

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a pattern: {why}", text.escape_debug())]
pub struct InvalidPattern {
    text: String,
    why: String,
}

/// What a pattern speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Directories of this machine.
    Directory,
    /// Directories below a placeholder.
    Placeholder,
    /// Git remotes, by what all their addresses have in common, or the end of that.
    Remote,
    /// Directories and remotes, wherever they are.
    Anywhere,
}

/// By what a project is known. What is not known matches no pattern that speaks of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectNames<'a> {
    /// Its directory on this machine.
    pub directory: Option<&'a str>,
    /// The same with a placeholder.
    pub portable: Option<&'a str>,
    /// What the addresses of its git remote have in common.
    pub remote: Option<&'a str>,
}

/// A pattern ready to match.
#[derive(Debug, Clone)]
pub struct Matcher {
    subject: Subject,
    globs: GlobSet,
    system: System,
}

impl ProjectPattern {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidPattern`] with what is wrong in words.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidPattern> {
        let text = text.into();
        let fault = |why: &str| {
            Err(InvalidPattern {
                text: text.chars().take(200).collect(),
                why: why.to_owned(),
            })
        };
        if text.trim().is_empty() {
            return fault("it is empty");
        }
        if text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            return fault("it is too long or holds control characters");
        }
        if text == "." || text.starts_with("./") || text.split('/').any(|part| part == "..") {
            return fault(
                "begin with `/`, `~/` or a placeholder for a directory, else give its name or a git remote",
            );
        }
        let pattern = Self(text.clone());
        match pattern.compile(std::slice::from_ref(&pattern.0), System::Linux) {
            Ok(_) => Ok(pattern),
            Err(e) => fault(&e.kind().to_string()),
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it speaks of.
    pub fn subject(&self) -> Subject {
        let has_drive = || self.0.as_bytes().get(1) == Some(&b':');
        match self.0.as_str() {
            text if text.starts_with('/')
                || text == "~"
                || text.starts_with("~/")
                || has_drive() =>
            {
                Subject::Directory
            }
            text if text.starts_with("{{") => Subject::Placeholder,
            text if top(text).contains('/') && !text.starts_with("**/") => Subject::Remote,
            _ => Subject::Anywhere,
        }
    }

    /// Makes it ready to match on a `system`, in each of these `spellings`; for all but directories the only one is the pattern itself.
    ///
    /// # Errors
    /// If a spelling is none that can be matched.
    pub fn compile(&self, spellings: &[String], system: System) -> Result<Matcher, globset::Error> {
        let subject = self.subject();
        // A host has no case, and most of those that hold repositories have none for the rest.
        let any_case = matches!(subject, Subject::Remote | Subject::Anywhere)
            || matches!(system, System::Macos | System::Windows);
        let mut globs = GlobSetBuilder::new();
        for spelling in spellings {
            let text = escaped_placeholder(&slashes(spelling, system));
            let top = top(&text);
            let anywhere = if matches!(subject, Subject::Anywhere | Subject::Remote) {
                "**/"
            } else {
                ""
            };
            for glob in [format!("{anywhere}{top}"), format!("{anywhere}{top}/**")] {
                globs.add(
                    GlobBuilder::new(&glob)
                        .literal_separator(true)
                        .case_insensitive(any_case)
                        .build()?,
                );
            }
        }
        Ok(Matcher {
            subject,
            globs: globs.build()?,
            system,
        })
    }
}

impl Matcher {
    /// Whether it can depend on where a project lies what is covered.
    pub fn asks_for_place(&self) -> bool {
        self.subject != Subject::Remote
    }

    /// Whether the pattern covers the project.
    pub fn matches(&self, project: &ProjectNames<'_>) -> bool {
        let is_match = |name: Option<&str>| {
            name.is_some_and(|name| self.globs.is_match(slashes(name, self.system)))
        };
        match self.subject {
            Subject::Directory => is_match(project.directory),
            Subject::Placeholder => is_match(project.directory) || is_match(project.portable),
            Subject::Remote => is_match(project.remote),
            Subject::Anywhere => {
                is_match(project.directory)
                    || is_match(project.portable)
                    || is_match(project.remote)
            }
        }
    }
}

/// What a pattern matches it covers whole, whether or not it says so.
fn top(pattern: &str) -> &str {
    pattern.trim_end_matches("/**").trim_end_matches('/')
}

/// Patterns and paths have `/` between their parts.
fn slashes(text: &str, system: System) -> String {
    if system == System::Windows {
        text.replace('\\', "/")
    } else {
        text.to_owned()
    }
}

/// `{{NAME}}` at the beginning stands for itself; elsewhere braces hold alternatives.
fn escaped_placeholder(text: &str) -> String {
    match text
        .strip_prefix("{{")
        .and_then(|rest| rest.split_once("}}"))
    {
        Some((name, rest)) => format!("{}{rest}", globset::escape(&format!("{{{{{name}}}}}"))),
        None => text.to_owned(),
    }
}

impl FromStr for ProjectPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        Self::new(text)
    }
}

checked_text!(ProjectPattern, InvalidPattern, Self::new);

#[cfg(test)]
mod tests {
    use super::*;

    const APP: ProjectNames<'_> = ProjectNames {
        directory: Some("/home/al/work/app/sub"),
        portable: Some("{{WORK}}/app/sub"),
        remote: Some("github.com/Acme/app"),
    };

    fn covers(pattern: &str, project: &ProjectNames<'_>) -> bool {
        let spelling = pattern.replacen('~', "/home/al", 1);
        let matcher = ProjectPattern::new(pattern)
            .unwrap()
            .compile(&[spelling], System::Linux)
            .unwrap();
        matcher.matches(project)
    }

    #[test]
    fn pattern_covers_everything_below() {
        for pattern in [
            "/",
            "~",
            "~/work",
            "~/work/",
            "~/work/**",
            "~/work/app/sub",
            "~/w*",
            "~/*/app",
            "~/{work,lib}",
            "/**/app",
            "{{WORK}}",
            "{{WORK}}/a?p",
            "github.com/acme/*",
            "github.com/acme",
            "GitHub.com/acme/app",
            "github.com/*",
            "acme/app",
            "acme/*",
            "app",
            "a*",
            "**/app/*",
            "**/acme/*",
            "sub",
        ] {
            assert!(covers(pattern, &APP), "{pattern}");
        }
        for pattern in [
            "~/wor",
            "~/work/ap",
            "~/work/App",
            "~/*/sub",
            "/work",
            "{{HOME}}/work",
            "github.com/acm",
            "gitlab.com/acme/app",
            "ap",
            "App.git",
        ] {
            assert!(!covers(pattern, &APP), "{pattern}");
        }
    }

    #[test]
    fn pattern_unknown_project_names_match_nothing() {
        for pattern in ["/", "{{WORK}}", "github.com/acme", "app"] {
            assert!(!covers(pattern, &ProjectNames::default()), "{pattern}");
        }
    }

    #[test]
    fn pattern_windows_path_matches_either_separator() {
        let project = ProjectNames {
            directory: Some(r"C:\Users\al\work\app"),
            ..ProjectNames::default()
        };
        for pattern in [r"C:\Users\al\work", "c:/users/al/work/**"] {
            let parsed = ProjectPattern::new(pattern).unwrap();
            assert!(
                parsed
                    .compile(&[pattern.to_owned()], System::Windows)
                    .unwrap()
                    .matches(&project),
                "{pattern}"
            );
        }
    }

    #[test]
    fn pattern_invalid_text_is_refused() {
        for bad in [
            "",
            " ",
            "a\nb",
            "[",
            "{a",
            "./x",
            "../x",
            "a/../b",
            &"x".repeat(5000),
        ] {
            assert!(ProjectPattern::new(bad).is_err(), "{bad:?}");
        }
    }
}
