//! `ccsync service`: the daemon as a service of the system.

use serde::Serialize;

use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::daemon::service::{Service, ServiceKind};
use crate::daemon::start::is_running;

/// Let the system run ccsync all the time
///
/// Uses units of systemd, an agent of launchd, or a task of Windows. Without a service, `ccsync
/// auto on` starts the daemon when Claude Code runs.
#[derive(Debug, clap::Args)]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    action: ServiceAction,
}

#[derive(Debug, clap::Subcommand)]
enum ServiceAction {
    /// Install the service and start it
    ///
    /// Replaces one that is installed. It keeps the PATH and the directories of this shell.
    Install(InstallArgs),
    /// End the service and remove it
    Remove,
    /// Show whether it is installed and runs
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
struct InstallArgs {
    /// No process in the background: sync every 5 minutes
    #[arg(long)]
    timer: bool,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document.
#[derive(Serialize)]
struct Status {
    installed: bool,
    /// Path of its description, if it is in a file.
    file: Option<String>,
    daemon_is_running: bool,
}

pub(in crate::cli) fn run(args: &ServiceArgs, app: &mut App) -> Result<Exit, CliError> {
    let service = Service::of_this_user(&app.env)?;
    match &args.action {
        ServiceAction::Install(args) => {
            super::init::ensure(app)?;
            service.install(match args.timer {
                true => ServiceKind::Timer,
                false => ServiceKind::Daemon,
            })?;
            let file = file(&service);
            app.print(&[format!(
                "service: installed{}",
                file.map(|f| format!(" ({f})")).unwrap_or_default()
            )])?;
        }
        ServiceAction::Remove => {
            let line = match service.remove()? {
                true => "service: removed",
                false => "service: not installed",
            };
            app.print(&[line.to_owned()])?;
        }
        ServiceAction::Status(args) => status(args, &service, app)?,
    }
    Ok(Exit::Done)
}

fn file(service: &Service) -> Option<String> {
    service.file().map(|file| file.display().to_string())
}

fn status(args: &StatusArgs, service: &Service, app: &mut App) -> Result<(), CliError> {
    let status = Status {
        installed: service.is_installed(),
        file: file(service),
        daemon_is_running: is_running(&app.env, &app.clock)?,
    };
    if args.json.json {
        return app.print_json("service", &status);
    }
    let installed = match (status.installed, &status.file) {
        (true, Some(file)) => format!("installed ({file})"),
        (true, None) => "installed".to_owned(),
        (false, _) => "not installed".to_owned(),
    };
    let daemon = match status.daemon_is_running {
        true => "running",
        false => "not running",
    };
    app.print(&[
        format!("service: {installed}"),
        format!("daemon:  {daemon}"),
    ])
}
