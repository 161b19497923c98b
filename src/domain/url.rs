//! The remote's address: checked once, shown without its secrets.
//!
//! Owns the rule for what may be handed to `git` as a remote. Must not contact it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::error::{ErrorKind, UserError};

/// The address of a remote. `Display` and `Debug` hide passwords and tokens; only [`RemoteUrl::as_git_argument`] has
/// them.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    text: String,
    kind: Kind,
}

/// How a remote is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory, also one given as `file://`.
    Local(PathBuf),
    /// ssh, as a URL or as `host:path`.
    Ssh,
    /// http or https.
    Http,
    /// git's own protocol: neither encrypted nor able to push on most servers.
    Git,
}

/// Why a text is not a remote's address. None repeats it: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing is there.
    #[error("the remote URL is empty")]
    Empty,
    /// It would be taken for an option.
    #[error("a remote URL must not begin with `-`")]
    LeadingDash,
    /// Line feeds and the like have no place in an address.
    #[error("the remote URL contains a control character")]
    ControlCharacter,
    /// `ext::`, `fd::` and their kin run programs.
    #[error("remote URLs of the form `{0}::…` are not accepted: they run a program")]
    Helper(String),
    /// Git would look for a program to handle it.
    #[error("remote URLs with `{0}://` are not accepted: use https, ssh, file or a path")]
    Scheme(String),
    /// There is no host, or one that a program could take for an option.
    #[error("the remote URL has no valid host name")]
    Host,
    /// There is no path.
    #[error("the remote URL has no path after its host")]
    NoPath,
}

impl RemoteUrl {
    /// Checks `text`. A relative path is taken from `cwd`; `~` is not expanded (the shell has done so).
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
                Kind::Ssh
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
            kind: Kind::Local(path.to_owned()),
        }
    }

    /// How it is reached.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The address with its secrets, for `git` only.
    pub fn as_git_argument(&self) -> &str {
        &self.text
    }

    /// Hides the secrets of all addresses in `text`, and this one's password wherever it stands.
    pub fn redact(&self, text: &str) -> String {
        // A short password would be found inside ordinary words; the address itself is hidden in any case.
        const SHORTEST: usize = 6;
        let text = redact(text);
        match self.secret() {
            Some(secret) if secret.len() >= SHORTEST => text.replace(secret, HIDDEN),
            _ => text,
        }
    }

    /// The address as it may be written where others read it: without password, token and query. The user of an ssh address stays,
    /// which the server needs to hear.
    ///
    /// `None` if it cannot be told what of it is a secret.
    pub fn without_secrets(&self) -> Option<String> {
        if let Kind::Local(path) = &self.kind {
            return path.to_str().map(str::to_owned);
        }
        let Some((scheme, rest)) = split_scheme(&self.text) else {
            // `al:password@host:path` reads as a path on the host `al`.
            let (_, path) = split_scp(&self.text)?;
            return (!path.contains(['@', '?', '#'])).then(|| self.text.clone());
        };
        let authority = authority(rest);
        let after = &rest[authority.len()..];
        // A password with a slash or a question mark in it has cut the authority short.
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
            // A token may be given as the name: `https://<token>:x-oauth-basic@host/`.
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
            Kind::Local(_) => f.write_str(&self.text),
            _ => f.write_str(&redact(&self.text)),
        }
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({self})")
    }
}

const HIDDEN: &str = "***";

/// Hides user names and passwords of all URLs in a text: `https://***@host/`. The user name of an ssh URL stays, and so
/// does `user@host:path`, which cannot hold a password.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        out.push_str(before);
        let scheme = &before[..at];
        let scheme_start = scheme
            .rfind(|c: char| !is_scheme_char(c))
            .map_or(0, |i| i + last_len(&scheme[i..]));
        let authority = authority(after);
        match authority.rsplit_once('@') {
            Some((userinfo, _)) => {
                out.push_str(&hide_userinfo(&scheme[scheme_start..], userinfo));
                rest = &after[userinfo.len()..];
            }
            None => rest = after,
        }
        let address_end = rest.find(ends_address).unwrap_or(rest.len());
        let next = rest[..address_end].find("://").unwrap_or(address_end);
        let address = &rest[..next];
        // Signed addresses carry their secret behind the question mark.
        match address.split_once('?') {
            Some((path, query)) if !query.is_empty() => {
                out.push_str(path);
                out.push('?');
                out.push_str(HIDDEN);
            }
            _ => out.push_str(address),
        }
        rest = &rest[next..];
    }
    out.push_str(rest);
    out
}

