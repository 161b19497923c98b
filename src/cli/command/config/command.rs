//! Arguments and dispatch of `ccsync config`; showing and changing one setting.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::all_excluded;
use super::patterns::{self, List, PatternArgs};
use crate::cli::{
    app::App, app::current_dir, args::JsonFlag, args::PlaceholderArg, args::typed_path,
    command::init::explain_stored, command::init::refuse_open, complete, error::CliError,
    error::CommandError, exit::Exit, placeholder_directory,
};
use crate::config::{Config, SettingKey};
use crate::domain::{PlaceholderName, ProjectPattern, size::ByteSize, url::RemoteUrl, url::redact};
use crate::machine::set_path::{PathChange, may_be_here};
use crate::report::Report;
use crate::ui::{Cell, Table, sanitize::one_line};

/// Show or change settings
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigAction {
    /// Show all settings and placeholders
    Show {
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Print one setting
    Get {
        #[arg(help = key_help(), add = complete::setting())]
        key: SettingKey,
    },
    /// Change one setting
    Set {
        #[arg(help = key_help(), add = complete::setting())]
        key: SettingKey,
        /// The new value
        value: String,
        /// Only in projects that match this pattern; `none` ends that [only for `secrets`]
        #[arg(long, value_name = "PATTERN", value_hint = clap::ValueHint::DirPath)]
        project: Option<ProjectPattern>,
    },
    /// Sync only these projects; adds to the list
    Include(PatternArgs),
    /// Do not sync these projects
    Exclude(PatternArgs),
    /// Give a directory of this machine a placeholder
    AddPlaceholder {
        /// The placeholder and its directory
        #[arg(value_name = "NAME=PATH")]
        placeholder: PlaceholderArg,
        #[command(flatten)]
        confirmed: MissingConfirmed,
    },
    /// Remove a placeholder from this machine
    ///
    /// Stored text that names it stays readable on all machines.
    RemovePlaceholder {
        /// The placeholder
        #[arg(add = complete::placeholder())]
        name: PlaceholderName,
    },
    /// Set the directory of a placeholder on a machine
    SetPath {
        /// The placeholder
        #[arg(add = complete::placeholder())]
        name: PlaceholderName,
        /// Name or id of the machine, or `this`
        #[arg(add = complete::machine_or_this())]
        machine: String,
        /// The directory on that machine
        path: String,
        #[command(flatten)]
        confirmed: MissingConfirmed,
    },
}

/// Confirmation of a directory that does not exist.
#[derive(Debug, clap::Args)]
struct MissingConfirmed {
    /// Accept a directory that does not exist on this machine
    #[arg(long, short)]
    yes: bool,
}

fn key_help() -> String {
    format!("One of {}", SettingKey::NAMES.join(", "))
}

/// JSON document.
#[derive(Serialize)]
struct ConfigDocument<'a> {
    file: String,
    id: &'a str,
    name: &'a str,
    /// Without passwords and tokens.
    remote: Option<String>,
    author: Option<String>,
    /// `None`: `~/.claude`.
    client_dir: Option<&'a str>,
    localize: String,
    /// Kinds of extras that are synced.
    extras: Vec<&'static str>,
    /// Null: mask, or off if the store is encrypted.
    secrets: Option<String>,
    /// By patterns.
    project_secrets: BTreeMap<&'a str, String>,
    key_command: Option<&'a str>,
    /// Patterns; empty: every project.
    include: &'a [ProjectPattern],
    /// Patterns.
    exclude: &'a [ProjectPattern],
    /// In bytes.
    max_size: Option<u64>,
    /// In days.
    pull_max_age: u32,
    /// In days.
    push_max_age: Option<u32>,
    placeholders: BTreeMap<&'a str, &'a str>,
}

pub(in crate::cli) fn run(args: &ConfigArgs, app: &mut App) -> Result<Exit, CliError> {
    match &args.action {
        ConfigAction::Show { json } => show(json.json, app),
        ConfigAction::Get { key } => get(*key, app),
        ConfigAction::Set {
            key,
            value,
            project: None,
        } => set(*key, value, app),
        ConfigAction::Set {
            key,
            value,
            project: Some(project),
        } => set_in_project(*key, value, project, app),
        ConfigAction::Include(args) => patterns::change(List::Include, args, app),
        ConfigAction::Exclude(args) => patterns::change(List::Exclude, args, app),
        ConfigAction::AddPlaceholder {
            placeholder,
            confirmed,
        } => add_placeholder(placeholder, confirmed.yes, app),
        ConfigAction::RemovePlaceholder { name } => remove_placeholder(name, app),
        ConfigAction::SetPath {
            name,
            machine,
            path,
            confirmed,
        } => {
            if may_be_here(&app.context()?, machine)? {
                check_directory(name, path, confirmed.yes, app)?;
            }
            set_path(name, machine, path, app)
        }
    }
}

