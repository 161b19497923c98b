//! Reads the configuration file, also in format 1, which had other names for some
//! settings.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::file::Config;
use super::keys::SettingKey;
use super::names::{FORMAT, TABLE_NAMES};
use super::values::{MachineIdentity, invalid};
use crate::domain::{PlaceholderName, ProjectPattern};
use crate::sys::fs::read_to_string_if_exists;

impl Config {
    /// Reads the file. Returns `None` if it is missing: `ccsync init` has not been run.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(path: &Path) -> Result<Option<Self>, ConfigError> {
        let text = read_to_string_if_exists(path)?;
        text.map(|text| Self::parse(&text, path)).transpose()
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let line_at = |start: usize| 1 + text[..start].matches('\n').count();
        let file = DeTable::parse(text).map_err(|e| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_at(e.span().map_or(0, |span| span.start)),
            message: first_clause(e.message()).to_owned(),
        })?;
        let file = file.into_inner();
        refuse_newer(&file, path)?;

        read(&file, text).map_err(|fault| ConfigError::InFile {
            path: path.to_owned(),
            line: line_at(fault.start),
            source: Box::new(fault.error),
        })
    }
}

/// Refuses a file of a newer ccsync before its settings are read, which may be unknown.
fn refuse_newer(file: &DeTable<'_>, path: &Path) -> Result<(), ConfigError> {
    let format = file.get("format").map(|format| format.get_ref());
    let Some(DeValue::Integer(format)) = format else {
        return Ok(());
    };
    let is_known = i64::from_str_radix(format.as_str(), format.radix())
        .is_ok_and(|format| (1..=FORMAT).contains(&format));
    if is_known {
        return Ok(());
    }
    Err(ConfigError::Newer {
        path: path.to_owned(),
        found: format.to_string(),
    })
}

/// An error, and its position in the file.
struct Fault {
    start: usize,
    error: ConfigError,
}

fn read(file: &DeTable<'_>, text: &str) -> Result<Config, Fault> {
    let entries = entries(file, text)?;
    let mut config = read_machine(&entries)?;
    let mut names = BTreeMap::new();
    for entry in &entries {
        entry
            .read_into(&mut config, &mut names)
            .map_err(|error| entry.fault(error))?;
    }
    Ok(config)
}

/// Returns a configuration with the identity of this machine, and defaults for the rest.
fn read_machine(entries: &[Entry<'_>]) -> Result<Config, Fault> {
    let find = |name: &'static str| {
        let mut of_machine = entries.iter().filter(|entry| entry.table == "machine");
        of_machine.find(|entry| entry.name == name).ok_or(Fault {
            start: 0,
            error: ConfigError::Missing(name),
        })
    };
    let (id, name) = (find("id")?, find("name")?);
    let parsed_id = id.text("id").and_then(|text| {
        text.parse().map_err(|_| ConfigError::InvalidValue {
            key: "id",
            value: text.to_owned(),
            rule: "give 32 lower-case hexadecimal digits",
        })
    });
    let parsed_id = parsed_id.map_err(|error| id.fault(error))?;
    let text = name.text("name").map_err(|error| name.fault(error))?;
    Config::new(MachineIdentity {
        id: parsed_id,
        name: text.to_owned(),
        host: None,
    })
    .map_err(|error| name.fault(error))
}

/// One setting in the file.
struct Entry<'t> {
    /// The table that contains it; empty for the top level.
    table: &'t str,
    name: &'t str,
    value: &'t DeValue<'t>,
    /// The value as it is in the file.
    raw: &'t str,
    start: usize,
}

/// Lists the settings of all tables.
fn entries<'t>(file: &'t DeTable<'t>, text: &'t str) -> Result<Vec<Entry<'t>>, Fault> {
    let mut entries = Vec::new();
    for (name, value) in file {
        let (name, start) = (name.get_ref().as_ref(), name.span().start);
        match value.get_ref() {
            DeValue::Table(table) if TABLE_NAMES.contains(&name) => {
                entries.extend(table.iter().map(|(key, value)| Entry {
                    table: name,
                    name: key.get_ref(),
                    value: value.get_ref(),
                    raw: &text[value.span()],
                    start: key.span().start,
                }));
            }
            DeValue::Table(_) => {
                let table = name.to_owned();
                let error = ConfigError::UnknownTable { table };
                return Err(Fault { start, error });
            }
            value_here => entries.push(Entry {
                table: "",
                name,
                value: value_here,
                raw: &text[value.span()],
                start,
            }),
        }
    }
    Ok(entries)
}

