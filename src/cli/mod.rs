//! Arguments in, exit code out; one file per command.
//!
//! Owns the command line, the text of errors and hints, and the exit codes. Must not do the work: a command gathers what was
//! asked, calls `sync`, and shows the answer.

mod app;
mod args;
mod command;
mod error;
mod exit;
mod panic;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use self::app::App;
use self::args::Cli;
use self::error::CliError;
use self::exit::Exit;
use crate::sys::env::Env;
use crate::sys::{fs, signal};
use crate::ui::output::{Output, OutputOptions};
use crate::workspace::paths::store_path;

/// The program: reads the arguments of the process, does what they say, and gives the exit code.
pub fn main() -> ExitCode {
    panic::guarded(|| run(std::env::args_os())).into()
}

fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    fs::restrict_umask();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => return show_parse_error(&e),
    };
    let env = match Env::read() {
        Ok(env) => env,
        Err(e) => return report_error(&mut bare_output(), &e.into()),
    };
    let mut app = App::new(env, &cli);
    let done = listen_for_signals().and_then(|()| command::run(&cli.command, &mut app));
    match done {
        Ok(exit) => exit,
        Err(e) => {
            let store = store_path(&app.env);
            report_error(&mut app.out, &e.about_store(&store))
        }
    }
}

/// Help and version are asked for and go to standard output; the rest is wrong usage.
fn show_parse_error(error: &clap::Error) -> Exit {
    // Whoever closed the stream does not want to read it.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}

fn listen_for_signals() -> Result<(), CliError> {
    signal::install().map_err(CliError::internal)
}

fn report_error(out: &mut Output, error: &CliError) -> Exit {
    error.show(out);
    error.exit()
}

/// Streams for the time before anything is known about the terminal.
fn bare_output() -> Output {
    Output::of_process(OutputOptions {
        stdout_colors: false,
        stderr_colors: false,
        columns: None,
        rows: None,
        quiet: false,
    })
}
