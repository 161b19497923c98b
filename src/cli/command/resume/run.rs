//! The client, from its start to the last push: it has the terminal; beside it the locks are renewed and its turns are backed up.

use std::collections::BTreeSet;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::cli::app::App;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::domain::id::SessionId;
use crate::domain::progress::Silent;
use crate::handoff::resume::Finished;
use crate::lock::record::RENEWAL;
use crate::lock::state::TakeOver;
use crate::report::transfer::{Outcome, RemoteState, Report};
use crate::session::launch::Launch;
use crate::session::live::session_of_client;
use crate::sys::clock::Clock;
use crate::sys::fail_point::fail_point;
use crate::sys::fs::remove_file_if_exists;
use crate::sys::process::{Running, shell_code};
use crate::sys::signal::{self, LentTerminal, answer_interruption, lend_terminal};
use crate::ui::format::count;
use crate::ui::report::extras;
use crate::ui::sanitize;
use crate::workspace::context::Context;

/// How often is looked whether the client has ended or has begun another session.
const LOOK: Duration = Duration::from_millis(50);

/// How long a client may take to end that was told to.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the client for `session`, whose lock this process holds if it is `locked`, and ends with everything pushed.
pub(in crate::cli) fn run_client(
    launch: &Launch<'_>,
    session: &SessionId,
    locked: bool,
    app: &mut App,
) -> Result<Exit, CliError> {
    if launch.path_notice.is_some() && launch.has_own_settings() {
        app.out
            .note("the model is not told where things are now: `--settings` is yours in this run");
    }
    let sessions = Mutex::new(BTreeSet::from([session.clone()]));
    fail_point("the client is about to run");
    let ended = run_beside_backups(launch, &sessions, app);
    fail_point("the client has ended");
    let sessions = sessions
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(note) = launch.path_notice {
        // It has been told. What cannot be removed is written anew the next time.
        let _ = remove_file_if_exists(note);
    }
    if ended.is_err() {
        answer_interruption();
    }
    let ctx = app.context()?;
    // Whoever was told to end has nobody to ask any more.
    let interactive = ctx.interactive && !ended.as_ref().is_ok_and(|ended| ended.was_told);
    // Whatever became of the client, what it wrote is pushed.
    match (
        crate::handoff::resume::finish(&Context { interactive, ..ctx }, &sessions),
        &ended,
    ) {
        (Ok(finished), Ok(ended)) => {
            let turns = ended.turns + turns_of(&finished.report, &sessions);
            summarise(&finished, &sessions, turns, locked, app);
        }
        (Ok(_), Err(_)) => {}
        (Err(e), _) => CliError::from(e).show(&mut app.out),
    }
    Ok(Exit::OfClient(shell_code(ended?.status)))
}

/// Gives the lock back of a session that was not continued after all.
pub(in crate::cli::command) fn give_back(session: &SessionId, app: &mut App) {
    answer_interruption();
    let given = app.context().and_then(|ctx| {
        Ok(crate::handoff::resume::finish(
            &ctx,
            &BTreeSet::from([session.clone()]),
        )?)
    });
    if let Err(e) = given {
        e.show(&mut app.out);
    }
}

fn run_beside_backups(
    launch: &Launch<'_>,
    sessions: &Mutex<BTreeSet<SessionId>>,
    app: &App,
) -> Result<Ended, CliError> {
    let ctx = Context {
        progress: Arc::new(Silent),
        interactive: false,
        ..app.context()?
    };
    let lent = lend_terminal();
    // From here on it is the client that is interrupted. What came before was meant for this program, whatever it was doing.
    signal::check()?;
    let mut client = launch.program(&app.env.client).start_in_terminal()?;
    let (pid, over) = (client.pid(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let backups = scope.spawn(|| back_up_until(&over, pid, sessions, &ctx));
        let status = wait(&mut client, &lent, &app.clock);
        let was_told = lent.end_signal().is_some();
        // The terminal is ours again: a backup that hangs can be interrupted.
        drop(lent);
        over.store(true, Ordering::SeqCst);
        backups.thread().unpark();
        // How things stand, the last push says.
        let turns = backups.join().unwrap_or_default();
        Ok(Ended {
            status: status?,
            was_told,
            turns,
        })
    })
}

/// How a run of the client ended.
struct Ended {
    status: ExitStatus,
    /// This process was told to end, or its terminal is gone.
    was_told: bool,
    /// So many turns were pushed meanwhile.
    turns: u64,
}

/// Waits for the client's end, and brings it about if this process is told to end.
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
            Some(since) if clock.monotonic().saturating_sub(since) > GRACE => client.kill(),
            _ => {}
        }
        clock.sleep(LOOK);
    }
}

