//! Tells rewriting which text becomes a placeholder, and which value a placeholder stands for.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use memchr::memmem;

use super::excerpt::excerpt;
use super::rule_search::RuleSearch;
use super::scan::{FindingKind, Scanner, SecretFinding, without_overlaps};
use super::vault::{SecretDecision, SecretSource, Vault};
use crate::config::SecretsMode;
use crate::domain::SecretName;
use crate::rewrite::{SecretFinder, SecretSpan, SecretValues, TextKind};
use crate::sys::{Env, fs::PathError};

/// The secrets of this machine, and the search for new ones.
#[derive(Clone)]
pub struct Secrets {
    vault: Arc<Vault>,
    mode: SecretsMode,
    rules: Arc<RuleSearch>,
}

/// The secrets in one text, by what is to be done with them.
#[derive(Debug, Default)]
pub struct FoundSecrets {
    /// They become placeholders.
    pub masked: Vec<SecretSpan>,
    /// They keep their session from being stored.
    pub held: Vec<SecretSpan>,
    /// They are stored, and reported.
    pub reported: Vec<SecretSpan>,
}

static SCANNER: LazyLock<Scanner> = LazyLock::new(Scanner::new);

impl Secrets {
    /// Opens the vault and reads the user's rules.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn open(env: &Env, mode: SecretsMode) -> Result<Self, PathError> {
        Ok(Self {
            vault: Arc::new(Vault::open(&env.dirs.state)?),
            mode,
            rules: Arc::new(RuleSearch::open(&env.dirs.config, &env.home)?),
        })
    }

    /// Returns the same secrets with another treatment of new ones.
    #[must_use]
    pub fn with_mode(&self, mode: SecretsMode) -> Self {
        Self {
            mode,
            ..self.clone()
        }
    }

    /// Returns the treatment of new secrets.
    pub fn mode(&self) -> SecretsMode {
        self.mode
    }

    /// Returns notices about rules of the user that are not used.
    pub fn rule_warnings(&self) -> &[String] {
        &self.rules.warnings
    }

    /// Returns the vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Returns what looks like a secret, in ascending order, whatever was decided about it.
    pub fn scan(&self, text: &[u8], kind: TextKind) -> Vec<SecretFinding<'_>> {
        let mut found: Vec<SecretFinding<'_>> = SCANNER.scan(text, kind);
        self.rules.scan(text, kind, &mut found);
        found.retain(|finding| {
            let is_redaction = matches!(finding.kind, FindingKind::Redaction(_));
            is_redaction || !self.rules.is_allowed(&text[finding.range.clone()])
        });
        without_overlaps(found)
    }

    /// Returns the secrets in `text` that are not in `before`, an earlier version of it.
    pub fn search_new(&self, text: &[u8], before: &[u8], kind: TextKind) -> FoundSecrets {
        let mut found = self.search(text, kind);
        found.retain(|span| memmem::find(before, &text[span.range.clone()]).is_none());
        found
    }

    /// Remembers where secrets are in the text of a file. Its first line has the number
    /// `first_line`.
    pub fn record_places(&self, text: &[u8], found: &FoundSecrets, source: &SecretSource<'_>) {
        for spans in [&found.masked, &found.held, &found.reported] {
            let (mut at, mut line) = (0, source.first_line);
            for span in spans {
                line += memchr::memchr_iter(b'\n', &text[at..span.range.start]).count() as u64;
                at = span.range.start;
                self.vault.record_place(&span.name, source, self.mode, || {
                    (line, excerpt(text, &span.range, spans))
                });
            }
        }
    }

    /// Returns the secrets in `text`, in ascending order.
    pub fn search(&self, text: &[u8], kind: TextKind) -> FoundSecrets {
        let mut found = FoundSecrets::default();
        let findings = match self.mode {
            SecretsMode::Off => SCANNER.redactions(text),
            _ => self.scan(text, kind),
        };
        for finding in findings {
            let range = finding.range;
            match finding.kind {
                // If the value is known, its redaction is text like any other.
                FindingKind::Redaction(name) if self.vault.value(&name).is_some() => {}
                FindingKind::Redaction(name) => found.masked.push(SecretSpan { range, name }),
                FindingKind::Value(form) => {
                    let value = &text[range.clone()];
                    let Some(name) = self.vault.name(form, value) else {
                        continue;
                    };
                    let Some(list) = found.list(self.vault.decision(&name), self.mode) else {
                        continue;
                    };
                    self.vault.insert(&name, value);
                    list.push(SecretSpan { range, name });
                }
            }
        }
        found
    }
}

impl FoundSecrets {
    /// Returns the names of the secrets of one list.
    pub fn names(spans: &[SecretSpan]) -> BTreeSet<&SecretName> {
        spans.iter().map(|span| &span.name).collect()
    }

    /// Keeps the secrets whose value `is_new`.
    fn retain(&mut self, is_new: impl Fn(&SecretSpan) -> bool) {
        for spans in [&mut self.masked, &mut self.held, &mut self.reported] {
            spans.retain(&is_new);
        }
    }

    /// Returns the list of a secret; `None`: it is stored without a word.
    fn list(
        &mut self,
        decision: Option<SecretDecision>,
        mode: SecretsMode,
    ) -> Option<&mut Vec<SecretSpan>> {
        match (decision, mode) {
            (Some(SecretDecision::Allow | SecretDecision::Ignore), _)
            | (None, SecretsMode::Off) => None,
            (Some(SecretDecision::Mask), _) | (None, SecretsMode::Mask) => Some(&mut self.masked),
            (None, SecretsMode::Hold) => Some(&mut self.held),
            (None, SecretsMode::Warn) => Some(&mut self.reported),
        }
    }
}

impl SecretFinder for Secrets {
    fn find(&self, text: &[u8], kind: TextKind) -> Vec<SecretSpan> {
        self.search(text, kind).masked
    }
}

impl SecretValues for Secrets {
    fn value(&self, name: &SecretName) -> Option<Arc<[u8]>> {
        self.vault.value(name)
    }
}
