//! The values of this machine's secrets, in one private file.
//!
//! The id of a secret is a keyed hash of its value. The key is in the file, so an id tells
//! nothing about the value elsewhere, and one value has one id on this machine.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use crate::domain::{SecretName, parse::from_json, secret::SECRET_ID_DIGITS, secret::SECRET_ID_LEN};
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

struct State {
    key: [u8; 32],
    values: BTreeMap<SecretName, Arc<[u8]>>,
    /// True if something is not in the file.
    changed: bool,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    key: String,
    /// Hexadecimal values by name: nothing that other programs could take for a secret.
    secrets: BTreeMap<String, String>,
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

    /// Returns the name of a value, which is then known.
    pub fn name(&self, form: &str, value: &[u8]) -> Option<SecretName> {
        let name = SecretName::new(form, &self.read().id(form, value))?;
        if self.value(&name).is_none() {
            let mut state = self.write();
            state.values.insert(name.clone(), value.into());
            state.changed = true;
        }
        Some(name)
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
                for (name, value) in other.values {
                    state.values.entry(name).or_insert(value);
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
        self.read().values.get(name).cloned()
    }
}

impl State {
    fn new() -> Self {
        // Version 4 ids come from the random numbers of the system.
        let random = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes);
        Self {
            key: blake3::derive_key("ccsync 2026-11 ids of secrets", &random.concat()),
            values: BTreeMap::new(),
            changed: false,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = from_json(text.as_bytes()).map_err(|e| e.to_string())?;
        if file.format > FORMAT {
            return Err("it is from a later version of ccsync".to_owned());
        }
        let key = from_hex(&file.key).and_then(|key| key.try_into().ok());
        let values = file.secrets.iter().map(|(name, value)| {
            let value = from_hex(value)?;
            Some((SecretName::parse(name)?, value.into()))
        });
        Ok(Self {
            key: key.ok_or("its key is invalid")?,
            values: values.collect::<Option<_>>().ok_or("an entry is invalid")?,
            changed: false,
        })
    }

    fn to_text(&self) -> String {
        let secrets = self.values.iter();
        let file = File {
            format: FORMAT,
            key: to_hex(&self.key),
            secrets: secrets.map(|(name, value)| (name.to_string(), to_hex(value))).collect(),
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

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
