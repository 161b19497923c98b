//! The command line as a whole: every command, the groups of the help, and which code runs.

use std::fmt::Write as _;

use clap::builder::Styles;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::app::App;
use super::args::GlobalArgs;
use super::command::apply::ApplyArgs;
use super::command::auto::AutoArgs;
use super::command::completions::CompletionsArgs;
use super::command::config::ConfigArgs;
use super::command::daemon::DaemonArgs;
use super::command::delete::DeleteArgs;
use super::command::demo::DemoArgs;
use super::command::doctor::DoctorArgs;
use super::command::encrypt::EncryptArgs;
use super::command::hook::HookArgs;
use super::command::import::ImportArgs;
use super::command::init::InitArgs;
use super::command::install_docs::InstallDocsArgs;
use super::command::key::KeyArgs;
use super::command::list::ListArgs;
use super::command::lock::LockArgs;
use super::command::log::LogArgs;
use super::command::machine::MachineArgs;
use super::command::man::ManArgs;
use super::command::milestone::MilestoneArgs;
use super::command::note::NoteArgs;
use super::command::notes::NotesArgs;
use super::command::pull::PullArgs;
use super::command::purge::PurgeArgs;
use super::command::push::PushArgs;
use super::command::recover::RecoverArgs;
use super::command::repair::RepairArgs;
use super::command::restore::RestoreArgs;
use super::command::resume::ResumeArgs;
use super::command::search::SearchArgs;
use super::command::secrets::SecretsArgs;
use super::command::self_update::SelfUpdateArgs;
use super::command::service::ServiceArgs;
use super::command::shell_init::{CatchUpArgs, ShellInitArgs};
use super::command::show::ShowArgs;
use super::command::start::StartArgs;
use super::command::stats::StatsArgs;
use super::command::status::StatusArgs;
use super::command::statusline::StatuslineArgs;
use super::command::sync::SyncArgs;
use super::command::undo::UndoArgs;
use super::command::verify::VerifyArgs;
use super::command::{
    apply, auto, completions, config, daemon, delete, demo, doctor, encrypt, hook, import, init,
    install_docs, key, list, lock, log, machine, man, milestone, note, notes, pull, purge, push,
    recover, repair, restore, resume, search, secrets, self_update, service, shell_init, show,
    start, stats, status, statusline, sync, undo, verify,
};
use super::error::CliError;
use super::examples::help_section;
use super::exit::Exit;

/// Keep Claude Code sessions in a private git repository and continue them on any machine
#[derive(Debug, Parser)]
#[command(
    name = "ccsync",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Resume(ResumeArgs),
    Start(StartArgs),
    Push(PushArgs),
    Pull(PullArgs),
    Sync(SyncArgs),
    Status(StatusArgs),
    Note(NoteArgs),

    List(ListArgs),
    Show(ShowArgs),
    Search(SearchArgs),
    Notes(NotesArgs),
    Secrets(SecretsArgs),
    Lock(LockArgs),

    Log(LogArgs),
    Stats(StatsArgs),
    Undo(UndoArgs),
    Restore(RestoreArgs),
    Milestone(MilestoneArgs),
    Delete(DeleteArgs),
    Purge(PurgeArgs),

    Auto(AutoArgs),
    Daemon(DaemonArgs),
    Service(ServiceArgs),
    Statusline(StatuslineArgs),
    ShellInit(ShellInitArgs),
    CatchUp(CatchUpArgs),
    #[command(hide = true)]
    Hook(HookArgs),

    Doctor(DoctorArgs),
    Recover(RecoverArgs),
    Verify(VerifyArgs),
    Repair(RepairArgs),

    Init(InitArgs),
    Config(ConfigArgs),
    Machine(MachineArgs),
    Key(KeyArgs),
    Encrypt(EncryptArgs),
    Apply(ApplyArgs),
    Import(ImportArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    InstallDocs(InstallDocsArgs),
    SelfUpdate(SelfUpdateArgs),
    Demo(DemoArgs),
    Help(HelpArgs),
}

/// Show the help of a command
#[derive(Debug, clap::Args)]
pub(super) struct HelpArgs {
    /// The command [default: all commands]
    #[arg(value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

/// Groups of the commands in the help: the title, and the first command of the group.
const GROUPS: [(&str, &str); 6] = [
    ("Daily use", "resume"),
    ("Look", "list"),
    ("History", "log"),
    ("By itself", "auto"),
    ("Check and repair", "doctor"),
    ("Set up", "init"),
];

/// Returns the command line with its commands in groups.
pub(super) fn command_line() -> clap::Command {
    let command = add_examples(Cli::command(), "");
    let names = complete_names(&command);
    let command = command.mut_subcommands(|subcommand| match subcommand.get_name() {
        "help" | "man" => subcommand.mut_arg("command", |arg| arg.add(names.clone())),
        _ => subcommand,
    });
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{{options}}{{after-help}}",
        grouped_commands(&command)
    );
    command.help_template(template)
}

/// Completes the names of the commands.
fn complete_names(command: &clap::Command) -> ArgValueCandidates {
    let shown = command.get_subcommands().filter(|c| !c.is_hide_set());
    let names = shown.map(|c| (c.get_name().to_owned(), c.get_about().cloned()));
    let names: Vec<_> = names.collect();
    ArgValueCandidates::new(move || {
        let candidates = names.iter().cloned();
        candidates
            .map(|(name, about)| CompletionCandidate::new(name).help(about))
            .collect()
    })
}

