//! The configuration file, flags and environment resolved into [`Settings`].
//!
//! Owns `config.toml`, its keys and their rules. Must not contact the remote or look at sessions. `ccsync config set`
//! writes the file anew from what it holds: comments in it are lost, which the file's first line says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::error::{ErrorKind, UserError, please_report};
use crate::domain::extras::ExtraKind;
use crate::domain::id::MachineId;
use crate::domain::pattern::ProjectPattern;
use crate::domain::placeholder::{
    InvalidPlaceholder, Placeholder, PlaceholderName, Placeholders, System,
};
use crate::domain::size::ByteSize;
use crate::sys::env::Env;
use crate::sys::fs::{self, PathError};
use crate::sys::set_aside::move_aside_command;

/// The name of the file in the configuration directory.
pub const FILE_NAME: &str = "config.toml";

const DEFAULT_DAYS: u32 = 30;
const MOST_DAYS: u32 = 36_500;
const LONGEST_NAME: usize = 64;
const HEADER: &str =
    "# ccsync configuration; `ccsync config set` rewrites this file and drops comments.\n";

/// What the file holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The remote, if the file names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// How pulled sessions are localised.
    #[serde(default)]
    pub paths: PathsSetting,
    /// How old a session may be to be brought here unasked.
    #[serde(default = "default_days")]
    pub days: u32,
    /// What travels beside sessions.
    #[serde(default = "default_beside")]
    #[serde(rename = "beside")]
    pub extras: BTreeSet<ExtraKind>,
    /// This machine.
    pub machine: Machine,
    /// What is synced.
    #[serde(default, skip_serializing_if = "Choice::is_everything")]
    pub sync: Choice,
    /// The user's placeholders and their directories here; a leading `~/` stands for the home directory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub placeholders: BTreeMap<PlaceholderName, String>,
}

/// This machine, as `init` made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Random, never changed.
    pub id: MachineId,
    /// For people.
    pub name: String,
    /// The host that it was set up on ([`Env::host_mark`]): elsewhere, the file is a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Which sessions travel. Whatever is excluded stays where it is, whatever else includes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Only projects that one of these covers; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<ProjectPattern>,
    /// No project that one of these covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ProjectPattern>,
    /// No session of more bytes, all its files together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<ByteSize>,
    /// No session is pushed that was not active for so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
}

impl Choice {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// How much of a pulled session is rewritten to this machine's paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathsSetting {
    /// `Original` for sessions that the model's signatures bind to their text, `Local` for the rest.
    #[default]
    Auto,
    /// Every placeholder becomes this machine's path.
    Local,
    /// Only what the client itself reads becomes this machine's path.
    Original,
}

/// What the rest of the program works with: environment, file and defaults meet only here.
#[derive(Clone)]
pub struct Settings {
    /// This machine.
    pub machine: Machine,
    /// The remote, if any is known.
    pub remote: Option<String>,
    /// How pulled sessions are localised.
    pub paths: PathsSetting,
    /// How old a session may be to be brought here unasked.
    pub days: u32,
    /// What travels beside sessions.
    pub extras: BTreeSet<ExtraKind>,
    /// Which sessions travel.
    pub sync: Choice,
    /// All roots of this machine.
    pub placeholders: Placeholders,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The file is not what it should be; unknown keys are named together with the known ones.
    #[error("invalid configuration `{}`, line {line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A value in the file is invalid.
    #[error("invalid configuration `{}`", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The value.
        source: Box<ConfigError>,
    },
    /// There is no such key to get or set.
    #[error("unknown setting `{}` (one of: {})", key.escape_debug(), Key::NAMES.join(", "))]
    UnknownKey {
        /// What was asked for.
        key: String,
    },
    /// The value does not fit the key.
    #[error("invalid value `{}` for {key}: {rule}", value.escape_debug())]
    InvalidValue {
        /// The key.
        key: &'static str,
        /// The value given; for the remote with its secrets left out.
        value: String,
        /// What would fit.
        rule: &'static str,
    },
    /// A placeholder cannot stand for its directory.
    #[error("cannot set placeholder {name}")]
    Placeholder {
        /// Its name.
        name: PlaceholderName,
        /// Why.
        #[source]
        source: InvalidPlaceholder,
    },
    /// `HOME` is always the home directory, `REPO` the repository that a session works in.
    #[error("cannot set placeholders HOME and REPO: the names are reserved")]
    ReservedPlaceholder,
    /// The home directory cannot be a root.
    #[error("cannot use home directory `{}`", path.display())]
    Home {
        /// The directory.
        path: PathBuf,
        /// Why; `None` for a path that is not Unicode.
        #[source]
        source: Option<InvalidPlaceholder>,
    },
    /// The configuration could not be put into TOML.
    #[error("cannot write the configuration as TOML")]
    Serialise(#[source] toml::ser::Error),
}

