//! Parses git's porcelain output. The samples in the tests are from git 2.47.
//!
//! Must not run anything. Must not parse messages for users, except progress lines, which
//! decide nothing.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::CommitId;

/// Error: the output does not match git's documentation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected line `{}`", .0.escape_debug())]
pub struct Malformed(String);

impl Malformed {
    fn new(line: &str) -> Self {
        const ENOUGH: usize = 120;
        Self(line.chars().take(ENOUGH).collect())
    }
}

/// A version of git.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitVersion {
    /// 2 in 2.34.
    pub major: u32,
    /// 34 in 2.34.
    pub minor: u32,
}

impl fmt::Display for GitVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Result for one reference of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedRef {
    /// Its full name on the remote.
    pub name: String,
    /// Its result.
    pub status: PushStatus,
}

/// Status of one reference of a push (git-push(1), "OUTPUT").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushStatus {
    /// Updated: moved, forced, created, deleted, or already up to date.
    Ok,
    /// Rejected by the local git: the remote's reference has another value than expected.
    NotSent(String),
    /// Rejected by the remote.
    ByRemote(String),
}

/// Reads `git push --porcelain`: lines `<flag> TAB <from>:<to> TAB <summary> (<reason>)`
/// between `To <url>` and `Done`.
///
/// # Errors
/// [`Malformed`] for a line of another form.
pub fn parse_push(stdout: &str) -> Result<Vec<PushedRef>, Malformed> {
    stdout
        .lines()
        .filter(|line| !is_frame(line))
        .map(pushed_ref)
        .collect()
}

/// `To` and `Done` frame the references; `branch … set up to track` belongs to a
/// configuration we do not use.
fn is_frame(line: &str) -> bool {
    line.is_empty() || line == "Done" || line.starts_with("To ")
}

fn pushed_ref(line: &str) -> Result<PushedRef, Malformed> {
    let malformed = || Malformed::new(line);
    let mut fields = line.splitn(3, '\t');
    let (Some(flag), Some(refs), Some(summary)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed());
    };
    let (_, name) = refs.rsplit_once(':').ok_or_else(malformed)?;
    let status = match flag {
        " " | "+" | "-" | "*" | "=" => PushStatus::Ok,
        "!" => refused(summary),
        _ => return Err(malformed()),
    };
    Ok(PushedRef {
        name: name.to_owned(),
        status,
    })
}

/// `[rejected] (stale info)`, `[remote rejected] (pre-receive hook declined)`, `[remote
/// failure] (…)`.
fn refused(summary: &str) -> PushStatus {
    let reason = summary
        .split_once('(')
        .map_or(summary, |(_, rest)| rest.strip_suffix(')').unwrap_or(rest))
        .to_owned();
    if summary.starts_with("[remote ") {
        PushStatus::ByRemote(reason)
    } else {
        PushStatus::NotSent(reason)
    }
}

/// Reads `git show-ref --hash` of one reference: `<id>`.
///
/// # Errors
/// [`Malformed`] for anything else.
pub fn parse_id(stdout: &str) -> Result<CommitId, Malformed> {
    let line = stdout.strip_suffix('\n').unwrap_or(stdout);
    line.parse().map_err(|_| Malformed::new(line))
}

/// Returns true if this is a full reference name that means nothing else to git: `refs/`
/// and the rules of git-check-ref-format(1).
pub fn is_ref_name(name: &str) -> bool {
    let bad =
        |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let component_ok = |c: &str| {
        !c.is_empty() && !c.starts_with('.') && !c.ends_with(".lock") && !c.ends_with('.')
    };
    name.starts_with("refs/")
        && name.split('/').all(component_ok)
        && !name.contains(bad)
        && !name.contains("..")
        && !name.contains("@{")
}

