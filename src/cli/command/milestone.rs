//! `ccsync milestone`: names states of the whole store.

use serde::Serialize;

use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::history::{milestones::MadeMilestone, milestones::MilestoneRow};
use crate::store::milestone::MilestoneName;
use crate::ui::{
    Cell, HEADING, Table, format::count, format::moment, report::machine, report::remote,
    sanitize::one_line,
};

/// Name the current state of the store, or list the names
///
/// New sessions of this machine are pushed first, so that the milestone includes them.
/// `ccsync restore --milestone NAME` restores it. A name can be reused once it is removed.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "milestones")]
pub(crate) struct MilestoneArgs {
    /// Letters, digits, `.`, `_` and `-`; without a name, the milestones are listed
    name: Option<MilestoneName>,
    /// List the milestones
    #[arg(long, conflicts_with = "name")]
    list: bool,
    /// Remove the milestone on all machines; the state that it names stays
    #[arg(long, requires = "name")]
    remove: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: each milestone has the fields of `MilestoneRow`.
#[derive(Serialize)]
struct MilestoneDocument {
    milestones: Vec<MilestoneRow>,
}

pub(in crate::cli) fn run(args: &MilestoneArgs, app: &mut App) -> Result<Exit, CliError> {
    match &args.name {
        Some(name) if args.remove => remove(name, args.json.json, app),
        Some(name) => create(name, args.json.json, app),
        None => list(args.json.json, app),
    }
}

/// JSON document: the fields of [`MadeMilestone`].
fn create(name: &MilestoneName, json: bool, app: &mut App) -> Result<Exit, CliError> {
    super::init::ensure(app)?;
    let made = crate::history::milestones::make_milestone(&app.context()?, name)?;
    let pushed = Exit::from_report(&made.pushed);
    let exit = pushed.max_severity(Exit::from_remote(&made.remote));
    if json {
        app.print_json("milestone", &made)?;
        return Ok(exit);
    }
    if let Some(reason) = &made.remote_error {
        app.out.attention(&format!(
            "the milestone may not include what other machines pushed recently: {}",
            one_line(reason)
        ));
    }
    if !made.pushed.sessions.is_empty() {
        app.print_report("push", &made.pushed, false)?;
    }
    app.print(&[line(&made, name)])?;
    app.explain_queued(&made.remote);
    Ok(exit)
}

/// JSON document: the fields of `RemovedMilestone`.
fn remove(name: &MilestoneName, json: bool, app: &mut App) -> Result<Exit, CliError> {
    let done = crate::history::milestones::remove_milestone(&app.context()?, name)?;
    if json {
        app.print_json("milestone", &done)?;
    } else {
        let line = format!("milestone: `{name}` removed{}", remote(&done.remote, false));
        app.print(&[line])?;
        app.explain_queued(&done.remote);
    }
    Ok(Exit::from_remote(&done.remote))
}

fn line(made: &MadeMilestone, wanted: &MilestoneName) -> String {
    let MilestoneRow {
        name,
        commit,
        sessions,
        ..
    } = &made.milestone;
    let other = if name == wanted {
        String::new()
    } else {
        format!(" (another machine has used `{wanted}`)")
    };
    let sessions = count(*sessions, "session");
    format!(
        "milestone: `{name}`{other} is commit {} with {sessions}{}",
        commit.short(),
        remote(&made.remote, false)
    )
}

fn list(json: bool, app: &mut App) -> Result<Exit, CliError> {
    let milestones = crate::history::milestones::milestones(&app.context()?)?;
    if json {
        app.print_json("milestone", &MilestoneDocument { milestones })?;
    } else if milestones.is_empty() {
        app.out.note("no milestones");
    } else {
        let lines = table(&milestones).lines(app.out.width());
        app.print(&lines)?;
    }
    Ok(Exit::Done)
}

fn table(milestones: &[MilestoneRow]) -> Table {
    let mut table = Table::new(0, 0);
    let heading = |text: &str| Cell::new(text).style(HEADING);
    table.row([
        heading("name"),
        heading("named"),
        heading("machine"),
        heading("commit"),
        Cell::right("sessions").style(HEADING),
    ]);
    for row in milestones {
        table.row([
            Cell::new(row.name.as_str()),
            Cell::new(moment(row.time)),
            Cell::new(machine(&row.machine)),
            Cell::new(row.commit.short()),
            Cell::right(row.sessions.to_string()),
        ]);
    }
    table
}
