//! The identity of a project: the part that all addresses of its remote share.

use super::syntax::{
    RemoteKind, authority, check_host, has_drive, helper, kind_of_scheme, split_scheme, split_scp,
};

/// Beginnings of the host names of servers that ignore case in paths.
const CASELESS_SERVERS: [&str; 8] = [
    "github",
    "gitlab",
    "bitbucket",
    "codeberg",
    "gitea",
    "forgejo",
    "dev.azure.com/",
    "ghe.com/",
];

/// Port on which a Bitbucket server speaks ssh.
const BITBUCKET_PORT: &str = "7999";

/// Returns the common part of all addresses of one project, for any protocol: `github.com/al/app`
/// for `git@github.com:al/app.git`, `https://al@github.com/Al/app` and
/// `ssh://git@ssh.github.com:443/al/app`.
///
/// It has no user, port and `.git`, and no percent-encoding. The host is in lower case, and so is
/// the path on servers that are known to ignore case. `None` for a local path, which means nothing
/// on another machine, and for invalid addresses.
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
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts: Option<Vec<String>> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decoded)
        .collect();
    let mut parts = parts?;
    if let Some(last) = parts.pop() {
        let plain = last.strip_suffix(".git").unwrap_or(&last);
        parts.extend((!plain.is_empty()).then(|| plain.to_owned()));
    }
    let host = host_name(authority);
    let (host, parts) = azure(&host, authority, &parts).unwrap_or((host, parts));
    let is_bitbucket = authority.ends_with(&format!(":{BITBUCKET_PORT}"));
    let (parts, is_bitbucket) = match without_scm(&parts) {
        Some(parts) => (parts, true),
        None => (parts, is_bitbucket),
    };
    let is_plain = !parts.is_empty() && !parts.iter().any(|part| part == "." || part == "..");
    let identity = format!("{host}/{}", parts.join("/"));
    is_plain.then(|| match is_bitbucket {
        true => identity.to_lowercase(),
        false => without_case(identity),
    })
}

/// Returns the form in which identities are compared: in lower case, if the server ignores case.
pub fn without_case(identity: String) -> String {
    let ignores_case = CASELESS_SERVERS.iter().any(|server| {
        let mut labels = identity.match_indices(server);
        let host_len = identity.find('/').unwrap_or(identity.len());
        labels.any(|(at, _)| {
            at < host_len && (at == 0 || matches!(identity.as_bytes()[at - 1], b'.' | b'-'))
        })
    });
    if ignores_case {
        identity.to_lowercase()
    } else {
        identity
    }
}

/// Decodes percent-encoding. `None` if the result could not be part of a path.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex
            .filter(|hex| *first == b'%' && hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_part =
        !text.is_empty() && !text.contains(['/', '\\']) && !text.chars().any(char::is_control);
    // An identity is one word.
    is_part.then(|| {
        text.split(char::is_whitespace)
            .collect::<Vec<_>>()
            .join("%20")
    })
}

/// Returns the one form of an address at Azure DevOps: organisation, project, repository.
fn azure(host: &str, authority: &str, parts: &[String]) -> Option<(String, Vec<String>)> {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let organisation = host.strip_suffix(".visualstudio.com");
    let (organisation, rest) = match (host, organisation) {
        ("ssh.dev.azure.com", _) => match parts.split_first()? {
            (&"v3", rest) => rest.split_first().map(|(first, rest)| (*first, rest))?,
            _ => return None,
        },
        (_, Some("vs-ssh")) => match parts.as_slice() {
            ["v3", organisation, rest @ ..] => (*organisation, rest),
            rest => (user?, rest),
        },
        ("dev.azure.com", _) => parts.split_first().map(|(first, rest)| (*first, rest))?,
        (_, Some(organisation)) => (organisation, parts.as_slice()),
        _ => return None,
    };
    let is_word = |part: &&str| {
        let words = ["_git", "_ssh", "_optimized", "_full"];
        !words.contains(part) && !part.eq_ignore_ascii_case("DefaultCollection")
    };
    let names: Vec<&str> = rest.iter().copied().filter(is_word).collect();
    // A project's first repository has its name.
    let (project, repository) = match names.as_slice() {
        [project] => (project, project),
        [project, repository] => (project, repository),
        _ => return None,
    };
    let names = [organisation, project, repository].map(str::to_lowercase);
    Some(("dev.azure.com".to_owned(), names.to_vec()))
}

/// Removes what precedes project and repository in an http address of a Bitbucket server:
/// `scm/PROJECT/repository`, perhaps below a directory.
fn without_scm(parts: &[String]) -> Option<Vec<String>> {
    let [.., scm, project, repository] = parts else {
        return None;
    };
    (scm == "scm").then(|| vec![project.clone(), repository.clone()])
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
