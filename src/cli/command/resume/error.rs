//! The errors of `ccsync resume`, with their hints.

use std::path::{Path, PathBuf};

use crate::domain::{ErrorKind, SessionId, UserError, shell::shell_word};
use crate::handoff::project_here::MissingProject;
use crate::session::live::ClientProcess;
use crate::ui::{format::project, format::short_id, picker::PickError, sanitize};
use crate::workspace::ExcludeReason;

/// Warning about a session without a lock.
pub(in crate::cli) const WITHOUT_LOCK: &str = "without a lock another machine may continue the session too; \
     then both versions are kept, yours as a fork";

/// An error before Claude Code runs. Texts from other machines are sanitized when the
/// error is shown.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ResumeError {
    #[error("do not pass `{0}`: ccsync chooses the session")]
    ChosenTwice(String),
    #[error("do not pass `{0}`: the session would go on without ccsync, when its lock is released")]
    LeavesTerminal(String),
    #[error("no session to continue")]
    Nothing,
    #[error("no terminal to choose a session on")]
    NoTerminal,
    #[error("cannot lock the session: {0}")]
    Offline(String),
    #[error("session {session} is running on this machine (process {pid})")]
    HeldHere { session: SessionId, pid: u32 },
    #[error("session {session} is running on this machine ({client})")]
    OpenHere {
        session: SessionId,
        client: ClientProcess,
    },
    #[error("session {session} is locked by {by}")]
    HeldBy { session: SessionId, by: String },
    #[error("cannot pull session {session}: {reason}")]
    NotPulled { session: SessionId, reason: String },
    #[error("session {session} is excluded by the settings: {why}")]
    Excluded {
        session: SessionId,
        why: ExcludeReason,
    },
    #[error("sessions in `{}` are excluded by the settings: {why}", directory.display())]
    ExcludedDirectory {
        directory: PathBuf,
        why: ExcludeReason,
    },
    #[error("no record of session {0} names its directory")]
    NoProject(SessionId),
    #[error("the project {} of session {session} is not on this machine", project(missing.project.as_str()))]
    ProjectMissing {
        session: SessionId,
        missing: Box<MissingProject>,
    },
    #[error("no directory `{}`", .0.display())]
    NoDirectory(PathBuf),
    #[error("cannot show the list of sessions")]
    Picker(#[source] PickError),
}

impl UserError for ResumeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ChosenTwice(_)
            | Self::LeavesTerminal(_)
            | Self::NoTerminal
            | Self::NoDirectory(_) => ErrorKind::Usage,
            Self::Offline(_) => ErrorKind::Remote,
            Self::HeldHere { .. } | Self::OpenHere { .. } | Self::HeldBy { .. } => {
                ErrorKind::Locked
            }
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::ChosenTwice(_) => "name the session: `ccsync resume SESSION`; or begin one: `ccsync start`".to_owned(),
            Self::LeavesTerminal(option) => {
                return vec![
                    "with ccsync, Claude Code runs in this terminal until it ends".to_owned(),
                    format!("without a lock: `claude {option}`, and `ccsync push` when it has ended"),
                ];
            }
            Self::Nothing => "begin one with `ccsync start`".to_owned(),
            Self::NoTerminal | Self::Picker(_) => {
                "name it with `ccsync resume SESSION`, or take the newest with `ccsync resume --latest`".to_owned()
            }
            Self::Offline(_) => {
                let offline = "to continue without a lock, add `--offline`".to_owned();
                return vec![offline, WITHOUT_LOCK.to_owned()];
            }
            Self::OpenHere { client, .. } if client.is_foreign => {
                "exit Claude Code there; if it has ended already, remove that file".to_owned()
            }
            Self::OpenHere { session, client } if client.is_background => {
                let id = short_id(session.as_str());
                return vec![
                    format!("open it with `claude attach {id}`"),
                    format!("or end it with `claude stop {id}`, then repeat this command"),
                ];
            }
            Self::HeldHere { .. } | Self::OpenHere { .. } => "continue in that terminal, or exit Claude Code there".to_owned(),
            Self::HeldBy { session, .. } => {
                return vec![
                    format!("exit it there, or run `ccsync resume {session} --take-over`"),
                    "list the locks with `ccsync lock show`".to_owned(),
                ];
            }
            Self::NotPulled { session, .. } => format!("check it with `ccsync verify {session}`"),
            Self::Excluded { session, .. } => format!(
                "to continue without ccsync: `ccsync pull {session}`, then `claude --resume {session}`"
            ),
            Self::ExcludedDirectory { .. } => "to begin one without ccsync, run `claude`".to_owned(),
            Self::NoProject(session) => {
                format!("see where it is stored with `ccsync list --json | grep {session}`")
            }
            Self::ProjectMissing { session, missing } => return project_hints(session, missing),
            Self::NoDirectory(path) => format!("create it with `mkdir -p {}`", shell_word(path)),
        };
        vec![hint]
    }
}

/// Returns the commands that get the project to this machine.
fn project_hints(session: &SessionId, missing: &MissingProject) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(root) = &missing.unmapped {
        hints.push(format!(
            "if it is here, run `ccsync config add-placeholder {}=/its/directory`",
            root.name
        ));
    }
    // The store names the paths, so that they must not stand in a command.
    let path = |path: &Path| sanitize::one_line(&path.to_string_lossy()).into_owned();
    let resume = format!("ccsync resume {session}");
    if let Some(clone) = &missing.clone {
        let from = sanitize::one_line(&clone.remote.to_string()).into_owned();
        hints.push(format!(
            "to clone {from} into {}: `{resume} --missing clone`",
            path(&clone.into)
        ));
    }
    if let Some(directory) = missing.to_create() {
        hints.push(format!(
            "to create {}: `{resume} --missing create`",
            path(directory)
        ));
    }
    if let Some(nearest) = &missing.nearest {
        hints.push(format!(
            "to continue in {}: `{resume} --missing nearest`",
            path(nearest)
        ));
    }
    hints.push(format!(
        "to continue in another directory, such as another clone: `{resume} --directory DIR`"
    ));
    hints
}
