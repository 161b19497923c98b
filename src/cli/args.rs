//! Arguments that several commands have.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::domain::placeholder::{InvalidPlaceholder, PlaceholderName};
use crate::ui::style::ColorMode;

/// Options of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct GlobalArgs {
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

impl GlobalArgs {
    /// Returns the options of a run that prints nothing of its own.
    pub(crate) fn silent() -> Self {
        Self {
            quiet: true,
            color: ColorMode::Never,
        }
    }
}

/// The output switch of commands that print a result.
#[derive(Debug, clap::Args)]
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

#[cfg(test)]
mod tests {
    use super::*;

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
