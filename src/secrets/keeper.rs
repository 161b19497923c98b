//! What rewriting needs of secrets: which text becomes a placeholder, and what it stands for.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::scan::{FindingKind, Scanner};
use super::vault::Vault;
use crate::domain::SecretName;
use crate::rewrite::{SecretFinder, SecretSpan, SecretValues, TextKind};
use crate::sys::fs::PathError;

/// The secrets of this machine, and the search for new ones.
pub struct Secrets {
    vault: Vault,
}

static SCANNER: LazyLock<Scanner> = LazyLock::new(Scanner::new);

impl Secrets {
    /// Opens the vault in the state directory.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn open(state_dir: &Path) -> Result<Self, PathError> {
        let vault = Vault::open(state_dir)?;
        Ok(Self { vault })
    }

    /// Returns the vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }
}

impl SecretFinder for Secrets {
    fn find(&self, text: &[u8], kind: TextKind) -> Vec<SecretSpan> {
        let found = SCANNER.scan(text, kind).into_iter();
        let spans = found.filter_map(|finding| {
            let range = finding.range;
            let name = match finding.kind {
                FindingKind::Value(form) => self.vault.name(form, &text[range.clone()])?,
                // Where the value is known, its redaction is text like any other.
                FindingKind::Redaction(name) if self.vault.value(&name).is_none() => name,
                FindingKind::Redaction(_) => return None,
            };
            Some(SecretSpan { range, name })
        });
        spans.collect()
    }
}

impl SecretValues for Secrets {
    fn value(&self, name: &SecretName) -> Option<Arc<[u8]>> {
        self.vault.value(name)
    }
}
