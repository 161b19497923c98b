//! `ccsync self-update`: runs the install script of the newest release, for a copy that this
//! script installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::cli::{app::App, error::CliError, exit::Exit};
use crate::domain::{ErrorKind, UserError};
use crate::sys::process::{Program, ProgramOutput};

/// Update ccsync itself
///
/// For a copy that the install script has installed: downloads the newest release, verifies it,
/// and replaces the program. For any other copy, says how to update it.
#[derive(Debug, clap::Args)]
pub(crate) struct SelfUpdateArgs {}

/// The file that the install script leaves beside the program. It contains the address of the
/// newest release.
const MARKER: &str = ".ccsync-install";

/// Downloads the install script from `$1` as a whole and runs it.
const SHELL_COMMAND: &str = r#"
script=$(mktemp) || exit 1
trap 'rm -f "$script"' EXIT
if command -v curl >/dev/null; then
    curl -fsSL -o "$script" "$1"
else
    wget -qO "$script" "$1"
fi || { echo "cannot download $1" >&2; exit 1; }
sh "$script"
"#;

#[derive(Debug, thiserror::Error)]
enum SelfUpdateError {
    #[error("cannot find the file of this program")]
    NoProgram,
    #[error("{} was not installed by the install script", .0.display())]
    OtherWay(PathBuf),
    #[error("invalid address in {}", .0.display())]
    Address(PathBuf),
    #[error("cannot update ccsync: {}", said(.0))]
    Script(String),
}

impl UserError for SelfUpdateError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoProgram => Vec::new(),
            Self::OtherWay(program) => vec![other_way(program)],
            Self::Address(_) => vec!["run the install script again".to_owned()],
            Self::Script(stderr) => {
                let hints = stderr
                    .lines()
                    .filter_map(|line| line.strip_prefix("hint: "));
                hints.map(str::to_owned).collect()
            }
        }
    }
}

pub(in crate::cli) fn run(_: &SelfUpdateArgs, app: &mut App) -> Result<Exit, CliError> {
    let program = app.env.program.clone().ok_or(SelfUpdateError::NoProgram)?;
    let output = install(&program)?;
    if !output.status.success() {
        return Err(SelfUpdateError::Script(output.stderr).into());
    }
    app.print_text(&output.stdout)?;
    Ok(Exit::Done)
}

fn install(program: &Path) -> Result<ProgramOutput, CliError> {
    let directory = program.parent().unwrap_or(program);
    let marker = directory.join(MARKER);
    let Ok(address) = std::fs::read_to_string(&marker) else {
        return Err(SelfUpdateError::OtherWay(program.to_owned()).into());
    };
    let address = address.trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/._-".contains(c);
    if !address.starts_with("http") || !address.chars().all(is_plain) {
        return Err(SelfUpdateError::Address(marker).into());
    }
    let command = install_command(address).env("CCSYNC_INSTALL_DIR", directory);
    Ok(command.run()?)
}

fn install_command(address: &str) -> Program {
    if cfg!(windows) {
        let command = format!("irm {address}/install.ps1 | iex");
        let options = ["-NoProfile", "-ExecutionPolicy", "Bypass", "-Command"];
        Program::new("powershell").args(options).arg(command)
    } else {
        let script = format!("{address}/install.sh");
        Program::new("sh").args(["-c", SHELL_COMMAND, "sh", &script])
    }
}

/// Returns the reason in what the script said.
fn said(stderr: &str) -> &str {
    let reason = stderr.lines().find(|line| !line.is_empty());
    let reason = reason.unwrap_or("the install script failed");
    reason.trim_start_matches("install ccsync: ")
}

/// Returns how to update a program that lies there.
fn other_way(program: &Path) -> String {
    let has = |name: &str| program.iter().any(|part| part == OsStr::new(name));
    let command = if has("node_modules") {
        return "update it with npm, under the name it was installed by".to_owned();
    } else if has("Cellar") {
        "brew upgrade ccsync"
    } else if has("scoop") {
        "scoop update ccsync"
    } else if program.starts_with("/nix/store") {
        "nix profile upgrade ccsync"
    } else if has(".cargo") {
        return "in an updated checkout: `cargo install --path .`".to_owned();
    } else if program.starts_with("/usr") && !program.starts_with("/usr/local") {
        return "update it with the package manager of this system".to_owned();
    } else {
        return "put a newer program in its place".to_owned();
    };
    format!("update it with `{command}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_update_other_copy_names_its_manager() {
        let ways = [
            (
                "/usr/lib/node_modules/@al/ccsync-linux-x64/ccsync",
                "update it with npm",
            ),
            (
                "/opt/homebrew/Cellar/ccsync/0.1.0/bin/ccsync",
                "`brew upgrade ccsync`",
            ),
            (
                "/nix/store/a-ccsync/bin/ccsync",
                "`nix profile upgrade ccsync`",
            ),
            ("/home/al/.cargo/bin/ccsync", "`cargo install --path .`"),
            ("/usr/bin/ccsync", "package manager of this system"),
            ("/usr/local/bin/ccsync", "put a newer program"),
        ];
        for (program, way) in ways {
            let hint = other_way(Path::new(program));
            assert!(hint.contains(way), "{program}: {hint}");
        }
    }
}
