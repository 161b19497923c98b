//! Which columns fit on a line, and how wide they are. Pure.
//!
//! Age and title are always there. The others come in an order of usefulness as far as the width reaches, so that a narrow screen
//! loses the size first and the project last.

use std::ops::Range;

use dialoguer::console::measure_text_width;

use super::row::Row;

/// Between two columns.
const GAP: usize = 2;
/// A title that is cut keeps this many cells before another column is given any.
const LEAST_TITLE: usize = 24;
/// Of a project's path the end is shown, in at most this part of a line.
const PROJECT_PART: usize = 4;
const WIDEST_MACHINE: usize = 16;
const WIDEST_LOCK: usize = 24;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Age,
    Project,
    Title,
    Machine,
    Size,
    Lock,
    Marks,
}

use Column::{Age, Lock, Machine, Marks, Project, Size, Title};

/// As they stand on a line.
const IN_LINE: [Column; 7] = [Age, Project, Title, Machine, Size, Lock, Marks];
/// As they are given up, the last first.
const BY_USE: [Column; 5] = [Project, Lock, Machine, Marks, Size];

/// How wide each column would like to be: as its widest text. Fixed for a list, so that typing moves nothing sideways.
pub(super) struct Wishes([usize; 7]);

impl Wishes {
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut wishes = [0; 7];
        for row in rows {
            for column in IN_LINE {
                let wish = &mut wishes[column as usize];
                *wish = (*wish).max(measure_text_width(column.text(row)));
            }
        }
        // A column in which nothing stands is left out, and so has no heading either.
        for column in IN_LINE.into_iter().filter(|column| *column != Title) {
            let wish = &mut wishes[column as usize];
            if *wish > 0 {
                *wish = (*wish).max(column.heading().len());
            }
        }
        Self(wishes)
    }

    fn of_column(&self, column: Column, width: usize) -> usize {
        let widest = match column {
            Project => (width / PROJECT_PART).max(column.heading().len()),
            Machine => WIDEST_MACHINE,
            Lock => WIDEST_LOCK,
            _ => usize::MAX,
        };
        self.0[column as usize].min(widest)
    }

    /// The columns for a line of `width` cells, with the cells each of them has.
    pub(super) fn layout(&self, width: usize) -> Vec<(Column, Range<usize>)> {
        let age = self.of_column(Age, width);
        let mut left = width.saturating_sub(if age > 0 { age + GAP } else { 0 });
        let mut chosen = vec![Age, Title];
        for column in BY_USE {
            let wish = self.of_column(column, width);
            if wish == 0 {
                continue;
            }
            if left < LEAST_TITLE + GAP + wish {
                break;
            }
            left -= GAP + wish;
            chosen.push(column);
        }
        let mut at = 0;
        let mut placed = Vec::new();
        for column in IN_LINE.into_iter().filter(|column| chosen.contains(column)) {
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

impl Column {
    pub(super) fn text(self, row: &Row) -> &str {
        match self {
            Age => &row.age,
            Project => &row.project,
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
            Title => "title",
            Machine => "machine",
            Size => "size",
            Lock => "open on",
            Marks => "",
        }
    }

    /// Numbers lean right.
    pub(super) fn is_right_aligned(self) -> bool {
        self == Size
    }
}
