//! `ccsync` keeps Claude Code sessions in a private git repository, so that a conversation begun on one machine
//! continues on another.
//!
//! ```text
//! push:  session::discover -> rewrite::collapse -> store (segments, commit) -> transport::push
//! pull:  transport::fetch  -> store (merge)     -> rewrite::expand          -> session::materialise
//! resume: pull -> lock (acquire) -> the client, beside it push with renewals -> push with the release
//! ```
//!
//! The modules, bottom-up; each may use only those above it in this list (`tests/layers.rs` checks it):
//!
//! | module        | what it owns                                                                          |
//! |---------------|---------------------------------------------------------------------------------------|
//! | [`domain`]    | vocabulary: ids, local and portable paths, roots, progress. No I/O                      |
//! | [`sys`]       | the outside world, narrow: clock, environment, files, processes, signals                |
//! | [`rewrite`]   | local bytes to portable bytes and back. Pure                                          |
//! | [`config`]    | the configuration file, environment and flags resolved into [`config::Settings`]      |
//! | [`session`]   | what the client leaves on disk: where sessions lie, how they are found and written    |
//! | [`store`]     | this machine's clone: segments, manifests, commits, merging. The main user of `git2`  |
//! | [`transport`] | the only place that runs `git` against a network, and `gh`                            |
//! | [`lock`]      | leases: what a lock says, when it has expired, what this machine believes to hold       |
//! | [`project`]   | the user's git repository that a session works in: read, compared. Uses `git2`, too   |
//! | [`sync`]      | puts the pieces in order: plan, then push or pull, then report. Also what travels      |
//! |               | beside sessions, history, search, import, and the checks                              |
//! | `ui`          | everything a person sees: tables, the picker, progress, colours, JSON                 |
//! | [`cli`]       | arguments in, exit code out; one file per command                                     |

pub mod browse;
pub mod check;
pub mod checkouts;
pub mod cli;
pub mod config;
pub mod domain;
pub mod extras;
pub mod flows;
pub mod handoff;
pub mod history;
pub mod import;
pub mod leasing;
pub mod localize;
pub mod lock;
pub mod machine;
pub mod project;
pub mod report;
pub mod rewrite;
pub mod session;
pub mod store;
pub mod sys;
pub mod transport;
mod ui;
pub mod workspace;
