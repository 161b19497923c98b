//! Runs `ccsync init`.

use std::path::PathBuf;

use super::args::InitArgs;
use super::{answers, auto, encryption, key, placeholders, remote, show};
use crate::cli::{
    app::App, app::current_dir, args::PlaceholderArg, error::CliError, exit::Exit,
    placeholder_directory,
};
use crate::domain::PlaceholderName;
use crate::machine::{set_up::SetUp, set_up::set_up};
use crate::report::RemoteState;
use crate::workspace::SyncError;

pub(in crate::cli) fn run(args: &InitArgs, app: &mut App) -> Result<Exit, CliError> {
    for (_, directory) in placeholders_given(&args.add_placeholder, app)? {
        placeholder_directory::confirm(&directory, args.yes, app)?;
    }
    let args = args.with_kept_answers(app);
    set_up_here(&args, app).map_err(|error| answers::explain(error, &args, app))
}

fn set_up_here(args: &InitArgs, app: &mut App) -> Result<Exit, CliError> {
    if args.has_answers() {
        args.keep_answers(None, app)?;
    }
    let chosen = remote::choose(args, app)?;
    let args = &encryption::choose(args, chosen.remote.as_ref(), app)?;
    args.keep_answers(chosen.remote.as_ref(), app)?;
    let request = SetUp {
        remote: chosen.remote.clone(),
        name: args.name.clone(),
        placeholders: placeholders_given(&args.add_placeholder, app)?,
        adopt: args.yes,
        new_id: args.new_id,
        encryption: args.encryption(),
        leave_former_remote: chosen.leaves_former_remote,
    };
    let git_may_ask = app.is_interactive() && !chosen.without_questions;
    let run = |app: &App| {
        let request = request.clone();
        set_up(&app.env, app.clock(), app.progress(), git_may_ask, request)
    };
    let done = match run(app) {
        Err(SyncError::Key(error)) => {
            key::save(error, args, app)?;
            run(app)
        }
        done => done,
    };
    let mut report = done.map_err(|error| chosen.explain(error))?;
    if (report.first_time || report.moved) && args.may_ask(app) {
        placeholders::ask(&mut report, app)?;
    }
    if args.json.json {
        app.print_json("init", &show::document(&report, chosen.repository.as_ref()))?;
    } else {
        app.print(&show::lines(&report, chosen.repository.as_ref()))?;
        show::hints(&report, app);
        let given = args.add_placeholder.iter().map(|given| given.name.clone());
        let adopted = report
            .adopted
            .iter()
            .map(|placeholder| placeholder.name.clone());
        placeholders::explain_stored(&given.chain(adopted).collect::<Vec<_>>(), true, app);
        auto::offer(args, report.first_time, app)?;
    }
    let unreached = matches!(
        report.remote,
        RemoteState::Queued { .. } | RemoteState::Refused { .. }
    );
    Ok(if unreached { Exit::Queued } else { Exit::Done })
}

fn placeholders_given(
    args: &[PlaceholderArg],
    app: &App,
) -> Result<Vec<(PlaceholderName, PathBuf)>, CliError> {
    let cwd = current_dir()?;
    Ok(args
        .iter()
        .map(|arg| (arg.name.clone(), arg.directory(&app.env.home, &cwd)))
        .collect())
}
