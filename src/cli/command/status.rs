//! `ccsync status`: shows pending pushes and pulls. Works offline.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::browse::status::Status;
use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::domain::{CommitId, SessionId};
use crate::report::{BundleReport, ExtraOutcome, SessionReport};
use crate::sys::Clock;
use crate::ui::{
    Cell, HEADING, QUIET, Table, extras, format::age, format::count, format::project,
    format::short_id, json, report::deleted, report::excluded, report::outcome, report::title,
    sanitize::one_line, style::paint,
};

/// Show what is to be pushed or pulled (works offline)
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document.
#[derive(Serialize)]
struct StatusDocument<'a> {
    machine: &'a str,
    /// Without passwords and tokens.
    remote: &'a str,
    store: String,
    /// Newest commit of the store.
    head: Option<&'a CommitId>,
    /// Commits that are not on the remote yet.
    queued_commits: u64,
    last_push: Option<String>,
    sessions_here: u64,
    sessions_in_store: u64,
    /// Sessions that were deleted from this machine and stay in the store.
    deleted: u64,
    to_push: &'a [SessionReport],
    to_pull: &'a [SessionReport],
    /// Sessions that the settings exclude.
    excluded: &'a [SessionReport],
    extras_to_push: &'a [BundleReport],
    extras_to_pull: &'a [BundleReport],
    /// Sessions that are open in Claude Code on this machine.
    running: &'a [SessionId],
    machines: Vec<OtherMachine<'a>>,
}

#[derive(Serialize)]
struct OtherMachine<'a> {
    name: &'a str,
    last_push: Option<String>,
}

pub(in crate::cli) fn run(args: &StatusArgs, app: &mut App) -> Result<Exit, CliError> {
    let status = crate::browse::status::status(&app.context()?)?;
    if args.json.json {
        app.print_json("status", &document(&status))?;
    } else {
        let lines = lines(&status, app.clock.now(), app.out.width());
        app.print(&lines)?;
    }
    Ok(Exit::Done)
}

fn document(status: &Status) -> StatusDocument<'_> {
    let machines = status
        .machines
        .iter()
        .map(|(name, last_push)| OtherMachine {
            name,
            last_push: last_push.map(json::time),
        });
    StatusDocument {
        machine: &status.machine,
        remote: &status.remote,
        store: status.store.to_string_lossy().into_owned(),
        head: status.head.as_ref(),
        queued_commits: status.queued_commits,
        last_push: status.last_push.map(json::time),
        sessions_here: status.sessions_here,
        sessions_in_store: status.sessions_in_store,
        deleted: status.deleted,
        to_push: &status.to_push,
        to_pull: &status.to_pull,
        excluded: &status.excluded,
        extras_to_push: &status.extras_to_push,
        extras_to_pull: &status.extras_to_pull,
        running: &status.running,
        machines: machines.collect(),
    }
}

fn lines(status: &Status, now: DateTime<Utc>, width: usize) -> Vec<String> {
    let mut lines = facts(status, now).lines(width);
    lines.extend(sessions("to push", &status.to_push, width));
    lines.extend(sessions("to pull", &status.to_pull, width));
    lines.extend(excluded(&status.excluded));
    lines.extend(deleted(status.deleted, status.sessions_here == 0));
    for (heading, bundles) in [
        ("extras to push", &status.extras_to_push),
        ("extras to pull", &status.extras_to_pull),
    ] {
        let files: Vec<String> = bundles
            .iter()
            .flat_map(|bundle| extras::lines(bundle, true, false))
            .collect();
        if !files.is_empty() {
            lines.push(paint(HEADING, heading));
            lines.extend(files.into_iter().map(|line| format!("  {line}")));
        }
    }
    lines.push(summary(status));
    lines
}

