//! Columns that line up, for any script: widths are measured as terminals draw them. Pure text in, text out.

use std::borrow::Cow;

use anstyle::Style;
use dialoguer::console::{measure_text_width, truncate_str};

use crate::ui::style;

/// Between two columns.
const GAP: &str = "  ";
/// A cut column keeps at least this many cells.
const LEAST: usize = 12;

/// One cell: text already sanitised, a style, and the side it leans to.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    /// A cell that leans left.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new(), right: false }
    }

    /// A cell that leans right, for numbers.
    pub(crate) fn right(text: impl Into<String>) -> Self {
        Self { right: true, ..Self::new(text) }
    }

    /// The same cell in another style.
    pub(crate) fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// Rows of cells. `flexible` is the column that gives way when a line would be wider than the screen.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
    flexible: usize,
    indent: usize,
}

impl Table {
    /// An empty table, indented by `indent` spaces, whose column `flexible` is cut to fit.
    pub(crate) fn new(indent: usize, flexible: usize) -> Self {
        Self { rows: Vec::new(), flexible, indent }
    }

    /// Adds a row. Rows may differ in length; nothing is padded after a row's last cell.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table in at most `width` cells where that is possible, one line per row.
    pub(crate) fn lines(&self, width: usize) -> Vec<String> {
        let widths = self.widths(width);
        self.rows.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn widths(&self, width: usize) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (at, cell) in row.iter().enumerate() {
                widths[at] = widths[at].max(measure_text_width(&cell.text));
            }
        }
        let whole = self.indent + widths.iter().sum::<usize>() + GAP.len() * columns.saturating_sub(1);
        if let Some(flexible) = widths.get_mut(self.flexible) {
            let room = flexible.saturating_sub(whole.saturating_sub(width)).max(LEAST);
            *flexible = room.min(*flexible);
        }
        widths
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> String {
        let mut line = " ".repeat(self.indent);
        for (at, cell) in row.iter().enumerate() {
            let text = cut(&cell.text, widths[at]);
            let padding = " ".repeat(widths[at].saturating_sub(measure_text_width(&text)));
            let painted = style::paint(cell.style, &text);
            let is_last = at + 1 == row.len();
            match (cell.right, is_last) {
                (true, _) => line.extend([padding.as_str(), &painted]),
                (false, true) => line.push_str(&painted),
                (false, false) => line.extend([painted.as_str(), &padding]),
            }
            if !is_last {
                line.push_str(GAP);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// `text` in at most `width` cells; an ellipsis stands for what was cut.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    truncate_str(text, width, "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_drawn_width() {
        let mut table = Table::new(2, 0);
        table.row([Cell::new("目目"), Cell::right("1 kB"), Cell::new("x")]);
        table.row([Cell::new("abcde"), Cell::right("118 kB")]);
        assert_eq!(table.lines(80), ["  目目     1 kB  x", "  abcde  118 kB"]);
    }

    #[test]
    fn only_the_flexible_column_gives_way() {
        let mut table = Table::new(0, 1);
        table.row([Cell::new("3f2a8c1e"), Cell::new("a rather long title of a session"), Cell::new("added")]);
        assert_eq!(table.lines(34), ["3f2a8c1e  a rather long ti…  added"]);
        assert_eq!(table.lines(1), ["3f2a8c1e  a rather lo…  added"], "never narrower than a few words");
    }

    #[test]
    fn wide_characters_are_never_cut_in_half() {
        assert_eq!(cut("目目目", 4), "目…");
        assert_eq!(cut("目目目", 6), "目目目");
    }
}
