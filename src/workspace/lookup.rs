//! Finds the session or machine that the user named. The same rule for every command.
//!
//! A session: its id, or a unique prefix of it. A machine: its name, `this`, or a unique
//! prefix of its id with at least four digits. Case matters only if it decides between
//! two.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::{MachineId, SessionId, UserError};

/// Names of machines by id, not sanitized.
pub(crate) type MachineNames = BTreeMap<MachineId, String>;

/// Mark after the name of a machine that was forgotten.
pub(crate) const FORGOTTEN: &str = " (forgotten)";

/// Error: a name selects no session or machine, or more than one.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// No session has this id or prefix.
    #[error("no session {session}{scope}")]
    NoSession {
        /// The name that was given.
        session: SessionId,
        /// Place of the search.
        scope: LookupScope,
    },
    /// Several sessions have this prefix.
    #[error("more than one session begins with {prefix}: {}", shown(candidates))]
    AmbiguousSession {
        /// The name that was given.
        prefix: SessionId,
        /// The sessions.
        candidates: Vec<String>,
    },
    /// No machine has this name or id.
    #[error("no machine named `{name}` in the store")]
    NoMachine {
        /// The name that was given.
        name: String,
    },
    /// Several machines have this name, or an id with this prefix.
    #[error("more than one machine matches `{name}`: {}", shown(candidates))]
    AmbiguousMachine {
        /// The name that was given.
        name: String,
        /// Name and id of each.
        candidates: Vec<String>,
    },
}

/// Place in which a session was searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupScope {
    /// On this machine.
    Here,
    /// In the store.
    Store,
    /// On this machine and in the store.
    Anywhere,
}

impl fmt::Display for LookupScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Here => " on this machine",
            Self::Store => " in the store",
            Self::Anywhere => " on this machine or in the store",
        })
    }
}

impl LookupScope {
    /// Returns the error for a session that is not found here.
    pub(crate) fn no_session(self, session: &SessionId) -> LookupError {
        LookupError::NoSession {
            session: session.clone(),
            scope: self,
        }
    }
}

/// Number of candidates that a message names.
const MAX_SHOWN: usize = 4;

/// Shortest prefix of an id that stands for a machine, in digits.
const MIN_MACHINE_PREFIX: usize = 4;

fn shown(candidates: &[String]) -> String {
    let more = candidates.len().saturating_sub(MAX_SHOWN);
    let mut shown = candidates[..candidates.len() - more].join(", ");
    if more > 0 {
        shown += &format!(", {more} more");
    }
    shown
}

impl UserError for LookupError {
    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoSession {
                session,
                scope: LookupScope::Here,
            } => format!("pull it with `ccsync pull {session}`"),
            Self::NoSession { .. } | Self::AmbiguousSession { .. } => {
                "list the sessions with `ccsync list --fetch`".to_owned()
            }
            Self::NoMachine { .. } | Self::AmbiguousMachine { .. } => {
                "list the names and ids with `ccsync machine list`".to_owned()
            }
        }]
    }

    fn is_about_one_session(&self) -> bool {
        matches!(self, Self::NoSession { .. } | Self::AmbiguousSession { .. })
    }
}

/// Finds the session with this id or unique prefix among `all`.
///
/// # Errors
/// [`LookupError::AmbiguousSession`] if several have the prefix and none has exactly this
/// id.
pub(crate) fn find_session<'a>(
    name: &SessionId,
    all: impl IntoIterator<Item = &'a SessionId>,
) -> Result<Option<SessionId>, LookupError> {
    let found: Vec<_> = all
        .into_iter()
        .filter(|id| has_prefix(id.as_str(), name.as_str()))
        .collect();
    let is_whole = |id: &&SessionId| id.as_str().len() == name.as_str().len();
    let whole: Vec<_> = found.iter().copied().filter(is_whole).collect();
    match (found.as_slice(), whole.as_slice()) {
        ([], _) => Ok(None),
        (several, _) if several.contains(&name) => Ok(Some(name.clone())),
        ([only], _) | (_, [only]) => Ok(Some((*only).clone())),
        (several, _) => Err(LookupError::AmbiguousSession {
            prefix: name.clone(),
            candidates: several.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// Finds the stored session with this id or unique prefix among `all`.
///
/// # Errors
/// [`LookupError`] if there is no such session, or several.
pub(crate) fn find_stored_session<'a>(
    name: &SessionId,
    all: impl IntoIterator<Item = &'a SessionId>,
) -> Result<SessionId, LookupError> {
    find_session(name, all)?.ok_or_else(|| LookupScope::Store.no_session(name))
}

/// One way in which a machine, by its id and label, can be meant.
type Rule<'a> = &'a dyn Fn(&MachineId, &str) -> bool;

/// Finds the machine that `wanted` names among `machines`; `this` is `me`.
///
/// The first rule that any machine meets decides: the name, the name in another case, the
/// name of a forgotten machine, `this`, a prefix of the id.
///
/// # Errors
/// [`LookupError`] if there is no such machine, or several.
pub(crate) fn find_machine(
    wanted: &str,
    machines: &MachineNames,
    me: &MachineId,
) -> Result<MachineId, LookupError> {
    let folded = wanted.to_lowercase();
    let rules: [Rule<'_>; 5] = [
        &|_, label| label == wanted,
        &|_, label| label.to_lowercase() == folded,
        &|_, label| name_without_mark(label).to_lowercase() == folded,
        &|id, _| wanted == "this" && id == me,
        &|id, _| wanted.len() >= MIN_MACHINE_PREFIX && has_prefix(id.as_str(), wanted),
    ];
    for is_meant in rules {
        let found: Vec<_> = machines
            .iter()
            .filter(|(id, label)| is_meant(id, label))
            .collect();
        match found.as_slice() {
            [] => {}
            [(id, _)] => return Ok((*id).clone()),
            several => {
                return Err(LookupError::AmbiguousMachine {
                    name: wanted.to_owned(),
                    candidates: several.iter().map(candidate).collect(),
                });
            }
        }
    }

    Err(LookupError::NoMachine {
        name: wanted.to_owned(),
    })
}

fn candidate((id, label): &(&MachineId, &String)) -> String {
    format!("{label} ({})", id.short())
}

fn name_without_mark(label: &str) -> &str {
    label.strip_suffix(FORGOTTEN).unwrap_or(label)
}

fn has_prefix(id: &str, prefix: &str) -> bool {
    id.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
