//! New lines of a local file, with the secrets in them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::domain::{SecretName, SessionFile, SessionId};
use crate::localize::{error::StoredDataError, localizer::Localizer, stored_text::text_kind};
use crate::rewrite::{
    SecretSpan, SecretValues as _, redaction, replace_spans, replaceable, secret_placeholder,
    spans_within,
};
use crate::secrets::SecretSource;
use crate::store::segment::count_lines;

/// The file that lines come from.
#[derive(Clone, Copy)]
pub(super) struct PieceSource<'a> {
    pub(super) session: &'a SessionId,
    pub(super) file: &'a SessionFile,
}

/// Whole lines of a local file, with the secrets in them.
pub(super) struct LocalPiece<'t> {
    pub(super) text: &'t [u8],
    /// Number of its first line in the file, from 1.
    pub(super) first_line: u64,
    /// The secrets that become placeholders.
    pub(super) secrets: Vec<SecretSpan>,
    /// Number of secrets among them that this machine knows.
    pub(super) masked: u64,
    /// Number of secrets that are stored, and reported.
    pub(super) reported: u64,
}

impl<'t> LocalPiece<'t> {
    /// Searches new lines for secrets, and remembers where they are.
    ///
    /// # Errors
    /// [`StoredDataError::HeldSecrets`] if the settings keep the session from being stored.
    pub(super) fn search(
        localizer: &Localizer,
        text: &'t [u8],
        source: PieceSource<'_>,
        lines_before: u64,
    ) -> Result<Self, StoredDataError> {
        let mut piece = Self {
            text,
            first_line: lines_before + 1,
            secrets: Vec::new(),
            masked: 0,
            reported: 0,
        };
        let Some(secrets) = localizer.session_secrets(source.session) else {
            return Ok(piece);
        };
        let kind = text_kind(source.file);
        let found = secrets.search(text, kind);
        let place = SecretSource {
            session: Some(source.session),
            file: source.file.key(),
            first_line: piece.first_line,
        };
        secrets.record_places(text, &found, &place);
        if !found.held.is_empty() {
            localizer.save_secrets()?;
            let names: BTreeSet<_> = found.held.into_iter().map(|span| span.name).collect();
            return Err(StoredDataError::HeldSecrets {
                names: names.into_iter().collect(),
            });
        }
        let reported: BTreeSet<_> = found.reported.iter().map(|span| &span.name).collect();
        piece.reported = reported.len() as u64;
        piece.secrets = replaceable(found.masked, text, kind);
        let names: BTreeSet<_> = piece.secrets.iter().map(|span| &span.name).collect();
        let is_known = |name: &&&SecretName| secrets.value(name).is_some();
        piece.masked = names.iter().filter(is_known).count() as u64;
        Ok(piece)
    }

    /// Returns a part, which no secret crosses.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        Self {
            text: &self.text[range.clone()],
            first_line: self.first_line + count_lines(&self.text[..range.start]),
            secrets: spans_within(&self.secrets, range),
            ..*self
        }
    }

    /// Returns the text with placeholders for secrets: what is hashed and compared in the store.
    pub(super) fn written(&self) -> Cow<'t, [u8]> {
        self.replaced(secret_placeholder)
    }

    pub(super) fn redacted(&self) -> Cow<'t, [u8]> {
        self.replaced(redaction)
    }

    fn replaced(&self, replacement: impl Fn(&SecretName) -> String) -> Cow<'t, [u8]> {
        if self.secrets.is_empty() {
            return Cow::Borrowed(self.text);
        }
        Cow::Owned(replace_spans(self.text, &self.secrets, replacement))
    }
}
