//! A transcript as a conversation: who said what, and which tools were used.
//!
//! Reads whole lines, from any point of a transcript; skips unreadable ones. Excludes what no side
//! said: tool results, reminders, records of sub-agents, and branches that were abandoned by going
//! back. Record kinds as of client 2.1.329. Pure.
//!
//! A transcript is read twice, so that it need not be held in memory: an [`Outline`] finds the
//! records of the conversation, then a [`TurnReader`] returns their turns.

mod count;
mod outline;
mod reader;
mod record;
mod tail;
#[cfg(test)]
mod tests;
mod words;

pub use count::count_user_turns;
pub use outline::Outline;
pub use reader::{TurnReader, last_turns, turns};
pub(super) use record::parse;
pub use tail::{Tail, choice_kind};
pub(super) use words::typed_pieces;