/// Every quarter of a lock's life a sign of life and a push of what is new; a session that the client begins meanwhile gets a lock too.
/// Gives how many turns were pushed.
fn back_up_until(
    over: &AtomicBool,
    pid: u32,
    sessions: &Mutex<BTreeSet<SessionId>>,
    ctx: &Context<'_>,
) -> u64 {
    let mut turns = 0;
    let mut last = Moment::now(ctx.clock);
    while !over.load(Ordering::SeqCst) {
        if let Some(other) = session_of_client(&ctx.env.claude_dir, pid)
            && sessions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(other.clone())
        {
            // Without a lock it is kept all the same.
            let _ = crate::leasing::acquire::acquire(ctx, &other, TakeOver::Expired);
        }
        if last.is_over(ctx.clock) {
            // What fails now is tried again by the next one, and by the last push.
            if let Ok(report) = crate::handoff::resume::back_up(ctx) {
                turns += turns_of(
                    &report,
                    &sessions.lock().unwrap_or_else(PoisonError::into_inner),
                );
            }
            last = Moment::now(ctx.clock);
        }
        std::thread::park_timeout(LOOK * 4);
    }
    turns
}

/// How many turns of `sessions` were pushed.
fn turns_of(report: &Report, sessions: &BTreeSet<SessionId>) -> u64 {
    report
        .sessions
        .iter()
        .filter(|session| sessions.contains(&session.session))
        .filter_map(|s| s.turns)
        .sum()
}

/// When the last sign of life was given, by both clocks: the one stands still while the machine sleeps.
struct Moment {
    monotonic: Duration,
    wall: DateTime<Utc>,
}

impl Moment {
    fn now(clock: &dyn Clock) -> Self {
        Self {
            monotonic: clock.monotonic(),
            wall: clock.now(),
        }
    }

    fn is_over(&self, clock: &dyn Clock) -> bool {
        let running = TimeDelta::from_std(clock.monotonic().saturating_sub(self.monotonic))
            .unwrap_or(TimeDelta::MAX);
        running.max(clock.now() - self.wall) >= RENEWAL
    }
}

/// Where another command on this machine has noticed that first, and has made the fork.
const LOST: &str = "the lock was taken away while the client ran: what it said after that is a session of its own, if anything";

/// One line that says how things stand; more only where somebody has to know.
fn summarise(
    finished: &Finished,
    sessions: &BTreeSet<SessionId>,
    turns: u64,
    locked: bool,
    app: &mut App,
) {
    let report = &finished.report;
    let mine = report
        .sessions
        .iter()
        .filter(|session| sessions.contains(&session.session));
    let (mut forked, mut left) = (false, false);
    for session in mine {
        match &session.outcome {
            Outcome::Forked { fork, lines } => {
                forked = true;
                let why: String = session
                    .notes
                    .iter()
                    .map(|note| format!("{}; ", sanitize::one_line(note)))
                    .collect();
                let line = count(*lines, "line");
                app.out.attention(&format!(
                    "{why}what was said here, {line}, is a session of its own: {fork}"
                ));
                app.out.hint(&format!("ccsync resume {fork}"));
            }
            Outcome::Skipped { reason } => {
                left = true;
                app.out.attention(&format!(
                    "{} was not pushed: {}",
                    session.session,
                    sanitize::one_line(reason)
                ));
                app.out.hint(&format!(
                    "what was said is still here: ccsync verify {}",
                    session.session
                ));
            }
            Outcome::Excluded { reason, .. } if !session.notes.is_empty() => {
                left = true;
                app.out.attention(&format!(
                    "{} was not pushed: {}",
                    session.session,
                    sanitize::one_line(reason)
                ));
                session
                    .notes
                    .iter()
                    .for_each(|note| app.out.hint(&sanitize::one_line(note)));
            }
            _ => {}
        }
    }
    for line in report
        .extras
        .iter()
        .flat_map(|bundle| extras(bundle, false, true))
    {
        app.out.attention(&line);
    }
    let was_lost = !finished.lost.is_disjoint(sessions);
    if was_lost && !forked {
        app.out.attention(LOST);
        app.out.hint("ccsync list");
    }
    let lock = if locked && !was_lost {
        "; the lock is given back"
    } else {
        ""
    };
    let added = if turns > 0 {
        format!("{} added; ", count(turns, "turn"))
    } else {
        String::new()
    };
    match &report.remote {
        RemoteState::Queued { reason, .. } => {
            app.out.attention(&format!(
                "not on the remote yet: {}",
                sanitize::one_line(reason)
            ));
            app.out
                .hint("nothing is lost; when the remote is back: ccsync recover");
        }
        RemoteState::UpToDate { .. } | RemoteState::NotContacted if left => {}
        RemoteState::UpToDate {
            commit: Some(commit),
        } => {
            app.out.note(&format!(
                "{added}everything is on the remote as {}{lock}",
                commit.short()
            ));
        }
        RemoteState::UpToDate { commit: None } | RemoteState::NotContacted => {
            app.out
                .note(&format!("{added}everything is on the remote{lock}"));
        }
    }
}
