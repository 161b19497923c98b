//! Numbers of secrets in what was pushed.

use serde::Serialize;

use crate::report::count::is_zero;

/// Numbers of secrets in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SecretCounts {
    /// Those that became placeholders.
    #[serde(skip_serializing_if = "is_zero")]
    pub masked: u64,
    /// Those that are stored, and reported.
    #[serde(skip_serializing_if = "is_zero")]
    pub unmasked: u64,
}

impl SecretCounts {
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            masked: self.masked.max(other.masked),
            unmasked: self.unmasked.max(other.unmasked),
        }
    }
}
