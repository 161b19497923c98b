//! Gives a session another title, with the bytes that the client writes (client 2.1.332): a
//! `custom-title` record at the end of the transcript, and `custom-title.json`, which it reads
//! first.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::SessionError;
use super::continued::running_as;
use super::discover::find_transcript;
use super::live::live_sessions;
use crate::domain::{SessionId, UserError};
use crate::sys::fs::{Appender, PathError, write_atomic};

/// The reason why a session keeps its title.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    /// It is in the store only.
    #[error("the session is not on this machine: `ccsync pull {0}` gets it")]
    NotHere(SessionId),
    /// The last line of its transcript has no end, so that nothing may follow it.
    #[error("the last line of the transcript is not finished")]
    Unfinished,
    /// Another machine continues it.
    #[error("the session is open on {0}")]
    HeldBy(String),
    /// It is open here, or its files cannot be written.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl UserError for RenameError {}

impl From<PathError> for RenameError {
    fn from(e: PathError) -> Self {
        Self::Session(e.into())
    }
}

/// Renames a session on this machine. The client does not read a running session again, so that one
/// is left alone.
///
/// # Errors
/// [`RenameError`]
pub fn rename(
    claude_dir: &Path,
    session: &SessionId,
    title: &str,
    now: DateTime<Utc>,
) -> Result<(), RenameError> {
    let live = live_sessions(claude_dir);
    if let Some((session, client)) = running_as(claude_dir, session, &live) {
        let session = session.clone();
        return Err(SessionError::Running { session, client }.into());
    }
    let transcript = find_transcript(claude_dir, session)
        .ok_or_else(|| RenameError::NotHere(session.clone()))?;
    let length = finished_length(&transcript)?;

    // The order of the fields is the client's.
    let title_json = Value::from(title);
    let record = format!(
        "{{\"type\":\"custom-title\",\"customTitle\":{title_json},\"sessionId\":\"{session}\"}}\n"
    );
    let at = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let file = format!(
        "{{\"customTitle\":{title_json},\"by\":\"user\",\"at\":{}}}",
        json!(at)
    );

    let mut appender = Appender::open(&transcript, length)?;
    appender.append(record.as_bytes())?;
    appender.commit()?;
    let directory = transcript.with_extension("");
    Ok(write_atomic(
        &directory.join("custom-title.json"),
        file.as_bytes(),
    )?)
}

/// Returns the length of a transcript whose last line is finished.
fn finished_length(transcript: &Path) -> Result<u64, RenameError> {
    let read = || -> std::io::Result<(u64, u8)> {
        let mut file = File::open(transcript)?;
        let length = file.seek(SeekFrom::End(-1))? + 1;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok((length, last[0]))
    };
    match read().map_err(|e| PathError::new("read", transcript, e))? {
        (length, b'\n') => Ok(length),
        _ => Err(RenameError::Unfinished),
    }
}
