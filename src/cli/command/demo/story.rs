//! `ccsync demo`: two machines that exist only in a temporary directory play the whole story with this very program.
//!
//! Owns the story and the checks that it came out as told. Must not touch anything of the person's: the machines have homes of
//! their own and get nothing of this process's environment.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::machine::Machine;
use super::transcript::Transcript;
use crate::cli::app::App;
use crate::cli::error::{CliError, CommandError};
use crate::cli::exit::Exit;
use crate::domain::id::SessionId;
use crate::sys::clock::Clock;
use crate::ui::style::{HEADING, QUIET, paint};

const FIRST_QUESTION: &str = "Why does the watering plan skip Sundays?";
const LAPTOP_QUESTION: &str = "Add a test for leap years.";
const DESKTOP_QUESTION: &str = "Print the plan as a table.";

/// Play the whole story in a temporary directory, in half a minute
///
/// Two invented machines with different paths share sessions through a repository in the same directory. Everything is
/// really done, by this program, and nothing of yours is read or written.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {}

pub(in crate::cli) fn run(_: &DemoArgs, app: &mut App) -> Result<Exit, CliError> {
    let stage = stage()?;
    let laptop = Machine::new("laptop", &stage, "home/alex")?;
    let desktop = Machine::new("desktop", &stage, "Users/alex")?;
    let session = play(app, &laptop, &desktop)?;
    say(app, "")?;
    say(
        app,
        &format!(
            "demo: everything came out as told. Look around in {}",
            stage.display()
        ),
    )?;
    say(
        app,
        &format!(
            "  the laptop's transcript:   {}",
            laptop.transcript(&session).display()
        ),
    )?;
    say(
        app,
        &format!(
            "  the desktop's transcript:  {}",
            desktop.transcript(&session).display()
        ),
    )?;
    Ok(Exit::Done)
}

/// A directory that stays, so that a person may look into it. Links are resolved, as the client does.
fn stage() -> Result<PathBuf, CliError> {
    let dir = tempfile::Builder::new()
        .prefix("ccsync-demo-")
        .tempdir()
        .map_err(CommandError::Stage)?;
    Ok(dir.keep().canonicalize().map_err(CommandError::Stage)?)
}

fn play(app: &mut App, laptop: &Machine, desktop: &Machine) -> Result<SessionId, CliError> {
    let session = begin_on_the_laptop(app, laptop)?;
    continue_on_the_desktop(app, laptop, desktop, &session)?;
    continue_on_both(app, laptop, desktop, &session)?;
    act(app, "How it stands now")?;
    command(app, laptop, &["status"], Exit::Done)?;
    explain(
        app,
        "nothing waits: every line of both machines is in the store, and the store is on the remote",
    )?;
    Ok(session)
}

fn begin_on_the_laptop(app: &mut App, laptop: &Machine) -> Result<SessionId, CliError> {
    act(app, "A conversation on the laptop goes to the store")?;
    let session = new_session()?;
    let mut transcript = Transcript::new(&session, &laptop.project, app.clock.now());
    transcript.turn(
        FIRST_QUESTION,
        "Because `days.rs` counts from Monday; I changed the range.",
    );
    laptop.write(&session, &transcript)?;
    command(
        app,
        laptop,
        &["init", "--name", "laptop", "--yes"],
        Exit::Done,
    )?;
    command(app, laptop, &["push"], Exit::Done)?;
    explain(
        app,
        "no remote was named, so it stands in for one: a bare repository on this disk",
    )?;
    Ok(session)
}

fn continue_on_the_desktop(
    app: &mut App,
    laptop: &Machine,
    desktop: &Machine,
    session: &SessionId,
) -> Result<(), CliError> {
    act(app, "The desktop, where everything lies elsewhere, gets it")?;
    let remote = laptop.remote()?;
    command(
        app,
        desktop,
        &["init", "--name", "desktop", "--remote", &remote, "--yes"],
        Exit::Done,
    )?;
    command(app, desktop, &["pull"], Exit::Done)?;
    let text = desktop.read(session)?;
    check(
        text.contains(FIRST_QUESTION),
        "the desktop lacks the laptop's turn",
    )?;
    check(
        text.contains(&json_text(&desktop.project)),
        "the transcript does not name the desktop's directory",
    )?;
    check(
        !text.contains(&json_text(&laptop.home)),
        "the transcript still names the laptop's directory",
    )?;
    explain(
        app,
        &format!("the same conversation, under {}", desktop.project.display()),
    )
}

fn continue_on_both(
    app: &mut App,
    laptop: &Machine,
    desktop: &Machine,
    session: &SessionId,
) -> Result<(), CliError> {
    act(app, "Both go on without having heard of each other")?;
    laptop.append(
        session,
        LAPTOP_QUESTION,
        "Done, in `tests/leap.rs`.",
        app.clock.now(),
    )?;
    command(app, laptop, &["push"], Exit::Done)?;
    desktop.append(
        session,
        DESKTOP_QUESTION,
        "Done: one row per bed.",
        app.clock.now(),
    )?;
    command(app, desktop, &["push"], Exit::Diverged)?;
    explain(
        app,
        "nothing is lost: the stored session keeps its id, the desktop's turn goes on under a new one (exit code 5)",
    )?;
    command(app, desktop, &["pull"], Exit::Diverged)?;
    explain(
        app,
        "the desktop's own files follow: the stored session under its id, the fork beside it",
    )?;
    command(app, laptop, &["pull"], Exit::Done)?;
    for machine in [laptop, desktop] {
        let tails =
            [LAPTOP_QUESTION, DESKTOP_QUESTION].map(|question| machine.transcripts_with(question));
        let complete = tails
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?
            .iter()
            .all(|transcripts| *transcripts == 1);
        check(
            complete,
            &format!("the {} does not have each turn exactly once", machine.name),
        )?;
    }
    explain(
        app,
        "both machines now have both conversations, and either can be resumed",
    )
}

fn new_session() -> Result<SessionId, CliError> {
    Uuid::new_v4()
        .to_string()
        .parse()
        .map_err(CliError::internal)
}

/// A path as it stands in a JSON string.
fn json_text(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "\\\\")
}

fn act(app: &mut App, title: &str) -> Result<(), CliError> {
    say(app, "")?;
    say(app, &paint(HEADING, title))
}

/// Shows a command and what it prints; both streams, as on a terminal.
fn command(
    app: &mut App,
    machine: &Machine,
    args: &[&str],
    expected: Exit,
) -> Result<(), CliError> {
    say(app, "")?;
    say(
        app,
        &format!("{} $ ccsync {}", paint(QUIET, machine.name), args.join(" ")),
    )?;
    let output = machine.run(args)?;
    for line in String::from_utf8_lossy(&output.stdout)
        .lines()
        .chain(output.stderr.lines())
    {
        say(app, line)?;
    }
    let code = output.status.code();
    let told = format!(
        "`ccsync {}` on the {} ended with {code:?}, not {}",
        args.join(" "),
        machine.name,
        expected.code()
    );
    check(code == Some(i32::from(expected.code())), &told)
}

fn explain(app: &mut App, text: &str) -> Result<(), CliError> {
    say(app, &format!("-> {text}"))
}

fn say(app: &mut App, line: &str) -> Result<(), CliError> {
    app.print(&[line.to_owned()])
}

fn check(holds: bool, otherwise: &str) -> Result<(), CliError> {
    if holds {
        Ok(())
    } else {
        Err(CommandError::Story(otherwise.to_owned()).into())
    }
}
