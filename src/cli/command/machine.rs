//! `ccsync machine`: lists machines, renames this one, removes others.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::cli::{
    app::App, args::JsonFlag, ask, command::key, complete, error::CliError, error::CommandError,
    exit::Exit,
};
use crate::domain::{MachineId, SessionId, System};
use crate::machine::{directory::Forgotten, directory::MachineRow, directory::Machines};
use crate::report::RemoteState;
use crate::sys::Clock;
use crate::ui::{
    Cell, HEADING, QUIET, Table, format::age, format::count, format::short_id, format::system,
    json, sanitize, sanitize::one_line,
};
use crate::workspace::store_remote::store_header;

/// Column of names, which shrinks on a narrow screen.
const NAME: usize = 1;

/// List, rename or remove machines
#[derive(Debug, clap::Args)]
pub(crate) struct MachineArgs {
    #[command(subcommand)]
    action: MachineAction,
}

#[derive(Debug, clap::Subcommand)]
enum MachineAction {
    /// List the machines that use the store
    List {
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Rename this machine
    ///
    /// A machine can only rename itself.
    Rename {
        /// The new name; the current name may precede it
        #[arg(value_name = "NAME", required = true, num_args = 1..=2)]
        names: Vec<String>,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Remove a machine that you no longer use
    ///
    /// Its sessions stay, and its expired locks are released. If the machine still exists, it
    /// is listed again as soon as it pushes.
    ///
    /// Exits with 4 if it holds a lock that has not expired.
    Forget {
        /// Name or id of the machine
        #[arg(value_name = "MACHINE", add = complete::machine())]
        machine: String,
        /// Even if it holds a lock that has not expired
        #[arg(long)]
        force: bool,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
}

/// JSON document.
#[derive(Serialize)]
struct MachineDocument<'a> {
    machines: Vec<MachineEntry<'a>>,
    /// Machines whose file cannot be read, with the reason.
    unreadable: &'a [String],
    /// Reason why the remote was not reached. The data is then that of the last fetch.
    remote_error: Option<&'a str>,
}

#[derive(Serialize)]
struct MachineEntry<'a> {
    id: &'a MachineId,
    name: &'a str,
    system: System,
    /// Version of ccsync that it used last.
    ccsync: &'a str,
    last_push: Option<String>,
    /// Number of sessions that it wrote last.
    sessions: u64,
    /// Sessions that it has locked.
    locks: &'a [SessionId],
    this: bool,
}

/// JSON document.
#[derive(Serialize)]
struct Renamed<'a> {
    name: &'a str,
    remote: &'a RemoteState,
}

/// JSON document.
#[derive(Serialize)]
struct ForgottenDocument<'a> {
    forgotten: MachineEntry<'a>,
    remote: &'a RemoteState,
}

pub(in crate::cli) fn run(args: &MachineArgs, app: &mut App) -> Result<Exit, CliError> {
    match &args.action {
        MachineAction::List { json } => list(json, app),
        MachineAction::Rename { names, json } => rename(names, json, app),
        MachineAction::Forget {
            machine,
            force,
            yes,
            json,
        } => forget(machine, *force, *yes, json, app),
    }
}

fn list(json: &JsonFlag, app: &mut App) -> Result<Exit, CliError> {
    let machines = crate::machine::directory::machines(&app.context()?)?;
    if json.json {
        app.print_json("machine list", &document(&machines))?;
        return Ok(Exit::Done);
    }
    let mut lines = table(&machines.machines, app.clock.now()).lines(app.out.width());
    lines.extend(
        machines
            .unreadable
            .iter()
            .map(|why| format!("cannot read a machine: {}", one_line(why))),
    );
    app.print(&lines)?;
    if let Some(reason) = &machines.remote_error {
        app.out.attention(&format!(
            "as of the last fetch: {}",
            sanitize::lines(reason)
        ));
    }
    Ok(Exit::Done)
}

fn document(machines: &Machines) -> MachineDocument<'_> {
    MachineDocument {
        machines: machines.machines.iter().map(row).collect(),
        unreadable: &machines.unreadable,
        remote_error: machines.remote_error.as_deref(),
    }
}

fn row(machine: &MachineRow) -> MachineEntry<'_> {
    MachineEntry {
        id: &machine.id,
        name: &machine.name,
        system: machine.system,
        ccsync: &machine.ccsync,
        last_push: machine.last_push.map(json::time),
        sessions: machine.sessions,
        locks: &machine.locks,
        this: machine.is_this,
    }
}

fn table(machines: &[MachineRow], now: DateTime<Utc>) -> Table {
    let mut table = Table::new(0, NAME);
    let headings = [
        "id",
        "name",
        "system",
        "last push",
        "sessions",
        "locks",
        "ccsync",
    ];
    table.row(headings.map(|text| Cell::new(text).style(HEADING)));
    for machine in machines {
        let mut name = one_line(&machine.name).into_owned();
        if machine.is_this {
            name.push_str(" (this machine)");
        }
        let last_push = machine
            .last_push
            .map_or_else(|| "never".to_owned(), |then| age(then, now));
        table.row([
            Cell::new(short_id(machine.id.as_str())),
            Cell::new(name),
            Cell::new(system(machine.system)),
            Cell::new(last_push),
            Cell::right(machine.sessions.to_string()),
            Cell::right(machine.locks.len().to_string()),
            Cell::new(one_line(&machine.ccsync)).style(QUIET),
        ]);
    }
    table
}

