//! Names of machines: which are taken, and which is free.

use std::collections::BTreeSet;

use crate::domain::MachineId;
use crate::store::{Store, StoreError};

/// Longest name to which a number can be added.
const MAX_BASE: usize = 56;

/// Returns `wanted`, with a number if it is among the `taken` names.
pub(crate) fn free_name(wanted: &str, taken: &BTreeSet<String>) -> String {
    let base: String = wanted.chars().take(MAX_BASE).collect();
    let numbered = (2..).map(|n: u32| format!("{base}-{n}"));
    std::iter::once(wanted.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(&name.to_lowercase()))
        .expect("there are more numbers than machines")
}

/// Returns the names of the machines other than `me`, in lower case.
pub(crate) fn taken_names(store: &Store, me: &MachineId) -> Result<BTreeSet<String>, StoreError> {
    let machines = store.head_snapshot()?.machines()?;
    let others = machines.into_iter().filter(|machine| machine.id != *me);
    Ok(others.map(|machine| machine.name.to_lowercase()).collect())
}
