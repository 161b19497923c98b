//! The commands, one file each: its arguments, and a `run` that gathers, calls `sync` and shows.

mod apply;
mod completions;
mod config;
mod demo;
mod doctor;
mod import;
mod init;
mod list;
mod lock;
mod log;
mod machine;
mod man;
mod milestone;
mod note;
mod notes;
mod pull;
mod push;
mod repair;
mod restore;
mod resume;
mod search;
mod show;
mod start;
mod status;
mod sync;
mod undo;
mod update;
mod verify;

use clap::Subcommand;

use super::app::App;
use super::error::CliError;
use super::exit::Exit;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Resume(resume::Args),
    Start(start::Args),
    Init(init::Args),
    Push(push::Args),
    Pull(pull::Args),
    Sync(sync::Args),
    Update(update::Args),
    Status(status::Args),
    List(list::Args),
    Show(show::Args),
    Search(search::Args),
    Lock(lock::Args),
    Log(log::Args),
    Restore(restore::Args),
    Milestone(milestone::Args),
    Note(note::Args),
    Notes(notes::Args),
    Machine(machine::Args),
    Apply(apply::Args),
    Undo(undo::Args),
    Verify(verify::Args),
    Repair(repair::Args),
    Import(import::Args),
    Doctor(doctor::Args),
    Config(config::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Does what the command line says.
pub(super) fn run(command: &Command, app: &mut App) -> Result<Exit, CliError> {
    match command {
        Command::Resume(args) => resume::run(args, app),
        Command::Start(args) => start::run(args, app),
        Command::Init(args) => init::run(args, app),
        Command::Push(args) => push::run(args, app),
        Command::Pull(args) => pull::run(args, app),
        Command::Sync(args) => sync::run(args, app),
        Command::Update(args) => update::run(args, app),
        Command::Status(args) => status::run(args, app),
        Command::List(args) => list::run(args, app),
        Command::Show(args) => show::run(args, app),
        Command::Search(args) => search::run(args, app),
        Command::Lock(args) => lock::run(args, app),
        Command::Log(args) => log::run(args, app),
        Command::Restore(args) => restore::run(args, app),
        Command::Milestone(args) => milestone::run(args, app),
        Command::Note(args) => note::run(args, app),
        Command::Notes(args) => notes::run(args, app),
        Command::Machine(args) => machine::run(args, app),
        Command::Apply(args) => apply::run(args, app),
        Command::Undo(args) => undo::run(args, app),
        Command::Verify(args) => verify::run(args, app),
        Command::Repair(args) => repair::run(args, app),
        Command::Import(args) => import::run(args, app),
        Command::Doctor(args) => doctor::run(args, app),
        Command::Config(args) => config::run(args, app),
        Command::Demo(args) => demo::run(args, app),
        Command::Completions(args) => completions::run(args, app),
        Command::Man(args) => man::run(args, app),
    }
}