impl<'t> Entry<'t> {
    fn fault(&self, error: ConfigError) -> Fault {
        let start = self.start;
        Fault { start, error }
    }

    fn read_into(
        &self,
        config: &mut Config,
        names: &mut BTreeMap<SettingKey, &'t str>,
    ) -> Result<(), ConfigError> {
        match (self.table, self.name) {
            ("", "format") | ("machine", "id") => {}
            ("machine", "host") => config.machine.host = Some(self.text("host")?.to_owned()),
            ("sync", "include") => config.sync.include = self.patterns("include")?,
            ("sync", "exclude") => config.sync.exclude = self.patterns("exclude")?,
            ("project_secrets", pattern) => {
                let mode = self.text("project_secrets")?.parse()?;
                let pattern = ProjectPattern::new(pattern)?;
                config.project_secrets.insert(pattern, mode);
            }
            ("placeholders", name) => {
                let name: PlaceholderName = name.parse()?;
                if name.is_reserved() {
                    return Err(ConfigError::ReservedPlaceholder);
                }
                let directory = self.text("placeholders")?.to_owned();
                config.placeholders.insert(name, directory);
            }
            (table, name) => {
                let key =
                    SettingKey::in_table(table, name).ok_or_else(|| ConfigError::UnknownKey {
                        key: name.to_owned(),
                    })?;
                if let Some(other) = names.insert(key, name) {
                    let former = if name == key.name() { other } else { name };
                    return Err(ConfigError::BothNames {
                        name: key.name(),
                        former: former.to_owned(),
                    });
                }
                config.set(key, &self.value_of(key)?)?;
            }
        }
        Ok(())
    }

    /// Returns the value as the user would give it to `ccsync config set`.
    fn value_of(&self, key: SettingKey) -> Result<String, ConfigError> {
        let wrong = || invalid(key, self.raw);
        match (key, self.value) {
            (SettingKey::PullMaxAge | SettingKey::PushMaxAge, DeValue::Integer(days)) => {
                Ok(days.to_string())
            }
            (SettingKey::Extras, DeValue::Array(kinds)) if kinds.is_empty() => {
                Ok("none".to_owned())
            }
            (SettingKey::Extras, DeValue::Array(kinds)) => {
                let kinds: Option<Vec<_>> =
                    kinds.iter().map(|kind| kind.as_ref().as_str()).collect();
                Ok(kinds.ok_or_else(wrong)?.join(","))
            }
            (_, DeValue::String(text)) => Ok(text.to_string()),
            _ => Err(wrong()),
        }
    }

    fn patterns(&self, key: &'static str) -> Result<Vec<ProjectPattern>, ConfigError> {
        let wrong = || ConfigError::InvalidValue {
            key,
            value: self.raw.to_owned(),
            rule: "give a list of patterns",
        };
        let texts = self.value.as_array().ok_or_else(wrong)?.iter();
        texts
            .map(|text| text.as_ref().as_str().ok_or_else(wrong))
            .map(|text| Ok(ProjectPattern::new(text?)?))
            .collect()
    }

    fn text(&self, key: &'static str) -> Result<&'t str, ConfigError> {
        self.value
            .as_str()
            .ok_or_else(|| ConfigError::InvalidValue {
                key,
                value: self.raw.to_owned(),
                rule: "give a text in quotes",
            })
    }
}

/// Returns a syntax error of TOML without the parser's list of what could follow.
fn first_clause(text: &str) -> &str {
    let text = text.lines().next().unwrap_or_default();
    let clause = text.split(", expected").next().unwrap_or_default();
    if clause.is_empty() || clause.starts_with("expected") {
        "not valid TOML"
    } else {
        clause
    }
}
