//! The command line as typed.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Parser};

use super::command::Command;
use super::exit::Exit;
use crate::domain::placeholder::{InvalidPlaceholder, PlaceholderName};
use crate::ui::style::ColorMode;

/// Keep Claude Code sessions in a private git repository and continue them on any machine
#[derive(Debug, Parser)]
#[command(name = "ccsync", version, after_help = exit_codes(), max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print only what was asked for and what needs attention
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// When to use colors
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        help_heading = "Global options"
    )]
    pub(crate) color: ColorMode,
}

/// Of the commands whose result a script may want.
#[derive(Debug, Args)]
pub(crate) struct JsonFlag {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// `NAME=PATH`
#[derive(Debug, Clone)]
pub(crate) struct PlaceholderArg {
    pub(crate) name: PlaceholderName,
    path: PathBuf,
}

/// Why a text is not `NAME=PATH`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceholderArgError {
    #[error("write it as NAME=PATH, for instance PROJECTS=~/work")]
    NoEqualsSign,
    #[error("there is no path after `=`")]
    NoPath,
    #[error(transparent)]
    Name(#[from] InvalidPlaceholder),
}

impl FromStr for PlaceholderArg {
    type Err = PlaceholderArgError;

    fn from_str(text: &str) -> Result<Self, PlaceholderArgError> {
        let (name, path) = text
            .split_once('=')
            .ok_or(PlaceholderArgError::NoEqualsSign)?;
        if path.is_empty() {
            return Err(PlaceholderArgError::NoPath);
        }
        Ok(Self {
            name: name.parse()?,
            path: path.into(),
        })
    }
}

impl PlaceholderArg {
    /// The directory as an absolute path: a relative one is taken from `cwd`, `~` (which the shell does not expand after
    /// `=`) from `home`.
    pub(crate) fn directory(&self, home: &Path, cwd: &Path) -> PathBuf {
        match self.path.strip_prefix("~") {
            Ok(below) if below.as_os_str().is_empty() => home.to_owned(),
            Ok(below) => home.join(below),
            Err(_) => cwd.join(&self.path).components().collect(),
        }
    }
}

fn exit_codes() -> String {
    let line = |exit: &Exit| format!("  {:>3}  {}", exit.code(), exit.meaning());
    format!(
        "Exit codes:\n{}",
        Exit::ALL.iter().map(line).collect::<Vec<_>>().join("\n")
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn args_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn args_placeholder_takes_name_and_absolute_directory() {
        let dir = |text: &str| {
            let parsed: PlaceholderArg = text
                .parse()
                .map_err(|e: PlaceholderArgError| e.to_string())?;
            Ok::<_, String>(parsed.directory(Path::new("/home/al"), Path::new("/cwd")))
        };
        assert_eq!(dir("P=/x"), Ok("/x".into()));
        assert_eq!(dir("P=./x/"), Ok("/cwd/x".into()));
        assert_eq!(dir("P=~/w"), Ok("/home/al/w".into()));
        assert_eq!(dir("P=a=b"), Ok("/cwd/a=b".into()));
        for bad in ["P", "P=", "p=/x", "=/x"] {
            assert!(dir(bad).is_err(), "{bad}");
        }
    }
}