fn show(json: bool, app: &mut App) -> Result<Exit, CliError> {
    let config = app.config()?;
    let file = app.config_path().to_string_lossy().into_owned();
    let document = document(&config, file);
    if json {
        app.print_json("config show", &document)?;
    } else {
        app.print(&lines(&document, &config))?;
    }
    Ok(Exit::Done)
}

fn document(config: &Config, file: String) -> ConfigDocument<'_> {
    ConfigDocument {
        file,
        id: config.machine.id.as_str(),
        name: &config.machine.name,
        remote: config.get(SettingKey::Remote).map(|remote| redact(&remote)),
        author: config.get(SettingKey::Author),
        client_dir: config.client_dir.as_deref(),
        localize: config.localize.to_string(),
        extras: config.extras.iter().map(|kind| kind.name()).collect(),
        secrets: config.get(SettingKey::Secrets),
        project_secrets: config
            .project_secrets
            .iter()
            .map(|(pattern, mode)| (pattern.as_str(), mode.to_string()))
            .collect(),
        key_command: config.key_command.as_deref(),
        include: &config.sync.include,
        exclude: &config.sync.exclude,
        max_size: config.sync.max_size.map(ByteSize::bytes),
        pull_max_age: config.sync.pull_max_age,
        push_max_age: config.sync.push_max_age,
        placeholders: config
            .placeholders
            .iter()
            .map(|(name, dir)| (name.as_str(), dir.as_str()))
            .collect(),
    }
}

fn lines(document: &ConfigDocument<'_>, config: &Config) -> Vec<String> {
    let mut table = Table::new(0, 1);
    let mut fact =
        |name: &str, value: &str| table.row([Cell::new(name), Cell::new(one_line(value))]);
    fact("file", &document.file);
    fact("id", document.id);
    fact("name", document.name);
    fact("remote", document.remote.as_deref().unwrap_or("none"));
    fact(
        "author",
        document.author.as_deref().unwrap_or("this machine"),
    );
    fact("client_dir", document.client_dir.unwrap_or("~/.claude"));
    fact("localize", &document.localize);
    fact(
        "extras",
        config.get(SettingKey::Extras).as_deref().unwrap_or("none"),
    );
    let default = "mask, or off if the store is encrypted";
    fact("secrets", document.secrets.as_deref().unwrap_or(default));
    for (pattern, mode) in &document.project_secrets {
        fact(&format!("secrets in {pattern}"), mode);
    }
    fact("key_command", document.key_command.unwrap_or("none"));
    fact(
        "include",
        &patterns::pattern_list(document.include, "every project"),
    );
    fact("exclude", &patterns::pattern_list(document.exclude, "none"));
    fact(
        "max_size",
        config.get(SettingKey::MaxSize).as_deref().unwrap_or("none"),
    );
    fact("pull_max_age", &document.pull_max_age.to_string());
    fact(
        "push_max_age",
        config
            .get(SettingKey::PushMaxAge)
            .as_deref()
            .unwrap_or("none"),
    );
    for (name, dir) in &document.placeholders {
        fact(&format!("{{{{{name}}}}}"), dir);
    }
    table.lines(usize::MAX)
}

fn get(key: SettingKey, app: &mut App) -> Result<Exit, CliError> {
    let value = app.config()?.get(key).ok_or(CommandError::Unset(key))?;
    app.print(&[one_line(&redact(&value)).into_owned()])?;
    Ok(Exit::Done)
}

fn set(key: SettingKey, value: &str, app: &mut App) -> Result<Exit, CliError> {
    let mut config = app.config()?;
    if key == SettingKey::Remote {
        return change_remote(value, app);
    }
    config.set(key, value)?;
    config.save(&app.config_path())?;
    if matches!(
        key,
        SettingKey::MaxSize | SettingKey::PullMaxAge | SettingKey::PushMaxAge
    ) {
        all_excluded::warn(key.name(), app);
    }
    Ok(Exit::Done)
}

