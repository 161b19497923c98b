//! Rules and allowlists as a file has them.

use serde::Deserialize;

/// A rule.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleText {
    pub(super) id: String,
    pub(super) regex: Option<String>,
    /// Number of the group that is the secret.
    #[serde(default)]
    pub(super) secret_group: usize,
    #[serde(default)]
    pub(super) entropy: f64,
    #[serde(default)]
    pub(super) keywords: Vec<String>,
    pub(super) allowlist: Option<AllowText>,
    #[serde(default)]
    pub(super) allowlists: Vec<AllowText>,
}

/// An allowlist.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AllowText {
    #[serde(default)]
    pub(super) regexes: Vec<String>,
    #[serde(default)]
    pub(super) stopwords: Vec<String>,
    #[serde(default)]
    pub(super) regex_target: RegexTarget,
    #[serde(default)]
    pub(super) condition: Condition,
    #[serde(default)]
    pub(super) paths: Vec<String>,
    #[serde(default)]
    pub(super) commits: Vec<String>,
    #[serde(default)]
    pub(super) target_rules: Vec<String>,
}

/// Text that the patterns of an allowlist are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RegexTarget {
    #[default]
    Secret,
    Match,
    Line,
}

/// How the parts of an allowlist belong together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Condition {
    #[default]
    #[serde(rename = "OR", alias = "or", alias = "||")]
    Or,
    #[serde(rename = "AND", alias = "and", alias = "&&")]
    And,
}
