//! Aligns columns for any script: widths are measured in terminal cells. Pure.

use std::borrow::Cow;

use anstyle::Style;
use dialoguer::console::{measure_text_width, truncate_str};

use crate::ui::style;

/// Space between two columns.
const GAP: &str = "  ";
/// Minimum width of a shortened column, in cells.
const MIN_COLUMN: usize = 12;
/// Share of the column of paths, if it and the flexible column are both too wide: two of
/// five cells.
const PATH_SHARE: (usize, usize) = (2, 5);

/// One cell: sanitized text, a style and an alignment.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    /// Creates a left-aligned cell.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            style: Style::new(),
            right: false,
        }
    }

    /// Creates a right-aligned cell, for numbers.
    pub(crate) fn right(text: impl Into<String>) -> Self {
        Self {
            right: true,
            ..Self::new(text)
        }
    }

    /// Returns the cell in another style.
    pub(crate) fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// Rows of cells. If a line is wider than the screen, the `flexible` column shrinks, and
/// the column of paths, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
    flexible: usize,
    paths: Option<usize>,
    indent: usize,
}

impl Table {
    /// Creates an empty table, indented by `indent` spaces, whose column `flexible`
    /// shrinks to fit.
    pub(crate) fn new(indent: usize, flexible: usize) -> Self {
        Self {
            rows: Vec::new(),
            flexible,
            paths: None,
            indent,
        }
    }

    /// Lets the paths in `column` lose their middle when the flexible column gets less
    /// than its share.
    pub(crate) fn with_paths(self, column: usize) -> Self {
        Self {
            paths: Some(column),
            ..self
        }
    }

    /// Adds a row. Rows may have different lengths; nothing is padded after the last cell
    /// of a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Returns one line per row, of at most `width` cells if possible.
    pub(crate) fn lines(&self, width: usize) -> Vec<String> {
        let widths = self.widths(width);
        self.rows
            .iter()
            .map(|row| self.line(row, &widths))
            .collect()
    }

    fn widths(&self, width: usize) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (at, cell) in row.iter().enumerate() {
                widths[at] = widths[at].max(measure_text_width(&cell.text));
            }
        }
        let whole =
            self.indent + widths.iter().sum::<usize>() + GAP.len() * columns.saturating_sub(1);
        let wished =
            |column: Option<usize>| column.and_then(|at| widths.get(at)).copied().unwrap_or(0);
        let (flexible, path) = (wished(Some(self.flexible)), wished(self.paths));
        let room = (flexible + path).saturating_sub(whole.saturating_sub(width));
        let path = path.min(
            (room * PATH_SHARE.0 / PATH_SHARE.1)
                .max(room.saturating_sub(flexible))
                .max(MIN_COLUMN),
        );
        let flexible = flexible.min(room.saturating_sub(path).max(MIN_COLUMN));
        for (column, cells) in [(self.paths, path), (Some(self.flexible), flexible)] {
            if let Some(width) = column.and_then(|at| widths.get_mut(at)) {
                *width = cells;
            }
        }
        widths
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> String {
        let mut line = " ".repeat(self.indent);
        for (at, cell) in row.iter().enumerate() {
            let is_path = self.paths == Some(at);
            let text = if is_path {
                cut_path(&cell.text, widths[at])
            } else {
                cut(&cell.text, widths[at])
            };
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

/// Shortens `text` to at most `width` cells. An ellipsis replaces the end.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    truncate_str(text, width, "…")
}

/// Shortens a path to at most `width` cells. An ellipsis replaces the middle; two thirds
/// of what is kept is the end, which says most.
fn cut_path(path: &str, width: usize) -> Cow<'_, str> {
    if measure_text_width(path) <= width {
        return Cow::Borrowed(path);
    }
    let start = truncate_str(path, width.saturating_sub(1) / 3, "");
    let room = width.saturating_sub(1 + measure_text_width(&start));
    // Iterate from the end: a path from the store may be arbitrarily long.
    let ends = path.char_indices().rev().map(|(at, _)| &path[at..]);
    let end = ends
        .take_while(|end| measure_text_width(end) <= room)
        .last()
        .unwrap_or_default();
    Cow::Owned(format!("{start}…{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_columns_align_by_display_width() {
        let mut table = Table::new(2, 0);
        table.row([Cell::new("目目"), Cell::right("1 kB"), Cell::new("x")]);
        table.row([Cell::new("abcde"), Cell::right("118 kB")]);
        assert_eq!(table.lines(80), ["  目目     1 kB  x", "  abcde  118 kB"]);
    }

    #[test]
    fn table_only_flexible_column_shrinks() {
        let mut table = Table::new(0, 1);
        table.row([
            Cell::new("3f2a8c1e"),
            Cell::new("a rather long title of a session"),
            Cell::new("added"),
        ]);
        assert_eq!(table.lines(34), ["3f2a8c1e  a rather long ti…  added"]);
        assert_eq!(
            table.lines(1),
            ["3f2a8c1e  a rather lo…  added"],
            "never narrower than a few words"
        );
    }

    #[test]
    fn table_long_path_leaves_flexible_column_its_share() {
        let table = |title: &str, path: &str| {
            let mut table = Table::new(0, 1).with_paths(2);
            table.row([
                Cell::new("3f2a8c1e"),
                Cell::new(title),
                Cell::new(path),
                Cell::new("1 h ago"),
            ]);
            table.lines(60).remove(0)
        };
        let (title, path) = (
            "fix the login form of the shop",
            "~/work/customers/a-long-name/website/frontend",
        );
        assert_eq!(
            table(title, path),
            "3f2a8c1e  fix the login form of t…  ~/wo…e/frontend  1 h ago"
        );
        assert_eq!(
            table("fix it ", path),
            "3f2a8c1e  fix it   ~/work/cus…name/website/frontend  1 h ago"
        );
        assert_eq!(
            table(title, "~/app"),
            "3f2a8c1e  fix the login form of the shop  ~/app  1 h ago"
        );
        assert_eq!(cut_path("~/目目目目", 7), "~/…目目");
        let endless = format!("~/{}/frontend", "x".repeat(2_000_000));
        assert_eq!(cut_path(&endless, 13), "~/xx…frontend", "in no time");
    }

    #[test]
    fn table_wide_character_is_never_split() {
        assert_eq!(cut("目目目", 4), "目…");
        assert_eq!(cut("目目目", 6), "目目目");
    }
}
