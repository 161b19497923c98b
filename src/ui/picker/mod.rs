//! Lets the user choose one session, with a preview of each.
//!
//! A pure state takes keys, the mouse and news from other threads; drawing reads it; a thin loop
//! connects both with the terminal. Draws on standard error; standard output stays data. Must not
//! read sessions itself: rows are passed in, and turns come from a [`SessionSource`].
//!
//! * `state`: what a key does; `list`: the rows, their filter and the selection
//! * `fuzzy`: which rows match, and where; `view`: which are listed at all
//! * `bindings`: the table of keys

mod bindings;
mod columns;
mod draw;
mod edit;
mod fuzzy;
mod item;
mod key;
mod layout;
#[cfg(test)]
mod line_tests;
mod lines;
mod list;
mod pick;
mod preview;
mod row;
#[cfg(test)]
mod screen_tests;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod updates;
mod view;

pub(crate) use item::{Fetched, Item, PickError, Picked, PickerOptions, SessionSource};
pub(crate) use pick::pick;
pub(crate) use updates::Updates;
pub(crate) use view::Surroundings;