fn hide_userinfo(scheme: &str, userinfo: &str) -> String {
    match userinfo.split_once(':') {
        Some((user, _)) if is_ssh(scheme) => format!("{user}:{HIDDEN}"),
        None if is_ssh(scheme) => userinfo.to_owned(),
        _ => HIDDEN.to_owned(),
    }
}

fn last_len(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '<' | '>')
}

/// The part of a URL between `://` and its path.
fn authority(after_scheme: &str) -> &str {
    let end = after_scheme
        .find(|c| ends_address(c) || matches!(c, '/' | '?' | '#'))
        .unwrap_or(after_scheme.len());
    &after_scheme[..end]
}

fn is_scheme_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

fn is_ssh(scheme: &str) -> bool {
    ["ssh", "git+ssh", "ssh+git"]
        .iter()
        .any(|s| scheme.eq_ignore_ascii_case(s))
}

/// The name before `::`, by git's own rule (`transport.c`): scheme characters, then two colons.
fn helper(text: &str) -> Option<&str> {
    let end = text.find(|c| !is_scheme_char(c))?;
    text[end..].starts_with("::").then(|| &text[..end])
}

fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    (!scheme.is_empty() && scheme.chars().all(is_scheme_char)).then_some((scheme, rest))
}

/// `host:path` by git's own rule (`connect.c`): a colon before the first slash, which on Windows is not a drive's.
fn split_scp(text: &str) -> Option<(&str, &str)> {
    let after_brackets = if text.starts_with('[') || text.contains("@[") {
        text.find(']').unwrap_or(0)
    } else {
        0
    };
    let colon = after_brackets + text[after_brackets..].find(':')?;
    let slash = text.find('/').unwrap_or(text.len());
    let drive = cfg!(windows) && colon == 1 && text.as_bytes()[0].is_ascii_alphabetic();
    (colon < slash && !drive).then(|| (&text[..colon], &text[colon + 1..]))
}

