//! What the store knows of a machine: one file each, written by that machine only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::manifest::{FORMAT, ManifestError, parse_versioned, to_json};
use crate::domain::id::MachineId;
use crate::domain::placeholder::{PlaceholderName, Placeholders};

/// How many former root sets a machine remembers.
const MAX_FORMER: usize = 16;

/// A machine, as it describes itself in `machines/<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Format version of this file.
    pub format: u32,
    /// The machine, equal to the file's name.
    pub id: MachineId,
    /// Its name, for people. Untrusted text: two machines may share one, and it may hold anything.
    pub name: String,
    /// Its present roots.
    #[serde(rename = "roots")]
    pub placeholders: Placeholders,
    /// Its earlier roots, newest first: files on its disk may still have been written with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Placeholders>,
    /// Version of ccsync that wrote this file last.
    pub ccsync: String,
    /// When it last pushed, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_push: Option<String>,
}

/// Paths that other machines propose to one, in `machines/<id>.paths.json`. The machine takes them over at its next pull, if they
/// are possible there, and removes the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedPaths {
    /// Format version of this file.
    pub format: u32,
    /// Directory by placeholder, in the machine's native form.
    pub paths: BTreeMap<PlaceholderName, String>,
}

impl Machine {
    /// Reads and checks the file of machine `id`.
    ///
    /// # Errors
    /// As for [`super::manifest::Manifest::parse`].
    pub fn parse(id: &MachineId, json: &[u8]) -> Result<Self, ManifestError> {
        let mut machine: Self = parse_versioned(json)?;
        if machine.id != *id {
            return Err(ManifestError::Inconsistent("it names another machine"));
        }
        machine.placeholders = machine.placeholders.validated()?;
        machine.former = machine
            .former
            .into_iter()
            .map(Placeholders::validated)
            .collect::<Result<_, _>>()?;
        Ok(machine)
    }

    /// The bytes of the machine's file.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    /// This machine under its present name and roots; changed roots move to `former`.
    pub fn renewed(
        earlier: Option<Self>,
        id: MachineId,
        name: &str,
        placeholders: Placeholders,
    ) -> Self {
        let mut former = Vec::new();
        let mut last_push = None;
        if let Some(earlier) = earlier {
            last_push = earlier.last_push;
            former = earlier.former;
            if earlier.placeholders != placeholders {
                former.retain(|f| *f != placeholders);
                former.insert(0, earlier.placeholders);
                former.truncate(MAX_FORMER);
            }
        }
        let ccsync = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            format: FORMAT,
            id,
            name: name.to_owned(),
            placeholders,
            former,
            ccsync,
            last_push,
        }
    }
}
