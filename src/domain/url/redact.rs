//! Hiding secrets in texts with addresses.

use super::syntax::{authority, ends_address, is_scheme_char, is_ssh};

/// The text in the place of a secret.
pub(super) const HIDDEN: &str = "***";

/// Hides user names and passwords of all URLs in a text: `https://***@host/`.
///
/// The user name of an ssh URL stays, and so does `user@host:path`, which has no password.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        out.push_str(before);
        rest = redact_userinfo(scheme_at_end(&before[..at]), after, &mut out);
        rest = redact_query(rest, &mut out);
    }
    out.push_str(rest);
    out
}

/// Returns the scheme with which `text` ends.
fn scheme_at_end(text: &str) -> &str {
    text.rsplit(|c| !is_scheme_char(c))
        .next()
        .unwrap_or_default()
}

/// Writes the user of an address without its password. Returns the rest of the text.
fn redact_userinfo<'t>(scheme: &str, after: &'t str, out: &mut String) -> &'t str {
    let Some((userinfo, _)) = authority(after).rsplit_once('@') else {
        return after;
    };
    match userinfo.split_once(':') {
        Some((user, _)) if is_ssh(scheme) => {
            out.push_str(user);
            out.push(':');
            out.push_str(HIDDEN);
        }
        None if is_ssh(scheme) => out.push_str(userinfo),
        _ => out.push_str(HIDDEN),
    }
    &after[userinfo.len()..]
}

/// Writes the rest of an address without its query. Returns the rest of the text.
fn redact_query<'t>(text: &'t str, out: &mut String) -> &'t str {
    let end = text.find(ends_address).unwrap_or(text.len());
    let end = text[..end].find("://").unwrap_or(end);
    let (address, rest) = text.split_at(end);
    // Signed addresses have their secret after the question mark.
    match address.split_once('?') {
        Some((path, query)) if !query.is_empty() => {
            out.push_str(path);
            out.push('?');
            out.push_str(HIDDEN);
        }
        _ => out.push_str(address),
    }
    rest
}
