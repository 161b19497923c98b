//! A set-up that has failed: the user's answers, until one succeeds.
//!
//! Owns one file. While it exists, nothing sets this machine up by default: the user has asked
//! for something else.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::PlaceholderName;
use crate::sys::{Env, fs::remove_file_if_exists, fs::write_atomic};

/// The answers of a set-up that was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnfinishedSetUp {
    /// The remote, as it was typed if it is no address. May contain a password.
    pub remote: Option<String>,
    /// The repository on GitHub; empty: the one that ccsync finds there.
    pub github: Option<String>,
    /// GitHub is not asked.
    pub no_github: bool,
    /// A new store is encrypted.
    pub encrypt: bool,
    /// The machine's name.
    pub name: Option<String>,
    /// Placeholders, with absolute directories.
    pub placeholders: Vec<(PlaceholderName, PathBuf)>,
    /// A copied configuration gets a new id.
    pub new_id: bool,
}

impl UnfinishedSetUp {
    /// Reads it, if there is one. A damaged file has no answers.
    pub fn load(env: &Env) -> Option<Self> {
        let json = std::fs::read(path(env)).ok()?;
        Some(serde_json::from_slice(&json).unwrap_or_default())
    }

    /// Writes it, readable by its owner only. Without it, the user answers again.
    pub fn save(&self, env: &Env) {
        let json = serde_json::to_vec(self).expect("texts always serialise");
        let _ = write_atomic(&path(env), &json);
    }

    /// Removes it: a set-up has succeeded.
    pub fn remove(env: &Env) {
        let _ = remove_file_if_exists(&path(env));
    }
}

fn path(env: &Env) -> PathBuf {
    env.dirs.config.join("unfinished-init.json")
}
