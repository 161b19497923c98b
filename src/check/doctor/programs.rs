//! Checks the programs in use: git, gh and Claude Code.

use std::time::Duration;

use crate::check::doctor::check::{Check, DoctorContext, TIMEOUT};
use crate::domain::url::RemoteUrl;
use crate::sys::{failure::is_of_configuration, process::ProcessError, process::Program};
use crate::transport::{
    GitCli, RemoteError, github::GitHub, github::GitHubError, remote::OLDEST_GIT,
};

const GIT: &str = "git";
const GH: &str = "gh";
const CLIENT: &str = "Claude Code";

const INSTALL_GIT: &str = "install git 2.34 or later: https://git-scm.com/downloads";

/// Versions of the client that ccsync was tested with.
const OLDEST_CLIENT: [u32; 3] = [1, 0, 109];
const NEWEST_CLIENT: [u32; 3] = [2, 1, 329];

pub(crate) fn checks(context: &DoctorContext<'_>) -> Vec<Check> {
    vec![git(context), gh(context), client(context)]
}

fn git(context: &DoctorContext<'_>) -> Check {
    let Ok(no_remote) = RemoteUrl::parse(".", &context.env.home) else {
        return Check::error(
            GIT,
            "git cannot use the path of the home directory",
            INSTALL_GIT,
        );
    };
    let git = GitCli::new(&context.env.home, no_remote, context.env.git.clone(), false)
        .with_silence_limit(TIMEOUT);
    match git.version() {
        Ok(version) if version >= OLDEST_GIT => Check::ok(GIT, format!("version {version}")),
        Ok(version) => Check::error(
            GIT,
            format!("version {version} is too old; {OLDEST_GIT} is needed"),
            INSTALL_GIT,
        ),
        Err(e @ RemoteError::GitMissing) => Check::error(GIT, e.to_string(), INSTALL_GIT),
        Err(e) => {
            let message = crate::domain::error::error_chain(&e);
            let fix = if is_of_configuration(&message) {
                "git config --list --show-origin"
            } else {
                INSTALL_GIT
            };
            Check::error(GIT, message, fix)
        }
    }
}

/// `gh` is optional.
fn gh(context: &DoctorContext<'_>) -> Check {
    let remote = context.remote().and_then(Result::ok);
    let host = remote
        .as_ref()
        .is_some_and(crate::check::doctor::check::is_on_github)
        .then(|| crate::check::doctor::check::GITHUB.to_owned());
    let needed = host.is_some();
    match GitHub::new(host).is_signed_in() {
        Err(GitHubError::Missing) => Check::ok(GH, "not installed; it is not needed"),
        Ok(true) => Check::ok(GH, "signed in to GitHub"),
        _ if !needed => Check::ok(GH, "installed, not signed in; this remote does not need it"),
        Ok(false) => Check::warning(
            GH,
            "not signed in; cannot look up the remote",
            "gh auth login",
        ),
        Err(e) => Check::warning(GH, crate::domain::error::error_chain(&e), "gh auth status"),
    }
}

fn client(context: &DoctorContext<'_>) -> Check {
    // It starts a whole runtime before it prints anything.
    const SLOW: Duration = Duration::from_secs(30);
    const TRY: &str = "install Claude Code (`claude --version` must work)";
    let result = Program::new(&context.env.client)
        .arg("--version")
        .silence_limit(SLOW)
        .run();
    let output = match &result {
        Ok(out) => String::from_utf8_lossy(&out.stdout),
        Err(ProcessError::NotFound { .. }) => {
            return Check::warning(CLIENT, "no program `claude` on the PATH", TRY);
        }
        Err(e) => return Check::warning(CLIENT, e.to_string(), TRY),
    };
    let Some(version) = version(&output) else {
        return Check::warning(CLIENT, "`claude --version` prints no version", TRY);
    };
    let shown = version.map(|part| part.to_string()).join(".");
    let dots = |version: [u32; 3]| version.map(|part| part.to_string()).join(".");
    if version < OLDEST_CLIENT {
        let message = format!(
            "version {shown} is older than the oldest tested one ({})",
            dots(OLDEST_CLIENT)
        );
        Check::warning(CLIENT, message, "claude update")
    } else if version > NEWEST_CLIENT {
        Check::ok(
            CLIENT,
            format!(
                "version {shown}, newer than the newest tested one ({})",
                dots(NEWEST_CLIENT)
            ),
        )
    } else {
        Check::ok(CLIENT, format!("version {shown}"))
    }
}

/// `2.1.329 (Claude Code)`
fn version(output: &str) -> Option<[u32; 3]> {
    let mut parts = output
        .split_whitespace()
        .next()?
        .splitn(3, '.')
        .map(|part| {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            part[..digits].parse().ok()
        });
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doctor_client_version_is_parsed() {
        assert_eq!(version("2.1.329 (Claude Code)\n"), Some([2, 1, 329]));
        assert_eq!(version("2.1.0-beta.1"), Some([2, 1, 0]));
        for bad in ["", "claude", "2.1", "v2.1.3", "99999999999.1.1"] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }
}