/// Reads `git ls-remote`: `<id> TAB <name>`. Skips names that break git's own rules: a
/// server can send anything.
///
/// # Errors
/// [`Malformed`] for a line of another form, also for the longer ids of a SHA-256
/// repository.
pub fn parse_refs(stdout: &str) -> Result<BTreeMap<String, CommitId>, Malformed> {
    let entry = |line: &str| {
        let (id, name) = line.split_once('\t')?;
        Some((name.to_owned(), id.parse().ok()?))
    };
    let mut refs = BTreeMap::new();
    for line in stdout.lines() {
        let (name, id) = entry(line).ok_or_else(|| Malformed::new(line))?;
        if is_ref_name(&name) {
            refs.insert(name, id);
        }
    }
    Ok(refs)
}

/// Returns true if `git ls-remote` listed ids of the SHA-256 format.
pub fn is_sha256(stdout: &str) -> bool {
    let id = stdout.split('\t').next().unwrap_or_default();
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Reads `git version`: `git version 2.39.5 (Apple Git-154)`, `git version 2.47.0.windows.1`.
///
/// # Errors
/// [`Malformed`] for anything else.
pub fn parse_version(stdout: &str) -> Result<GitVersion, Malformed> {
    // `2.42-rc1` counts as 2.42.
    let number = |text: Option<&str>| text?.split('-').next()?.parse().ok();
    let parse = || {
        let mut parts = stdout
            .trim()
            .strip_prefix("git version ")?
            .split(['.', ' ']);
        Some(GitVersion {
            major: number(parts.next())?,
            minor: number(parts.next())?,
        })
    };
    parse().ok_or_else(|| Malformed::new(stdout.lines().next().unwrap_or_default()))
}

/// A progress line of git.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GitProgress<'a> {
    /// `Writing objects`, `Receiving objects`, `Counting objects`.
    pub what: &'a str,
    /// Number done.
    pub done: u64,
    /// Total; 0 if unknown.
    pub total: u64,
}

