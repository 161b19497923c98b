//! `ccsync init`: this machine gets an id, a name and a remote. Can be run again to change any of them.
//!
//! * `remote`: where the sessions go; `placeholders`: what is asked of directories; `show`: what was found and made

mod error;
pub(super) mod placeholders;
mod remote;
mod show;

use std::path::PathBuf;

use crate::cli::app::App;
use crate::cli::args::{JsonFlag, PlaceholderArg};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::config::Config;
use crate::domain::placeholder::PlaceholderName;
use crate::machine::set_up::SetUp;
use crate::report::transfer::RemoteState;
use crate::transport::github::RepositoryName;
use crate::transport::url::RemoteUrl;
use crate::ui::sanitize::one_line;

/// Set up this machine: once, and again to change something
///
/// On a terminal, asks where the sessions go. With GitHub's `gh` signed in, it finds the repository that another machine of yours uses, or
/// makes a private one. Without a remote, sessions are kept in a repository on this disk; a remote named later takes them over.
///
/// Takes over what other machines have: a name that one of them has gets a number, and a placeholder of theirs is given the directory
/// here that is at the same path below the home directory, at the same path, or of the same name in the home directory.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the sessions go: a private git repository of yours, or a directory on a shared disk
    #[arg(long, value_name = "URL|PATH")]
    remote: Option<String>,
    /// Use a repository on GitHub, through `gh`: one that holds sessions, or an empty one, or a new private one
    /// [default: claude-sessions, or the one of yours that holds sessions]
    #[arg(long, value_name = "[HOST/][OWNER/]NAME", num_args = 0..=1, conflicts_with_all = ["remote", "no_github"])]
    github: Option<Option<RepositoryName>>,
    /// Ask GitHub nothing
    #[arg(long)]
    no_github: bool,
    /// Also a repository that others can read; asks once more, unless --yes is given
    #[arg(long)]
    allow_public: bool,
    /// What this machine is called in lists [default: the host name]
    #[arg(long)]
    name: Option<String>,
    /// Give a directory a placeholder, so that it may lie elsewhere on other machines; may be repeated
    #[arg(long, value_name = "NAME=PATH")]
    add_placeholder: Vec<PlaceholderArg>,
    /// Give this machine a new id: its configuration was copied from another one that is still in use
    #[arg(long)]
    new_id: bool,
    /// Ask nothing; take over the placeholders of other machines whose directories are found here
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    let chosen = remote::choose(args, app)?;
    let request = SetUp {
        remote: chosen.remote.clone(),
        name: args.name.clone(),
        placeholders: placeholders_given(&args.add_placeholder, app)?,
        adopt: args.yes,
        new_id: args.new_id,
    };
    let git_may_ask = app.is_interactive() && !chosen.without_questions;
    let done =
        crate::machine::set_up::set_up(&app.env, app.clock(), app.progress(), git_may_ask, request);
    let mut report = done.map_err(|error| chosen.explain(error))?;
    if (report.first_time || report.moved) && may_ask(args, app) {
        placeholders::ask(&mut report, app)?;
    }
    if args.json.json {
        app.print_json("init", &show::document(&report, chosen.repository.as_ref()))?;
    } else {
        app.print(&show::lines(&report, chosen.repository.as_ref()))?;
        show::hints(&report, app);
        let given = args.add_placeholder.iter().map(|given| given.name.clone());
        let learnt = report
            .learnt
            .iter()
            .map(|placeholder| placeholder.name.clone());
        placeholders::tell_of_stored(&given.chain(learnt).collect::<Vec<_>>(), true, app);
    }
    let unreached = matches!(report.remote, RemoteState::Queued { .. });
    Ok(if unreached { Exit::Queued } else { Exit::Done })
}

/// Sets this machine up with nothing given, if it has not been yet, and says so.
pub(super) fn ensure(app: &mut App) -> Result<(), CliError> {
    if app.is_set_up()? {
        notice_copy(app);
        return Ok(());
    }
    let report = crate::machine::set_up::set_up_by_default(
        &app.env,
        app.clock(),
        app.progress(),
        app.is_interactive(),
    )?;
    let remote = one_line(&report.remote_display);
    app.out.note(&format!(
        "first run: this machine is now `{}`; its sessions go to {remote}",
        one_line(&report.machine_name)
    ));
    if report.embedded {
        app.out
            .hint("that is on this disk only; to reach other machines: ccsync init");
    }
    Ok(())
}

/// Says so if the configuration was copied from another host: two machines with one id take each other's locks for their own.
pub(super) fn notice_copy(app: &mut App) {
    // What is wrong with the configuration is said by whoever needs it.
    let Ok(Config { machine, .. }) = app.config() else {
        return;
    };
    if let (Some(then), Some(now)) = (&machine.host, &app.env.host_mark)
        && then != now
    {
        let name = one_line(&machine.name);
        app.out.attention(&format!(
            "the configuration of `{name}` was made on another host than this one"
        ));
        app.out.hint(
            "if that one is still in use, make this one a machine of its own: ccsync init --new-id",
        );
        app.out.hint("if it is not, keep the id: ccsync init");
    }
}

/// Refuses an address of which `gh` says that others can read what is there.
pub(super) fn refuse_open(remote: &RemoteUrl) -> Result<(), CliError> {
    remote::refuse_open(remote)
}

fn may_ask(args: &Args, app: &App) -> bool {
    !args.yes && !args.json.json && app.is_interactive()
}

fn parse_remote(text: &str) -> Result<RemoteUrl, CliError> {
    Ok(RemoteUrl::parse(text, &current_dir()?)?)
}

fn placeholders_given(
    args: &[PlaceholderArg],
    app: &App,
) -> Result<Vec<(PlaceholderName, PathBuf)>, CliError> {
    let cwd = current_dir()?;
    Ok(args
        .iter()
        .map(|arg| (arg.name.clone(), arg.directory(&app.env.home, &cwd)))
        .collect())
}

/// Where a relative path given on the command line begins.
pub(super) fn current_dir() -> Result<PathBuf, CliError> {
    std::env::current_dir().map_err(CliError::current_dir)
}
