//! `ccsync init`: gives this machine an id, a name and a remote, and changes any of them.

mod answers;
mod args;
mod auto;
mod command;
mod directory;
mod encryption;
mod ensure;
mod error;
mod key;
mod placeholders;
mod remote;
mod show;

pub(in crate::cli) use args::InitArgs;
pub(in crate::cli) use command::run;
pub(in crate::cli) use ensure::{ensure, notice_copy};
pub(in crate::cli) use placeholders::explain_stored;
pub(in crate::cli) use remote::refuse_open;
