//! `ccsync status`: what is to be pushed or pulled, who works on what, and as of when.

mod command;
mod document;
mod show;
mod summary;
#[cfg(test)]
mod tests;

pub(in crate::cli) use command::{StatusArgs, run};
