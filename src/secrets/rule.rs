//! One rule of the user: a pattern, and what it does not mean.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use regex::bytes::{Captures, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::rule_text::{AllowText, Condition, RegexTarget, RuleText};
use super::words::entropy;
use crate::domain::secret::MAX_FORM_LEN;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 20_000;

/// Largest pattern with its repetitions written out, in characters and ranges of them.
const MAX_SIZE: usize = 100_000;

/// Largest compiled pattern, in bytes.
const MAX_COMPILED: usize = 64 << 20;

/// Most nested groups of a pattern.
const MAX_NESTING: u32 = 100;

/// A rule of the user.
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) file: PathBuf,
    /// The name of what it finds, in placeholders.
    pub(super) form: String,
    /// In lower case. Empty: the pattern is searched for everywhere.
    pub(super) keywords: Vec<String>,
    pub(super) allowed: Vec<Allowance>,
    pattern: RulePattern,
    secret_group: usize,
    min_entropy: f64,
}

/// Text that is no secret.
#[derive(Clone)]
pub(super) struct Allowance {
    patterns: Arc<[RulePattern]>,
    /// In lower case.
    stopwords: Arc<[String]>,
    target: RegexTarget,
    condition: Condition,
}

/// A pattern, compiled when it is used.
pub(super) struct RulePattern {
    text: String,
    is_unicode: bool,
    regex: OnceLock<Option<Regex>>,
}

/// A find of a rule, in text without escapes.
pub(super) struct RuleMatch<'t> {
    pub(super) secret: regex::bytes::Match<'t>,
    whole: &'t [u8],
    line: &'t [u8],
}

impl Rule {
    /// Checks a rule.
    ///
    /// # Errors
    /// The reason why it cannot be used.
    pub(super) fn new(
        text: &RuleText,
        file: &Path,
        allowed: Vec<Allowance>,
    ) -> Result<Self, String> {
        let pattern = text.regex.as_deref().filter(|regex| !regex.is_empty());
        let pattern = RulePattern::new(pattern.ok_or("it has no `regex`")?)?;
        let keywords = text.keywords.iter().filter(|keyword| !keyword.is_empty());
        Ok(Self {
            id: text.id.clone(),
            file: file.to_owned(),
            form: form(&text.id).ok_or("its `id` has neither letters nor digits")?,
            keywords: keywords
                .map(|keyword| keyword.to_ascii_lowercase())
                .collect(),
            allowed,
            pattern,
            secret_group: text.secret_group,
            min_entropy: text.entropy,
        })
    }

    /// Returns what the rule finds in text without escapes.
    pub(super) fn find<'t>(&self, text: &'t [u8]) -> Vec<RuleMatch<'t>> {
        let Some(regex) = self.pattern.regex() else {
            return Vec::new();
        };
        let found = regex.captures_iter(text);
        let found = found.filter_map(|captures| self.rule_match(&captures, text));
        found.collect()
    }

    fn rule_match<'t>(&self, captures: &Captures<'t>, text: &'t [u8]) -> Option<RuleMatch<'t>> {
        let whole = captures.get(0)?;
        let secret = match self.secret_group {
            0 => {
                let mut groups = captures.iter().skip(1).flatten();
                groups.find(|group| !group.is_empty()).unwrap_or(whole)
            }
            group => captures.get(group)?,
        };
        let start = memchr::memrchr(b'\n', &text[..whole.start()]).map_or(0, |end| end + 1);
        let end = memchr::memchr(b'\n', &text[whole.end()..]);
        let end = end.map_or(text.len(), |end| whole.end() + end);
        let found = RuleMatch {
            secret,
            whole: whole.as_bytes(),
            line: &text[start..end],
        };
        let is_random = self.min_entropy == 0.0 || entropy(secret.as_bytes()) > self.min_entropy;
        let is_allowed = || {
            self.allowed
                .iter()
                .any(|allowance| allowance.covers(&found))
        };
        (!secret.is_empty() && is_random && !is_allowed()).then_some(found)
    }
}

