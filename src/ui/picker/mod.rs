//! Lets the user choose one session, with a preview of each.
//!
//! Each word of the filter must occur in a session's title, project, machine, first words or id,
//! in any case. The order never changes: first the sessions of the current project, then the
//! others, each with the newest first. Draws on standard error; standard output stays data.
//! Must not read sessions itself: rows and previews are passed in.

mod columns;
mod draw;
mod item;
mod key;
mod lines;
mod pick;
mod preview;
mod row;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

pub(crate) use item::{Fetched, Item, PickError, Picked, PickerOptions, Preview};
pub(crate) use pick::pick;