/// Returns the commands for the help, followed by the heading of the options.
fn grouped_commands(command: &clap::Command) -> String {
    let styles = Styles::default();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let mut text = String::new();

    let is_shown = |c: &&clap::Command| !c.is_hide_set();
    let shown: Vec<_> = command.get_subcommands().filter(is_shown).collect();
    let names = shown.iter().map(|c| c.get_name().len());
    let width = names.max().unwrap_or_default();
    for subcommand in shown {
        let name = subcommand.get_name();
        if let Some((title, _)) = GROUPS.iter().find(|(_, first)| *first == name) {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{header}{title}:{header:#}");
        }
        let about = subcommand.get_about().cloned().unwrap_or_default();
        let _ = writeln!(text, "  {literal}{name:width$}{literal:#}  {about}");
    }
    let _ = writeln!(text, "\n{header}Options:{header:#}");
    text
}

/// Adds the examples to the help of a command and of all below it; `path` is its words.
fn add_examples(command: clap::Command, path: &str) -> clap::Command {
    let mut after_help = help_section(path);
    if path.is_empty() {
        after_help += &exit_codes();
    }
    command
        .after_help(after_help)
        .mut_subcommands(|subcommand| {
            let path = format!("{path} {}", subcommand.get_name());
            add_examples(subcommand, path.trim_start())
        })
}

fn exit_codes() -> String {
    let line = |exit: &Exit| format!("\n  {:>3}  {}", exit.code(), exit.meaning());
    let lines: String = Exit::ALL.iter().map(line).collect();
    let json = "With --json an error is one line of JSON on standard error.";
    format!("\n\nExit codes:{lines}\n\n{json}")
}

/// Runs a command.
pub(super) fn run(command: &Command, app: &mut App) -> Result<Exit, CliError> {
    match command {
        Command::Resume(args) => resume::run(args, app),
        Command::Start(args) => start::run(args, app),
        Command::Push(args) => push::run(args, app),
        Command::Pull(args) => pull::run(args, app),
        Command::Sync(args) => sync::run(args, app),
        Command::Status(args) => status::run(args, app),
        Command::Note(args) => note::run(args, app),
        Command::List(args) => list::run(args, app),
        Command::Show(args) => show::run(args, app),
        Command::Search(args) => search::run(args, app),
        Command::Notes(args) => notes::run(args, app),
        Command::Secrets(args) => secrets::run(args, app),
        Command::Lock(args) => lock::run(args, app),
        Command::Log(args) => log::run(args, app),
        Command::Stats(args) => stats::run(args, app),
        Command::Undo(args) => undo::run(args, app),
        Command::Restore(args) => restore::run(args, app),
        Command::Milestone(args) => milestone::run(args, app),
        Command::Delete(args) => delete::run(args, app),
        Command::Purge(args) => purge::run(args, app),
        Command::Auto(args) => auto::run(args, app),
        Command::Daemon(args) => daemon::run(args, app),
        Command::Service(args) => service::run(args, app),
        Command::Statusline(args) => statusline::run(args, app),
        Command::ShellInit(args) => shell_init::run(args, app),
        Command::CatchUp(args) => shell_init::run_catch_up(args, app),
        Command::Hook(args) => hook::run(args, app),
        Command::Doctor(args) => doctor::run(args, app),
        Command::Recover(args) => recover::run(args, app),
        Command::Verify(args) => verify::run(args, app),
        Command::Repair(args) => repair::run(args, app),
        Command::Init(args) => init::run(args, app),
        Command::Config(args) => config::run(args, app),
        Command::Machine(args) => machine::run(args, app),
        Command::Key(args) => key::run(args, app),
        Command::Encrypt(args) => encrypt::run(args, app),
        Command::Apply(args) => apply::run(args, app),
        Command::Import(args) => import::run(args, app),
        Command::Completions(args) => completions::run(args, app),
        Command::Man(args) => man::run(args, command_line(), app),
        Command::InstallDocs(args) => install_docs::run(args, command_line(), app),
        Command::SelfUpdate(args) => self_update::run(args, app),
        Command::Demo(args) => demo::run(args, app),
        Command::Help(_) => unreachable!("it is replaced by `--help` before anything runs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::examples::examples;

    /// Returns the words of every command: ``, `push`, `lock show`, …
    fn paths(command: &clap::Command, path: &str) -> Vec<String> {
        let mut all = vec![path.to_owned()];
        for subcommand in command.get_subcommands() {
            let path = format!("{path} {}", subcommand.get_name());
            all.extend(paths(subcommand, path.trim_start()));
        }
        all
    }

    /// Splits a line like a shell. Examples have only these quotes.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('"').zip([false, true].into_iter().cycle());
        let words = parts.flat_map(|(part, is_quoted)| match is_quoted {
            true => vec![part.to_owned()],
            false => part.split_whitespace().map(str::to_owned).collect(),
        });
        words.collect()
    }

    #[test]
    fn args_command_line_is_consistent() {
        command_line().debug_assert();
    }

    #[test]
    fn help_examples_are_two_or_three_and_parse() {
        for path in paths(&command_line(), "") {
            let examples = examples(&path);
            assert!((2..=3).contains(&examples.len()), "{path}: {examples:?}");
            for example in examples.iter().filter(|e| e.line.starts_with("ccsync")) {
                let line = example.line.split(['|', '>']).next().unwrap().trim_end();
                let parsed = command_line().try_get_matches_from(words(line));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                assert!(
                    line.starts_with(format!("ccsync {path}").trim_end()),
                    "{line}"
                );
            }
            let is_wide = |line: &str| line.chars().count() > 100;
            assert!(!help_section(&path).lines().any(is_wide), "{path}");
        }
    }
}
