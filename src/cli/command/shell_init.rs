//! `ccsync shell-init`: the shell function that pulls before Claude Code starts; `ccsync catch-up`
//! is what it runs.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::{app::App, error::CliError, exit::Exit};
use crate::daemon::start::catch_up;
use crate::domain::shell::shell_word;

/// Longest time that the start of Claude Code is delayed.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// Print a shell function that pulls before Claude Code starts
///
/// With it, `claude --resume` and `claude --continue` find the newest turns of your other
/// machines. The pull takes at most three seconds; what takes longer is done in the background.
#[derive(Debug, clap::Args)]
pub(crate) struct ShellInitArgs {
    /// The shell
    #[arg(value_enum)]
    shell: FunctionShell,
}

/// A shell with a function for it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FunctionShell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
}

/// Wait until the newest turns are here
///
/// The function of `ccsync shell-init` runs this. Asks `ccsync daemon` for a pull, and waits at
/// most three seconds.
#[derive(Debug, clap::Args)]
pub(crate) struct CatchUpArgs {}

pub(in crate::cli) fn run(args: &ShellInitArgs, app: &mut App) -> Result<Exit, CliError> {
    let text = function(args.shell, client_beside_path(app));
    app.print_text(text.as_bytes())?;
    Ok(Exit::Done)
}

pub(in crate::cli) fn run_catch_up(_: &CatchUpArgs, app: &mut App) -> Result<Exit, CliError> {
    if app.is_set_up()? {
        catch_up(&app.env, &app.clock, MAX_WAIT)?;
    }
    Ok(Exit::Done)
}

/// Returns the definition of the function, which runs the client past itself.
fn function(shell: FunctionShell, beside_path: Option<&Path>) -> String {
    const WHY: &str = "# Pulls the newest turns before Claude Code starts (at most 3 seconds).";
    const ON_PATH: &str = "(Get-Command claude -CommandType Application | Select-Object -First 1)";
    let client = match (shell, beside_path) {
        (FunctionShell::PowerShell, None) => ON_PATH.to_owned(),
        (FunctionShell::PowerShell, Some(client)) => {
            format!("'{}'", client.to_string_lossy().replace('\'', "''"))
        }
        (_, None) => "command claude".to_owned(),
        (_, Some(client)) => shell_word(client),
    };
    match shell {
        // An alias would be expanded in the definition, and come before the function.
        FunctionShell::Bash | FunctionShell::Zsh => format!(
            "{WHY}\nunalias claude 2>/dev/null || true\nfunction claude {{\n    \
             command ccsync catch-up >/dev/null 2>&1 </dev/null || true\n    {client} \"$@\"\n}}"
        ),
        FunctionShell::Fish => format!(
            "{WHY}\nfunction claude --wraps claude\n    \
             command ccsync catch-up >/dev/null 2>&1 </dev/null\n    {client} $argv\nend"
        ),
        FunctionShell::PowerShell => format!(
            "{WHY}\nfunction claude {{\n    try {{ ccsync catch-up *> $null }} catch {{ }}\n    \
             & {client} @args\n}}"
        ),
    }
}

/// Returns the client's program if it is not on the PATH.
fn client_beside_path(app: &App) -> Option<&Path> {
    Some(app.env.client.as_path()).filter(|client| client.is_absolute())
}
