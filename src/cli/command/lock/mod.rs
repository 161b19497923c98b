//! `ccsync lock`: who works on which session, and releasing locks.

mod command;
mod release;
mod show;

pub(in crate::cli) use command::{LockArgs, run};
#[cfg(test)]
pub(in crate::cli) use show::tests::localizer as one_of_each;
pub(in crate::cli) use show::{LockRow, holder, row};
