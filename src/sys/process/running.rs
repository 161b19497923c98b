//! A program that has this process's terminal.

use std::process::{Child, ExitStatus};

use super::error::ProcessError;
use super::listen;

/// A program that has the terminal.
#[derive(Debug)]
pub struct Running {
    child: Child,
    program: String,
}

impl Running {
    pub(super) fn new(child: Child, program: String) -> Self {
        Self { child, program }
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, if it has.
    ///
    /// # Errors
    /// [`ProcessError::Failed`] if the system does not know.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child
            .try_wait()
            .map_err(|source| ProcessError::Failed {
                program: self.program.clone(),
                source,
            })
    }

    /// Asks it to end, as `kill` does.
    pub fn ask_to_end(&mut self) {
        let _ = listen::ask_to_end(&self.child);
    }

    /// Ends it.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
    }
}
