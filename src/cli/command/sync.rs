//! `ccsync sync`: pull, then push.

use serde::Serialize;

use super::init;
use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::flows::PullRequest;
use crate::report::Report;
use crate::ui::output::Screen;
use crate::workspace::Selection;

/// Pull, then push
///
/// If the remote cannot be reached, the sessions are committed here, and the next command
/// pushes them.
#[derive(Debug, clap::Args)]
pub(crate) struct SyncArgs {
    /// Show what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: `pull` and `push` have the fields of [`Report`]. `pull` is null if the
/// pull failed.
#[derive(Serialize)]
struct SyncDocument<'a> {
    pull: Option<&'a Report>,
    push: &'a Report,
}

pub(in crate::cli) fn run(args: &SyncArgs, app: &mut App) -> Result<Exit, CliError> {
    if !args.dry_run {
        init::ensure(app)?;
    }
    let (pull, pulled) = pull(args, app)?;
    let push = crate::flows::push::push(&app.context()?, &Selection::default(), args.dry_run)?;
    if args.json.json {
        app.print_json(
            "sync",
            &SyncDocument {
                pull: pull.as_ref(),
                push: &push,
            },
        )?;
        return Ok(pulled.max_severity(Exit::from_report(&push)));
    }
    Ok(pulled.max_severity(app.print_report_within("push", &push, false, half(app))?))
}

/// Returns half of the screen, so that both reports fit.
fn half(app: &App) -> Screen {
    let screen = app.out.screen();
    Screen {
        height: screen.height / 2,
        ..screen
    }
}

/// Pulls. An unreachable remote is reported and does not prevent the push.
fn pull(args: &SyncArgs, app: &mut App) -> Result<(Option<Report>, Exit), CliError> {
    let request = PullRequest {
        dry_run: args.dry_run,
        ..PullRequest::default()
    };
    let pulled = crate::flows::pull::pull(&app.context()?, &request).map_err(CliError::from);
    match pulled {
        Ok(report) if args.json.json => {
            let exit = Exit::from_report(&report);
            Ok((Some(report), exit))
        }
        Ok(report) => {
            let exit = app.print_report_within("pull", &report, false, half(app))?;
            Ok((Some(report), exit))
        }
        Err(e) if e.is_remote_trouble() => {
            let e = e.about_store(&crate::workspace::paths::store_path(&app.env));
            e.show(&mut app.out);
            Ok((None, e.exit()))
        }
        Err(e) => Err(e),
    }
}
