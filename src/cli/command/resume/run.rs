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
use crate::lock::record::RENEWAL;
use crate::lock::state::TakeOver;
use crate::session::launch::Launch;
use crate::session::live::session_of;
use crate::sync::report::{Outcome, RemoteState};
use crate::sync::{self, Context, Finished};
use crate::sys::clock::Clock;
use crate::sys::fail_point::fail_point;
use crate::sys::process::{Running, shell_code};
use crate::sys::signal::{LentTerminal, lend_terminal};
use crate::ui::format::count;
use crate::ui::sanitize;

/// How often is looked whether the client has ended or has begun another session.
const LOOK: Duration = Duration::from_millis(50);

/// How long a client may take to end that was told to.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the client for `session`, whose lock this process holds if it is to have one, and ends with everything pushed.
pub(in crate::cli::command) fn client(
    launch: &Launch<'_>,
    session: &SessionId,
    app: &mut App,
) -> Result<Exit, CliError> {
    if launch.note.is_some() && launch.has_own_settings() {
        app.out.note("the model is not told where things are now: `--settings` is yours in this run");
    }
    let sessions = Mutex::new(BTreeSet::from([session.clone()]));
    fail_point("the client is about to run");
    let ended = run_beside_backups(launch, &sessions, app);
    fail_point("the client has ended");
    let sessions = sessions.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Whatever became of the client, what it wrote is pushed.
    let finished = sync::finish(&app.context()?, &sessions);
    let status = ended?;
    match finished {
        Ok(finished) => summarise(&finished, &sessions, app),
        Err(e) => CliError::from(e).show(&mut app.out),
    }
    Ok(Exit::OfClient(shell_code(status)))
}

/// Gives the lock back of a session that was not continued after all.
pub(in crate::cli::command) fn give_back(session: &SessionId, app: &mut App) {
    let given = app.context().and_then(|ctx| Ok(sync::finish(&ctx, &BTreeSet::from([session.clone()]))?));
    if let Err(e) = given {
        e.show(&mut app.out);
    }
}

fn run_beside_backups(
    launch: &Launch<'_>,
    sessions: &Mutex<BTreeSet<SessionId>>,
    app: &App,
) -> Result<ExitStatus, CliError> {
    let ctx = Context { progress: Arc::new(Silent), interactive: false, ..app.context()? };
    let lent = lend_terminal();
    let mut client = launch.program(&app.env.client).start_in_terminal()?;
    let (pid, over) = (client.pid(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let backups = scope.spawn(|| back_up_until(&over, pid, sessions, &ctx));
        let ended = wait(&mut client, &lent, &app.clock);
        over.store(true, Ordering::SeqCst);
        backups.thread().unpark();
        // It has nothing to tell: the last push says how things stand.
        let _ = backups.join();
        ended
    })
}

/// Waits for the client's end, and brings it about if this process is told to end.
fn wait(client: &mut Running, lent: &LentTerminal, clock: &dyn Clock) -> Result<ExitStatus, CliError> {
    let mut asked: Option<Duration> = None;
    loop {
        if let Some(status) = client.try_wait()? {
            return Ok(status);
        }
        match asked {
            None if lent.told_to_end().is_some() => {
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
fn back_up_until(over: &AtomicBool, pid: u32, sessions: &Mutex<BTreeSet<SessionId>>, ctx: &Context<'_>) {
    let mut last = Moment::now(ctx.clock);
    while !over.load(Ordering::SeqCst) {
        if let Some(other) = session_of(&ctx.env.claude_dir, pid)
            && sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(other.clone())
        {
            // Without a lock it is kept all the same.
            let _ = sync::locks::acquire(ctx, &other, TakeOver::Expired);
        }
        if last.is_over(ctx.clock) {
            // What fails now is tried again by the next one, and by the last push.
            let _ = sync::back_up(ctx);
            last = Moment::now(ctx.clock);
        }
        std::thread::park_timeout(LOOK * 4);
    }
}

/// When the last sign of life was given, by both clocks: the one stands still while the machine sleeps.
struct Moment {
    monotonic: Duration,
    wall: DateTime<Utc>,
}

impl Moment {
    fn now(clock: &dyn Clock) -> Self {
        Self { monotonic: clock.monotonic(), wall: clock.now() }
    }

    fn is_over(&self, clock: &dyn Clock) -> bool {
        let running = TimeDelta::from_std(clock.monotonic().saturating_sub(self.monotonic)).unwrap_or(TimeDelta::MAX);
        running.max(clock.now() - self.wall) >= RENEWAL
    }
}

/// Where another command on this machine has noticed that first, and has made the fork.
const LOST: &str =
    "the lock was taken away while the client ran: what it said after that is a session of its own, if anything";

/// One line that says how things stand; more only where somebody has to know.
fn summarise(finished: &Finished, sessions: &BTreeSet<SessionId>, app: &mut App) {
    let report = &finished.report;
    let mine = report.sessions.iter().filter(|session| sessions.contains(&session.session));
    let mut lines = 0;
    for session in mine {
        match &session.outcome {
            Outcome::Added { lines: more, .. } | Outcome::Extended { lines: more, .. } => lines += more,
            Outcome::Forked { fork, lines } => {
                let notes = session.notes.iter().map(|note| format!("{}; ", sanitize::one_line(note)));
                let line = count(*lines, "line");
                app.out.attention(&format!(
                    "{}this run's {line} are a session of their own: {fork}",
                    notes.collect::<String>()
                ));
                app.out.hint(&format!("ccsync resume {fork}"));
            }
            Outcome::Skipped { reason } => {
                app.out.attention(&format!("{} was not pushed: {}", session.session, sanitize::one_line(reason)));
            }
            Outcome::Ahead | Outcome::Behind | Outcome::Listed { .. } => {}
        }
    }
    let saved = if lines > 0 { format!("{} more", count(lines, "line")) } else { "nothing left to push".to_owned() };
    match &report.remote {
        RemoteState::Queued { reason, .. } => {
            app.out.attention(&format!("not on the remote yet: {}", sanitize::one_line(reason)));
            app.out.hint(
                "the turns are safe here; the next ccsync command sends them and gives the lock back: ccsync update",
            );
        }
        RemoteState::UpToDate { .. } | RemoteState::NotContacted if finished.lost.is_disjoint(sessions) => {
            app.out.note(&format!("{saved}; everything is on the remote, the lock is given back"));
        }
        RemoteState::UpToDate { .. } | RemoteState::NotContacted => {
            if !report.sessions.iter().any(|session| matches!(session.outcome, Outcome::Forked { .. })) {
                app.out.attention(LOST);
                app.out.hint("ccsync list");
            }
            app.out.note(&format!("{saved}; everything is on the remote"));
        }
    }
}
