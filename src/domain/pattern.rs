//! Patterns for projects, in the settings and on the command line.
//!
//! Owns their grammar (`docs/what-is-synced.md`) and matching. Must not read the disk: the caller
//! of [`ProjectPattern::compile`] passes the forms of a directory on this machine.

use std::borrow::Cow;

use regex::RegexSet;
use serde::{Deserialize, Serialize};

use super::checked::checked_text;
use super::composed::composed;
use super::glob::{self, InvalidGlob};
use super::placeholder::System;

/// Longest pattern, in bytes.
const MAX_BYTES: usize = 4096;

/// A pattern for a directory (`~/work/**`, `/srv/*`, `{{WORK}}/x`), for a git remote
/// (`github.com/acme/*`), or for the name of any directory.
///
/// It covers all matching paths and everything below them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectPattern(String);

/// The reason why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid pattern `{}`: {reason}", text.escape_debug())]
pub struct InvalidPattern {
    text: String,
    reason: String,
}

/// The kind of paths that a pattern is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternSubject {
    /// Directories of this machine.
    Directory,
    /// Directories below a placeholder.
    Placeholder,
    /// Git remotes, by their identity or its end.
    Remote,
    /// Directories and remotes anywhere.
    Anywhere,
}

/// The names of a project. A missing name matches no pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectNames<'a> {
    /// Its directory on this machine.
    pub directory: Option<&'a str>,
    /// Its directory with a placeholder.
    pub portable: Option<&'a str>,
    /// The identity of its git remote.
    pub remote: Option<&'a str>,
}

/// A pattern ready to match.
#[derive(Debug, Clone)]
pub struct Matcher {
    subject: PatternSubject,
    globs: RegexSet,
    system: System,
}

impl ProjectPattern {
    /// Returns the kind of paths that it is compared with.
    pub fn subject(&self) -> PatternSubject {
        let has_drive = || self.0.as_bytes().get(1) == Some(&b':');
        match self.0.as_str() {
            text if text.starts_with('/')
                || text == "~"
                || text.starts_with("~/")
                || has_drive() =>
            {
                PatternSubject::Directory
            }
            text if text.starts_with("{{") => PatternSubject::Placeholder,
            text if without_tail(text).contains('/') && !text.starts_with("**/") => {
                PatternSubject::Remote
            }
            _ => PatternSubject::Anywhere,
        }
    }

    /// Prepares it for matching on a `system`, in all of these `forms`. Patterns for anything but
    /// directories have one form, the pattern itself.
    ///
    /// # Errors
    /// If a form is not a valid glob.
    pub fn compile(&self, forms: &[String], system: System) -> Result<Matcher, InvalidGlob> {
        let subject = self.subject();
        // Hosts ignore case, and most git servers ignore it in the rest.
        let any_case = matches!(subject, PatternSubject::Remote | PatternSubject::Anywhere)
            || matches!(system, System::Macos | System::Windows);
        let anywhere = match subject {
            PatternSubject::Anywhere | PatternSubject::Remote => "**/",
            PatternSubject::Directory | PatternSubject::Placeholder => "",
        };
        let mut globs = Vec::new();
        for form in forms.iter().flat_map(|form| spellings(form)) {
            let text = escape_placeholder(&with_slashes(&form, system));
            let top = without_tail(&text);
            globs.extend([format!("{anywhere}{top}"), format!("{anywhere}{top}/**")]);
        }
        Ok(Matcher {
            subject,
            globs: glob::compile(&globs, any_case)?,
            system,
        })
    }
}

impl Matcher {
    /// Returns true if the result may depend on the directory of a project.
    pub fn depends_on_directory(&self) -> bool {
        self.subject != PatternSubject::Remote
    }

    /// Returns true if the result may depend on the git remote of a project.
    pub fn depends_on_remote(&self) -> bool {
        matches!(
            self.subject,
            PatternSubject::Remote | PatternSubject::Anywhere
        )
    }

    /// Returns true if the pattern covers the project.
    pub fn matches(&self, project: &ProjectNames<'_>) -> bool {
        let is_match = |name: Option<&str>| {
            let mut spellings = name.into_iter().flat_map(spellings);
            spellings.any(|name| self.globs.is_match(&with_slashes(&name, self.system)))
        };
        match self.subject {
            PatternSubject::Directory => is_match(project.directory),
            PatternSubject::Placeholder => {
                is_match(project.directory) || is_match(project.portable)
            }
            PatternSubject::Remote => is_match(project.remote),
            PatternSubject::Anywhere => {
                is_match(project.directory)
                    || is_match(project.portable)
                    || is_match(project.remote)
            }
        }
    }
}

/// Returns the text and, if that differs, its spelling with composed characters: a pattern matches
/// every spelling of a name, and still the names that it matches character by character.
fn spellings(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let other = Some(composed(text)).filter(|other| other != text);
    std::iter::once(Cow::Borrowed(text)).chain(other)
}

/// Removes `/**` and `/` from the end: a pattern always covers everything below.
fn without_tail(pattern: &str) -> &str {
    pattern.trim_end_matches("/**").trim_end_matches('/')
}

/// Replaces the separators of Windows by `/`.
fn with_slashes(text: &str, system: System) -> String {
    if system == System::Windows {
        text.replace('\\', "/")
    } else {
        text.to_owned()
    }
}

/// Escapes `{{NAME}}` at the beginning; elsewhere braces contain alternatives.
fn escape_placeholder(text: &str) -> String {
    match text
        .strip_prefix("{{")
        .and_then(|rest| rest.split_once("}}"))
    {
        Some((name, rest)) => format!("{}{rest}", globset::escape(&format!("{{{{{name}}}}}"))),
        None => text.to_owned(),
    }
}

fn check_pattern(text: &str) -> Result<(), InvalidPattern> {
    let fault = |reason: &str| {
        Err(InvalidPattern {
            text: text.chars().take(200).collect(),
            reason: reason.to_owned(),
        })
    };
    if text.trim().is_empty() {
        return fault("it is empty");
    }
    if text.len() > MAX_BYTES || text.chars().any(char::is_control) {
        return fault("it is too long or contains control characters");
    }
    if text == "." || text.starts_with("./") || text.split('/').any(|part| part == "..") {
        return fault(
            "begin with `/`, `~/` or a placeholder for a directory, else give its name or a git remote",
        );
    }
    let pattern = ProjectPattern(text.to_owned());
    match pattern.compile(std::slice::from_ref(&pattern.0), System::Linux) {
        Ok(_) => Ok(()),
        Err(e) => fault(&e.to_string()),
    }
}

checked_text!(ProjectPattern, InvalidPattern, check_pattern);

#[cfg(test)]
mod tests {
    use super::*;

    const APP: ProjectNames<'_> = ProjectNames {
        directory: Some("/home/al/work/app/sub"),
        portable: Some("{{WORK}}/app/sub"),
        remote: Some("github.com/Acme/app"),
    };

    fn covers(pattern: &str, project: &ProjectNames<'_>) -> bool {
        let form = pattern.replacen('~', "/home/al", 1);
        let matcher = ProjectPattern::new(pattern)
            .unwrap()
            .compile(&[form], System::Linux)
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