fn rename(names: &[String], json: &JsonFlag, app: &mut App) -> Result<Exit, CliError> {
    let (machine, name) = match names {
        [machine, name] => (Some(machine.as_str()), name),
        [name] | [name, ..] => (None, name),
        [] => unreachable!("one name is required"),
    };
    let remote = crate::machine::directory::rename_machine(&app.context()?, machine, name)?;
    if json.json {
        app.print_json(
            "machine rename",
            &Renamed {
                name,
                remote: &remote,
            },
        )?;
    } else {
        app.print(&[format!(
            "machine rename: this machine is now `{}`",
            one_line(name)
        )])?;
    }
    remote_exit(&remote, json, app)
}

fn forget(
    machine: &str,
    force: bool,
    yes: bool,
    json: &JsonFlag,
    app: &mut App,
) -> Result<Exit, CliError> {
    let found = crate::machine::directory::machine_to_forget(&app.context()?, machine)?;
    if !yes {
        confirm(&found, force, app)?;
    }
    let done = crate::machine::directory::forget_machine(&app.context()?, found, force)?;
    if json.json {
        let document = ForgottenDocument {
            forgotten: row(&done.machine),
            remote: &done.remote,
        };
        app.print_json("machine forget", &document)?;
    } else {
        app.print(&[forgotten(&done)])?;
        offer_new_key(&done.machine.name, yes, app)?;
    }
    remote_exit(&done.remote, json, app)
}

fn confirm(found: &Forgotten, force: bool, app: &App) -> Result<(), CliError> {
    app.require_terminal("forgetting a machine")?;
    let live = found.locks.iter().filter(|lock| lock.is_live()).count() as u64;
    let and_release = if force && live > 0 {
        format!(" and release {}", count(live, "live lock"))
    } else {
        String::new()
    };
    let question = format!(
        "Forget {} ({}){and_release}? Its {} stay",
        one_line(&found.machine.name),
        short_id(found.machine.id.as_str()),
        count(found.machine.sessions, "session")
    );
    if ask::confirm(&question)? {
        return Ok(());
    }
    let name = one_line(&found.machine.name);
    Err(CommandError::Declined(format!("{name} was not removed")).into())
}

fn forgotten(done: &Forgotten) -> String {
    let locks = match done.locks.len() as u64 {
        0 => String::new(),
        n => format!("; {} released", count(n, "lock")),
    };
    format!(
        "machine forget: {} removed{locks}",
        one_line(&done.machine.name)
    )
}

/// In an encrypted store, offers a new key: the machine still has the present one.
fn offer_new_key(machine: &str, yes: bool, app: &mut App) -> Result<(), CliError> {
    if store_header(&app.env)?.is_none() {
        return Ok(());
    }
    let machine = one_line(machine);
    app.out.attention(&format!(
        "`{machine}` has the key of the store, and keeps what it has pulled"
    ));
    let question = "Make a new key, so that it can read nothing that is pushed from now on?";
    if yes || !app.is_interactive() {
        app.out
            .hint("to keep what is pushed from now on from it: `ccsync key rotate`");
    } else if ask::confirm(question)? {
        let done = crate::machine::encrypt::rotate(&app.context()?)?;
        key::show_rotation(&done, app)?;
    }
    Ok(())
}

/// Reports a change that is not on the remote yet, and returns the exit code.
fn remote_exit(remote: &RemoteState, json: &JsonFlag, app: &mut App) -> Result<Exit, CliError> {
    let (RemoteState::Queued { reason, .. } | RemoteState::Refused { reason, .. }) = remote else {
        return Ok(Exit::Done);
    };
    if !json.json {
        app.print(&[format!("not sent yet: {}", sanitize::lines(reason))])?;
    }
    Ok(Exit::Queued)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machines() -> Machines {
        let row = |n: u32, name: &str, system, is_this| MachineRow {
            id: format!("{n:032x}").parse().unwrap(),
            name: name.to_owned(),
            system,
            ccsync: "0.1.0\u{7}".to_owned(),
            last_push: (n > 1).then(|| "2026-03-10T11:00:00Z".parse().unwrap()),
            sessions: u64::from(n) * 100,
            locks: vec!["11111111-0000".parse().unwrap(); n as usize - 1],
            is_this,
        };
        Machines {
            machines: vec![
                row(1, "desk", System::Linux, true),
                row(2, "lap\u{1b}[2Jtop", System::Macos, false),
                row(3, "pc", System::Windows, false),
            ],
            unreadable: vec!["machines/x.json: bad\u{7}".to_owned()],
            remote_error: Some("no network".to_owned()),
        }
    }

    #[test]
    fn machine_table_aligns_and_escapes_rows() {
        let text = table(
            &machines().machines,
            "2026-03-10T12:00:00Z".parse().unwrap(),
        )
        .lines(100)
        .join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn machine_json_has_every_field() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&document(&machines())).unwrap());
    }
}
