//! `ccsync lock show`: the locks on the remote.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::domain::{CommitId, MachineId, SessionId};
use crate::leasing::{LockView, lock_table::LockTable, view::LockContent};
use crate::lock::{LockRecord, LockStatus, state::Expiry};
use crate::sys::Clock;
use crate::ui::{
    ATTENTION, Cell, HEADING, QUIET, Table, format::age, format::count, format::short_id, json,
    report::title, sanitize::one_line,
};

/// Column of titles, which shrinks on a narrow screen.
const TITLE: usize = 1;

/// JSON document.
#[derive(Serialize)]
struct LockDocument<'a> {
    locks: Vec<LockRow<'a>>,
    /// Sessions whose lock another machine took over from this one.
    lost: Vec<&'a SessionId>,
    /// Branches among the locks that belong to no session.
    unknown_refs: &'a [String],
    /// Files of this machine that cannot be read.
    damaged: &'a [String],
}

/// A lock. A value that is unreadable or does not apply is null.
#[derive(Serialize)]
pub(in crate::cli) struct LockRow<'a> {
    session: &'a SessionId,
    title: Option<&'a str>,
    commit: &'a CommitId,
    /// `mine`, `held`, `expired` or `unreadable`.
    status: &'static str,
    /// `no-heartbeat` or `clock`.
    expired_by: Option<&'static str>,
    machine: Option<&'a MachineId>,
    host: Option<&'a str>,
    pid: Option<u32>,
    acquired: Option<String>,
    renewed: Option<String>,
    /// By this machine's clock, unless the holder renews it before.
    expires: Option<String>,
    generation: Option<u64>,
    /// The process of this machine that holds the lock.
    local_pid: Option<u32>,
    /// Why the lock cannot be read.
    unreadable: Option<&'a str>,
}

pub(super) fn run(
    session: Option<&SessionId>,
    json: &JsonFlag,
    app: &mut App,
) -> Result<Exit, CliError> {
    let mut lock_table = crate::leasing::lock_table::lock_table(&app.context()?)?;
    if let Some(name) = session {
        let only = lock_table.find(name)?.map(|lock| lock.session.clone());
        lock_table
            .locks
            .retain(|lock| Some(&lock.session) == only.as_ref());
        lock_table
            .lost
            .retain(|lease| lease.session.as_str().starts_with(name.as_str()));
    }
    if json.json {
        app.print_json("lock show", &document(&lock_table))?;
        return Ok(Exit::Done);
    }
    if lock_table.locks.is_empty() {
        app.out.note("lock show: no locks");
    }
    let mut lines = table(&lock_table.locks, app.clock.now()).lines(app.out.width());
    lines.extend(warnings(&lock_table));
    app.print(&lines)?;
    Ok(Exit::Done)
}

fn document(lock_table: &LockTable) -> LockDocument<'_> {
    LockDocument {
        locks: lock_table.locks.iter().map(row).collect(),
        lost: lock_table.lost.iter().map(|lease| &lease.session).collect(),
        unknown_refs: &lock_table.unknown_refs,
        damaged: &lock_table.damaged,
    }
}

/// Returns a lock for the JSON document.
pub(in crate::cli) fn row(lock: &LockView) -> LockRow<'_> {
    let record = lock.record();
    let (status, expired_by, expires) = match lock.status() {
        None => ("unreadable", None, None),
        Some(LockStatus::Free | LockStatus::Mine) => {
            ("mine", None, record.map(LockRecord::expires))
        }
        Some(LockStatus::Held { expires, .. }) => ("held", None, Some(*expires)),
        Some(LockStatus::Expired {
            why: Expiry::NoHeartbeat,
            ..
        }) => ("expired", Some("no-heartbeat"), None),
        Some(LockStatus::Expired {
            why: Expiry::ByClock,
            ..
        }) => ("expired", Some("clock"), None),
    };
    LockRow {
        session: &lock.session,
        title: lock.title.as_deref(),
        commit: &lock.commit,
        status,
        expired_by,
        machine: record.map(|record| &record.machine),
        host: record.map(|record| record.host.as_str()),
        pid: record.map(|record| record.pid),
        acquired: record.map(|record| json::time(record.acquired)),
        renewed: record.map(|record| json::time(record.renewed)),
        expires: expires.map(json::time),
        generation: record.map(|record| record.generation),
        local_pid: lock.running,
        unreadable: match &lock.content {
            LockContent::Lock { .. } => None,
            LockContent::Unreadable { reason } => Some(reason),
        },
    }
}

fn table(locks: &[LockView], now: DateTime<Utc>) -> Table {
    let mut table = Table::new(0, TITLE);
    if !locks.is_empty() {
        let headings = [
            "session",
            "title",
            "machine",
            "since",
            "heartbeat",
            "expires",
        ];
        table.row(headings.map(|text| Cell::new(text).style(HEADING)));
    }
    for lock in locks {
        let time = |of: fn(&LockRecord) -> DateTime<Utc>| {
            lock.record().map(|r| age(of(r), now)).unwrap_or_default()
        };
        let (expiry, style) = match lock.is_live() {
            true => (expiry(lock, now), QUIET),
            false => (expiry(lock, now), ATTENTION),
        };
        table.row([
            Cell::new(short_id(lock.session.as_str())),
            Cell::new(title(lock.title.as_deref())),
            Cell::new(holder(lock)),
            Cell::new(time(|record| record.acquired)),
            Cell::new(time(|record| record.renewed)),
            Cell::new(expiry).style(style),
        ]);
    }
    table
}

