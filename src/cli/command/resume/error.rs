//! Why a session is not continued, and what to do about it.

use std::path::PathBuf;

use crate::cli::error::{CliError, Kind, shell_word};
use crate::domain::id::SessionId;
use crate::handoff::project_here::MissingProject;
use crate::ui::format::project;
use crate::ui::picker::PickError;
use crate::ui::sanitize;
use crate::workspace::filter::ExcludeReason;

/// What happens where two go on without knowing of each other.
pub(in crate::cli) const WITHOUT_LOCK: &str = "without a lock another machine may go on with the session too; then both sides are kept, yours as a fork";

/// What goes wrong before the client runs. Texts from elsewhere are sanitised where the error is shown.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ResumeError {
    #[error("`{0}` lets the client choose a session, which is ccsync's part here")]
    ChosenTwice(String),
    #[error("there is no session to continue")]
    Nothing,
    #[error("there is no terminal to choose a session on")]
    NoTerminal,
    #[error("the remote cannot be reached: {0}")]
    Offline(String),
    #[error("session {session} is running on this machine (process {pid})")]
    HeldHere { session: SessionId, pid: u32 },
    #[error("session {session} is locked by {by}")]
    HeldBy { session: SessionId, by: String },
    #[error("session {session} could not be brought here: {reason}")]
    NotBrought { session: SessionId, reason: String },
    #[error("session {session} is left out by the settings: {why}")]
    Excluded {
        session: SessionId,
        why: ExcludeReason,
    },
    #[error("what is said in `{}` is left out by the settings: {why}", directory.display())]
    DirectoryLeftOut {
        directory: PathBuf,
        why: ExcludeReason,
    },
    #[error("no record of session {0} says in which directory it belongs")]
    NoProject(SessionId),
    #[error("the project {} of session {session} is not on this machine", project(missing.project.as_str()))]
    ProjectMissing {
        session: SessionId,
        missing: Box<MissingProject>,
    },
    #[error("there is no directory `{}`", .0.display())]
    NoDirectory(PathBuf),
    #[error("the list of sessions cannot be shown")]
    Picker(#[source] PickError),
}

impl From<ResumeError> for CliError {
    fn from(error: ResumeError) -> Self {
        let hint = |text: &str| vec![text.to_owned()];
        let (kind, hints) = match &error {
            ResumeError::ChosenTwice(_) => {
                (Kind::Usage, hint("ccsync resume SESSION, or: ccsync start"))
            }
            ResumeError::Nothing => (
                Kind::Failed,
                hint("to look at all there are: ccsync resume --all; to begin one: ccsync start"),
            ),
            ResumeError::NoTerminal => (
                Kind::Usage,
                hint("ccsync resume SESSION, or: ccsync resume --latest"),
            ),
            ResumeError::Offline(_) => (
                Kind::Remote,
                vec![
                    "to go on without a lock: the same with --offline".to_owned(),
                    WITHOUT_LOCK.to_owned(),
                ],
            ),
            ResumeError::HeldHere { .. } => (
                Kind::Locked,
                hint("go on in that terminal, or end it there"),
            ),
            ResumeError::HeldBy { session, .. } => (
                Kind::Locked,
                vec![
                    format!("end it there, or: ccsync resume {session} --take-over"),
                    "who holds which session: ccsync lock show".to_owned(),
                ],
            ),
            ResumeError::NotBrought { session, .. } => {
                (Kind::Failed, vec![format!("ccsync verify {session}")])
            }
            ResumeError::Excluded { session, .. } => (
                Kind::Failed,
                vec![format!(
                    "to go on without ccsync: ccsync pull {session}, then claude --resume {session}"
                )],
            ),
            ResumeError::DirectoryLeftOut { .. } => {
                (Kind::Failed, hint("to begin one without ccsync: claude"))
            }
            ResumeError::NoProject(session) => (
                Kind::Failed,
                vec![format!(
                    "where it lies: ccsync list --json | grep {session}"
                )],
            ),
            ResumeError::ProjectMissing { session, missing } => {
                (Kind::Failed, ways_out(session, missing))
            }
            ResumeError::NoDirectory(path) => {
                (Kind::Usage, vec![format!("mkdir -p {}", shell_word(path))])
            }
            ResumeError::Picker(_) => (
                Kind::Failed,
                hint("ccsync resume SESSION, or: ccsync resume --latest"),
            ),
        };
        Self::new(kind, error, hints)
    }
}

/// The commands by which the project comes here.
fn ways_out(session: &SessionId, missing: &MissingProject) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(root) = &missing.unmapped {
        hints.push(format!(
            "if it is here: ccsync config add-placeholder {}=/its/directory",
            root.name
        ));
    }
    if let Some(clone) = &missing.clone {
        let from = sanitize::lines(&clone.remote.to_string());
        let into = shell_word(&PathBuf::from(sanitize::lines(
            &clone.into.to_string_lossy(),
        )));
        hints.push(format!(
            "git clone -- {} {into}",
            shell_word(&PathBuf::from(from))
        ));
        hints.push(format!("if there is a clone elsewhere on this machine, in its directory: ccsync resume {session}"));
    } else if let Some(directory) = &missing.directory {
        let directory = PathBuf::from(sanitize::lines(&directory.to_string_lossy()));
        hints.push(format!(
            "if it needs no repository: mkdir -p {}",
            shell_word(&directory)
        ));
    }
    hints
}
