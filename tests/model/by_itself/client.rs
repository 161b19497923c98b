//! A stand-in for the client: a process, the file by which it says what it has open, and the
//! session as it has read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::Start;
use crate::harness::{mark_running, say_headless};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) transcript: PathBuf,
    pub(super) how: Start,
    process: Child,
    pid_file: PathBuf,
    /// The text of the transcript when it last read or wrote it.
    text: Option<Vec<u8>>,
}

impl Client {
    pub(super) fn start(home: &Path, transcript: PathBuf, how: Start) -> Self {
        let process = Command::new("sleep").arg("600").spawn().unwrap();
        let name = format!(".claude/sessions/{}.json", process.id());
        let mut client = Self {
            transcript,
            how,
            pid_file: home.join(name),
            process,
            text: None,
        };
        client.show(home);
        client
    }

    pub(super) fn session(&self) -> &str {
        self.transcript.file_stem().unwrap().to_str().unwrap()
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Begins another conversation.
    pub(super) fn clear(&mut self, home: &Path, transcript: PathBuf) {
        self.assert_untouched();
        self.transcript = transcript;
        self.show(home);
    }

    fn show(&mut self, home: &Path) {
        let directory = home.join("work/app");
        mark_running(home, &directory, self.session(), self.process.id());
        if self.how.headless {
            say_headless(home, self.process.id());
        }
        self.remember();
    }

    pub(super) fn remember(&mut self) {
        self.text = fs::read(&self.transcript).ok();
    }

    /// Fails if another program has written to the session.
    pub(super) fn assert_untouched(&self) {
        let is_same = fs::read(&self.transcript).ok() == self.text;
        assert!(is_same, "written while it is open: {}", self.session());
    }

    pub(super) fn end(mut self) {
        self.assert_untouched();
        fs::remove_file(&self.pid_file).unwrap();
        self.stop();
    }

    /// Ends it as by `kill -9`.
    pub(super) fn kill(mut self) {
        self.assert_untouched();
        self.stop();
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop();
    }
}