fn set_in_project(
    key: SettingKey,
    value: &str,
    project: &ProjectPattern,
    app: &mut App,
) -> Result<Exit, CliError> {
    if key != SettingKey::Secrets {
        return Err(CommandError::NotPerProject(key).into());
    }
    let mut config = app.config()?;
    if value == "none" {
        let removed = config.project_secrets.remove(project);
        removed.ok_or_else(|| CommandError::NoSuchPattern(project.clone()))?;
    } else {
        config
            .project_secrets
            .insert(project.clone(), value.parse()?);
    }
    config.save(&app.config_path())?;
    Ok(Exit::Done)
}

/// Sets up a new remote. Saving the address is not enough: queued commits must reach the
/// new remote.
fn change_remote(value: &str, app: &App) -> Result<Exit, CliError> {
    let remote = RemoteUrl::parse(value, &current_dir()?)?;
    refuse_open(&remote)?;
    let request = crate::machine::set_up::SetUp {
        remote: Some(remote),
        ..crate::machine::set_up::SetUp::default()
    };
    crate::machine::set_up::set_up(
        &app.env,
        app.clock(),
        app.progress(),
        app.is_interactive(),
        request,
    )?;
    Ok(Exit::Done)
}

fn add_placeholder(
    placeholder: &PlaceholderArg,
    yes: bool,
    app: &mut App,
) -> Result<Exit, CliError> {
    let mut config = app.config()?;
    let dir = placeholder.directory(&app.env.home, &current_dir()?);
    let path = dir
        .to_str()
        .ok_or_else(|| CommandError::NotUnicode(dir.to_string_lossy().into_owned()))?;
    config.set_placeholder(placeholder.name.clone(), path, &app.env)?;
    placeholder_directory::confirm(&dir, yes, app)?;
    config.save(&app.config_path())?;
    explain_stored(std::slice::from_ref(&placeholder.name), false, app);
    Ok(Exit::Done)
}

fn remove_placeholder(name: &PlaceholderName, app: &mut App) -> Result<Exit, CliError> {
    let mut config = app.config()?;
    if config.placeholders.remove(name).is_none() {
        return Err(CommandError::NoPlaceholder(name.clone()).into());
    }
    config.save(&app.config_path())?;
    Ok(Exit::Done)
}

/// Checks a directory on this machine before it is set.
fn check_directory(
    name: &PlaceholderName,
    path: &str,
    yes: bool,
    app: &mut App,
) -> Result<(), CliError> {
    app.config()?
        .set_placeholder(name.clone(), path, &app.env)?;
    let directory = typed_path(Path::new(path), &app.env.home, &current_dir()?);
    placeholder_directory::confirm(&directory, yes, app)
}

fn set_path(
    name: &PlaceholderName,
    machine: &str,
    path: &str,
    app: &mut App,
) -> Result<Exit, CliError> {
    let PathChange { is_here, remote } =
        crate::machine::set_path::set_path(&app.context()?, name.clone(), machine, path)?;
    if is_here {
        explain_stored(std::slice::from_ref(name), true, app);
    }
    // The path is saved here in any case; the other machines see it after a push.
    Ok(Exit::from_report(&Report {
        remote,
        ..Report::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MachineIdentity;

    fn config() -> Config {
        let machine = MachineIdentity {
            id: "0123456789abcdef".repeat(2).parse().unwrap(),
            name: "laptop".to_owned(),
            host: None,
        };
        let mut config = Config::new(machine).unwrap();
        config.remote = Some("https://al:secret@host/s.git".to_owned());
        config.sync.exclude = vec![
            "~/secret".parse().unwrap(),
            "github.com/acme/*".parse().unwrap(),
        ];
        config.sync.max_size = Some("200MB".parse().unwrap());
        config
            .placeholders
            .insert("WORK".parse().unwrap(), "/srv/work".to_owned());
        config
    }

    #[test]
    fn config_text_hides_secrets() {
        let config = config();
        insta::assert_snapshot!(
            lines(&document(&config, "/c/config.toml".to_owned()), &config).join("\n")
        );
    }

    #[test]
    fn config_json_has_every_field() {
        let config = config();
        insta::assert_snapshot!(
            serde_json::to_string_pretty(&document(&config, "/c".to_owned())).unwrap()
        );
    }
}
