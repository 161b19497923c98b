//! STUB, to be deleted at merge: the interface of `sync` that the commands call, without a body.
#![allow(missing_docs, reason = "stub")]

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::config::{ConfigError, Settings};
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Progress;
use crate::domain::root::RootName;
use crate::sync::report::{RemoteState, Report, SessionReport};
use crate::sys::clock::Clock;
use crate::sys::env::Env;
use crate::sys::fs::PathError;
use crate::sys::lock::LockError;
use crate::transport::remote::RemoteError;
use crate::transport::url::RemoteUrl;

pub struct Context<'a> {
    pub env: &'a Env,
    pub settings: Settings,
    pub clock: &'a dyn Clock,
    pub progress: &'a dyn Progress,
    pub interactive: bool,
}

pub struct SetUp {
    pub remote: Option<RemoteUrl>,
    pub name: Option<String>,
    pub placeholders: Vec<(RootName, PathBuf)>,
}

pub struct SetUpReport {
    pub machine_name: String,
    pub remote_display: String,
    pub embedded: bool,
    pub first_time: bool,
    pub other_machines: Vec<String>,
    pub carried: u64,
    pub roots: Vec<(String, String)>,
    pub unmapped: Vec<String>,
    pub remote: RemoteState,
}

pub struct PullRequest {
    pub sessions: Vec<SessionId>,
    pub dry_run: bool,
    pub force: bool,
    pub days: Option<u32>,
}

pub struct Status {
    pub machine: String,
    pub remote: String,
    pub store: PathBuf,
    pub head: Option<CommitId>,
    pub queued_commits: u64,
    pub last_push: Option<DateTime<Utc>>,
    pub sessions_here: u64,
    pub sessions_in_store: u64,
    pub to_push: Vec<SessionReport>,
    pub to_pull: Vec<SessionReport>,
    pub running: Vec<SessionId>,
    pub machines: Vec<(String, Option<DateTime<Utc>>)>,
}

pub struct ListFilter {
    pub remote: bool,
    pub project: Option<String>,
    pub from: Option<String>,
}

#[derive(Clone)]
pub struct SessionRow {
    pub session: SessionId,
    pub project: Option<String>,
    pub title: Option<String>,
    pub last_activity: Option<DateTime<Utc>>,
    pub machine: Option<String>,
    pub lines: u64,
    pub bytes: u64,
    pub here: bool,
    pub in_store: bool,
    pub fork_of: Option<SessionId>,
}

pub struct UndoReport {
    pub restored: Vec<PathBuf>,
    pub kept: Vec<(PathBuf, String)>,
    pub pulled_at: DateTime<Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error("this machine has not been set up")]
    NotSetUp,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("the store has format {found}, and this ccsync knows formats up to {known}")]
    NewerStore { found: u64, known: u64 },
    #[error("there is no session `{0}` in the store")]
    UnknownSession(SessionId),
    #[error("there is no machine `{0}`")]
    UnknownMachine(String),
    #[error("interrupted")]
    Interrupted,
}

pub fn set_up(_: &Env, _: &dyn Clock, _: &dyn Progress, _: bool, _: SetUp) -> Result<SetUpReport, SyncError> {
    Err(SyncError::NotSetUp)
}
pub fn push(_: &Context<'_>, _: bool) -> Result<Report, SyncError> {
    Err(SyncError::NotSetUp)
}
pub fn pull(_: &Context<'_>, _: &PullRequest) -> Result<Report, SyncError> {
    Err(SyncError::NotSetUp)
}
pub fn status(_: &Context<'_>) -> Result<Status, SyncError> {
    Err(SyncError::NotSetUp)
}
pub fn list(_: &Context<'_>, _: &ListFilter) -> Result<Vec<SessionRow>, SyncError> {
    Err(SyncError::NotSetUp)
}
pub fn undo(_: &Context<'_>) -> Result<Option<UndoReport>, SyncError> {
    Err(SyncError::NotSetUp)
}
pub fn set_path(_: &Context<'_>, _: RootName, _: &str, _: &str) -> Result<(), SyncError> {
    Err(SyncError::NotSetUp)
}