fn kind_of_scheme(scheme: &str, rest: &str) -> Result<Kind, UrlError> {
    let scheme = scheme.to_ascii_lowercase();
    let kind = match scheme.as_str() {
        "file" => return local_of_file_url(rest),
        "http" | "https" => Kind::Http,
        "git" => Kind::Git,
        _ if is_ssh(&scheme) => Kind::Ssh,
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

/// `file:///path`; Windows also writes `file:///C:/path`.
fn local_of_file_url(rest: &str) -> Result<Kind, UrlError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let after_slash = path.strip_prefix('/').ok_or(UrlError::Host)?;
    let path = if cfg!(windows) { after_slash } else { path };
    if path.trim_matches('/').is_empty() {
        Err(UrlError::NoPath)
    } else {
        Ok(Kind::Local(path.into()))
    }
}

/// A host that begins with a dash would reach ssh as an option (CVE-2017-1000117); git refuses it too.
fn check_host(authority: &str) -> Result<(), UrlError> {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let host = if host.starts_with('[') {
        host
    } else {
        host.split(':').next().unwrap_or_default()
    };
    let bad = host.is_empty()
        || host.starts_with('-')
        || user.starts_with('-')
        || host.contains(char::is_whitespace);
    if bad { Err(UrlError::Host) } else { Ok(()) }
}

/// What two addresses of one project have in common, whatever protocol they use: `github.com/al/app` for
/// `git@github.com:al/app.git`, `https://al@github.com/al/app` and `ssh://git@ssh.github.com:443/al/app`.
///
/// User, port and `.git` are left out, the host is in lower case, the path as written. `None` for a local path, which
/// means nothing on another machine, and for what is not an address.
pub fn project_identity(url: &str) -> Option<String> {
    let url = url.trim();
    if url.chars().any(char::is_control) || helper(url).is_some() || has_drive(url) {
        return None;
    }
    let (authority, path) = match split_scheme(url) {
        Some((scheme, rest)) => {
            let kind = kind_of_scheme(scheme, rest).ok()?;
            let authority = authority(rest);
            (!matches!(kind, Kind::Local(_))).then(|| (authority, &rest[authority.len()..]))?
        }
        None => split_scp(url)?,
    };
    check_host(authority).ok()?;
    let path = path
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let components: Vec<_> = path.split('/').filter(|c| !c.is_empty()).collect();
    let plain = !components.is_empty() && !components.iter().any(|c| matches!(*c, "." | ".."));
    plain.then(|| format!("{}/{}", host_name(authority), components.join("/")))
}

/// Whether a path begins with a Windows drive: it is one on every system, also where git would ask a host of one letter.
pub(crate) fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

fn host_name(authority: &str) -> String {
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = if let Some(in_brackets) = host.strip_prefix('[') {
        in_brackets.split(']').next()
    } else {
        host.split(':').next()
    };
    let host = host
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_ascii_lowercase();
    match host.as_str() {
        // ssh on port 443, for networks that let nothing else through, has a host of its own.
        "ssh.github.com" => "github.com".to_owned(),
        "altssh.gitlab.com" => "gitlab.com".to_owned(),
        "altssh.bitbucket.org" => "bitbucket.org".to_owned(),
        _ => host,
    }
}

impl UserError for UrlError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let example = "ccsync init --remote git@github.com:you/sessions.git";
        vec![format!("give a URL, for example `{example}`")]
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<RemoteUrl, UrlError> {
        RemoteUrl::parse(text, Path::new("/cwd"))
    }

    #[test]
    fn url_kind_is_recognized() {
        let local = |path: &str| Kind::Local(path.into());
        for (text, kind) in [
            ("git@github.com:al/s.git", Kind::Ssh),
            ("alias:s.git", Kind::Ssh),
            ("[::1]:s.git", Kind::Ssh),
            ("al@[::1]:s.git", Kind::Ssh),
            ("ssh://git@host:22/s", Kind::Ssh),
            ("git+ssh://host/s", Kind::Ssh),
            ("HTTPS://host/s", Kind::Http),
            ("https://al:pw@[::1]:8443/s", Kind::Http),
            ("git://host/s", Kind::Git),
            ("/srv/s.git", local("/srv/s.git")),
            ("./odd:name", local("/cwd/./odd:name")),
            ("s.git", local("/cwd/s.git")),
            ("~/s.git", local("/cwd/~/s.git")),
            ("file:///srv/s.git", local("/srv/s.git")),
        ] {
            assert_eq!(parse(text).map(|u| u.kind), Ok(kind), "{text}");
        }
        assert_eq!(parse("s.git").unwrap().as_git_argument(), "/cwd/s.git");
    }

    #[test]
    fn url_unsafe_address_is_refused() {
        for (text, error) in [
            (" ", UrlError::Empty),
            ("--upload-pack=x", UrlError::LeadingDash),
            ("https://h/\u{1b}x", UrlError::ControlCharacter),
            ("https://h/x\ny", UrlError::ControlCharacter),
            ("ext::sh -c x", UrlError::Helper("ext".to_owned())),
            ("fd::3", UrlError::Helper("fd".to_owned())),
            ("ftp://h/x", UrlError::Scheme("ftp".to_owned())),
            ("ssh://-oProxyCommand=x/y", UrlError::Host),
            ("ssh://al@-oProxyCommand=x/y", UrlError::Host),
            ("al@-oProxyCommand=x:y", UrlError::Host),
            ("https:///x", UrlError::Host),
            ("https://host/", UrlError::NoPath),
            ("host:", UrlError::NoPath),
            ("file://host/x", UrlError::Host),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn url_display_and_debug_hide_secrets() {
        for (text, shown) in [
            ("https://al:hunter2@host/x", "https://***@host/x"),
            ("https://ghp_token@host/x", "https://***@host/x"),
            ("https://host/x?token=abc", "https://host/x?***"),
            ("ssh://git@host/x", "ssh://git@host/x"),
            ("ssh://git:pw@host/x", "ssh://git:***@host/x"),
            ("git@host:x", "git@host:x"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(
                (url.to_string(), format!("{url:?}")),
                (shown.to_owned(), format!("RemoteUrl({shown})"))
            );
            assert_eq!(url.as_git_argument(), text);
        }
        let said = "fatal: Authentication failed for 'https://al:p@ss@host/x/' and \u{e9}https://b@c/, http://d/";
        assert_eq!(
            redact(said),
            "fatal: Authentication failed for 'https://***@host/x/' and \u{e9}https://***@c/, http://d/"
        );
        let url = parse("https://al:hunter2@host/x").unwrap();
        assert_eq!(
            url.redact("header: hunter2 https://x@y"),
            "header: *** https://***@y"
        );
    }

    #[test]
    fn url_spellings_of_one_repository_share_identity() {
        for url in [
            "git@github.com:al/App.git",
            "github.com:/al/App",
            "https://github.com/al/App",
            "https://al:pw@GitHub.com:443/al/App.git/",
            "ssh://git@ssh.github.com:443/al//App.git",
            "git://github.com/al/App.git",
            "git+ssh://git@github.com:22/al/App/",
            "HTTP://github.com:80/al/App",
            "https://github.com./al/App.git?token=x#y",
        ] {
            assert_eq!(
                project_identity(url).as_deref(),
                Some("github.com/al/App"),
                "{url}"
            );
        }
        for (url, identity) in [
            // One server has another port for each protocol.
            (
                "ssh://git@git.example.org:2222/al/app.git",
                "git.example.org/al/app",
            ),
            (
                "https://git.example.org:8443/al/app",
                "git.example.org/al/app",
            ),
            ("ssh://[2001:DB8::1]:22/x.git", "2001:db8::1/x"),
            ("al@[::1]:x.git", "::1/x"),
            ("https://al@[::1]:8443/x", "::1/x"),
            ("alias:x.git", "alias/x"),
            ("git@host:~al/x", "host/~al/x"),
            ("https://host/al/x.GIT", "host/al/x.GIT"),
        ] {
            assert_eq!(project_identity(url).as_deref(), Some(identity), "{url}");
        }
        for url in [
            "/srv/x.git",
            "../x",
            "x.git",
            "file:///srv/x",
            "file:///C:/x",
            "",
            "ext::x",
            "https://h",
            "https://h/.git",
            "h:../x",
            "C:\\x\ny",
            "C:\\work\\x.git",
            "c:/work/x.git",
            "\\\\server\\share\\x.git",
            "--upload-pack=x",
            "ssh://-oProxyCommand=x/y",
        ] {
            assert_eq!(project_identity(url), None, "{url}");
        }
    }

    #[test]
    fn url_without_secrets_keeps_public_part() {
        for (text, plain) in [
            (
                "https://al:SECRET@host:8443/x.git?token=SECRET#SECRET",
                Some("https://host:8443/x.git"),
            ),
            ("https://SECRET@host/x", Some("https://host/x")),
            (
                "https://SECRET:x-oauth-basic@[::1]/x",
                Some("https://[::1]/x"),
            ),
            ("https://al:SE/CRET@host/x", None),
            ("https://al:SEC@RET@host/x", Some("https://host/x")),
            ("git://al:SECRET@host/x", Some("git://host/x")),
            ("ssh://git@host:22/x", Some("ssh://git@host:22/x")),
            ("ssh://git:SECRET@host/x", Some("ssh://git@host/x")),
            ("ssh://:SECRET@host/x", Some("ssh://host/x")),
            (
                "git+ssh://git:SEC@RET@host/x?SECRET",
                Some("git+ssh://git@host/x"),
            ),
            ("git@host:al/x.git", Some("git@host:al/x.git")),
            ("al:SECRET@host:x.git", None),
            ("host:x?token=SECRET", None),
            ("/srv/a b.git", Some("/srv/a b.git")),
            ("file:///srv/x", Some("/srv/x")),
        ] {
            assert_eq!(
                parse(text).unwrap().without_secrets().as_deref(),
                plain,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn url_any_text_never_panics_or_shows_password(text in "\\PC*", noise in "[a-z:/@?#' é]{0,20}") {
            let _ = (parse(&text), redact(&text), project_identity(&text));
            let _ = (parse(&noise), redact(&noise), project_identity(&noise));
            let shown = redact(&format!("{noise} https://al:SECRET@host/x {noise}"));
            prop_assert!(!shown.contains("SECRET"), "{shown}");
            for address in [format!("https://al:SECRET@host/{noise}"), format!("ssh://al:SECRET{noise}@host/x")] {
                let plain = parse(&address).ok().and_then(|url| url.without_secrets()).unwrap_or_default();
                prop_assert!(!plain.contains("SECRET"), "{address} {plain}");
            }
        }
    }
}
