//! The author of commits, if the user has given one.

use super::checked::{checked_text, ensure};

/// Longest author, in bytes.
const MAX_BYTES: usize = 256;

/// A name and an e-mail address: `Al <al@corp.example>`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(into = "String")]
pub struct CommitAuthor(String);

/// A text is not a name and an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("give a name and an address: `Al <al@example.com>`")]
pub struct InvalidCommitAuthor;

impl CommitAuthor {
    /// Returns the e-mail address.
    pub fn address(&self) -> &str {
        let begin = self.0.rfind('<').map_or(0, |at| at + 1);
        self.0[begin..].trim_end_matches('>')
    }
}

fn check(text: &str) -> Result<(), InvalidCommitAuthor> {
    let parts = text
        .strip_suffix('>')
        .and_then(|text| text.split_once(" <"));
    let is_valid = parts.is_some_and(|(name, address)| {
        let is_plain = |part: &str| !part.trim().is_empty() && !part.contains(['<', '>']);
        is_plain(name) && is_plain(address) && !address.contains(char::is_whitespace)
    });
    let is_short = text.len() <= MAX_BYTES && !text.chars().any(char::is_control);
    ensure(is_valid && is_short, || InvalidCommitAuthor)
}

checked_text!(CommitAuthor, InvalidCommitAuthor, check);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_author_needs_name_and_address() {
        let good: CommitAuthor = "Al Smith <al@corp.example>".parse().unwrap();
        assert_eq!(good.address(), "al@corp.example");
        for bad in [
            "",
            "Al",
            "al@corp.example",
            "<al@corp.example>",
            " <al@corp.example>",
            "Al <>",
            "Al <a b>",
            "Al <a>\n <b>",
            "Al <a> <b>",
        ] {
            assert!(bad.parse::<CommitAuthor>().is_err(), "{bad}");
        }
    }
}
