//! Puts the pieces in order: plan, then push or pull, then report.
//!
//! Owns the two data flows of the program. Must not print, prompt or read the environment: settings arrive as arguments,
//! progress leaves through [`crate::domain::progress::Progress`].
//!
//! * `push`, `pull`: the two directions; `plan` decides for both; [`choice`]: which sessions travel at all
//! * `compare`, `views`: whether a local file is a stored one, and how a stored line reads here
//! * `storing`: one session upward; `ground`: with which roots; `collect`: collapse, prove, cut
//! * `writing`: one session downward; `parallel`: many at once
//! * `merge`, `fork`: two histories of one session
//! * `send`: the remote; [`locks`]: who holds which session; `leases`: this machine's locks in a push
//! * `prose`: what lies beside sessions: memory, the user's `CLAUDE.md`, settings
//! * `resume`: continuing a session under its lock; `told`: what the model is told when it moved
//! * `index`: the cache that makes all this cheap; `gone`: what was removed here; `leftovers`: what a killed ccsync left; `by_session`: a small
//!   file about sessions
//! * `verify`: whether all places agree; `repair`: a healed copy of what is damaged
//! * `clones`: the clones of projects on this machine; `repo`: which of them `{{REPO}}` of a session is
//! * `project`: where a session's project is, and from where it could be cloned
//! * `notes`: what a person leaves for the other machines
//! * `history`: what happened to the store; `restore`: earlier states of sessions; `milestones`: names for states; `held`: what stays put back
//! * [`doctor`]: everything that this program needs
//! * [`mod@import`]: what another program has stored
//! * `search`, `show`: what was said, found and shown without a lock; `stored`: the store, opened for that
//! * `set_up`, `learn`, `set_path`, `machines`: this machine, what it takes over from the others, and all of them
//! * `status`, `list`, `undo`: the smaller commands; `look`: the end of a conversation; `named`: sessions as people name them

mod by_session;
mod context;
mod error;
mod identity;
mod message;
mod paths;
mod undo;
pub mod choice;
mod clones;
mod collect;
mod compare;
pub mod doctor;
mod fork;
mod gone;
mod ground;
mod held;
mod history;
pub mod import;
mod index;
mod learn;
mod leases;
mod leftovers;
mod list;
pub mod locks;
mod look;
mod machines;
mod merge;
mod milestones;
mod named;
mod notes;
mod parallel;
mod place;
mod plan;
mod project;
mod prose;
mod pull;
mod push;
mod repair;
mod repo;
pub mod report;
mod restore;
mod resume;
mod search;
mod send;
mod set_path;
mod set_up;
mod show;
mod since;
mod status;
mod stored;
mod stored_before;
mod storing;
mod text;
mod told;
pub mod verification;
mod verify;
mod views;
mod work;
mod writing;

pub use history::{Change, LogEntry, LogRequest, SessionChange, log};
pub use import::{ImportReport, import};
pub use learn::ForeignPlaceholder;
pub use list::{ListFilter, SessionRow, list};
pub use look::last_turns;
pub use machines::{
    Forgotten, MachineRow, Machines, forget_machine, machine_to_forget, machines, rename_machine,
};
pub use milestones::{MadeMilestone, MilestoneRow, make_milestone, milestones};
pub use notes::{InvalidNote, KeptNote, LeftNote, leave_note, mark_as_shown, notes};
pub use identity::identity_at;
pub use project::{
    MissingProject, ProjectHere, ProposedClone, UnmappedRoot, clone_project,
    project_here,
};
pub use prose::{Decided, Proposal, apply, proposals};
pub use pull::{PullRequest, pull};
pub use undo::{UndoReport, undo};
pub use push::{push, push_selected};
pub use repair::{FileFindings, HealedCopy, RepairReport, RepairRequest, repair};
pub use restore::{
    RestoreReport, RestoreRequest, RestoreWhat, RestoredSession, SkippedSession, restore,
};
pub use resume::{Candidate, Candidates, Finished, back_up, candidates, finish};
pub use search::{Case, PatternError, SearchReport, SearchRequest, Unreadable, search};
pub use set_path::{set_path, set_paths_here};
pub use set_up::{SetUp, SetUpReport, set_up, set_up_by_default};
pub use show::{Shown, ShownSession, Source, show};
pub use stored_before::stored_before;
pub use status::{Status, status};
pub use told::what_to_tell;
pub use verify::{VerifyRequest, verify};
pub use context::{Context, LOCK_WAIT};
pub use error::SyncError;
use message::in_words;
pub(crate) use paths::damaged_names;
pub use paths::{config_path, embedded_remote_path, store_path};
