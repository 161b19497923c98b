//! The parts of an address, by git's own rules.

use std::path::PathBuf;

use super::error::UrlError;

/// The way in which a remote is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteKind {
    /// A directory, also one given as `file://`.
    Local(PathBuf),
    /// ssh, as a URL or as `host:path`.
    Ssh,
    /// http or https.
    Http,
    /// git's own protocol: not encrypted, and read-only on most servers.
    Git,
}

/// Returns true for a character that ends an address in a text.
pub(super) fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '<' | '>')
}

/// Returns the part of a URL between `://` and its path.
pub(super) fn authority(after_scheme: &str) -> &str {
    let end = after_scheme
        .find(|c| ends_address(c) || matches!(c, '/' | '?' | '#'))
        .unwrap_or(after_scheme.len());
    &after_scheme[..end]
}

pub(super) fn is_scheme_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

pub(super) fn is_ssh(scheme: &str) -> bool {
    ["ssh", "git+ssh", "ssh+git"]
        .iter()
        .any(|s| scheme.eq_ignore_ascii_case(s))
}

/// Returns the name before `::` (`transport.c`): scheme characters, then two colons.
pub(super) fn helper(text: &str) -> Option<&str> {
    let end = text.find(|c| !is_scheme_char(c))?;
    text[end..].starts_with("::").then(|| &text[..end])
}

/// Splits a URL after its `://`.
pub(super) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    (!scheme.is_empty() && scheme.chars().all(is_scheme_char)).then_some((scheme, rest))
}

/// Splits `host:path` (`connect.c`): a colon before the first slash, not that of a Windows drive.
pub(super) fn split_scp(text: &str) -> Option<(&str, &str)> {
    let after_brackets = match text.starts_with('[') || text.contains("@[") {
        true => text.find(']').unwrap_or(0),
        false => 0,
    };
    let colon = after_brackets + text[after_brackets..].find(':')?;
    let slash = text.find('/').unwrap_or(text.len());
    let drive = cfg!(windows) && colon == 1 && text.as_bytes()[0].is_ascii_alphabetic();
    (colon < slash && !drive).then(|| (&text[..colon], &text[colon + 1..]))
}

/// Returns the kind of a URL; `rest` is what follows `://`.
pub(super) fn kind_of_scheme(scheme: &str, rest: &str) -> Result<RemoteKind, UrlError> {
    let scheme = scheme.to_ascii_lowercase();
    let kind = match scheme.as_str() {
        "file" => return file_url(rest),
        "http" | "https" => RemoteKind::Http,
        "git" => RemoteKind::Git,
        _ if is_ssh(&scheme) => RemoteKind::Ssh,
        _ => return Err(UrlError::Scheme(scheme)),
    };
    let authority = authority(rest);
    check_host(authority)?;
    let path = rest[authority.len()..].trim_matches('/');
    if path.is_empty() {
        Err(UrlError::NoPath)
    } else {
        Ok(kind)
    }
}

/// Parses `file:///path`; Windows also writes `file:///C:/path`.
fn file_url(rest: &str) -> Result<RemoteKind, UrlError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let after_slash = path.strip_prefix('/').ok_or(UrlError::Host)?;
    let path = if cfg!(windows) { after_slash } else { path };
    if path.trim_matches('/').is_empty() {
        Err(UrlError::NoPath)
    } else {
        Ok(RemoteKind::Local(path.into()))
    }
}

/// Refuses a host that ssh would read as an option (CVE-2017-1000117), as git does.
pub(super) fn check_host(authority: &str) -> Result<(), UrlError> {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let host = match host.starts_with('[') {
        true => host,
        false => host.split(':').next().unwrap_or_default(),
    };
    let is_bad = host.is_empty()
        || host.starts_with('-')
        || user.starts_with('-')
        || host.contains(char::is_whitespace);
    if is_bad { Err(UrlError::Host) } else { Ok(()) }
}

/// Returns true if a path begins with a Windows drive, on every system; git would take it for a
/// host of one letter.
pub(crate) fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}
