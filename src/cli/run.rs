//! The run of the program: parses the arguments, runs a command, reports an error.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;

use super::app::App;
use super::ask;
use super::command::demo::{is_stand_in, run_stand_in};
use super::command_line::{self, Cli, Command, command_line};
use super::error::{CliError, CommandError};
use super::exit::Exit;
use super::panic::{bare_output, guarded};
use super::shell::answer_shell;
use crate::domain::error;
use crate::sys::{Env, fs, signal};
use crate::ui::{Output, output::ErrorText};
use crate::workspace::{HistoryChoice, paths::store_path};

/// Runs the program with the arguments of this process, and returns its exit code.
pub fn main() -> ExitCode {
    guarded(run).into()
}

fn run() -> Exit {
    fs::restrict_umask();
    let args: Vec<OsString> = std::env::args_os().collect();
    if is_stand_in(args.first().map(OsString::as_os_str)) {
        let ended = run_stand_in(&args);
        return ended.unwrap_or_else(|e| report_error(&mut bare_output(), &e));
    }
    match answer_shell(command_line, args.clone()) {
        Ok(false) => {}
        Ok(true) => return Exit::Done,
        Err(e) => return show_parse_error(&e),
    }
    let cli = match parse(args) {
        Ok(cli) => cli,
        Err(e) => return show_parse_error(&e),
    };
    let env = match Env::read() {
        Ok(env) => env,
        // Claude Code would show it after every turn.
        Err(_) if matches!(cli.command, Command::Hook(_)) => return Exit::Done,
        Err(e) => return report_error(&mut bare_output(), &e.into()),
    };

    let mut app = App::new(env, &cli.global);
    let done = listen_for_signals().and_then(|()| command_line::run(&cli.command, &mut app));
    let done = match done {
        Err(e) if e.needs_history_choice() && app.is_interactive() && !app.out.is_json() => {
            choose_history(&e, &mut app).and_then(|()| command_line::run(&cli.command, &mut app))
        }
        done => done,
    };

    match done {
        Ok(exit) => exit,
        Err(e) => {
            let store = store_path(&app.env);
            report_error(&mut app.out, &e.about_store(&store))
        }
    }
}

/// Asks what to do about a history of the remote that another program has replaced.
fn choose_history(error: &CliError, app: &mut App) -> Result<(), CliError> {
    app.out.attention(&error.message());
    let choices = [
        "decide later",
        "keep out what is missing there",
        "send again what is missing there",
    ];
    app.history_choice = match ask::choose("Was that intended?", &choices)? {
        0 => return Err(CommandError::Declined("nothing was changed".to_owned()).into()),
        1 => Some(HistoryChoice::Follow),
        _ => Some(HistoryChoice::Refill),
    };
    Ok(())
}

/// Parses the arguments. `help COMMAND` is the same as `COMMAND --help`, and `man` knows the
/// same commands.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = command_line();
    let matches = command.try_get_matches_from_mut(args)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command))?;
    let named = match &cli.command {
        Command::Help(help) => help_of(&help.command),
        Command::Man(man) => help_of(&man.command),
        _ => return Ok(cli),
    };
    let is_found = named.kind() == ErrorKind::DisplayHelp;
    if is_found && matches!(cli.command, Command::Man(_)) {
        return Ok(cli);
    }
    Err(named)
}

/// Returns the help of a command, or an error for unknown words.
fn help_of(words: &[String]) -> clap::Error {
    let words = words.iter().map(String::as_str);
    let with_help = ["ccsync"].into_iter().chain(words).chain(["--help"]);
    let parsed = command_line().try_get_matches_from(with_help);
    parsed.expect_err("the parser stops at `--help`")
}

/// Prints the help or version to standard output, anything else as wrong usage.
fn show_parse_error(error: &clap::Error) -> Exit {
    let is_asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let mut out = bare_output();
    if !is_asked_for && out.is_json() {
        out.error(&usage_error(error));
    } else {
        // A closed stream needs no output.
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
        kind: error::ErrorKind::Usage,
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
