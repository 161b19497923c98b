//! Runs Claude Code in the terminal, with a keeper beside it, and pushes at the end.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::background::{RunningSessions, wait_for_running};
use super::summary::{FinishedRun, pushed_turns};
use crate::cli::{app::App, error::CliError, exit::Exit};
use crate::domain::{SessionId, progress::Silent};
use crate::flows::push::Pushed;
use crate::keeper::{
    keep::Keeper, open_sessions::LockState, open_sessions::OpenSessions, send::finish,
};
use crate::session::live::{ClientProcess, session_of_client};
use crate::session::{hooks::no_hooks, launch::Launch};
use crate::sys::signal::{self, Interrupted, LentTerminal, answer_interruption, lend_terminal};
use crate::sys::{
    Clock, fail_point::fail_point, fs::remove_file_if_exists, process::Running, process::shell_code,
};
use crate::ui::sanitize;
use crate::workspace::Context;

/// Interval between two checks of whether Claude Code has ended or begun another session.
const POLL: Duration = Duration::from_millis(50);

/// Time that Claude Code gets to end after a request.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Hint for an interruption after Claude Code has ended.
const RECOVER: &str =
    "nothing is lost; to push the last turns and release the lock, run `ccsync recover`";

/// Runs Claude Code for `session`, and pushes everything when it has ended.
///
/// `locked`: this process holds the lock of the session.
pub(in crate::cli) fn run_client(
    launch: &Launch<'_>,
    session: &SessionId,
    locked: bool,
    app: &mut App,
) -> Result<Exit, CliError> {
    let is_delivered = launch
        .path_notice
        .is_none_or(|notice| is_delivered(notice, launch, app));
    fail_point("before Claude Code starts");
    let ended = run_with_keeper(launch, session, locked, app);
    fail_point("Claude Code has ended");

    if let Some(notice) = launch.path_notice.filter(|_| is_delivered) {
        // A notice that cannot be removed is written again the next time.
        let _ = remove_file_if_exists(notice);
    }
    if ended.is_err() {
        answer_interruption();
    }
    let sessions = match &ended {
        Ok(ended) => ended.sessions.clone(),
        Err(_) => BTreeSet::from([session.clone()]),
    };
    // A running session keeps all locks of this run: it may have several ids.
    let none = BTreeSet::new();
    let finished = match &ended {
        Ok(ended) if !ended.running.is_empty() => &none,
        _ => &sessions,
    };
    // Turns are pushed even if Claude Code failed.
    match (push_rest(finished, &ended, app), &ended) {
        (Ok(finished), Ok(ended)) => {
            let embedded = app.config()?.remote.is_none();
            let turns = ended.backups.turns
                + pushed_turns(&finished.report, |session| sessions.contains(session));
            let run = FinishedRun {
                finished: &finished,
                session,
                sessions: &sessions,
                turns,
                warnings: &ended.backups.warnings,
                locked,
                embedded,
                running: &ended.running,
            };
            run.summarize(&mut app.out);
        }
        (Ok(_), Err(_)) => {}
        (Err(e), Ok(_)) if e.is_interruption() => {
            e.with_hints(vec![RECOVER.to_owned()]).show(&mut app.out);
        }
        (Err(e), _) => e.show(&mut app.out),
    }
    Ok(Exit::Client(shell_code(ended?.status)))
}

/// Returns true if the model gets the path notice. Else says why it does not, and where the user
/// finds it.
fn is_delivered(notice: &Path, launch: &Launch<'_>, app: &mut App) -> bool {
    let obstacle = if launch.has_own_settings() {
        Some("you pass `--settings`".to_owned())
    } else {
        no_hooks(&app.env, launch.directory, launch.args).map(|why| why.to_string())
    };
    if let Some(obstacle) = &obstacle {
        let obstacle = sanitize::one_line(obstacle);
        app.out
            .attention(&format!("the model gets no path notice: {obstacle}"));
        app.out.hint(&format!(
            "to say where directories are now, paste the text of {}",
            sanitize::one_line(&notice.to_string_lossy())
        ));
    }
    obstacle.is_none()
}

fn push_rest(
    sessions: &BTreeSet<SessionId>,
    ended: &Result<EndedClient, CliError>,
    app: &App,
) -> Result<Pushed, CliError> {
    let ctx = app.context()?;
    let ended = ended.as_ref().ok();
    if ended.is_some_and(|ended| ended.was_interrupted) {
        return Err(Interrupted.into());
    }
    // If this process was asked to end, there is no terminal any more.
    let was_asked = ended.is_some_and(|ended| ended.was_asked);
    let interactive = ctx.interactive && !was_asked;
    Ok(finish(&Context { interactive, ..ctx }, sessions)?)
}

