//! Tells rewriting which text becomes a placeholder, and which value a placeholder stands for.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::scan::{FindingKind, Scanner};
use super::vault::{SecretDecision, Vault};
use crate::config::SecretsMode;
use crate::domain::SecretName;
use crate::rewrite::{SecretFinder, SecretSpan, SecretValues, TextKind};
use crate::sys::fs::PathError;

/// The secrets of this machine, and the search for new ones.
pub struct Secrets {
    vault: Vault,
    mode: SecretsMode,
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
    /// Opens the vault in the state directory.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn open(state_dir: &Path, mode: SecretsMode) -> Result<Self, PathError> {
        let vault = Vault::open(state_dir)?;
        Ok(Self { vault, mode })
    }

    /// Returns the vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Returns the secrets in `text`, in ascending order.
    pub fn search(&self, text: &[u8], kind: TextKind) -> FoundSecrets {
        let mut found = FoundSecrets::default();
        let findings = match self.mode {
            SecretsMode::Off => SCANNER.redactions(text),
            _ => SCANNER.scan(text, kind),
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
