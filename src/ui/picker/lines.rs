//! The picker for a terminal that only prints lines: a numbered list in pages, and a prompt that
//! takes a number, a filter or a word for another page or another view.

use std::io::{self, BufRead, Write};

use chrono::{DateTime, Utc};

use super::bindings::Movement;
use super::item::{Picked, SessionSource};
use super::list::RowList;
use super::preview::{facts, lines};
use super::view::{Surroundings, Toggle};
use crate::ui::{format::count, table::Cell, table::Table};

/// Number of sessions on a page.
const PAGE: usize = 20;
/// Indexes of the columns of projects and titles.
const PROJECT: usize = 2;
const TITLE: usize = 3;

const PROMPT: &str =
    "number = open, number? = preview, text = filter, + - = page, ? = help, Enter = cancel > ";

const HELP: &str = "\
3        open session 3
3?       preview it
text     list only sessions with these words; * lists all again
+, -     next page, previous page
/all     all projects, or only that of the current directory
/branch  all branches, or only the one that is checked out
/machine, /age, /forks, /headless, /archived
         which sessions to list, as with the keys of the full list
Enter    cancel
";

/// An answer of the user.
#[derive(Debug, PartialEq, Eq)]
enum Answer<'a> {
    Cancel,
    Help,
    /// By its number, from 1.
    Open(usize),
    Preview(usize),
    Page(Movement),
    Toggle(Toggle),
    Filter(&'a str),
}

/// The list, and the page that is shown.
pub(super) struct LinePicker {
    list: RowList,
    here: Surroundings,
    now: DateTime<Utc>,
    /// Width of a line, in cells.
    width: usize,
}

impl LinePicker {
    pub(super) fn new(
        mut list: RowList,
        here: Surroundings,
        now: DateTime<Utc>,
        width: usize,
    ) -> Self {
        list.set_page(PAGE);
        Self {
            list,
            here,
            now,
            width,
        }
    }

    /// Writes to `output` and reads answers from `input` until the user chooses. The end of
    /// the input cancels.
    pub(super) fn run(
        &mut self,
        source: &dyn SessionSource,
        input: &mut dyn BufRead,
        output: &mut dyn Write,
    ) -> io::Result<Picked> {
        self.write_list(output)?;
        loop {
            write!(output, "{PROMPT}")?;
            output.flush()?;
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(Picked::Cancelled);
            }
            match self.parse(line.trim()) {
                Answer::Cancel => return Ok(Picked::Cancelled),
                Answer::Help => write!(output, "{HELP}")?,
                Answer::Open(number) => {
                    if let Some(row) = self.list.get(number - 1) {
                        return Ok(Picked::Chosen(row.session.clone()));
                    }
                }
                Answer::Preview(number) => self.write_preview(number - 1, source, output)?,
                Answer::Page(movement) => {
                    self.list.move_selection(movement);
                    self.write_list(output)?;
                }
                Answer::Toggle(toggle) => {
                    if let Err(reason) = self.list.toggle(toggle, &self.here) {
                        writeln!(output, "{reason}")?;
                    }
                    self.list.move_selection(Movement::First);
                    self.write_list(output)?;
                }
                Answer::Filter(words) => {
                    self.list.set_filter(words);
                    self.write_list(output)?;
                }
            }
        }
    }

    /// A number that is not in the list is a filter.
    fn parse<'a>(&self, answer: &'a str) -> Answer<'a> {
        let number = |text: &str| {
            let number = text.trim().parse().ok();
            number.filter(|number| (1..=self.list.len()).contains(number))
        };
        let preview = answer.strip_suffix('?').and_then(number);
        match (answer, number(answer), preview) {
            ("", ..) => Answer::Cancel,
            ("?", ..) => Answer::Help,
            ("+", ..) => Answer::Page(Movement::PageDown),
            ("-", ..) => Answer::Page(Movement::PageUp),
            ("*", ..) => Answer::Filter(""),
            (_, Some(number), _) => Answer::Open(number),
            (_, _, Some(number)) => Answer::Preview(number),
            _ => toggle(answer).map_or(Answer::Filter(answer), Answer::Toggle),
        }
    }

    fn write_list(&mut self, output: &mut dyn Write) -> io::Result<()> {
        // Pages begin at fixed numbers.
        let first = self.list.selected / PAGE * PAGE;
        self.list.select(first);
        let last = (first + PAGE).min(self.list.len());
        let mut table = Table::new(0, TITLE).with_paths(PROJECT);
        for position in first..last {
            let Some(row) = self.list.get(position) else {
                break;
            };
            let cells = [
                &row.age,
                &row.project,
                &row.title,
                &row.machine,
                &row.lock,
                &row.marks,
            ]
            .map(|text| Cell::new(text.as_str()));
            let number = Cell::right((position + 1).to_string());
            table.row(std::iter::once(number).chain(cells));
        }
        for line in table.lines(self.width) {
            writeln!(output, "{line}")?;
        }
        let view = self.list.summary();
        let all = count(self.list.count_all() as u64, "session");
        match self.list.len() {
            0 => writeln!(output, "no match among {all}{view}"),
            shown if shown <= PAGE => writeln!(output, "{shown} of {all}{view}"),
            shown => writeln!(output, "{}-{last} of {shown} of {all}{view}", first + 1),
        }
    }

    fn write_preview(
        &self,
        position: usize,
        source: &dyn SessionSource,
        output: &mut dyn Write,
    ) -> io::Result<()> {
        let Some(row) = self.list.get(position) else {
            return Ok(());
        };
        for (name, value) in facts(row) {
            writeln!(output, "{name:9}{value}")?;
        }
        writeln!(output)?;
        let turns = source.turns(&row.session);
        for line in lines(&turns, self.width, self.now) {
            writeln!(output, "{}", line.text)?;
        }
        writeln!(output)
    }
}

fn toggle(answer: &str) -> Option<Toggle> {
    Some(match answer {
        "/all" => Toggle::Projects,
        "/branch" => Toggle::Branch,
        "/machine" => Toggle::Machine,
        "/age" => Toggle::Age,
        "/forks" => Toggle::Forks,
        "/headless" => Toggle::Headless,
        "/archived" => Toggle::Archived,
        _ => return None,
    })
}
