//! Checks the store: damage, clocks, missing placeholders, stale locks.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::check::doctor::check::{Check, DoctorContext};
use crate::domain::{PlaceholderName, PortablePath, UPDATE_CCSYNC, UserError, error::error_chain};
use crate::lock::{LockRecord, lease::load_leases, record::ALLOWED_SKEW};
use crate::report::count::count;
use crate::session::time::parse_time;
use crate::store::{Store, StoreError};
use crate::sys::set_aside::move_aside_command;
use crate::workspace::{paths::leases_path, paths::store_path};

const STORE: &str = "store";
const CLOCK: &str = "clock";
const PLACEHOLDERS: &str = "placeholders";
const LEASES: &str = "own locks";

/// Maximum number of commits checked for times in the future.
const MAX_COMMITS: usize = 200;

/// Maximum number of missing placeholders named individually.
const MAX_NAMED: usize = 8;

pub(crate) fn checks(context: &DoctorContext<'_>) -> Vec<Check> {
    let path = store_path(context.env);
    let mut checks = Vec::new();
    if !path.exists() {
        checks.push(Check::ok(STORE, "nothing is stored yet"));
    } else {
        match Store::open_read_only(&path) {
            Ok(store) => checks.extend(store_checks(context, &store)),
            Err(e) => checks.push(damaged(context, &e)),
        }
    }
    checks.push(leases(context));
    checks
}

fn store_checks(context: &DoctorContext<'_>, store: &Store) -> Vec<Check> {
    let clock = clock(context, store)
        .unwrap_or_else(|_| Check::ok(CLOCK, "unknown: cannot read the store"));
    match integrity(store) {
        Ok(check) => {
            let missing =
                missing_placeholders(context, store).unwrap_or_else(|e| vec![damaged(context, &e)]);
            [check, clock].into_iter().chain(missing).collect()
        }
        Err(e) => vec![damaged(context, &e), clock],
    }
}

fn damaged(context: &DoctorContext<'_>, error: &StoreError) -> Check {
    let path = store_path(context.env);
    match error {
        StoreError::Newer { .. } => Check::error(STORE, error_chain(error), UPDATE_CCSYNC),
        StoreError::Malformed { .. } => {
            Check::error(STORE, error_chain(error), "ccsync verify --full")
        }
        _ if !error.is_corruption() => {
            let fix = error.hints().into_iter().next();
            Check::error(STORE, error_chain(error), fix.unwrap_or_default())
        }
        _ => {
            let fix = format!("{}; then: ccsync sync", move_aside_command(&path));
            Check::error(STORE, error_chain(error), fix)
        }
    }
}

/// Reads references, the newest trees, all machines and manifests, but not every object.
fn integrity(store: &Store) -> Result<Check, StoreError> {
    let snapshot = store.head_snapshot()?;
    let sessions = snapshot.sessions()?;
    let bad_machines = snapshot.unreadable_machines()?;
    let mut bad = bad_machines
        .iter()
        .map(|e| error_chain(e))
        .collect::<Vec<_>>();
    for id in sessions.keys() {
        match snapshot.manifest(id) {
            Err(e) if e.is_about_one_session() => bad.push(error_chain(&e)),
            manifest => drop(manifest?),
        }
    }
    let unpushed = store.count_unpushed()?;
    let sessions = count(sessions.len() as u64, "session");
    Ok(match (bad.first(), unpushed) {
        (Some(first), _) => Check::error(
            STORE,
            format!("{sessions}; {} cannot be read: {first}", bad.len()),
            "ccsync verify",
        ),
        (None, 0) => Check::ok(
            STORE,
            format!("{sessions}, quick check passed (full check: ccsync verify --full)"),
        ),
        (None, n) => Check::warning(
            STORE,
            format!("{sessions}; {} to push", count(n, "commit")),
            "ccsync push",
        ),
    })
}

/// Git does not report the remote's time. The check finds times of other machines that
/// are in the future here; it cannot find a clock here that is ahead.
fn clock(context: &DoctorContext<'_>, store: &Store) -> Result<Check, StoreError> {
    let me = context.set_up().map(|settings| &settings.machine.id);
    let now = context.clock.now();
    let snapshot = store.head_snapshot()?;
    let machines = snapshot.machines()?;
    let forgotten = snapshot.forgotten_machines()?;
    let name = |id: &crate::domain::id::MachineId| {
        let known = machines
            .iter()
            .chain(&forgotten)
            .find(|machine| machine.id == *id);
        known.map_or_else(|| id.to_string(), |machine| machine.name.clone())
    };
    let mut moments: Vec<(DateTime<Utc>, String)> = Vec::new();
    for machine in machines.iter().filter(|machine| Some(&machine.id) != me) {
        let time = machine.last_push.as_deref().and_then(parse_time);
        moments.extend(time.map(|time| (time, format!("the last push of {}", machine.name))));
    }
    for head in [store.head()?, store.remote_head()?].into_iter().flatten() {
        for commit in store.newest_commits(&head)?.take(MAX_COMMITS) {
            let commit = commit?;
            if commit.machine.as_ref() != me {
                let whose = commit
                    .machine
                    .as_ref()
                    .map_or("another program".to_owned(), &name);
                moments.push((commit.time, format!("a commit of {whose}")));
            }
        }
    }
    for (session, commit) in store.locks()?.locks {
        let record = store
            .read_lock(&commit)
            .ok()
            .and_then(|json| LockRecord::parse(&session, &json).ok());
        let others = record.filter(|record| Some(&record.machine) != me);
        moments.extend(others.map(|record| (record.renewed, format!("a lock of {}", record.host))));
    }
    Ok(match moments.into_iter().max() {
        None => Check::ok(CLOCK, "no other machine to compare with"),
        Some((time, whose)) if time - now > ALLOWED_SKEW => {
            let message = format!("{whose} is {} in the future", amount(time - now));
            Check::warning(
                CLOCK,
                message,
                "compare the clocks of both machines: date -u",
            )
        }
        Some(_) => Check::ok(CLOCK, "no time of another machine is in the future"),
    })
}

