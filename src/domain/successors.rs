//! Which session continues which, if a conversation went on under another id.

use std::collections::{BTreeMap, BTreeSet};

use super::id::SessionId;

/// The successors of sessions. The store names them, so they may form a circle.
#[derive(Debug, Clone, Default)]
pub struct Successors(BTreeMap<SessionId, SessionId>);

impl Successors {
    /// Keeps those `pairs` of a session and its successor whose successor `exists`.
    pub fn new(
        pairs: impl IntoIterator<Item = (SessionId, SessionId)>,
        exists: impl Fn(&SessionId) -> bool,
    ) -> Self {
        let pairs = pairs.into_iter();
        Self(pairs.filter(|(_, successor)| exists(successor)).collect())
    }

    /// Returns the session in which the conversation of `session` is now, if it is another one;
    /// `None` in a circle.
    pub fn latest(&self, session: &SessionId) -> Option<&SessionId> {
        let mut seen = BTreeSet::from([session]);
        let mut latest = None;
        let mut next = self.0.get(session);
        while let Some(successor) = next {
            if !seen.insert(successor) {
                return None;
            }
            latest = Some(successor);
            next = self.0.get(successor);
        }
        latest
    }

    /// Lists the sessions that have a successor.
    pub fn continued(&self) -> impl Iterator<Item = &SessionId> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_chain_ends_at_last_and_circle_has_none() {
        let id = |n: u32| -> SessionId { format!("session-{n}").parse().unwrap() };
        let pairs = [(1, 2), (2, 3), (3, 9), (5, 6), (6, 5), (7, 5), (8, 8)];
        let pairs = pairs.map(|(from, to)| (id(from), id(to)));
        let successors = Successors::new(pairs, |successor| *successor != id(9));
        assert_eq!(successors.latest(&id(1)), Some(&id(3)));
        assert_eq!(successors.latest(&id(3)), None, "that one is not here");
        for in_circle in [5, 6, 7, 8] {
            assert_eq!(successors.latest(&id(in_circle)), None, "{in_circle}");
        }
    }
}
