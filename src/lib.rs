//! `ccsync` keeps Claude Code sessions in a private git repository, so that a conversation started
//! on one machine continues on another.
//!
//! # The flows
//!
//! Each begins in `cli/command/`, and prints its `report/` in the end. One function a step:
//!
//! **push**, `flows/push.rs`
//! 1. `workspace/open.rs`: process lock, store, records; beside it `session/discover.rs`
//! 2. `flows/push_plan.rs`: compare each session with the store (`flows/compare.rs`)
//! 3. `flows/push_commit.rs`: collapse new lines (`localize/collect.rs`, `rewrite/`), cut
//!    them into segments, write manifest and commit (`store/transaction/`)
//! 4. `extras/push.rs`: the same for memory, CLAUDE.md, plans and settings
//! 5. `flows/remote_sync.rs`: push commits and renewed locks together
//!    (`transport/git_cli.rs`); if the remote has moved, fetch, merge (`flows/merge.rs`) and
//!    try again; offline, the commits wait for the next command
//!
//! **pull**, `flows/pull.rs`
//! 1. `workspace/open.rs`, then fetch and merge (`flows/remote_sync.rs`, `flows/merge.rs`)
//! 2. `flows/pull_planner.rs`: decide what to do with each session (`flows/pull_step.rs`)
//! 3. `flows/pull_forks.rs`: if both sides have new turns, the tail of this machine becomes a fork
//! 4. `flows/write_session.rs`: find the directory (`localize/location.rs`), expand
//!    (`localize/localizer.rs`, `rewrite/`), write so that `undo` can restore (`session/journal/`)
//! 5. `extras/pull.rs`; then push the forks
//!
//! **resume**, `cli/command/resume/`
//! 1. list candidates (`handoff/resume.rs`), let the user choose (`ui/picker/`), fetch meanwhile
//! 2. acquire the lock (`leasing/acquire.rs`), push, pull the session, find its project's directory
//!    (`handoff/project_here.rs`)
//! 3. run Claude Code (`session/launch.rs`); meanwhile a keeper (`keeper/keep.rs`) pushes new turns
//!    and renews the lock
//! 4. push the last turns and release the lock (`keeper/send.rs`)
//!
//! **by itself**, `daemon/`
//! 1. a hook of Claude Code leaves an event and starts the daemon (`daemon/hook.rs`,
//!    `daemon/start.rs`); the guard may return a prompt (`daemon/guard.rs`)
//! 2. the daemon (`daemon/run.rs`) is woken by changes of files (`daemon/watch.rs`)
//! 3. it has a keeper, which follows the open sessions (`keeper/open_sessions.rs`), decides when
//!    to act (`keeper/pace.rs`), and locks, pushes and releases (`keeper/keep.rs`)
//! 4. it pulls from time to time
//!
//! # Words
//!
//! All are in `docs/dev/glossary.md`; these are needed to read on.
//!
//! * **store**: the git repository with all sessions, on this machine; **remote**: where it is
//!   pushed to.
//! * **placeholder**: a name for a directory (`HOME`, `WORK`). **Collapse**: write `{{HOME}}` for
//!   the directory; **expand**: the reverse.
//! * **segment**: a piece of a transcript, one file in the store; **manifest**: one session's
//!   description there, with its **runs**: which machine wrote which lines, and with which
//!   placeholders.
//! * **lock**: a record on the remote that a machine continues a session; **lease**: this machine's
//!   right to do so, while it renews the lock.
//! * **fork**: a copy under a new id that keeps the turns of one side, if two machines continued.
//! * **extras**: synced files that are not sessions; a **bundle** has those of one owner (a
//!   project, the user).
//! * **milestone**: a name for a state of the whole store; **note**: a message for other machines.
//! * `repair` makes a healed copy of one session, `recover` pushes what a crash left, `restore`
//!   returns to a state of the store, `undo` reverses the last pull or restore.
//!
//! # Folders
//!
//! Each may use only folders of earlier rows, and no files use each other in a circle
//! (`tests/layers.rs` checks both).
//!
//! | folder | owns |
//! |---|---|
//! | [`domain`] | the common types: ids, paths, placeholders, sizes, turns, hits. No I/O |
//! | [`sys`] | clock, environment, files, locks between processes, signals, worker pool |
//! | [`rewrite`] | collapse and expand the bytes of one line. Pure |
//! | [`config`] | configuration file and environment, resolved into settings |
//! | [`secrets`] | finds credentials in text; the vault that keeps their values here |
//! | [`encryption`] | keys and sealed frames of an encrypted store. Pure |
//! | [`session`] | Claude Code's files: discover, read, write with an undo journal, repair |
//! | [`store`] | the store: segments, manifests, commits; a pack reader faster than `libgit2` |
//! | [`transport`] | fetch, push and clone with the user's `git`; GitHub with `gh` |
//! | [`remote`] | the remote of a store: as it is, or behind a mirror with sealed commits |
//! | [`lock`] | what a lock says, when it expires and how it may change. Pure |
//! | [`project`] | what is checked out in a directory of the user, read with `git2` |
//! | [`report`] | what a command did, as data: the JSON documents |
//! | [`checkouts`] | the user's clones on this machine, and which session belongs to which |
//! | [`localize`] | `rewrite` with this machine's placeholders; where a session belongs here |
//! | [`workspace`] | what one run has open: store, records of earlier runs, leases, filter |
//! | [`extras`] | memory, CLAUDE.md, plans, settings: compare, merge, approve |
//! | [`flows`] | push, pull, and the merge of two histories |
//! | [`leasing`] | acquire, take over, release and show locks on the remote |
//! | [`deletion`] | deleting sessions, bringing them back, purging the history |
//! | [`history`] | log, restore, milestones, undo |
//! | [`browse`] | list, show, status, search; read-only |
//! | [`check`] | verify, repair, doctor |
//! | [`import`] | sessions of other tools: a copied `~/.claude`, a store of `claude-session-sync` |
//! | [`machine`] | this machine and the others: set-up, names, placeholders, notes between them |
//! | [`handoff`] | `resume` and `start`: candidates, project directory, path notice |
//! | [`keeper`] | keeps open sessions for `resume`, `start`, the daemon: locks, backups |
//! | [`daemon`] | syncs by itself: hooks of the client, the process behind them, the guard |
//! | `ui` | tables, picker, progress, colours, JSON |
//! | [`cli`] | arguments in, exit code out; one file or folder per command |

pub mod browse;
pub mod check;
pub mod checkouts;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod deletion;
pub mod domain;
pub mod encryption;
pub mod extras;
pub mod flows;
pub mod handoff;
pub mod history;
pub mod import;
pub mod keeper;
pub mod leasing;
pub mod localize;
pub mod lock;
pub mod machine;
pub mod project;
pub mod remote;
pub mod report;
pub mod rewrite;
pub mod secrets;
pub mod session;
pub mod store;
pub mod sys;
pub mod transport;
mod ui;
pub mod workspace;