/// Releases the lock of a session that is not continued after all.
pub(super) fn release(session: &SessionId, app: &mut App) {
    answer_interruption();
    let released = app
        .context()
        .and_then(|ctx| Ok(finish(&ctx, &BTreeSet::from([session.clone()]))?));
    if let Err(e) = released {
        e.show(&mut app.out);
    }
}

fn run_with_keeper(
    launch: &Launch<'_>,
    session: &SessionId,
    locked: bool,
    app: &App,
) -> Result<EndedClient, CliError> {
    let ctx = Context {
        progress: Arc::new(Silent),
        interactive: false,
        ..app.context()?
    };
    let lock = match locked {
        true => LockState::Held(ctx.clock.now()),
        false => LockState::None,
    };
    let mut kept = OpenSessions::default();
    kept.open(&ctx.env.claude_dir, session, launch.directory, lock);
    let lent = lend_terminal();
    // An earlier interruption was meant for this program; later ones go to Claude Code.
    signal::check()?;
    let mut client = launch.program(&app.env.client).start_in_terminal()?;
    let over = AtomicBool::new(false);
    let own = ClientProcess::in_this_terminal(client.pid());
    let sessions = Mutex::new(RunningSessions::from([(session.clone(), own)]));
    std::thread::scope(|scope| {
        let backups = scope.spawn(|| keep_until(&over, own, &sessions, kept, &ctx));
        let status = wait(&mut client, &lent, &app.clock);
        let was_asked = lent.end_signal().is_some();
        let mut signals_before = signal::count();
        // The terminal belongs to this program again, so a backup that hangs can be interrupted.
        drop(lent);
        let running = match was_asked {
            true => RunningSessions::new(),
            false => wait_for_running(&sessions, &ctx, &mut app.secondary_output()),
        };
        if !running.is_empty() {
            // The user leaves what runs on; the last push is not meant.
            answer_interruption();
            signals_before = signal::count();
        }
        over.store(true, Ordering::SeqCst);
        backups.thread().unpark();
        // A failed backup does not matter: the last push covers it.
        let backups = backups.join().unwrap_or_default();
        let sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(EndedClient {
            sessions: sessions.keys().cloned().collect(),
            status: status?,
            was_asked,
            was_interrupted: signal::count() > signals_before,
            backups,
            running,
        })
    })
}

/// The end of a run of Claude Code.
struct EndedClient {
    /// The session that was started or continued, and those that Claude Code began meanwhile.
    sessions: BTreeSet<SessionId>,
    status: ExitStatus,
    /// This process was asked to end, or its terminal was closed.
    was_asked: bool,
    /// The user interrupted the backup that ran when Claude Code ended.
    was_interrupted: bool,
    backups: Backups,
    /// Sessions that run on: the user did not wait until they end.
    running: RunningSessions,
}

/// The results of the backups of one run.
#[derive(Default)]
struct Backups {
    /// Number of turns that were pushed.
    turns: u64,
    /// Warnings that the user has not seen: Claude Code had the terminal.
    warnings: BTreeSet<String>,
}

/// Waits until Claude Code has ended, and ends it if this process is asked to end.
fn wait(
    client: &mut Running,
    lent: &LentTerminal,
    clock: &dyn Clock,
) -> Result<ExitStatus, CliError> {
    let mut asked: Option<Duration> = None;
    loop {
        if let Some(status) = client.try_wait()? {
            return Ok(status);
        }
        match asked {
            None if lent.end_signal().is_some() => {
                client.ask_to_end();
                asked = Some(clock.monotonic());
            }
            Some(since) if clock.monotonic().saturating_sub(since) > MAX_WAIT => client.kill(),
            _ => {}
        }
        clock.sleep(POLL);
    }
}

/// Keeps the `sessions` of this run, and those that its client begins meanwhile.
fn keep_until(
    over: &AtomicBool,
    own: ClientProcess,
    sessions: &Mutex<RunningSessions>,
    kept: OpenSessions,
    ctx: &Context<'_>,
) -> Backups {
    let context = || Ok(ctx.with_settings(ctx.settings.clone()));
    let mut keeper = Keeper::new(ctx.env, ctx.clock, &context, kept, Duration::MAX);
    // Everything was pushed before Claude Code started.
    keeper.pace.push_begins(ctx.clock.monotonic());
    let mut backups = Backups::default();
    while !over.load(Ordering::SeqCst) {
        let open = {
            let mut open = sessions.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(session) = session_of_client(&ctx.env.claude_dir, own.pid) {
                open.entry(session).or_insert(own);
            }
            open.clone()
        };
        keeper.observe(&open, Vec::new());
        // After a failure, the next backup and the last push try again.
        for pushed in keeper.work().into_iter().flatten() {
            backups.turns += pushed_turns(&pushed.report, |session| open.contains_key(session));
            backups.warnings.extend(pushed.report.warnings);
        }
        std::thread::park_timeout(POLL * 4);
    }
    backups
}
