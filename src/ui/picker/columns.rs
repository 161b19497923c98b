//! Chooses the columns that fit on a line, and their widths. Pure.
//!
//! Age and title are always shown. The others are added by usefulness, as far as the
//! width reaches: a narrow screen loses the size first and the project last.

use std::ops::Range;

use dialoguer::console::measure_text_width;

use super::row::PickerRow;

/// Space between two columns, in cells.
const GAP: usize = 2;
/// Minimum width of a title while other columns are shown, in cells.
const MIN_TITLE: usize = 24;
/// A project's path gets at most this fraction of a line; its end is shown.
const PROJECT_PART: usize = 4;
/// Maximum width of the column, in cells.
const MAX_BRANCH: usize = 20;
/// Maximum width of the column, in cells.
const MAX_MARKS: usize = 28;
/// Maximum width of the column, in cells.
const MAX_MACHINE: usize = 16;
/// Maximum width of the column, in cells.
const MAX_LOCK: usize = 24;

/// A column of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Age,
    Project,
    Branch,
    Title,
    Machine,
    Size,
    Lock,
    Marks,
}

use Column::{Age, Branch, Lock, Machine, Marks, Project, Size, Title};

/// Order of the columns on a line.
const ON_LINE: [Column; 8] = [Age, Project, Branch, Title, Machine, Size, Lock, Marks];
/// The columns that are as wide as their widest text. A title gets what is left.
const MEASURED: [Column; 7] = [Age, Project, Branch, Machine, Size, Lock, Marks];
/// The optional columns, the most useful one first.
const BY_USE: [Column; 6] = [Project, Lock, Machine, Marks, Branch, Size];

/// Preferred width of each column: that of its widest text. Constant for a list, so that
/// typing does not move the columns.
pub(super) struct PreferredWidths([usize; 8]);

impl PreferredWidths {
    pub(super) fn from_rows(rows: &[PickerRow]) -> Self {
        let mut widths = [0; 8];
        for row in rows {
            for column in MEASURED {
                let width = &mut widths[column as usize];
                *width = (*width).max(cells(column.text(row)));
            }
        }
        // An empty column is omitted with its heading.
        for column in MEASURED {
            let width = &mut widths[column as usize];
            if *width > 0 {
                *width = (*width).max(column.heading().len());
            }
        }
        Self(widths)
    }

    fn of_column(&self, column: Column, width: usize) -> usize {
        let widest = match column {
            Project => (width / PROJECT_PART).max(column.heading().len()),
            Branch => MAX_BRANCH,
            Machine => MAX_MACHINE,
            Marks => MAX_MARKS,
            Lock => MAX_LOCK,
            _ => usize::MAX,
        };
        self.0[column as usize].min(widest)
    }

    /// Returns the columns that fit on a line of `width` cells, with their positions.
    pub(super) fn layout(&self, width: usize) -> Vec<(Column, Range<usize>)> {
        let age = self.of_column(Age, width);
        let mut left = width.saturating_sub(if age > 0 { age + GAP } else { 0 });
        let mut chosen = vec![Age, Title];
        for column in BY_USE {
            let cells = self.of_column(column, width);
            if cells == 0 {
                continue;
            }
            if left < MIN_TITLE + GAP + cells {
                break;
            }
            left -= GAP + cells;
            chosen.push(column);
        }
        let mut at = 0;
        let mut placed = Vec::new();
        for column in ON_LINE.into_iter().filter(|column| chosen.contains(column)) {
            let cells = if column == Title {
                left
            } else {
                self.of_column(column, width)
            };
            if cells > 0 {
                placed.push((column, at..at + cells));
                at += cells + GAP;
            }
        }
        placed
    }
}

/// Returns the width of a text without control characters.
fn cells(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => measure_text_width(text),
    }
}

impl Column {
    pub(super) fn text(self, row: &PickerRow) -> &str {
        match self {
            Age => &row.age,
            Project => &row.project,
            Branch => &row.branch,
            Title => &row.title,
            Machine => &row.machine,
            Size => &row.size,
            Lock => &row.lock,
            Marks => &row.marks,
        }
    }

    pub(super) fn heading(self) -> &'static str {
        match self {
            Age => "active",
            Project => "project",
            Branch => "branch",
            Title => "title",
            Machine => "machine",
            Size => "size",
            Lock => "open on",
            Marks => "",
        }
    }

    /// Returns true if the filter searches the column.
    pub(super) fn is_searched(self) -> bool {
        !matches!(self, Age | Size)
    }

    /// Returns true for a column of numbers.
    pub(super) fn is_right_aligned(self) -> bool {
        self == Size
    }
}
