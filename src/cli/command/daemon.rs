//! `ccsync daemon`: the process that syncs by itself.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::{app::App, error::CliError, exit::Exit};
use crate::daemon::run::{DaemonEnd, DaemonOptions, run as work};
use crate::daemon::{start::stop, start::stop_path, watch::FileWatch};
use crate::domain::progress::Silent;
use crate::sys::process::leave_terminal;
use crate::workspace::Context;

/// Time after which a silent remote is given up: commands that the user types wait meanwhile.
const MAX_SILENCE: Duration = Duration::from_secs(20);

/// Sync in the background
///
/// Takes the locks of the sessions that are open in Claude Code, pushes new turns within
/// seconds, pulls from time to time, and releases the locks when Claude Code ends. After
/// `ccsync auto on`, Claude Code starts it when it is needed. One runs at a time.
#[derive(Debug, clap::Args)]
pub(crate) struct DaemonArgs {
    /// Time between two pulls
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    interval: u64,
    /// Never pull
    #[arg(long)]
    push_only: bool,
    /// End the process that runs, in order
    #[arg(long, conflicts_with_all = ["interval", "push_only"])]
    stop: bool,
    /// End when Claude Code does not run and nothing is to be sent
    #[arg(long, hide = true)]
    on_demand: bool,
}

pub(in crate::cli) fn run(args: &DaemonArgs, app: &mut App) -> Result<Exit, CliError> {
    if args.stop {
        let line = match stop(&app.env, &app.clock)? {
            true => "daemon: ended",
            false => "daemon: not running",
        };
        app.print(&[line.to_owned()])?;
        return Ok(Exit::Done);
    }
    let limit = &mut app.env.git.silence_limit;
    limit.get_or_insert(MAX_SILENCE);
    app.env.git.hurry_file = Some(stop_path(&app.env).into());
    // An error of the configuration ends it before it begins.
    app.context()?;
    if args.on_demand {
        leave_terminal();
    }
    let options = DaemonOptions {
        interval: Duration::from_secs(args.interval),
        push_only: args.push_only,
        on_demand: args.on_demand,
    };
    let context = || {
        let ctx = app.context().map_err(|e| e.message())?;
        Ok(Context {
            progress: Arc::new(Silent),
            interactive: false,
            by_itself: true,
            history_choice: None,
            ..ctx
        })
    };
    let end = work(&app.env, &app.clock, &context, options, FileWatch::start())?;
    if end == DaemonEnd::OtherRuns && !args.on_demand {
        app.out
            .note("another daemon is running; `ccsync daemon --stop` ends it");
        return Ok(Exit::Busy);
    }
    Ok(Exit::Done)
}