/// A setting that `ccsync config get` and `set` know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The remote.
    Remote,
    /// The machine's name.
    Name,
    /// How pulled sessions are localised.
    Paths,
    /// How old a session may be to be brought here unasked.
    Days,
    /// How large a session may be that travels.
    MaxSize,
    /// How long a session may not have been active that is pushed.
    MaxAge,
    /// What travels beside sessions.
    ExtraKind,
}

impl Key {
    /// The names of all keys, as people write them.
    pub const NAMES: [&str; 7] = [
        "remote", "name", "paths", "days", "beside", "max_size", "max_age",
    ];
}

impl Key {
    /// The name, as the user writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Name => "name",
            Self::Paths => "paths",
            Self::Days => "days",
            Self::MaxSize => "max_size",
            Self::MaxAge => "max_age",
            Self::ExtraKind => "beside",
        }
    }
}

impl FromStr for Key {
    type Err = ConfigError;

    fn from_str(key: &str) -> Result<Self, ConfigError> {
        match key {
            "remote" => Ok(Self::Remote),
            "name" => Ok(Self::Name),
            "paths" => Ok(Self::Paths),
            "days" => Ok(Self::Days),
            "max_size" => Ok(Self::MaxSize),
            "max_age" => Ok(Self::MaxAge),
            "beside" => Ok(Self::ExtraKind),
            _ => Err(ConfigError::UnknownKey {
                key: key.to_owned(),
            }),
        }
    }
}

impl Config {
    /// The configuration of a new machine: defaults only.
    ///
    /// # Errors
    /// [`ConfigError::InvalidValue`] for a name that is empty, too long or holds control characters.
    pub fn new(machine: Machine) -> Result<Self, ConfigError> {
        check_name(&machine.name)?;
        let (sync, placeholders) = (Choice::default(), BTreeMap::new());
        let (paths, extras) = (PathsSetting::default(), default_beside());
        Ok(Self {
            remote: None,
            paths,
            days: DEFAULT_DAYS,
            extras,
            machine,
            sync,
            placeholders,
        })
    }