impl Allowance {
    /// Checks an allowlist; `None`: it is not about text.
    ///
    /// # Errors
    /// The reason why it cannot be used.
    pub(super) fn new(text: &AllowText) -> Result<Option<Self>, String> {
        let has_places = !text.paths.is_empty() || !text.commits.is_empty();
        let is_of_text = !text.regexes.is_empty() || !text.stopwords.is_empty();
        if !is_of_text || has_places && text.condition == Condition::And {
            return Ok(None);
        }
        let patterns = text.regexes.iter().map(|regex| RulePattern::new(regex));
        Ok(Some(Self {
            patterns: patterns.collect::<Result<_, _>>()?,
            stopwords: text
                .stopwords
                .iter()
                .map(|word| word.to_lowercase())
                .collect(),
            target: text.regex_target,
            condition: text.condition,
        }))
    }

    /// Returns true if what was found is no secret.
    fn covers(&self, found: &RuleMatch<'_>) -> bool {
        let target = match self.target {
            RegexTarget::Secret => found.secret.as_bytes(),
            RegexTarget::Match => found.whole,
            RegexTarget::Line => found.line,
        };
        self.covers_text(target, found.secret.as_bytes())
    }

    /// Returns true if a value is no secret, whatever stands around it.
    pub(super) fn covers_value(&self, value: &[u8]) -> bool {
        self.covers_text(value, value)
    }

    fn covers_text(&self, target: &[u8], secret: &[u8]) -> bool {
        let matches = |pattern: &RulePattern| pattern.regex().is_some_and(|r| r.is_match(target));
        let by_pattern = || self.patterns.iter().any(matches);
        let by_word = || {
            let secret = String::from_utf8_lossy(secret).to_lowercase();
            self.stopwords.iter().any(|word| secret.contains(word))
        };
        match self.condition {
            Condition::Or => by_pattern() || by_word(),
            Condition::And => {
                (self.patterns.is_empty() || by_pattern())
                    && (self.stopwords.is_empty() || by_word())
            }
        }
    }
}

impl RulePattern {
    /// Checks a pattern without compiling it.
    ///
    /// # Errors
    /// The reason why it cannot be used.
    fn new(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err(format!("its pattern is longer than {MAX_PATTERN} bytes"));
        }
        let parse = |is_unicode| {
            let mut parser = ParserBuilder::new();
            let parser = parser.utf8(false).nest_limit(MAX_NESTING);
            let parsed = parser.unicode(is_unicode).build().parse(text);
            parsed.map_err(|error| match error {
                regex_syntax::Error::Parse(error) => error.kind().to_string(),
                regex_syntax::Error::Translate(error) => error.kind().to_string(),
                other => other.to_string(),
            })
        };
        // As in Go, `\w` means ASCII, unless the pattern is about other characters.
        let (parsed, is_unicode) = match parse(false) {
            Ok(parsed) => (Ok(parsed), false),
            Err(_) => (parse(true), true),
        };
        if size(&parsed?) > MAX_SIZE {
            return Err("its repetitions are too large".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            is_unicode,
            regex: OnceLock::new(),
        })
    }

    fn regex(&self) -> Option<&Regex> {
        let compile = || {
            let mut builder = RegexBuilder::new(&self.text);
            let builder = builder.unicode(self.is_unicode).size_limit(MAX_COMPILED);
            builder.build().ok()
        };
        self.regex.get_or_init(compile).as_ref()
    }
}

/// Returns the size of a pattern with its repetitions written out.
fn size(pattern: &Hir) -> usize {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().len().max(1),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len().max(1),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            size(&repetition.sub).saturating_mul(times as usize)
        }
        HirKind::Capture(capture) => size(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(size).fold(0, usize::saturating_add)
        }
    }
}

/// Returns the name of a form for the id of a rule.
fn form(id: &str) -> Option<String> {
    let form: String = id
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(MAX_FORM_LEN)
        .collect();
    form.contains(|c: char| c.is_ascii_alphanumeric())
        .then_some(form)
}
