//! The identity of a project: the part that all addresses of its remote share.

use super::syntax::{
    RemoteKind, authority, check_host, has_drive, helper, kind_of_scheme, split_scheme, split_scp,
};

/// Returns the common part of all addresses of one project, for any protocol: `github.com/al/app`
/// for `git@github.com:al/app.git`, `https://al@github.com/al/app` and
/// `ssh://git@ssh.github.com:443/al/app`.
///
/// It has no user, port and `.git`; the host is in lower case, the path as written. `None` for a
/// local path, which means nothing on another machine, and for invalid addresses.
pub fn project_identity(url: &str) -> Option<String> {
    let url = url.trim();
    if url.chars().any(char::is_control) || helper(url).is_some() || has_drive(url) {
        return None;
    }
    let (authority, path) = match split_scheme(url) {
        Some((scheme, rest)) => {
            let kind = kind_of_scheme(scheme, rest).ok()?;
            let authority = authority(rest);
            (!matches!(kind, RemoteKind::Local(_)))
                .then(|| (authority, &rest[authority.len()..]))?
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
    let is_plain = !components.is_empty() && !components.iter().any(|c| matches!(*c, "." | ".."));
    is_plain.then(|| format!("{}/{}", host_name(authority), components.join("/")))
}

fn host_name(authority: &str) -> String {
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(in_brackets) => in_brackets.split(']').next(),
        None => host.split(':').next(),
    };
    let host = host
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_ascii_lowercase();
    match host.as_str() {
        // The hosts for ssh on port 443, for networks that block port 22.
        "ssh.github.com" => "github.com".to_owned(),
        "altssh.gitlab.com" => "gitlab.com".to_owned(),
        "altssh.bitbucket.org" => "bitbucket.org".to_owned(),
        _ => host,
    }
}