    /// Reads the file; `None` if there is none, which means that `ccsync init` has not been run.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(path: &Path) -> Result<Option<Self>, ConfigError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path).map(Some),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let line = e
                .span()
                .map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            ConfigError::Syntax {
                path: path.to_owned(),
                line,
                message: e.message().to_owned(),
            }
        })?;
        config.check().map_err(|error| ConfigError::InFile {
            path: path.to_owned(),
            source: Box::new(error),
        })?;
        Ok(config)
    }

    /// Writes the file, durably and readable by its owner only. A symbolic link stays one.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        self.check()?;
        let text = toml::to_string(self).map_err(ConfigError::Serialise)?;
        // People keep their configuration in a repository of its own and link to it.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(fs::write_atomic(
            &target,
            format!("{HEADER}\n{text}").as_bytes(),
        )?)
    }

    /// The value of a key as a person writes it; `None` if it has none.
    pub fn get(&self, key: Key) -> Option<String> {
        match key {
            Key::Remote => self.remote.clone(),
            Key::Name => Some(self.machine.name.clone()),
            Key::Paths => Some(self.paths.to_string()),
            Key::Days => Some(self.days.to_string()),
            Key::MaxSize => self.sync.max_size.map(|size| size.to_string()),
            Key::MaxAge => self.sync.max_age.map(|days| days.to_string()),
            Key::ExtraKind => Some(beside_text(&self.extras)),
        }
    }

    /// Sets a key. Whether a remote can be used is `transport`'s business; here it only has to look like an argument.
    ///
    /// # Errors
    /// [`ConfigError::InvalidValue`]; the configuration is then unchanged.
    pub fn set(&mut self, key: Key, value: &str) -> Result<(), ConfigError> {
        match key {
            Key::Remote => self.remote = Some(check_remote(value)?.to_owned()),
            Key::Name => self.machine.name = check_name(value)?.to_owned(),
            Key::Paths => self.paths = value.parse()?,
            Key::Days => {
                let days = value
                    .parse()
                    .map_err(|_| invalid("days", value, DAYS_RULE))?;
                self.days = check_days(days)?;
            }
            Key::MaxSize if value == NONE => self.sync.max_size = None,
            Key::MaxSize => {
                let size = value
                    .parse()
                    .map_err(|_| invalid("max_size", value, SIZE_RULE))?;
                self.sync.max_size = Some(size);
            }
            Key::MaxAge if value == NONE => self.sync.max_age = None,
            Key::MaxAge => {
                let days = value
                    .parse()
                    .map_err(|_| invalid("max_age", value, AGE_RULE))?;
                self.sync.max_age = Some(check_age(days)?);
            }
            Key::ExtraKind => self.extras = parse_extra(value)?,
        }
        Ok(())
    }

    /// Gives a placeholder its directory on this machine.
    ///
    /// # Errors
    /// [`ConfigError`] for `HOME`, `REPO` and for a directory that cannot be a root; the configuration is then unchanged.
    pub fn set_placeholder(
        &mut self,
        name: PlaceholderName,
        dir: &str,
        env: &Env,
    ) -> Result<(), ConfigError> {
        placeholder_root(&name, dir, env)?;
        self.placeholders.insert(name, dir.to_owned());
        Ok(())
    }

    /// All roots of this machine: `HOME` and the user's placeholders.
    ///
    /// # Errors
    /// [`ConfigError`] if one of them cannot be a root.
    pub fn placeholder_set(&self, env: &Env) -> Result<Placeholders, ConfigError> {
        let mut placeholders = vec![home_placeholder(env)?];
        for (name, dir) in &self.placeholders {
            placeholders.push(placeholder_root(name, dir, env)?);
        }
        Ok(Placeholders::new(env.system, placeholders))
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_name(&self.machine.name)?;
        check_days(self.days)?;
        self.sync.max_age.map(check_age).transpose()?;
        if let Some(remote) = &self.remote {
            check_remote(remote)?;
        }
        if self.placeholders.keys().any(PlaceholderName::is_reserved) {
            return Err(ConfigError::ReservedPlaceholder);
        }
        Ok(())
    }
}

impl Settings {
    /// Puts together what the file and the defaults say, in this order.
    ///
    /// # Errors
    /// [`ConfigError`] if a value or a placeholder cannot be used.
    pub fn resolve(config: &Config, env: &Env) -> Result<Self, ConfigError> {
        let remote = config.get(Key::Remote);
        if let Some(remote) = &remote {
            check_remote(remote)?;
        }
        Ok(Self {
            machine: config.machine.clone(),
            remote,
            paths: config.paths,
            days: check_days(config.days)?,
            extras: config.extras.clone(),
            sync: config.sync.clone(),
            placeholders: config.placeholder_set(env)?,
        })
    }
}

const REMOTE_RULE: &str =
    "give a URL or a path, without control characters and not beginning with `-`";
const NAME_RULE: &str = "give 1 to 64 characters, none of them a control character";
const PATHS_RULE: &str = "give auto, local or original";
const DAYS_RULE: &str = "give a number from 1 to 36500";
const AGE_RULE: &str = "give a number of days from 1 to 36500, or none";
const SIZE_RULE: &str = "give a size such as 200MB, or none";

/// What takes a limit away.
const NONE: &str = "none";
const BESIDE_RULE: &str = "give none, or some of memory, claude-md, plans, settings, commands, agents, skills, separated by commas";

