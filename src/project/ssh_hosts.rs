//! `Host` aliases of the user's ssh configuration, so that a remote behind one is recognised.
//!
//! Reads `HostName` in `~/.ssh/config` and the files that it includes. Must not run ssh.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::sys::fs::read_plain_file;

/// Maximum size of a file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Maximum number of files.
const MAX_FILES: usize = 64;

/// The aliases of the user.
#[derive(Debug, Default)]
pub(crate) struct SshHosts {
    blocks: Vec<HostBlock>,
}

/// `HostName` for the hosts that match `patterns`.
#[derive(Debug)]
struct HostBlock {
    patterns: Vec<String>,
    host_name: String,
}

impl SshHosts {
    /// Reads the configuration below `home`. A missing file has no aliases.
    pub(crate) fn read(home: &Path) -> Self {
        let mut hosts = Self::default();
        let ssh = home.join(".ssh");
        let mut seen = BTreeSet::new();
        hosts.read_file(&ssh, &ssh.join("config"), home, &mut seen);
        hosts
    }

    /// Returns the real name of a host, if it is an alias. As in ssh, the first one counts.
    pub(crate) fn real_name(&self, host: &str) -> Option<String> {
        let block = self
            .blocks
            .iter()
            .find(|block| matches_any(&block.patterns, host))?;
        let name = block.host_name.replace("%%", "%").replace("%h", host);
        (!name.eq_ignore_ascii_case(host) && !name.contains('%')).then_some(name)
    }

    fn read_file(&mut self, ssh: &Path, path: &Path, home: &Path, seen: &mut BTreeSet<PathBuf>) {
        if seen.len() >= MAX_FILES || !seen.insert(path.to_owned()) {
            return;
        }
        let text = read_plain_file(path, MAX_FILE_BYTES);
        let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
        // `None`: in a `Match` block, whose conditions are not known here.
        let mut patterns = Some(vec!["*".to_owned()]);
        for line in text.lines() {
            let mut words = words(line).into_iter();
            let Some(key) = words.next() else { continue };
            match (key.to_ascii_lowercase().as_str(), &patterns) {
                ("host", _) => patterns = Some(words.collect()),
                ("match", _) => {
                    let is_all = words
                        .next()
                        .is_some_and(|word| word.eq_ignore_ascii_case("all"));
                    patterns = is_all.then(|| vec!["*".to_owned()]);
                }
                ("hostname", Some(patterns)) => {
                    if let Some(host_name) = words.next() {
                        self.blocks.push(HostBlock {
                            patterns: patterns.clone(),
                            host_name,
                        });
                    }
                }
                ("include", Some(_)) => {
                    for file in words.flat_map(|word| included(ssh, &word, home)) {
                        self.read_file(ssh, &file, home, seen);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Splits a line of the configuration, `Key value` or `Key=value`.
fn words(line: &str) -> Vec<String> {
    let line = line.trim();
    if line.starts_with('#') {
        return Vec::new();
    }
    let line = match line.find(|c: char| c.is_whitespace() || c == '=') {
        Some(at) => {
            let value = line[at..].trim_start().trim_start_matches('=');
            format!("{} {value}", &line[..at])
        }
        None => line.to_owned(),
    };
    let words = line.split_whitespace();
    words
        .map(|word| word.trim_matches('"').to_owned())
        .collect()
}

/// Lists the files that an `Include` names; only the last part may be a pattern.
fn included(ssh: &Path, word: &str, home: &Path) -> Vec<PathBuf> {
    let path = match word.strip_prefix("~/") {
        Some(below) => home.join(below),
        None => ssh.join(word),
    };
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(pattern) = name.filter(|name| name.contains(['*', '?'])) else {
        return vec![path];
    };
    let entries = path.parent().and_then(|parent| fs::read_dir(parent).ok());
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| matches(pattern, name))
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

fn matches_any(patterns: &[String], host: &str) -> bool {
    let negated = patterns
        .iter()
        .filter_map(|pattern| pattern.strip_prefix('!'));
    let mut plain = patterns.iter().filter(|pattern| !pattern.starts_with('!'));
    !negated.into_iter().any(|pattern| matches(pattern, host))
        && plain.any(|pattern| matches(pattern, host))
}

/// Matches `*` and `?` of ssh's patterns.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // `reached[n]`: the pattern so far matches the first `n` characters.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for part in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match part {
                '*' => reached[at] || at > 0 && next[at - 1],
                '?' => at > 0 && reached[at - 1],
                c => at > 0 && reached[at - 1] && text[at - 1] == c,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

    #[test]
    fn ssh_hosts_first_matching_name_counts() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".ssh/conf.d")).unwrap();
        let config = "# x\nInclude conf.d/*.conf\nHost github-work work-*\n  HostName = github.com\n\
                      Host !no-* *-lab\n\tHostName %h.example.org\nMatch host x\n HostName y\n\
                      Host work-2\n HostName other.org\n";
        write_atomic(&home.path().join(".ssh/config"), config.as_bytes()).unwrap();
        let more = b"Host inc\nHostName \"included.org\"\n";
        write_atomic(&home.path().join(".ssh/conf.d/a.conf"), more).unwrap();
        let hosts = SshHosts::read(home.path());
        for (host, name) in [
            ("github-work", Some("github.com")),
            ("work-2", Some("github.com")),
            ("a-lab", Some("a-lab.example.org")),
            ("no-lab", None),
            ("inc", Some("included.org")),
            ("x", None),
            ("github.com", None),
        ] {
            assert_eq!(hosts.real_name(host).as_deref(), name, "{host}");
        }
    }
}
