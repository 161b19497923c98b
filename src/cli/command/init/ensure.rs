//! Sets this machine up before the first command that needs it.

use crate::cli::app::App;
use crate::cli::error::CliError;
use crate::config::Config;
use crate::machine::set_up::set_up_by_default;
use crate::ui::sanitize::one_line;

/// Sets this machine up with nothing given, if it has not been yet, and says so.
pub(in crate::cli) fn ensure(app: &mut App) -> Result<(), CliError> {
    if app.is_set_up()? {
        notice_copy(app);
        return Ok(());
    }
    let report = set_up_by_default(&app.env, app.clock(), app.progress(), app.is_interactive())?;
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
pub(in crate::cli) fn notice_copy(app: &mut App) {
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