fn invalid(key: &'static str, value: &str, rule: &'static str) -> ConfigError {
    ConfigError::InvalidValue {
        key,
        value: value.to_owned(),
        rule,
    }
}

fn check_remote(remote: &str) -> Result<&str, ConfigError> {
    if remote.trim().is_empty() || remote.starts_with('-') || remote.chars().any(char::is_control) {
        // The text may hold a password, so only its beginning is repeated.
        return Err(invalid(
            "remote",
            &remote.chars().take(8).collect::<String>(),
            REMOTE_RULE,
        ));
    }
    Ok(remote)
}

fn check_name(name: &str) -> Result<&str, ConfigError> {
    let ok = !name.trim().is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    if ok {
        Ok(name)
    } else {
        Err(invalid("name", name, NAME_RULE))
    }
}

fn check_days(days: u32) -> Result<u32, ConfigError> {
    if (1..=MOST_DAYS).contains(&days) {
        Ok(days)
    } else {
        Err(invalid("days", &days.to_string(), DAYS_RULE))
    }
}

fn check_age(days: u32) -> Result<u32, ConfigError> {
    if (1..=MOST_DAYS).contains(&days) {
        Ok(days)
    } else {
        Err(invalid("max_age", &days.to_string(), AGE_RULE))
    }
}

fn home_placeholder(env: &Env) -> Result<Placeholder, ConfigError> {
    let home = || env.home.clone();
    let path = env.home.to_str().ok_or_else(|| ConfigError::Home {
        path: home(),
        source: None,
    })?;
    root(env.system, PlaceholderName::home(), path).map_err(|e| ConfigError::Home {
        path: home(),
        source: Some(e),
    })
}

fn placeholder_root(
    name: &PlaceholderName,
    dir: &str,
    env: &Env,
) -> Result<Placeholder, ConfigError> {
    if name.is_reserved() {
        return Err(ConfigError::ReservedPlaceholder);
    }
    let dir = match (dir.strip_prefix("~/"), env.home.to_str()) {
        (Some(below), Some(home)) => format!("{home}/{below}"),
        _ => dir.to_owned(),
    };
    root(env.system, name.clone(), &dir).map_err(|source| ConfigError::Placeholder {
        name: name.clone(),
        source,
    })
}

/// A root with its resolved form: the client writes resolved paths, people the others.
fn root(
    system: System,
    name: PlaceholderName,
    path: &str,
) -> Result<Placeholder, InvalidPlaceholder> {
    let resolved = Path::new(path).canonicalize().ok();
    let resolved = resolved
        .as_deref()
        .and_then(Path::to_str)
        .map(without_verbatim_prefix);
    // A link to the root of a file system has no resolved form that could be a root.
    match Placeholder::new(system, name.clone(), path, resolved) {
        Err(InvalidPlaceholder::Path(_)) if resolved.is_some() => {
            Placeholder::new(system, name, path, None)
        }
        result => result,
    }
}

/// Windows resolves `C:\x` to `\\?\C:\x`, which nobody writes.
fn without_verbatim_prefix(path: &str) -> &str {
    path.strip_prefix(r"\\?\").unwrap_or(path)
}

fn default_beside() -> BTreeSet<ExtraKind> {
    BTreeSet::from(ExtraKind::DEFAULT)
}

fn beside_text(kinds: &BTreeSet<ExtraKind>) -> String {
    if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds
            .iter()
            .map(|kind| kind.name())
            .collect::<Vec<_>>()
            .join(",")
    }
}

fn parse_extra(text: &str) -> Result<BTreeSet<ExtraKind>, ConfigError> {
    if text.trim() == "none" {
        return Ok(BTreeSet::new());
    }
    let kinds: Result<_, _> = text.split(',').map(|kind| kind.trim().parse()).collect();
    kinds.map_err(|_| invalid("beside", text, BESIDE_RULE))
}

fn default_days() -> u32 {
    DEFAULT_DAYS
}

impl FromStr for PathsSetting {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "auto" => Ok(Self::Auto),
            "local" => Ok(Self::Local),
            "original" => Ok(Self::Original),
            _ => Err(invalid("paths", text, PATHS_RULE)),
        }
    }
}

