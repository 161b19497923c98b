//! Warns about a setting that excludes every session.

use chrono::TimeDelta;

use crate::browse::list::{ListFilter, SessionRow, list};
use crate::cli::{app::App, error::CliError};
use crate::config::SettingKey;
use crate::sys::Clock;
use crate::ui::format::count;

/// Warns if the settings, of which `changed` is new, exclude every session.
pub(super) fn warn(changed: &str, app: &mut App) {
    // The command that needs the sessions reports the error.
    let Ok(rows) = rows(app) else { return };
    let here: Vec<&SessionRow> = rows.iter().filter(|row| row.here).collect();
    if !here.is_empty() && here.iter().all(|row| row.exclude_reason.is_some()) {
        let sessions = count(here.len() as u64, "session");
        app.out.attention(&format!(
            "`{changed}` excludes every session: {sessions} on this machine will not be pushed"
        ));
    }
    let Ok(config) = app.config() else { return };
    let oldest = app.clock.now() - TimeDelta::days(i64::from(config.sync.pull_max_age));
    let is_old = |row: &SessionRow| row.last_activity.is_some_and(|last| last < oldest);
    if changed == SettingKey::PullMaxAge.name() && !rows.is_empty() && rows.iter().all(is_old) {
        app.out.attention(&format!(
            "`{changed}` excludes every session: a pull brings none of {}",
            count(rows.len() as u64, "session")
        ));
    }
}

fn rows(app: &App) -> Result<Vec<SessionRow>, CliError> {
    Ok(list(&app.context()?, &ListFilter::default())?)
}
