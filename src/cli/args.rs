//! Arguments that several commands have.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::domain::{InvalidPlaceholder, PlaceholderName, url::has_drive};
use crate::ui::style::ColorMode;

/// Options of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct GlobalArgs {
    /// Print only results, warnings and errors
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
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct JsonFlag {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Returns true if the arguments ask for JSON.
///
/// Reads them without the parser, so that its errors can be JSON, too.
pub(crate) fn wants_json(args: impl Iterator<Item = OsString>) -> bool {
    let mut previous = OsString::new();
    for arg in args.take_while(|arg| arg != "--") {
        if arg == "--json" || arg == "--format=json" || (previous == "--format" && arg == "json") {
            return true;
        }
        previous = arg;
    }
    false
}

/// `NAME=PATH`
#[derive(Debug, Clone)]
pub(crate) struct PlaceholderArg {
    pub(crate) name: PlaceholderName,
    path: PathBuf,
}

/// Reason why a text is not `NAME=PATH`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceholderArgError {
    #[error("give NAME=PATH, for example PROJECTS=~/work")]
    NoEqualsSign,
    #[error("no path after `=`")]
    NoPath,
    #[error("`{0}` is a path of Windows; below WSL it is `{1}`")]
    Windows(String, String),
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
        if !cfg!(windows) && has_drive(path) {
            let drive = path[..1].to_ascii_lowercase();
            let below = path[2..].replace('\\', "/");
            let mounted = format!("/mnt/{drive}{below}");
            return Err(PlaceholderArgError::Windows(path.to_owned(), mounted));
        }
        Ok(Self {
            name: name.parse()?,
            path: path.into(),
        })
    }
}

impl PlaceholderArg {
    pub(crate) fn new(name: PlaceholderName, path: PathBuf) -> Self {
        Self { name, path }
    }

    /// Returns the directory as an absolute path. A relative one starts at `cwd`, and `~`, which
    /// the shell does not expand after `=`, is `home`.
    pub(crate) fn directory(&self, home: &Path, cwd: &Path) -> PathBuf {
        typed_path(&self.path, home, cwd)
    }
}

/// Returns a path that the user typed as an absolute one: a relative one starts at `cwd`, and
/// `~` is `home`.
pub(crate) fn typed_path(path: &Path, home: &Path, cwd: &Path) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(below) if below.as_os_str().is_empty() => home.to_owned(),
        Ok(below) => home.join(below),
        Err(_) => cwd.join(path).components().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn args_json_is_found_without_parser() {
        let wants = |line: &str| wants_json(line.split(' ').map(OsString::from));
        for line in ["push --json", "list --format json", "x --y --format=json z"] {
            assert!(wants(line), "{line}");
        }
        for line in ["push", "note -- --json", "list --format text json"] {
            assert!(!wants(line), "{line}");
        }
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
        for path in [r"C:\Users\me", "C:/Users/me"] {
            let answer = dir(&format!("P={path}"));
            if cfg!(windows) {
                assert!(answer.is_ok());
            } else {
                assert!(answer.unwrap_err().contains("`/mnt/c/Users/me`"));
            }
        }
    }
}