impl fmt::Display for PathsSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Local => "local",
            Self::Original => "original",
        })
    }
}

/// Without the remote, which may hold a password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            remote: _,
            paths,
            days,
            extras,
            machine,
            sync,
            placeholders,
        } = self;
        let mut shown = f.debug_struct("Config");
        shown
            .field("paths", paths)
            .field("days", days)
            .field("beside", extras);
        shown
            .field("machine", machine)
            .field("sync", sync)
            .field("placeholders", placeholders);
        shown.finish_non_exhaustive()
    }
}

/// Without the remote, which may hold a password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            machine,
            remote: _,
            paths,
            days,
            extras,
            sync,
            placeholders,
        } = self;
        let mut shown = f.debug_struct("Settings");
        shown
            .field("machine", machine)
            .field("paths", paths)
            .field("days", days)
            .field("beside", extras)
            .field("sync", sync)
            .field("roots", placeholders);
        shown.finish_non_exhaustive()
    }
}

impl UserError for ConfigError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Path(_) | Self::Syntax { .. } | Self::InFile { .. } | Self::Home { .. } => {
                ErrorKind::Failed
            }
            Self::UnknownKey { .. }
            | Self::InvalidValue { .. }
            | Self::Placeholder { .. }
            | Self::ReservedPlaceholder => ErrorKind::Usage,
            Self::Serialise(_) => ErrorKind::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Path(e)
                if matches!(
                    e.source.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory
                ) =>
            {
                return replace_file(&e.path);
            }
            Self::Path(e) => return e.hints(),
            Self::Syntax { path, .. } => return replace_file(path),
            Self::InFile { path, .. } => format!("correct it in {}", path.display()),
            Self::UnknownKey { .. } => "list the settings with `ccsync config show`".to_owned(),
            Self::InvalidValue { .. } => "see `ccsync config --help`".to_owned(),
            Self::Placeholder { .. } | Self::ReservedPlaceholder => {
                "give a name and an absolute path: `ccsync config add-placeholder PROJECTS=/a/path`"
                    .to_owned()
            }
            Self::Home { .. } => "set the variable HOME to your own directory".to_owned(),
            Self::Serialise(_) => please_report(),
        };
        vec![hint]
    }
}

