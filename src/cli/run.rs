//! The run of the program: parses the arguments, runs a command, reports an error.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches;

use super::app::App;
use super::command_line::{self, Cli, Command, command_line};
use super::error::CliError;
use super::exit::Exit;
use super::panic::{bare_output, guarded};
use crate::domain::error::ErrorKind;
use crate::sys::env::Env;
use crate::sys::{fs, signal};
use crate::ui::output::{ErrorText, Output};
use crate::workspace::paths::store_path;

/// Runs the program with the arguments of this process, and returns its exit code.
pub fn main() -> ExitCode {
    guarded(|| run(std::env::args_os())).into()
}

fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    fs::restrict_umask();
    let cli = match parse(args) {
        Ok(cli) => cli,
        Err(e) => return show_parse_error(&e),
    };
    let env = match Env::read() {
        Ok(env) => env,
        Err(e) => return report_error(&mut bare_output(), &e.into()),
    };

    let mut app = App::new(env, &cli.global);
    let done = listen_for_signals().and_then(|()| command_line::run(&cli.command, &mut app));

    match done {
        Ok(exit) => exit,
        Err(e) => {
            let store = store_path(&app.env);
            report_error(&mut app.out, &e.about_store(&store))
        }
    }
}

/// Parses the arguments. `help COMMAND` is the same as `COMMAND --help`.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = command_line();
    let matches = command.try_get_matches_from_mut(args)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command))?;
    match cli.command {
        Command::Help(help) => {
            let words = ["ccsync".to_owned()].into_iter().chain(help.command);
            let with_help = words.chain(["--help".to_owned()]);
            Err(command_line()
                .try_get_matches_from(with_help)
                .expect_err("clap stops at `--help`"))
        }
        _ => Ok(cli),
    }
}

/// Prints the help or version to standard output, anything else as wrong usage.
fn show_parse_error(error: &clap::Error) -> Exit {
    let is_asked_for = matches!(
        error.kind(),
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
    );
    let mut out = bare_output();
    if !is_asked_for && out.is_json() {
        out.error(&usage_error(error));
    } else {
        // A closed stream means that the output is not wanted.
        let _ = error.print();
    }
    if is_asked_for {
        Exit::Done
    } else {
        Exit::Usage
    }
}

/// Returns the message of the parser; its tips and the usage become hints.
fn usage_error(error: &clap::Error) -> ErrorText {
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let words: Vec<_> = message.split_whitespace().collect();
    let hints = rest.lines().map(str::trim).filter(|line| !line.is_empty());
    ErrorText {
        kind: ErrorKind::Usage,
        message: words.join(" ").trim_start_matches("error: ").to_owned(),
        causes: Vec::new(),
        hints: hints.map(str::to_owned).collect(),
        exit_code: Exit::Usage.code(),
    }
}

fn listen_for_signals() -> Result<(), CliError> {
    signal::install().map_err(CliError::internal)
}

fn report_error(out: &mut Output, error: &CliError) -> Exit {
    error.show(out);
    error.exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn args_command_line_is_consistent() {
        command_line().debug_assert();
    }
}