/// Reads a progress line: `Writing objects:  42% (123/456), 1.20
/// MiB | 3.00 MiB/s`, `remote: Enumerating objects: 7`.
pub fn parse_progress(line: &str) -> Option<GitProgress<'_>> {
    let (what, numbers) = line
        .strip_prefix("remote:")
        .unwrap_or(line)
        .trim_start()
        .split_once(": ")?;
    let capital_word =
        what.starts_with(|c: char| c.is_ascii_uppercase()) && !what.contains(['/', '\'', '"']);
    if !capital_word {
        return None;
    }
    let numbers = numbers.trim_start();
    let (done, total) = match numbers.split_once("% (") {
        Some((percent, counts)) => {
            percent.parse::<u64>().ok()?;
            let (done, total) = counts.split_once(')')?.0.split_once('/')?;
            (done.parse().ok()?, total.parse().ok()?)
        }
        None => (
            numbers
                .strip_suffix(", done.")
                .unwrap_or(numbers)
                .parse()
                .ok()?,
            0,
        ),
    };
    Some(GitProgress { what, done, total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "50c52306449f4dec4b8cd1345520ff3714161527";
    const B: &str = "89c632954e961e893c2c7c4d17519957cd4b8f32";

    fn statuses(stdout: &str) -> Vec<(String, PushStatus)> {
        parse_push(stdout)
            .unwrap()
            .into_iter()
            .map(|r| (r.name, r.status))
            .collect()
    }

    #[test]
    fn porcelain_accepted_pushes_are_parsed() {
        let sample = format!(
            "To ../r.git\n \t{B}:refs/heads/main\t50c5230..89c6329\n*\t{A}:refs/heads/m\t[new branch]\n\
             -\t:refs/heads/l\t[deleted]\n=\t{A}:refs/heads/n\t[up to date]\n\
             +\t{A}:refs/heads/o\t89c6329...51e3042 (forced update)\nDone\n"
        );
        let names = [
            "refs/heads/main",
            "refs/heads/m",
            "refs/heads/l",
            "refs/heads/n",
            "refs/heads/o",
        ];
        let expected: Vec<_> = names.map(|n| (n.to_owned(), PushStatus::Ok)).into();
        assert_eq!(statuses(&sample), expected);
    }

    #[test]
    fn porcelain_rejected_pushes_are_parsed() {
        let sample = format!(
            "To ../r.git\n!\t{A}:refs/heads/main\t[rejected] (atomic push failed)\n\
             !\t{A}:refs/heads/l\t[rejected] (stale info)\n!\t(delete):refs/heads/d\t[rejected] (stale info)\n\
             !\t{A}:refs/heads/h\t[remote rejected] (pre-receive hook declined)\nDone\n"
        );
        let not_sent =
            |name: &str, why: &str| (name.to_owned(), PushStatus::NotSent(why.to_owned()));
        let expected = vec![
            not_sent("refs/heads/main", "atomic push failed"),
            not_sent("refs/heads/l", "stale info"),
            not_sent("refs/heads/d", "stale info"),
            (
                "refs/heads/h".to_owned(),
                PushStatus::ByRemote("pre-receive hook declined".to_owned()),
            ),
        ];
        assert_eq!(statuses(&sample), expected);
    }

    #[test]
    fn porcelain_output_with_one_id_is_parsed() {
        assert_eq!(parse_id(&format!("{A}\n")).unwrap().as_str(), A);
        for bad in [
            String::new(),
            "\n".to_owned(),
            format!("{A} x\n"),
            format!("{A}\n{B}\n"),
        ] {
            assert!(parse_id(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn porcelain_refs_and_object_format_are_parsed() {
        let refs = parse_refs(&format!("{A}\trefs/heads/m\n{B}\trefs/heads/main\n")).unwrap();
        assert_eq!(refs["refs/heads/main"].as_str(), B);
        assert!(parse_refs("").unwrap().is_empty());
        let long = format!("{}\trefs/heads/main\n", "a".repeat(64));
        assert!(parse_refs(&long).is_err() && is_sha256(&long));
        assert!(!is_sha256(&format!("{A}\tx")) && !is_sha256(""));
    }

    #[test]
    fn porcelain_unsafe_ref_names_are_refused() {
        for good in [
            "refs/heads/main",
            "refs/heads/ccsync/lock/3f2a",
            "refs/tags/v1.0",
            "refs/heads/é",
        ] {
            assert!(is_ref_name(good), "{good}");
        }
        for bad in [
            "",
            "HEAD",
            "-x",
            "refs/",
            "refs/heads/a:b",
            "refs/heads/*",
            "refs/../x",
            "refs/heads/.a",
            "refs//a",
        ] {
            assert!(!is_ref_name(bad), "{bad}");
        }
        assert!(
            parse_refs(&format!("{A}\trefs/heads/a:b\n"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn porcelain_git_version_is_parsed() {
        let version = |text| parse_version(text).map(|v| v.to_string());
        assert_eq!(version("git version 2.47.3\n").as_deref(), Ok("2.47"));
        assert_eq!(
            version("git version 2.39.5 (Apple Git-154)\n").as_deref(),
            Ok("2.39")
        );
        assert_eq!(version("git version 2.42-rc1\n").as_deref(), Ok("2.42"));
        assert_eq!(version("git version 3.0\n").as_deref(), Ok("3.0"));
        assert!(version("gti version 2").is_err());
        assert!(
            GitVersion { major: 2, minor: 9 }
                < GitVersion {
                    major: 2,
                    minor: 34
                }
        );
    }

    #[test]
    fn porcelain_progress_line_is_parsed() {
        let line = |text| parse_progress(text).map(|p| (p.what.to_owned(), p.done, p.total));
        let writing = "Writing objects:  42% (123/456), 1.20 MiB | 3.00 MiB/s";
        assert_eq!(
            line(writing),
            Some(("Writing objects".to_owned(), 123, 456))
        );
        assert_eq!(
            line("remote: Enumerating objects: 7, done."),
            Some(("Enumerating objects".to_owned(), 7, 0))
        );
        assert_eq!(line("remote: error: File x is 120 MB"), None);
        assert_eq!(line("fatal: no"), None);
    }

    proptest! {
        #[test]
        fn porcelain_any_text_never_panics(text in "\\PC*", lines in "([ +*!=t-]?[\t :()/a-f0-9é]{0,60}\n){0,4}") {
            for text in [text, lines] {
                let _ = (parse_push(&text), parse_id(&text), parse_refs(&text), parse_version(&text));
                let _ = (parse_progress(&text), is_sha256(&text));
            }
        }
    }
}
