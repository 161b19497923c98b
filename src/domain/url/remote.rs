//! A checked address of a remote.

use std::fmt;
use std::path::Path;

use super::error::UrlError;
use super::redact::{HIDDEN, redact};
use super::syntax::{
    RemoteKind, authority, check_host, helper, is_ssh, kind_of_scheme, split_scheme, split_scp,
};

/// Length, in bytes, from which a password is hidden wherever it occurs. A shorter one may be part
/// of ordinary words; the address itself is always hidden.
const MIN_SECRET_BYTES: usize = 6;

/// The address of a remote. `Display` and `Debug` hide passwords and tokens; only
/// [`RemoteUrl::as_git_argument`] has them.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    text: String,
    kind: RemoteKind,
}

impl RemoteUrl {
    /// Checks `text`. A relative path is relative to `cwd`; `~` is not expanded (the shell did so).
    ///
    /// # Errors
    /// [`UrlError`]
    pub fn parse(text: &str, cwd: &Path) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.starts_with('-') {
            return Err(UrlError::LeadingDash);
        }
        if text.chars().any(char::is_control) {
            return Err(UrlError::ControlCharacter);
        }
        if let Some(helper) = helper(text) {
            return Err(UrlError::Helper(helper.to_owned()));
        }
        let kind = match (split_scheme(text), split_scp(text)) {
            (Some((scheme, rest)), _) => kind_of_scheme(scheme, rest)?,
            (None, Some((host, path))) => {
                check_host(host)?;
                if path.is_empty() {
                    return Err(UrlError::NoPath);
                }
                RemoteKind::Ssh
            }
            (None, None) => return Ok(Self::local(&cwd.join(text))),
        };
        Ok(Self {
            text: text.to_owned(),
            kind,
        })
    }

    fn local(path: &Path) -> Self {
        Self {
            text: path.to_string_lossy().into_owned(),
            kind: RemoteKind::Local(path.to_owned()),
        }
    }

    /// Returns the way in which it is reached.
    pub fn kind(&self) -> &RemoteKind {
        &self.kind
    }

    /// Returns the address with its secrets, for `git` only.
    pub fn as_git_argument(&self) -> &str {
        &self.text
    }

    /// Returns the address with the host that `real_name` gives for its own, if it is reached by
    /// ssh: the host may be an alias.
    #[must_use]
    pub fn with_real_host(&self, real_name: impl FnOnce(&str) -> Option<String>) -> Self {
        let renamed = || {
            let (before, authority, after) = match split_scheme(&self.text) {
                Some((scheme, rest)) if is_ssh(scheme) => {
                    let authority = authority(rest);
                    let after = &rest[authority.len()..];
                    (format!("{scheme}://"), authority, after.to_owned())
                }
                Some(_) => return None,
                None => {
                    let (authority, path) = split_scp(&self.text)?;
                    (String::new(), authority, format!(":{path}"))
                }
            };
            let (user, host) = match authority.rsplit_once('@') {
                Some((user, host)) => (format!("{user}@"), host),
                None => (String::new(), authority),
            };
            let (host, port) = match host.split_once(':') {
                Some((host, port)) => (host, format!(":{port}")),
                None => (host, String::new()),
            };
            let real = real_name(host)?;
            Self::parse(
                &format!("{before}{user}{real}{port}{after}"),
                Path::new("/"),
            )
            .ok()
        };
        match self.kind {
            RemoteKind::Ssh => renamed().unwrap_or_else(|| self.clone()),
            _ => self.clone(),
        }
    }

    /// Hides the secrets of all addresses in `text`, and every occurrence of this password.
    pub fn redact(&self, text: &str) -> String {
        let text = redact(text);
        match self.secret() {
            Some(secret) if secret.len() >= MIN_SECRET_BYTES => text.replace(secret, HIDDEN),
            _ => text,
        }
    }

    /// Returns the address without password, token and query, for a text that others read. The
    /// user of an ssh address stays, because the server needs it.
    ///
    /// `None` if the secret cannot be recognised.
    pub fn without_secrets(&self) -> Option<String> {
        if let RemoteKind::Local(path) = &self.kind {
            return path.to_str().map(str::to_owned);
        }
        let Some((scheme, rest)) = split_scheme(&self.text) else {
            // `al:password@host:path` parses as a path on the host `al`.
            let (_, path) = split_scp(&self.text)?;
            return (!path.contains(['@', '?', '#'])).then(|| self.text.clone());
        };
        let authority = authority(rest);
        let after = &rest[authority.len()..];
        // The authority ended early, at a slash or question mark in the password.
        if after.contains('@') {
            return None;
        }
        let path = after.split(['?', '#']).next().unwrap_or_default();
        let host = match authority.rsplit_once('@') {
            None => authority.to_owned(),
            Some((userinfo, host)) if is_ssh(scheme) => match userinfo.split(':').next() {
                Some(user) if !user.is_empty() && !user.contains('@') => format!("{user}@{host}"),
                _ => host.to_owned(),
            },
            Some((_, host)) => host.to_owned(),
        };
        Some(format!("{scheme}://{host}{path}"))
    }

    fn secret(&self) -> Option<&str> {
        let (scheme, rest) = split_scheme(&self.text)?;
        let (userinfo, _) = authority(rest).rsplit_once('@')?;
        match userinfo.split_once(':') {
            // A token may be in the place of the name: `https://<token>:x-oauth-basic@host/`.
            Some((token, "x-oauth-basic" | "")) => Some(token),
            Some((_, password)) => Some(password),
            None if !is_ssh(scheme) => Some(userinfo),
            None => None,
        }
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            RemoteKind::Local(_) => f.write_str(&self.text),
            _ => f.write_str(&redact(&self.text)),
        }
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({self})")
    }
}
