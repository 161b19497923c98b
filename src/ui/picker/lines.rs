//! The picker for a terminal that only prints lines: a numbered list, and a prompt that
//! takes a number, a filter or nothing.

use std::io::{self, BufRead, Write};

use super::item::{Picked, Preview};
use super::state::PickerState;
use crate::ui::{format::count, table::Cell, table::Table};

/// Maximum number of listed sessions.
const PAGE: usize = 20;
/// Indexes of the columns of projects and titles.
const PROJECT: usize = 2;
const TITLE: usize = 3;

/// Writes to `output` and reads answers from `input` until the user chooses. The end of
/// the input cancels.
pub(super) fn pick(
    state: &mut PickerState,
    preview: &mut dyn Preview,
    width: usize,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> io::Result<Picked> {
    loop {
        write_list(state, width, output)?;
        let mut answer = String::new();
        if input.read_line(&mut answer)? == 0 {
            return Ok(Picked::Cancelled);
        }
        match (answer.trim(), parse_answer(state, answer.trim())) {
            ("", _) => return Ok(Picked::Cancelled),
            (_, Some(LineAnswer::Choose(at))) => {
                return Ok(Picked::Chosen(state.rows[at].session.clone()));
            }
            (_, Some(LineAnswer::Preview(at))) => show_preview(state, at, preview, width, output)?,
            (words, None) => state.set_filter(words),
        }
    }
}

enum LineAnswer {
    Choose(usize),
    Preview(usize),
}

/// Parses an answer: `3` chooses the third row, `3?` previews it.
fn parse_answer(state: &PickerState, answer: &str) -> Option<LineAnswer> {
    let (number, is_preview) = answer
        .strip_suffix('?')
        .map_or((answer, false), |number| (number.trim_end(), true));
    let at = number
        .parse::<usize>()
        .ok()?
        .checked_sub(1)
        .filter(|at| *at < PAGE)?;
    let row = *state.shown.get(at)?;
    Some(if is_preview {
        LineAnswer::Preview(row)
    } else {
        LineAnswer::Choose(row)
    })
}

fn write_list(state: &PickerState, width: usize, output: &mut dyn Write) -> io::Result<()> {
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
        "number = open, number? = preview, text = filter, Enter = cancel > "
    )?;
    output.flush()
}

fn show_preview(
    state: &PickerState,
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
