//! The file of a machine, written by that machine only, and the paths that others propose to it.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::json::{FORMAT, ManifestError, parse_versioned, require, to_json};
use crate::domain::{MachineId, PlaceholderName, Placeholders};

/// Maximum number of former placeholders that a machine records.
const MAX_FORMER: usize = 16;

/// A machine, as it describes itself in `machines/<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Format version: that of the file is replaced by [`FORMAT`] when the file is read.
    pub format: u32,
    /// The machine. Equals the name of the file.
    pub id: MachineId,
    /// Its name. Untrusted text, and two machines may share one.
    pub name: String,
    /// Its current placeholders.
    #[serde(alias = "roots")]
    pub placeholders: Placeholders,
    /// Its earlier placeholders, newest first. Files on its disk may still depend on them.
    #[serde(default, alias = "former", skip_serializing_if = "Vec::is_empty")]
    pub former_placeholders: Vec<Placeholders>,
    /// Version of ccsync that last wrote this file.
    pub ccsync: String,
    /// Time of its last push, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_push: Option<String>,
}

/// Paths that other machines propose to one, in `machines/<id>.placeholders.json`.
///
/// The user of the machine accepts or refuses them there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedPaths {
    /// Format version of this file.
    pub format: u32,
    /// Directory by placeholder, in the machine's native form.
    #[serde(alias = "paths")]
    pub placeholders: BTreeMap<PlaceholderName, String>,
    /// The machine that proposed each; missing in files of earlier programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from: BTreeMap<PlaceholderName, MachineId>,
}

impl Machine {
    /// Parses and checks the file of machine `id`.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(id: &MachineId, json: &[u8]) -> Result<Self, ManifestError> {
        let mut machine: Self = parse_versioned(json)?;
        machine.format = FORMAT;
        require(machine.id == *id, "it names another machine")?;
        machine.placeholders = machine.placeholders.validated()?;
        machine.former_placeholders = machine
            .former_placeholders
            .into_iter()
            .map(Placeholders::validated)
            .collect::<Result<_, _>>()?;
        Ok(machine)
    }

    /// Returns the bytes of the machine's file.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    /// Records that the machine pushes at `now`.
    pub fn record_push(&mut self, now: DateTime<Utc>) {
        self.last_push = Some(now.to_rfc3339_opts(SecondsFormat::Secs, true));
    }

    /// Returns the machine with this name and these placeholders. Changed placeholders move to
    /// `former_placeholders`.
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
            former = earlier.former_placeholders;
            if earlier.placeholders != placeholders {
                former.retain(|f| *f != placeholders);
                former.insert(0, earlier.placeholders);
                former.truncate(MAX_FORMER);
            }
        }
        Self {
            format: FORMAT,
            id,
            name: name.to_owned(),
            placeholders,
            former_placeholders: former,
            ccsync: env!("CARGO_PKG_VERSION").to_owned(),
            last_push,
        }
    }
}
