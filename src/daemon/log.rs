//! The daemon's log: what it did and why it failed. Has no text of conversations.

use std::fs;
use std::path::PathBuf;

use crate::sys::fs::{Appender, write_cache};
use crate::sys::{Clock, Env, clock::local};

/// Size from which a new file is begun. The former one is kept, an older one is deleted.
const MAX_BYTES: u64 = 256 << 10;

/// Returns the path of the log.
pub(super) fn path(env: &Env) -> PathBuf {
    super::directory(env).join("log")
}

/// Adds a line. A log that cannot be written is no reason to fail.
pub(super) fn add(env: &Env, clock: &dyn Clock, message: &str) {
    let line = format!("{} {}\n", local(clock.now()), one_line(message));
    let path = path(env);
    let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    if size == 0 {
        let _ = write_cache(&path, line.as_bytes());
        return;
    }
    if size > MAX_BYTES {
        let _ = fs::rename(&path, path.with_extension("1"));
        let _ = write_cache(&path, line.as_bytes());
        return;
    }
    let _ = Appender::open(&path, size).and_then(|mut file| {
        file.append(line.as_bytes())?;
        file.commit()
    });
}

/// Control characters of a remote's message must not reach the terminal of who reads the log.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
