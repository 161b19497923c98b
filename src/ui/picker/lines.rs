//! The picker for a terminal that only knows lines: a numbered list, and a question that
//! is answered with a number, with words to look for, or not at all.

use std::io::{self, BufRead, Write};

use super::item::{Picked, Preview};
use super::state::State;
use crate::ui::format::count;
use crate::ui::table::{Cell, Table};

/// As many sessions are listed at a time.
const PAGE: usize = 20;
/// The columns of projects and of titles.
const PROJECT: usize = 2;
const TITLE: usize = 3;

/// Asks on `output` and reads answers from `input` until one is chosen. The end of the
/// input cancels.
pub(super) fn pick(
    state: &mut State,
    preview: &mut dyn Preview,
    width: usize,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> io::Result<Picked> {
    loop {
        list(state, width, output)?;
        let mut answer = String::new();
        if input.read_line(&mut answer)? == 0 {
            return Ok(Picked::Cancelled);
        }
        match (answer.trim(), chosen(state, answer.trim())) {
            ("", _) => return Ok(Picked::Cancelled),
            (_, Some(Choice::Take(at))) => {
                return Ok(Picked::Chosen(state.rows[at].session.clone()));
            }
            (_, Some(Choice::Look(at))) => look(state, at, preview, width, output)?,
            (words, None) => state.set_filter(words),
        }
    }
}

enum Choice {
    Take(usize),
    Look(usize),
}

/// `3` takes the third row, `3?` looks into it.
fn chosen(state: &State, answer: &str) -> Option<Choice> {
    let (number, looks) = answer
        .strip_suffix('?')
        .map_or((answer, false), |number| (number.trim_end(), true));
    let at = number
        .parse::<usize>()
        .ok()?
        .checked_sub(1)
        .filter(|at| *at < PAGE)?;
    let row = *state.shown.get(at)?;
    Some(if looks {
        Choice::Look(row)
    } else {
        Choice::Take(row)
    })
}

fn list(state: &State, width: usize, output: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(0, TITLE).with_paths(PROJECT);
    for (at, row) in state.shown.iter().take(PAGE).enumerate() {
        let row = &state.rows[*row];
        let cells = [
            &row.age,
            &row.project,
            &row.title,
            &row.machine,
            &row.lock,
            &row.marks,
        ]
        .map(|text| Cell::new(text.as_str()));
        table.row(std::iter::once(Cell::right((at + 1).to_string())).chain(cells));
    }
    for line in table.lines(width) {
        writeln!(output, "{line}")?;
    }
    let (shown, all) = (state.shown.len(), state.rows.len());
    writeln!(
        output,
        "{} of {}",
        shown.min(PAGE),
        count(all as u64, "session")
    )?;
    write!(
        output,
        "number: choose; number?: look inside; words: filter; nothing: cancel > "
    )?;
    output.flush()
}

fn look(
    state: &State,
    at: usize,
    preview: &mut dyn Preview,
    width: usize,
    output: &mut dyn Write,
) -> io::Result<()> {
    let turns = preview.turns(&state.rows[at].session);
    for line in super::preview::lines(&turns, width, state.now) {
        writeln!(output, "{}", line.text)?;
    }
    writeln!(output)
}