fn amount(time: TimeDelta) -> String {
    match time.num_minutes() {
        minutes @ 0..=120 => format!("{minutes} min"),
        minutes @ 121..=2880 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}

/// Checks for placeholders of stored sessions that have no directory here.
fn missing_placeholders(
    context: &DoctorContext<'_>,
    store: &Store,
) -> Result<Vec<Check>, StoreError> {
    let Some(settings) = context.set_up() else {
        return Ok(Vec::new());
    };
    let snapshot = store.head_snapshot()?;
    let mut missing: BTreeMap<String, u64> = BTreeMap::new();
    for id in snapshot.sessions()?.keys() {
        let Ok(Some(manifest)) = snapshot.manifest(id) else {
            continue;
        };
        let name = manifest.project.as_ref().and_then(placeholder_of);
        // A session's repository may be in any clone.
        let is_repo = |name: &str| name == PlaceholderName::repo().as_str();
        if let Some(name) =
            name.filter(|name| settings.placeholders.get(name).is_none() && !is_repo(name))
        {
            *missing.entry(name.to_owned()).or_default() += 1;
        }
    }
    let machines = snapshot.machines()?;
    let others = machines
        .iter()
        .filter(|machine| machine.id != settings.machine.id);
    for placeholder in others.flat_map(|machine| &machine.placeholders.placeholders) {
        if settings
            .placeholders
            .get(placeholder.name.as_str())
            .is_none()
        {
            missing.entry(placeholder.name.to_string()).or_default();
        }
    }
    if missing.is_empty() {
        return Ok(vec![Check::ok(
            PLACEHOLDERS,
            "every placeholder of the store has a directory here",
        )]);
    }
    let mut names: Vec<_> = missing.into_iter().collect();
    names.sort_by_key(|(_, sessions)| u64::MAX - sessions);
    let checks = names.into_iter().take(MAX_NAMED).map(|(name, sessions)| {
        let needed = match sessions {
            0 => "no session needs it yet".to_owned(),
            1 => "1 session needs it".to_owned(),
            n => format!("{n} sessions need it"),
        };
        let message = format!("{name} has no directory here: {needed}");
        let fix = format!("ccsync config add-placeholder {name}=PATH");
        if sessions == 0 {
            Check::ok(PLACEHOLDERS, message)
        } else {
            Check::warning(PLACEHOLDERS, message, fix)
        }
    });
    Ok(checks.collect())
}

fn placeholder_of(project: &PortablePath) -> Option<&str> {
    Some(project.as_str().strip_prefix("{{")?.split_once("}}")?.0).filter(|name| {
        name.bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            && name.len() <= 64
    })
}

/// Checks for leases without a running process.
fn leases(context: &DoctorContext<'_>) -> Check {
    let (leases, unreadable) = match load_leases(&leases_path(context.env)) {
        Ok(loaded) => loaded,
        Err(e) => return Check::error(LEASES, error_chain(&e), "ccsync lock show"),
    };
    if let Some(first) = unreadable.first() {
        return Check::warning(LEASES, error_chain(first), "ccsync lock show");
    }
    let dead = leases
        .iter()
        .filter(|lease| !lease.holder_is_alive(context.clock.now()))
        .count();
    match (leases.len(), dead) {
        (0, _) => Check::ok(LEASES, "this machine holds no locks"),
        (_, 0) => Check::ok(LEASES, "every holder is running"),
        (_, dead) => Check::warning(
            LEASES,
            format!("{dead} left behind by processes that have ended"),
            "ccsync recover",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doctor_invalid_placeholder_name_is_not_shown() {
        let of = |text: &str| placeholder_of(&PortablePath::new(text)).map(str::to_owned);
        assert_eq!(of("{{WORK}}/app"), Some("WORK".to_owned()));
        assert_eq!(
            (of("/srv/app"), of("{{x;rm}}/y"), of("{{A")),
            (None, None, None)
        );
    }

    #[test]
    fn doctor_time_difference_uses_largest_unit() {
        let of = |minutes| amount(TimeDelta::minutes(minutes));
        assert_eq!(
            [of(3), of(180), of(60 * 24 * 9)],
            ["3 min", "3 h", "9 days"]
        );
    }
}
