//! The variables of a hook. Must not read the environment: `Env` does.

use std::ffi::OsString;

/// The client that runs a hook, by its own variables (client 2.1.332).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HookEnv {
    /// No person is at the client (`CLAUDE_CODE_ENTRYPOINT=sdk-…`).
    pub headless: bool,
    /// It runs in a machine of the cloud that is thrown away (`CLAUDE_CODE_REMOTE`).
    pub in_cloud: bool,
    /// The client's process (`CLAUDE_PID`).
    pub client_pid: Option<u32>,
}

impl HookEnv {
    pub(super) fn from_variables(get: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let entrypoint = get("CLAUDE_CODE_ENTRYPOINT").unwrap_or_default();
        let remote = get("CLAUDE_CODE_REMOTE");
        let pid = get("CLAUDE_PID").unwrap_or_default();
        Self {
            headless: entrypoint.to_string_lossy().starts_with("sdk"),
            in_cloud: remote.is_some_and(|value| value != "false" && value != "0"),
            client_pid: pid.to_string_lossy().parse().ok(),
        }
    }
}
