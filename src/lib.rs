//! `ccsync` keeps Claude Code sessions in a private git repository, so that a conversation started
//! on one machine continues on another.
//!
//! ```text
//! push:  session::discover -> rewrite::collapse -> store (segments, commit) -> transport::push
//! pull:  transport::fetch  -> store (merge)     -> rewrite::expand          -> session::journal
//! ```
//!
//! The folders, bottom-up; each may use only folders above it in this table (`tests/layers.rs`
//! checks this, and that no files use each other in a circle):
//!
//! | folder | owns |
//! |---|---|
//! | [`domain`] | ids, paths, placeholders, sizes, times, progress. No I/O |
//! | [`sys`] | clock, environment, files, processes, signals, worker pool |
//! | [`rewrite`] | local text to portable text and back. Pure |
//! | [`config`] | configuration file and environment, resolved into settings |
//! | [`session`] | Claude Code's files: discover, read, write, repair, undo |
//! | [`store`] | the git repository with all sessions: segments, manifests, commits |
//! | [`transport`] | `git` and `gh` over a network |
//! | [`lock`] | lock records, their expiry and changes |
//! | [`project`] | the user's repositories, read with `git2` |
//! | [`report`] | what a command did, as data: the JSON documents |
//! | [`checkouts`] | working trees on this machine, and which session belongs to which |
//! | [`localize`] | stored lines to local text and back; where a session belongs |
//! | [`workspace`] | the opened state of one run: store, records, leases, rules |
//! | [`extras`] | memory, CLAUDE.md, plans, settings: compare, merge, approve |
//! | [`flows`] | push and pull |
//! | [`leasing`] | acquire, take over, release and show locks |
//! | [`history`] | log, restore, milestones, undo |
//! | [`browse`] | list, show, status, search; read-only |
//! | [`check`] | verify, repair, doctor |
//! | [`import`] | sessions from other tools |
//! | [`machine`] | set-up, names, placeholders and notes of machines |
//! | [`handoff`] | one session for one run of Claude Code |
//! | `ui` | tables, picker, progress, colours, JSON |
//! | [`cli`] | arguments in, exit code out; one file per command |

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
