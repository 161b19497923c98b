//! Sessions as the user names them: by the whole id, or by a prefix that only one has.

use std::fmt;

use crate::domain::error::UserError;
use crate::domain::id::SessionId;

/// Error: a name selects no session or machine, or more than one.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// No session has this id or prefix.
    #[error("no session {session}{scope}")]
    NoSession {
        /// What was asked for.
        session: SessionId,
        /// Where the session was looked for.
        scope: LookupScope,
    },
    /// More than one session has this prefix.
    #[error("more than one session begins with {prefix}: {}", shown(candidates))]
    AmbiguousSession {
        /// What was asked for.
        prefix: SessionId,
        /// Sessions with this prefix.
        candidates: Vec<SessionId>,
    },
    /// No machine has this name or id.
    #[error("no machine named `{name}` in the store")]
    NoMachine {
        /// What was asked for.
        name: String,
    },
    /// More than one machine has this name or id prefix.
    #[error("{count} machines in the store are named `{name}`")]
    AmbiguousMachine {
        /// What was asked for.
        name: String,
        /// Number of such machines.
        count: usize,
    },
}

/// Where a session was looked for.
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

/// Maximum number of candidates that a message names.
const MAX_SHOWN: usize = 4;

fn shown(candidates: &[SessionId]) -> String {
    let ids = candidates.iter().take(MAX_SHOWN).map(SessionId::as_str);
    let mut ids: Vec<_> = ids.map(str::to_owned).collect();
    if candidates.len() > MAX_SHOWN {
        ids.push(format!("{} more", candidates.len() - MAX_SHOWN));
    }
    ids.join(", ")
}

impl UserError for LookupError {
    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoSession {
                session,
                scope: LookupScope::Here,
            } => format!("pull it with `ccsync pull {session}`"),
            Self::NoSession { .. } | Self::AmbiguousSession { .. } => {
                "list the sessions with `ccsync list --remote`".to_owned()
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
        .filter(|id| id.as_str().starts_with(name.as_str()))
        .collect();
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some((*only).clone())),
        several if several.contains(&name) => Ok(Some(name.clone())),
        several => Err(LookupError::AmbiguousSession {
            prefix: name.clone(),
            candidates: several.iter().map(|id| (*id).clone()).collect(),
        }),
    }
}

/// Finds the stored session with this id or unique prefix among `all`.
///
/// # Errors
/// [`LookupError`] if there is none, or more than one.
pub(crate) fn find_stored_session<'a>(
    name: &SessionId,
    all: impl IntoIterator<Item = &'a SessionId>,
) -> Result<SessionId, LookupError> {
    find_session(name, all)?.ok_or_else(|| LookupScope::Store.no_session(name))
}

/// Returns the error for a machine name that `count` machines have; `count` is not 1.
pub(crate) fn machine_error(name: &str, count: usize) -> LookupError {
    let name = name.to_owned();
    if count == 0 {
        LookupError::NoMachine { name }
    } else {
        LookupError::AmbiguousMachine { name, count }
    }
}