/// Returns what helps if the file cannot be read. The machine gets a new id; nothing depends on
/// the former one.
fn replace_file(path: &Path) -> Vec<String> {
    vec![
        format!(
            "correct the file, or move it away with `{}`",
            move_aside_command(path)
        ),
        "then set this machine up again with `ccsync init --remote URL`".to_owned(),
    ]
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::sys::env::{Dirs, GitEnv};

    const MACHINE: &str =
        "machine = { id = \"0123456789abcdef0123456789abcdef\", name = \"desk\" }\n";

    fn env(home: &Path) -> Env {
        Env {
            home: home.to_owned(),
            system: System::current(),
            host_name: "desk".to_owned(),
            directory: None,
            host_mark: None,
            client: "claude".into(),
            claude_dir: home.join(".claude"),
            program: None,
            search_path: Vec::new(),
            shell: None,
            data_home: PathBuf::new(),
            dirs: Dirs::below(home),
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            no_color: true,
            only_lines: true,
            columns: None,
            rows: None,
            git: GitEnv::default(),
        }
    }

    fn parse(rest: &str) -> Result<Config, ConfigError> {
        Config::parse(&format!("{MACHINE}{rest}"), Path::new("/c/config.toml"))
    }

    #[test]
    fn config_saved_file_loads_equal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c").join(FILE_NAME);
        assert!(Config::load(&path).unwrap().is_none());
        let mut config = parse("").unwrap();
        for (key, value) in [
            ("remote", "git@host:al/s.git"),
            ("name", "lap\"top"),
            ("paths", "local"),
            ("days", "7"),
            ("max_size", "200MB"),
            ("max_age", "90"),
        ] {
            config.set(key.parse().unwrap(), value).unwrap();
            assert_eq!(config.get(key.parse().unwrap()).as_deref(), Some(value));
        }
        config
            .set_placeholder("PROJECTS".parse().unwrap(), "~/work", &env(dir.path()))
            .unwrap();
        config.sync.exclude = vec![
            "~/secret/**".parse().unwrap(),
            "github.com/acme/*".parse().unwrap(),
        ];
        config.save(&path).unwrap();
        assert_eq!(Config::load(&path).unwrap().unwrap(), config);
    }

    #[test]
    fn config_save_through_symlink_keeps_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("dotfile"), dir.path().join("link"));
        parse("").unwrap().save(&file).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        parse("days = 3").unwrap().save(&link).unwrap();
        assert!(link.is_symlink());
        assert_eq!(Config::load(&file).unwrap().unwrap().days, 3);
    }

    #[test]
    fn config_unknown_key_error_names_line_and_known_keys() {
        insta::assert_snapshot!(
            parse("day = 3\n").unwrap_err(),
            @"invalid configuration `/c/config.toml`, line 2: unknown field `day`, expected one of `remote`, `paths`, `days`, `beside`, `machine`, `sync`, `placeholders`"
        );
        insta::assert_snapshot!(
            parse("\npaths = \"nowhere\"\n").unwrap_err(),
            @"invalid configuration `/c/config.toml`, line 3: unknown variant `nowhere`, expected one of `auto`, `local`, `original`"
        );
        insta::assert_snapshot!(
            "colour".parse::<Key>().unwrap_err(),
            @"there is no setting `colour`; there are remote, name, paths, days, beside, max_size, max_age"
        );
    }

    #[test]
    fn config_invalid_value_is_refused_in_file_and_on_set() {
        assert!(parse("days = 0").is_err());
        for bad in [
            "max_age = 0",
            "max_size = 7",
            "max_size = \"x\"",
            "exclude = [\"[\"]",
            "include = \"x\"",
            "x = 1",
        ] {
            assert!(parse(&format!("[sync]\n{bad}")).is_err(), "{bad}");
        }
        assert!(parse("remote = \"-u\"").is_err());
        assert!(parse("[placeholders]\nHOME = \"/x\"").is_err());
        assert!(parse("[placeholders]\nREPO = \"/x\"").is_err());
        assert!(parse("[placeholders]\nlower = \"/x\"").is_err());
        let mut config = parse("").unwrap();
        let before = config.clone();
        for (key, value) in [
            (Key::Days, "0"),
            (Key::Days, "many"),
            (Key::Paths, "x"),
            (Key::Name, ""),
            (Key::Name, "a\u{1b}b"),
            (Key::Remote, ""),
            (Key::Remote, "-x"),
            (Key::MaxSize, "much"),
            (Key::MaxAge, "0"),
        ] {
            assert!(config.set(key, value).is_err(), "{key:?} {value:?}");
        }
        assert_eq!(config, before);
    }

    #[test]
    fn config_debug_and_errors_hide_remote_secret() {
        let mut config = parse("remote = \"https://al:hunter2@host/x\"").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let error = config
            .set(Key::Remote, "https://al:hunter2@host/x\n")
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn config_placeholders_have_resolved_path() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (real, link) = (base.join("real"), base.join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let config = parse("[placeholders]\nPROJECTS = \"~/work/\"").unwrap();
        let placeholders = config.placeholder_set(&env(&link)).unwrap();
        let home = placeholders.get("HOME").unwrap();
        assert_eq!(
            (home.directory.as_str(), home.resolved.as_deref()),
            (link.to_str().unwrap(), real.to_str())
        );
        let projects = placeholders.get("PROJECTS").unwrap();
        assert_eq!(
            (projects.directory.as_str(), projects.resolved.as_deref()),
            (link.join("work").to_str().unwrap(), None)
        );
    }

    #[test]
    fn the_file_wins_over_defaults() {
        let config = parse("days = 9\nremote = \"r\"").unwrap();
        let settings = Settings::resolve(&config, &env(Path::new("/home/al"))).unwrap();
        assert_eq!((settings.days, settings.remote.as_deref()), (9, Some("r")));
        assert_eq!(settings.paths, PathsSetting::Auto);
    }
}
