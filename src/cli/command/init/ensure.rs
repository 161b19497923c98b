//! Sets this machine up before the first command that needs it.

use crate::cli::{app::App, error::CliError};
use crate::config::Config;
use crate::domain::url::redact;
use crate::machine::{set_up::set_up_by_default, unfinished_set_up::UnfinishedSetUp};
use crate::ui::sanitize::one_line;

/// Sets this machine up with the defaults if that was not done yet, and reports it.
pub(in crate::cli) fn ensure(app: &mut App) -> Result<(), CliError> {
    if app.is_set_up()? {
        notice_copy(app);
        notice_unfinished(app);
        return Ok(());
    }
    let report = set_up_by_default(&app.env, app.clock(), app.progress(), app.is_interactive())?;
    let remote = one_line(&report.remote_display);
    app.out.note(&format!(
        "first run: this machine is called `{}`; its sessions go to {remote}",
        one_line(&report.machine_name)
    ));
    if report.embedded {
        app.out
            .hint("saved on this disk only; to sync with other machines: `ccsync init`");
    }
    Ok(())
}

/// Warns if the sessions go to this disk only because an `init` with a remote has failed.
fn notice_unfinished(app: &mut App) {
    let is_embedded = app.config().is_ok_and(|config| config.remote.is_none());
    let unfinished = UnfinishedSetUp::load(&app.env).filter(|_| is_embedded);
    if let Some(remote) = unfinished.and_then(|unfinished| unfinished.remote) {
        let remote = redact(&remote);
        app.out.attention(&format!(
            "sessions are saved on this disk only: the set-up with {} is not finished",
            one_line(&remote)
        ));
        app.out.hint("to repeat it: `ccsync init`");
    }
}

/// Warns if the configuration was copied from another host. Two machines with one id would use
/// each other's locks.
pub(in crate::cli) fn notice_copy(app: &mut App) {
    // A command that needs the configuration reports the error.
    let Ok(Config { machine, .. }) = app.config() else {
        return;
    };
    if let (Some(then), Some(now)) = (&machine.host, &app.env.host_mark)
        && then != now
    {
        let name = one_line(&machine.name);
        app.out.attention(&format!(
            "the configuration of `{name}` was created on another host"
        ));
        app.out.hint(
            "if that machine is still in use, give this one a new id: `ccsync init --new-id`",
        );
        app.out.hint("if not, keep the id: `ccsync init`");
    }
}