fn facts(status: &Status, now: DateTime<Utc>) -> Table {
    let when =
        |time: Option<DateTime<Utc>>| time.map_or_else(|| "never".to_owned(), |t| age(t, now));
    let mut table = Table::new(2, 1);
    let mut fact =
        |name: &str, value: &str| table.row([Cell::new(name), Cell::new(one_line(value))]);
    fact("machine", &status.machine);
    fact("remote", &status.remote);
    fact("store", &status.store.to_string_lossy());
    fact(
        "commit",
        status
            .head
            .as_ref()
            .map_or("the store is empty", CommitId::short),
    );
    fact("last push", &when(status.last_push));
    fact(
        "sessions",
        &format!(
            "{} here, {} in the store",
            status.sessions_here, status.sessions_in_store
        ),
    );
    for session in &status.running {
        fact("running", session.as_str());
    }
    for (name, last_push) in &status.machines {
        fact("other", &format!("{name}, last push {}", when(*last_push)));
    }
    table
}

fn sessions(heading: &str, sessions: &[SessionReport], width: usize) -> Vec<String> {
    if sessions.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(2, 1);
    for session in sessions {
        let (what, style) = outcome(&session.outcome, true);
        let project = session.project.as_deref().map(project).unwrap_or_default();
        table.row([
            Cell::new(short_id(session.session.as_str())).style(QUIET),
            Cell::new(title(session.title.as_deref())),
            Cell::new(what).style(style),
            Cell::new(project),
        ]);
    }
    let mut lines = vec![paint(HEADING, heading)];
    lines.extend(table.lines(width));
    lines
}

fn summary(status: &Status) -> String {
    let (push, pull) = (status.to_push.len() as u64, status.to_pull.len() as u64);
    let mut parts = Vec::new();
    if push > 0 {
        parts.push(format!("{} to push", count(push, "session")));
    }
    if pull > 0 {
        parts.push(format!("{} to pull", count(pull, "session")));
    }
    for (bundles, what) in [
        (&status.extras_to_push, "push"),
        (&status.extras_to_pull, "pull"),
    ] {
        let files = bundles.iter().flat_map(|bundle| &bundle.files);
        let moves = |outcome: &ExtraOutcome| {
            !matches!(
                outcome,
                ExtraOutcome::Excluded { .. }
                    | ExtraOutcome::Skipped { .. }
                    | ExtraOutcome::NeedsApproval { .. }
            )
        };
        let n = files.filter(|file| moves(&file.outcome)).count() as u64;
        if n > 0 {
            parts.push(format!("{} to {what}", count(n, "extra")));
        }
    }
    if status.queued_commits > 0 {
        parts.push(format!("{} queued", count(status.queued_commits, "commit")));
    }
    if parts.is_empty() {
        "status: nothing to push or pull".to_owned()
    } else {
        format!("status: {}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::transfer::Outcome;

    fn status() -> Status {
        let session = |id: &str, outcome| SessionReport {
            project: Some("{{HOME}}/work/app".to_owned()),
            title: Some("fix the login form".to_owned()),
            ..SessionReport::new(id.parse().unwrap(), outcome)
        };
        Status {
            machine: "laptop".to_owned(),
            remote: "git@host:al/s.git".to_owned(),
            store: "/data/store".into(),
            head: Some("0123456789".repeat(4).parse().unwrap()),
            queued_commits: 1,
            last_push: Some("2026-03-10T11:00:00Z".parse().unwrap()),
            sessions_here: 4,
            sessions_in_store: 9,
            deleted: 2,
            to_push: vec![session(
                "11111111-a",
                Outcome::Extended {
                    lines: 2,
                    bytes: 70,
                },
            )],
            to_pull: vec![session(
                "22222222-a",
                Outcome::Added {
                    lines: 2,
                    bytes: 70,
                },
            )],
            excluded: vec![session(
                "44444444-a",
                Outcome::Excluded {
                    reason: "larger than 200MB".to_owned(),
                    stored: true,
                },
            )],
            extras_to_push: Vec::new(),
            extras_to_pull: Vec::new(),
            running: vec!["33333333-a".parse().unwrap()],
            machines: vec![("desktop".to_owned(), None)],
        }
    }

    #[test]
    fn status_text_names_everything_pending() {
        let text = lines(&status(), "2026-03-10T12:00:00Z".parse().unwrap(), 100).join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn status_nothing_pending_is_one_line() {
        let quiet = Status {
            queued_commits: 0,
            to_push: Vec::new(),
            to_pull: Vec::new(),
            ..status()
        };
        assert_eq!(summary(&quiet), "status: nothing to push or pull");
    }

    #[test]
    fn status_json_has_every_field() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&document(&status())).unwrap());
    }
}
