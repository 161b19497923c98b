//! When this machine last heard from its remote: what the store says about other machines is from
//! then.
//!
//! Owns one file, a cache: without it, the time is unknown.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::sys::{Env, fs::write_cache};

/// The last time that the remote answered a fetch, or accepted a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastFetch {
    /// Its address, without secrets.
    pub(crate) remote: String,
    pub(crate) time: DateTime<Utc>,
}

impl LastFetch {
    /// Reads the last one, from whatever remote.
    pub(crate) fn load(env: &Env) -> Option<Self> {
        let json = std::fs::read(path(env)).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Writes it. If that fails, the remote looks less up to date than it is.
    pub(crate) fn save(&self, env: &Env) {
        let json = serde_json::to_vec(self).expect("texts always serialise");
        let _ = write_cache(&path(env), &json);
    }
}

fn path(env: &Env) -> PathBuf {
    env.dirs.state.join("last-fetch.json")
}
