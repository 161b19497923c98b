//! The values of this machine's secrets, in one private file.
//!
//! The id of a secret is a keyed hash of its value. The key is in the file, so an id tells
//! nothing about the value elsewhere, and one value has one id on this machine.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use crate::config::SecretsMode;
use crate::domain::{
    SecretName, SessionId, hex::from_hex, hex::to_hex, parse::from_json, secret::SECRET_ID_DIGITS,
    secret::SECRET_ID_LEN,
};
use crate::rewrite::SecretValues;
use crate::sys::fs::{PathError, read_to_string_if_exists, write_atomic};

/// Name of the file in the state directory.
const FILE_NAME: &str = "secrets.json";

/// Format version of the file.
const FORMAT: u32 = 1;

/// The secrets that this machine has found.
pub struct Vault {
    path: PathBuf,
    state: RwLock<State>,
}

/// Most places that are remembered of one secret.
const MAX_PLACES: usize = 20;

struct State {
    key: [u8; 32],
    secrets: BTreeMap<SecretName, Entry>,
    /// True if something is not in the file.
    changed: bool,
}

struct Entry {
    value: Arc<[u8]>,
    decision: Option<SecretDecision>,
    places: Vec<SecretPlace>,
}

/// Treatment of one secret, whatever the setting says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretDecision {
    /// It may be stored.
    Allow,
    /// It becomes a placeholder.
    Mask,
    /// It is not a secret.
    Ignore,
}

/// The first place of a secret in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretPlace {
    /// The session; `None`: the file is no part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The text around it, without secrets.
    pub excerpt: String,
    /// Its treatment there, unless something was decided about the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SecretsMode>,
}

/// The file that text comes from.
#[derive(Debug, Clone, Copy)]
pub struct SecretSource<'a> {
    /// The session; `None`: the file is no part of one.
    pub session: Option<&'a SessionId>,
    /// The file.
    pub file: &'a str,
    /// Number of the first line of the text, from 1.
    pub first_line: u64,
}

/// A secret of this machine, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSecret {
    /// Its name.
    pub name: SecretName,
    /// Its treatment, if decided.
    pub decision: Option<SecretDecision>,
    /// Its places.
    pub places: Vec<SecretPlace>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    key: String,
    secrets: BTreeMap<String, FileEntry>,
}

#[derive(Serialize, Deserialize)]
struct FileEntry {
    /// Hexadecimal: nothing that other programs could take for a secret.
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decision: Option<SecretDecision>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<SecretPlace>,
}

