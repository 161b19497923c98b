//! Names of machines, as commands show them.

use std::collections::BTreeMap;

use crate::domain::id::MachineId;

/// Names of machines by id, not sanitized. Forgotten ones end with [`FORGOTTEN`].
pub(crate) type MachineNames = BTreeMap<MachineId, String>;

/// Added to the name of a forgotten machine.
pub(crate) const FORGOTTEN: &str = " (forgotten)";

/// Returns the machine's own name from a shown one.
pub(crate) fn name_of_label(label: &str) -> &str {
    label.strip_suffix(FORGOTTEN).unwrap_or(label)
}
