//! Runs the picker: reads keys, changes the state, draws.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::columns::PreferredWidths;
use super::draw::{self, Theme};
use super::item::{Item, PickError, Picked, PickerOptions, SessionSource};
use super::lines::LinePicker;
use super::list::RowList;
use super::row::rows;
use super::state::{PickerState, PickerStep};
use super::terminal::{Input, RawTerminal};
use super::updates::{Update, UpdateSender, Updates};
use super::view::Surroundings;
use crate::domain::SessionId;

/// Lets the user choose one of `items`. Restores the terminal before it returns.
///
/// `updates`: gives other items later; the numbered list does not show them.
///
/// # Errors
/// [`PickError`]
pub(crate) fn pick(
    items: Vec<Item>,
    mut updates: Updates,
    here: Surroundings,
    options: PickerOptions,
    source: &dyn SessionSource,
) -> Result<Picked, PickError> {
    let now = updates.now();
    let list = RowList::new(rows(items, now), options.all_projects, now);
    if options.only_lines {
        return pick_by_lines(LinePicker::new(list, here, now, options.columns), source);
    }
    let mut state = PickerState::new(list, here, now);
    state.is_fetching = updates.is_fetching;
    let mut terminal = RawTerminal::enter(options.colors)?;
    let (jobs, todo) = mpsc::channel();
    let sender = updates.sender.clone();
    thread::scope(|scope| {
        scope.spawn(move || work(&todo, source, &Ending(sender)));
        let theme = Theme::new(options.colors);
        let picked = run(&mut state, &mut updates, &mut terminal, &jobs, &theme);
        // A job that does not end can be interrupted from here on.
        terminal.restore();
        drop(jobs);
        picked
    })
}

/// Work that would keep the keyboard waiting.
enum Job {
    Preview(SessionId),
    Rename { session: SessionId, title: String },
}

/// Handles keys and news until the user has chosen.
fn run(
    state: &mut PickerState,
    updates: &mut Updates,
    terminal: &mut RawTerminal,
    jobs: &Sender<Job>,
    theme: &Theme,
) -> Result<Picked, PickError> {
    let mut preferred = PreferredWidths::from_rows(state.list.all());
    loop {
        // Read pending input first: it may arrive faster than the screen is drawn.
        if !terminal.has_more() {
            terminal.draw(|frame| draw::draw(frame, state, &preferred, theme))?;
            updates.begin_fetch();
            if let Some(session) = state.wanted_turns() {
                // The end of that thread is reported on its own.
                let _ = jobs.send(Job::Preview(session));
            }
        }
        let step = match terminal.next(updates)? {
            Input::Key(key) => state.press(key),
            Input::Paste(text) => state.paste(&text),
            Input::Mouse(event) => state.click(event),
            Input::Update(Update::Ended) => return Ok(Picked::Cancelled),
            Input::Update(update) => {
                let has_other_rows = matches!(update, Update::Fetched(Ok(_)));
                state.absorb(update);
                if has_other_rows {
                    preferred = PreferredWidths::from_rows(state.list.all());
                }
                PickerStep::Draw
            }
            Input::Other => PickerStep::Draw,
            Input::Interrupted => PickerStep::End(Picked::Cancelled),
        };
        match step {
            PickerStep::Draw => {}
            PickerStep::Rename { session, title } => {
                let _ = jobs.send(Job::Rename { session, title });
            }
            PickerStep::End(picked) => return Ok(picked),
        }
    }
}

/// Tells the picker that its worker has ended, also by a panic.
struct Ending(UpdateSender);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.send(Update::Ended);
    }
}

/// Does the jobs. Of several previews only the last one is still of use.
fn work(todo: &Receiver<Job>, source: &dyn SessionSource, updates: &Ending) {
    while let Ok(job) = todo.recv() {
        let (mut preview, mut renames) = (None, Vec::new());
        for job in std::iter::once(job).chain(todo.try_iter()) {
            match job {
                Job::Preview(session) => preview = Some(session),
                Job::Rename { session, title } => renames.push((session, title)),
            }
        }
        for (session, title) in renames {
            let renamed = source.rename(&session, &title);
            updates.0.send(Update::Renamed(session, renamed));
        }
        if let Some(session) = preview {
            let turns = source.turns(&session);
            updates.0.send(Update::Turns(session, turns));
        }
    }
}

fn pick_by_lines(mut picker: LinePicker, source: &dyn SessionSource) -> Result<Picked, PickError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(PickError::NoTerminal);
    }
    picker
        .run(source, &mut io::stdin().lock(), &mut io::stderr())
        .map_err(PickError::Terminal)
}