impl Vault {
    /// Reads the vault in the state directory. A missing one is empty.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn open(state_dir: &Path) -> Result<Self, PathError> {
        let path = state_dir.join(FILE_NAME);
        let text = read_to_string_if_exists(&path)?;
        let state = match text {
            None => State::new(),
            Some(text) => State::parse(&text)
                .map_err(|reason| PathError::new("parse", &path, io::Error::other(reason)))?,
        };
        Ok(Self {
            path,
            state: RwLock::new(state),
        })
    }

    /// Returns the name that a value has on this machine.
    pub fn name(&self, form: &str, value: &[u8]) -> Option<SecretName> {
        let state = self.read();
        let name = SecretName::new(form, &state.id(form, value))?;
        if state.secrets.contains_key(&name) {
            return Some(name);
        }
        // A value that was learned again has the name of the lost vault.
        let is_same =
            |(known, entry): &(&SecretName, &Entry)| known.form() == form && *entry.value == *value;
        let known = state.secrets.iter().find(is_same);
        Some(known.map_or(name, |(known, _)| known.clone()))
    }

    /// Remembers the value of a secret.
    pub fn insert(&self, name: &SecretName, value: &[u8]) {
        if self.value(name).is_none() {
            let entry = Entry {
                value: value.into(),
                decision: None,
                places: Vec::new(),
            };
            let mut state = self.write();
            state.secrets.insert(name.clone(), entry);
            state.changed = true;
        }
    }

    /// Remembers where a known secret was found, if it is the first place in that file, and its
    /// treatment there. `place` returns the line and the text around it.
    pub(super) fn record_place(
        &self,
        name: &SecretName,
        source: &SecretSource<'_>,
        mode: SecretsMode,
        place: impl FnOnce() -> (u64, String),
    ) {
        let mut state = self.write();
        let Some(entry) = state.secrets.get_mut(name) else {
            return;
        };
        let same_file = |known: &SecretPlace| {
            (known.session.as_ref(), known.file.as_str()) == (source.session, source.file)
        };
        let mode = Some(mode);
        match entry.places.iter().position(same_file) {
            Some(known) if entry.places[known].mode == mode => return,
            Some(known) => entry.places[known].mode = mode,
            None if entry.places.len() < MAX_PLACES => {
                let (line, excerpt) = place();
                entry.places.push(SecretPlace {
                    session: source.session.cloned(),
                    file: source.file.to_owned(),
                    line,
                    excerpt,
                    mode,
                });
            }
            None => return,
        }
        state.changed = true;
    }

    /// Returns what is to be done with a secret, if decided.
    pub fn decision(&self, name: &SecretName) -> Option<SecretDecision> {
        self.read().secrets.get(name)?.decision
    }

    /// Decides about a known secret.
    pub fn decide(&self, name: &SecretName, decision: SecretDecision) {
        let mut state = self.write();
        if let Some(entry) = state.secrets.get_mut(name) {
            entry.decision = Some(decision);
            state.changed = true;
        }
    }

    /// Lists the secrets.
    pub fn secrets(&self) -> Vec<KnownSecret> {
        let state = self.read();
        let known = state.secrets.iter().map(|(name, entry)| KnownSecret {
            name: name.clone(),
            decision: entry.decision,
            places: entry.places.clone(),
        });
        known.collect()
    }

    /// Writes what is new to the file, durably. Text with a placeholder may be stored only
    /// after that.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn save(&self) -> Result<(), PathError> {
        let mut state = self.write();
        if state.changed {
            // Another process may have added some.
            if let Some(text) = read_to_string_if_exists(&self.path)?
                && let Ok(other) = State::parse(&text)
                && other.key == state.key
            {
                for (name, entry) in other.secrets {
                    state.secrets.entry(name).or_insert(entry);
                }
            }
            write_atomic(&self.path, state.to_text().as_bytes())?;
            state.changed = false;
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretValues for Vault {
    fn value(&self, name: &SecretName) -> Option<Arc<[u8]>> {
        Some(Arc::clone(&self.read().secrets.get(name)?.value))
    }
}

impl State {
    fn new() -> Self {
        // Version 4 ids come from the random numbers of the system.
        let random = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes);
        Self {
            key: blake3::derive_key("ccsync 2026-11 ids of secrets", &random.concat()),
            secrets: BTreeMap::new(),
            changed: false,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = from_json(text.as_bytes()).map_err(|e| e.to_string())?;
        if file.format > FORMAT {
            return Err("it is from a later version of ccsync".to_owned());
        }
        let key = from_hex(&file.key).and_then(|key| key.try_into().ok());
        let secrets = file.secrets.into_iter().map(|(name, entry)| {
            let FileEntry {
                value,
                decision,
                places,
            } = entry;
            let value = from_hex(&value)?.into();
            let entry = Entry {
                value,
                decision,
                places,
            };
            Some((SecretName::parse(&name)?, entry))
        });
        Ok(Self {
            key: key.ok_or("its key is invalid")?,
            secrets: secrets
                .collect::<Option<_>>()
                .ok_or("an entry is invalid")?,
            changed: false,
        })
    }

    fn to_text(&self) -> String {
        let entry = |(name, entry): (&SecretName, &Entry)| {
            let value = to_hex(&entry.value);
            let (decision, places) = (entry.decision, entry.places.clone());
            let entry = FileEntry {
                value,
                decision,
                places,
            };
            (name.to_string(), entry)
        };
        let file = File {
            format: FORMAT,
            key: to_hex(&self.key),
            secrets: self.secrets.iter().map(entry).collect(),
        };
        let text = serde_json::to_string_pretty(&file);
        text.expect("a map of texts can be written") + "\n"
    }

    fn id(&self, form: &str, value: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(form.as_bytes()).update(&[0]).update(value);
        let hash = hasher.finalize();
        let digit = |byte: &u8| char::from(SECRET_ID_DIGITS[usize::from(byte & 31)]);
        hash.as_bytes()[..SECRET_ID_LEN].iter().map(digit).collect()
    }
}
