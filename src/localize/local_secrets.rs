//! The secrets of this machine, as sessions and other text need them.

use std::sync::PoisonError;

use crate::config::SecretsMode;
use crate::domain::SessionId;
use crate::localize::localizer::Localizer;
use crate::rewrite::{TextKind, redaction, replace_spans};
use crate::secrets::Secrets;
use crate::sys::fs::PathError;

impl Localizer {
    /// Sets the treatment of new secrets in a session.
    pub(crate) fn set_secrets_mode(&self, session: &SessionId, mode: SecretsMode) {
        let mut modes = self
            .secrets_modes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        modes.insert(session.clone(), mode);
    }

    /// Returns the secrets of this machine, with the treatment of new ones in a session.
    pub(crate) fn session_secrets(&self, session: &SessionId) -> Option<Secrets> {
        let secrets = self.secrets.as_ref()?;
        let modes = self.secrets_modes.lock();
        let modes = modes.unwrap_or_else(PoisonError::into_inner);
        let mode = modes.get(session).copied();
        Some(secrets.with_mode(mode.unwrap_or(secrets.mode())))
    }

    /// Returns notices about rules for secrets that are not used.
    pub(crate) fn rule_warnings(&self) -> Vec<String> {
        let secrets = self.secrets.as_ref();
        secrets.map_or_else(Vec::new, |secrets| secrets.rule_warnings().to_vec())
    }

    /// Makes the values durable that placeholders stand for. Text may be committed after that.
    pub(crate) fn save_secrets(&self) -> Result<(), PathError> {
        self.secrets
            .as_ref()
            .map_or(Ok(()), |secrets| secrets.vault().save())
    }

    /// Returns a text for other machines without its secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        let Some(secrets) = &self.secrets else {
            return text.to_owned();
        };
        let found = secrets.search(text.as_bytes(), TextKind::Plain);
        let mut spans = [found.masked, found.held].concat();
        spans.sort_by_key(|span| span.range.start);
        let redacted = replace_spans(text.as_bytes(), &spans, redaction);
        String::from_utf8_lossy(&redacted).into_owned()
    }
}
