//! Learns the values of masked secrets again from the file that they stand in, after the vault was
//! lost.

use std::collections::BTreeMap;

use memchr::memmem;

use crate::domain::SecretName;
use crate::localize::error::StoredDataError;
use crate::localize::line_reader::StoredLineReader;
use crate::localize::localizer::SecretChoice;
use crate::rewrite::{MAX_SECRET_BYTES, SecretValues as _, redaction, redaction_at, secrets_in};
use crate::store::manifest::Run;

impl StoredLineReader<'_> {
    /// Returns the secrets in a stored line of this machine whose values it has lost.
    pub(super) fn lost_secrets(&self, run: &Run, portable: &[u8]) -> Vec<SecretName> {
        let Some(secrets) = self.secrets().filter(|_| self.is_mine(run)) else {
            return Vec::new();
        };
        let names = secrets_in(portable).map(|(_, name)| name);
        names.filter(|name| secrets.value(name).is_none()).collect()
    }

    /// Learns the values of the `lost` secrets from `local`, if it is the stored line with values
    /// in their places. Returns true if it is.
    pub(super) fn learn_secrets(
        &self,
        run: &Run,
        portable: &[u8],
        local: &[u8],
        lost: &[SecretName],
    ) -> Result<bool, StoredDataError> {
        let readings = self.readings(run, portable);
        for reading in readings.filter(|reading| reading.secrets == SecretChoice::Local) {
            let text = self.read(run, reading, portable)?;
            if let Some(values) = values_in(&text, local, lost) {
                self.record_reading(run, reading);
                for (name, value) in values {
                    self.secrets()
                        .into_iter()
                        .for_each(|secrets| secrets.vault().insert(&name, value));
                }
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the text in `local` in the places of the redactions of `names` in `expected`, if
/// nothing else differs.
pub(crate) fn values_in<'l>(
    expected: &[u8],
    local: &'l [u8],
    names: &[SecretName],
) -> Option<BTreeMap<SecretName, &'l [u8]>> {
    let mut values = BTreeMap::new();
    let (mut expected, mut local) = (expected, local);
    let mut names = names.iter().peekable();
    while let Some(name) = names.next() {
        let mark = redaction(name);
        let start = memmem::find(expected, mark.as_bytes())?;
        let rest = local.strip_prefix(&expected[..start])?;
        expected = &expected[start + mark.len()..];
        let end = match names.peek() {
            // The text between two secrets ends the first one.
            Some(next) => {
                let between = memmem::find(expected, redaction(next).as_bytes())?;
                memmem::find(rest, &expected[..between])?
            }
            None => rest.len().checked_sub(expected.len())?,
        };
        let (value, after) = rest.split_at(end);
        let is_value =
            (1..=MAX_SECRET_BYTES).contains(&value.len()) && redaction_at(value).is_none();
        let other = values.insert(name.clone(), value);
        if !is_value || other.is_some_and(|other| other != value) {
            return None;
        }
        local = after;
    }
    (local == expected).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_nothing_else_differs() {
        let name = |id: &str| SecretName::new("x", &id.repeat(16)).unwrap();
        let (a, b) = (name("a"), name("b"));
        let expected = format!(
            "use {} and {}, {}.",
            redaction(&a),
            redaction(&b),
            redaction(&a)
        );
        let names = [a.clone(), b.clone(), a.clone()];
        let found = |local: &'static str| values_in(expected.as_bytes(), local.as_bytes(), &names);
        let values = found("use one and two, one.").unwrap();
        assert_eq!((values[&a], values[&b]), (&b"one"[..], &b"two"[..]));
        for local in [
            "use one and two, three.",
            "Use one and two, one.",
            "use one and two, one!",
            "use one and , one.",
            "use one",
            "",
        ] {
            assert_eq!(found(local), None, "{local}");
        }
    }
}
