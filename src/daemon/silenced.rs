//! The clients that were open at `ccsync auto off`: they keep their hooks until they end, but the
//! hooks do nothing.

use std::path::PathBuf;

use crate::lock::lease::Holder;
use crate::session::live::live_sessions;
use crate::sys::Env;
use crate::sys::fs::{PathError, write_atomic};

fn path(env: &Env) -> PathBuf {
    super::directory(env).join("silenced.json")
}

/// Lets the hooks of the clients that are open now do nothing.
///
/// # Errors
/// [`PathError`]
pub fn silence_open_clients(env: &Env) -> Result<(), PathError> {
    let clients = live_sessions(&env.claude_dir).into_values();
    let of_this_system = clients.filter(|client| !client.is_foreign);
    let clients: Vec<Holder> = of_this_system
        .map(|client| Holder::process(client.pid))
        .collect();
    if clients.is_empty() {
        return Ok(());
    }
    let json = serde_json::to_vec(&clients).expect("processes are JSON");
    write_atomic(&path(env), &json)
}

/// Returns true if the hook of this process is one of such a client.
pub(super) fn is_silenced(env: &Env) -> bool {
    let Some(pid) = env.hook.client_pid else {
        return false;
    };
    let Ok(json) = std::fs::read(path(env)) else {
        return false;
    };
    let clients: Vec<Holder> = serde_json::from_slice(&json).unwrap_or_default();
    clients.contains(&Holder::process(pid))
}
