//! A stand-in for Claude Code: this program under the name `claude`.
//!
//! It treats the transcript and `sessions/` like Claude Code, and does nothing else.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::transcript::{Script, append_turn};
use crate::cli::{error::CliError, exit::Exit};
use crate::domain::{SessionId, client_dir::client_dir_name};
use crate::session::{files::projects_dir, files::transcript_path};
use crate::sys::{Clock, Env, SystemClock, fs};

/// Maximum time that the stand-in stays open.
const MAX_OPEN: Duration = Duration::from_secs(120);

/// Interval between two checks of a file.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// Files by which the demo directs the stand-in of one machine.
pub(super) struct StageFiles {
    directory: PathBuf,
}

impl StageFiles {
    pub(super) fn new(home: &Path) -> Self {
        Self {
            directory: home.join(".demo"),
        }
    }

    pub(super) fn script(&self) -> PathBuf {
        self.directory.join("script.json")
    }

    /// Exists while the stand-in has to stay open.
    pub(super) fn hold(&self) -> PathBuf {
        self.directory.join("hold")
    }

    /// Exists once the stand-in has written its turn.
    pub(super) fn opened(&self) -> PathBuf {
        self.directory.join("opened")
    }
}

/// Returns true if this process was started under the name of Claude Code.
pub(in crate::cli) fn is_stand_in(program: Option<&OsStr>) -> bool {
    program.and_then(|name| Path::new(name).file_stem()) == Some(OsStr::new("claude"))
}

/// Runs as Claude Code with these arguments.
pub(in crate::cli) fn run_stand_in(args: &[OsString]) -> Result<Exit, CliError> {
    let env = Env::read()?;
    let clock = SystemClock::default();
    let files = StageFiles::new(&env.home);
    let script = fs::read(&files.script())?;
    let script: Script = serde_json::from_slice(&script).map_err(CliError::internal)?;
    let session = session_of(args)?;

    let directory = env.directory.unwrap_or_default();
    let project = client_dir_name(&directory.to_string_lossy());
    let transcript = transcript_path(&projects_dir(&env.claude_dir).join(project), &session);
    let running = env
        .claude_dir
        .join(format!("sessions/{}.json", std::process::id()));
    let record = json!({"pid": std::process::id(), "sessionId": session});
    fs::write_atomic(&running, record.to_string().as_bytes())?;
    append_turn(&transcript, &session, &directory, &script, clock.now())?;

    if script.stays_open {
        fs::write_atomic(&files.opened(), b"")?;
        let begin = clock.monotonic();
        while files.hold().exists() && clock.monotonic() - begin < MAX_OPEN {
            clock.sleep(POLL);
        }
    }
    fs::remove_file_if_exists(&running)?;
    Ok(Exit::Done)
}

/// Returns the id after `--resume` or `--session-id`.
fn session_of(args: &[OsString]) -> Result<SessionId, CliError> {
    let names = ["--resume", "--session-id"].map(OsStr::new);
    let at = args.iter().position(|arg| names.contains(&arg.as_os_str()));
    let id = at
        .and_then(|at| args.get(at + 1))
        .and_then(|id| id.to_str());
    id.unwrap_or_default().parse().map_err(CliError::internal)
}
