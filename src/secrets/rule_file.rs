//! Files with rules of the user: `secrets.toml` in the configuration directory, and those that it
//! includes. All have the format of gitleaks, as far as it is about text.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::rule::{Allowance, Rule};
use super::rule_text::{AllowText, RuleText};
use crate::sys::fs::{PathError, read_to_string_if_exists};

/// Name of the user's own file.
const FILE_NAME: &str = "secrets.toml";

/// Most files that are read, and the size of one, in bytes.
const MAX_FILES: usize = 20;
const MAX_FILE_SIZE: usize = 4 << 20;

/// Most rules of all files.
const MAX_RULES: usize = 2000;

/// The rules of all files.
#[derive(Default)]
pub(super) struct RuleFiles {
    pub(super) rules: Vec<Rule>,
    /// Values that are no secrets, whatever finds them.
    pub(super) allowed: Vec<Allowance>,
    /// Notices about what is not used.
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct FileText {
    /// Files with more rules; only in the user's own file.
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    rules: Vec<RuleText>,
    allowlist: Option<AllowText>,
    #[serde(default)]
    allowlists: Vec<AllowText>,
    extend: Option<toml::Value>,
}

impl RuleFiles {
    /// Reads the files. A missing `secrets.toml` is empty.
    ///
    /// # Errors
    /// [`PathError`] if a file cannot be read or is not TOML: its rules would not protect.
    pub(super) fn read(config_dir: &Path, home: &Path) -> Result<Self, PathError> {
        let path = config_dir.join(FILE_NAME);
        let mut files = Self::default();
        let Some(own) = read(&path)? else {
            return Ok(files);
        };
        let includes = own.include.iter();
        let includes: Vec<PathBuf> = includes
            .map(|name| match name.strip_prefix("~/") {
                Some(below) => home.join(below),
                None => config_dir.join(name),
            })
            .collect();
        if includes.len() > MAX_FILES {
            return Err(invalid(
                &path,
                format!("more than {MAX_FILES} files in `include`"),
            ));
        }
        let allowed = files.add(own, &path)?;
        files.allowed = allowed;
        for path in includes {
            let missing = || PathError::new("read", &path, io::ErrorKind::NotFound.into());
            let file = read(&path)?.ok_or_else(missing)?;
            let allowed = files.add(file, &path)?;
            files.rules.iter_mut().for_each(|rule| {
                if rule.file == path {
                    rule.allowed.extend(allowed.iter().cloned());
                }
            });
        }
        Ok(files)
    }

    /// Adds the rules of a file; returns what it allows in general.
    fn add(&mut self, file: FileText, path: &Path) -> Result<Vec<Allowance>, PathError> {
        if self.rules.len() + file.rules.len() > MAX_RULES {
            return Err(invalid(path, format!("more than {MAX_RULES} rules")));
        }
        let at = path.display();
        if file.extend.is_some() {
            let warning = format!("`extend` in {at} ignored: name more files in `include` instead");
            self.warnings.push(warning);
        }
        let first = self.rules.len();
        for text in file.rules {
            let allowed = text.allowlist.iter().chain(&text.allowlists);
            let allowed = self.allowances(allowed, &format!("rule `{}` in {at}", text.id));
            match Rule::new(&text, path, allowed) {
                Ok(rule) => self.rules.push(rule),
                Err(reason) => {
                    let warning = format!("rule `{}` in {at} not used: {reason}", text.id);
                    self.warnings.push(warning);
                }
            }
        }

        let lists = file.allowlist.into_iter().chain(file.allowlists);
        let (general, targeted): (Vec<_>, Vec<_>) =
            lists.partition(|list| list.target_rules.is_empty());
        for list in targeted {
            let allowed = self.allowances([&list].into_iter(), &format!("allowlist in {at}"));
            for rule in &mut self.rules[first..] {
                if list.target_rules.contains(&rule.id) {
                    rule.allowed.extend(allowed.iter().cloned());
                }
            }
        }
        Ok(self.allowances(general.iter(), &format!("allowlist in {at}")))
    }

    fn allowances<'t>(
        &mut self,
        lists: impl Iterator<Item = &'t AllowText>,
        place: &str,
    ) -> Vec<Allowance> {
        let mut allowed = Vec::new();
        for list in lists {
            match Allowance::new(list) {
                Ok(allowance) => allowed.extend(allowance),
                Err(reason) => {
                    let warning = format!("allowlist of {place} not used: {reason}");
                    self.warnings
                        .push(warning.replace("allowlist of allowlist", "allowlist"));
                }
            }
        }
        allowed
    }
}

fn read(path: &Path) -> Result<Option<FileText>, PathError> {
    let Some(text) = read_to_string_if_exists(path)? else {
        return Ok(None);
    };
    if text.len() > MAX_FILE_SIZE {
        return Err(invalid(path, "it is larger than 4 MB".to_owned()));
    }
    let parsed = toml::from_str(&text);
    parsed
        .map(Some)
        .map_err(|error| invalid(path, error.to_string().trim_end().replace('\n', " ")))
}

fn invalid(path: &Path, reason: String) -> PathError {
    PathError::new("use the rules in", path, io::Error::other(reason))
}