/// Returns the name of the holder.
pub(in crate::cli) fn holder(lock: &LockView) -> String {
    match lock.record() {
        Some(_) if lock.is_own() => "this machine".to_owned(),
        Some(record) => one_line(&record.host).into_owned(),
        None => "?".to_owned(),
    }
}

fn expiry(lock: &LockView, now: DateTime<Utc>) -> String {
    let within = |then: DateTime<Utc>| {
        format!(
            "in {} min",
            ((then - now).max(TimeDelta::zero()).num_seconds() + 59) / 60
        )
    };
    match (&lock.content, lock.running) {
        (LockContent::Unreadable { reason }, _) => format!("never: {}", one_line(reason)),
        (LockContent::Lock { own: true, .. }, Some(pid)) => format!("when process {pid} ends"),
        (LockContent::Lock { own: true, .. }, None) => "its process has ended".to_owned(),
        (
            LockContent::Lock {
                status: LockStatus::Held { expires, .. },
                ..
            },
            _,
        ) => within(*expires),
        (
            LockContent::Lock {
                status:
                    LockStatus::Expired {
                        why: Expiry::NoHeartbeat,
                        ..
                    },
                ..
            },
            _,
        ) => "expired: no heartbeat seen".to_owned(),
        (
            LockContent::Lock {
                status:
                    LockStatus::Expired {
                        why: Expiry::ByClock,
                        ..
                    },
                ..
            },
            _,
        ) => "expired: by the clock".to_owned(),
        (LockContent::Lock { .. }, _) => String::new(),
    }
}

fn warnings(lock_table: &LockTable) -> Vec<String> {
    let lost = lock_table.lost.iter().map(|lease| {
        format!(
            "{}: taken over by another machine; what this machine added is kept",
            short_id(lease.session.as_str())
        )
    });
    let damaged = lock_table
        .damaged
        .iter()
        .map(|why| format!("cannot read a lock file: {}", one_line(why)));
    let unknown_refs = lock_table.unknown_refs.len() as u64;
    let unknown_refs = (unknown_refs > 0)
        .then(|| format!("{} among the locks", count(unknown_refs, "unknown ref")));
    lost.chain(damaged).chain(unknown_refs).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::lock::record::{Identity, Stamp};
    use crate::lock::state::ObservedLock;

    const NOW: &str = "2026-03-10T12:00:00Z";

    fn now() -> DateTime<Utc> {
        NOW.parse().unwrap()
    }

    /// Returns one lock of each kind.
    pub(in crate::cli) fn localizer() -> Vec<LockView> {
        let record = |n: u32, minutes: i64| {
            let by = Identity {
                machine: format!("{n:032x}").parse().unwrap(),
                host: "lap\u{202e}top".to_owned(),
                pid: n,
            };
            let stamp = Stamp {
                now: now() - TimeDelta::minutes(minutes),
                nonce: "n".to_owned(),
            };
            LockRecord::first(
                format!("{n}{n}{n}{n}{n}{n}{n}{n}-0000").parse().unwrap(),
                &by,
                stamp,
            )
        };
        let view = |record: LockRecord,
                    status: fn(Box<LockRecord>) -> LockStatus,
                    own: bool,
                    local_pid: Option<u32>| LockView {
            session: record.session.clone(),
            title: Some("fix the login form\u{1b}[2J".to_owned()),
            commit: "c".repeat(40).parse().unwrap(),
            content: LockContent::Lock {
                status: status(Box::new(record.clone())),
                seen: Box::new(ObservedLock {
                    commit: "c".repeat(40).parse().unwrap(),
                    first_seen: record.renewed,
                    record,
                }),
                own,
            },
            running: local_pid,
        };
        vec![
            view(
                record(1, 3),
                |by| LockStatus::Held {
                    expires: by.expires(),
                    by,
                },
                false,
                None,
            ),
            view(
                record(2, 90),
                |by| LockStatus::Expired {
                    by,
                    why: Expiry::NoHeartbeat,
                },
                false,
                None,
            ),
            view(
                record(3, 13),
                |by| LockStatus::Expired {
                    by,
                    why: Expiry::ByClock,
                },
                false,
                None,
            ),
            view(record(4, 0), |_| LockStatus::Mine, true, Some(4)),
            view(record(5, 0), |_| LockStatus::Mine, true, None),
            LockView {
                session: "66666666-0000".parse().unwrap(),
                title: None,
                commit: "d".repeat(40).parse().unwrap(),
                content: LockContent::Unreadable {
                    reason: "it has a history\u{7}".to_owned(),
                },
                running: None,
            },
        ]
    }

    #[test]
    fn lock_table_aligns_and_escapes_rows() {
        let text = table(&localizer(), now()).lines(100).join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn lock_json_has_every_field() {
        let unknown_refs = vec!["x/y".to_owned()];
        let lock_table = LockTable {
            locks: localizer(),
            unknown_refs,
            ..LockTable::default()
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&document(&lock_table)).unwrap());
    }
}
