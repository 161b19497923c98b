//! Which records of a transcript belong to the conversation as it is now, in some bytes for each record.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::goes_on;
use super::record::Record;
use crate::domain::turn::Who;

/// The records of a transcript without their texts.
#[derive(Default)]
pub struct Outline {
    records: Vec<Node>,
}

/// Ids are kept as hashes: of two in one transcript that fall together, a branch that was left would be shown.
struct Node {
    uuid: Option<u64>,
    parent: Option<u64>,
    message: Option<u64>,
    /// Who speaks, whether there is text, whether tools are used.
    speech: Option<(Who, bool, bool)>,
}

impl Outline {
    /// Takes in the next line of the transcript.
    pub fn add(&mut self, line: &[u8]) {
        let Some(record) = Record::parse(line) else {
            return;
        };
        let speech = record.speech.map(|speech| {
            (
                speech.who,
                !speech.text.is_empty(),
                !speech.tools.is_empty(),
            )
        });
        let [uuid, parent, message] =
            [&record.uuid, &record.parent, &record.message].map(|id| id.as_deref().map(hash));
        self.records.push(Node {
            uuid,
            parent,
            message,
            speech,
        });
    }

    /// Of each record whether it belongs to the conversation. Going back and asking something else leaves a branch behind: what
    /// stands after the point of return and is no ancestor of the last record.
    ///
    /// Where the ancestors cannot be followed further (the lines begin later, a record is unreadable, a compaction), everything before
    /// is taken as it stands.
    pub(super) fn live(&self) -> Vec<bool> {
        let mut ancestors = HashSet::new();
        let mut messages = HashSet::new();
        let mut wanted = None;
        let mut followed_to = self.records.len();
        for (at, record) in self.records.iter().enumerate().rev() {
            let Some(uuid) = record.uuid else { continue };
            if wanted.is_some_and(|wanted| wanted != uuid)
                || (wanted.is_none() && !ancestors.is_empty())
            {
                continue;
            }
            ancestors.insert(uuid);
            // Tools used at the same time are records of one message, of which only one need be an ancestor.
            messages.extend(record.message);
            wanted = record.parent;
            followed_to = at;
        }
        let is_live = |(at, record): (usize, &Node)| {
            let is_ancestor = record.uuid.is_none_or(|uuid| ancestors.contains(&uuid));
            at < followed_to
                || is_ancestor
                || record.message.is_some_and(|id| messages.contains(&id))
        };
        self.records.iter().enumerate().map(is_live).collect()
    }

    /// How many turns the records marked in `live` make.
    pub(super) fn turns(&self, live: &[bool]) -> usize {
        let mut turns = 0;
        let mut open: Option<(Who, bool)> = None;
        let speeches = self
            .records
            .iter()
            .zip(live)
            .filter(|(_, is_live)| **is_live)
            .filter_map(|(node, _)| node.speech);
        for (who, has_text, has_tools) in speeches {
            match &mut open {
                Some(open) if goes_on(*open, (who, has_text)) => open.1 |= has_tools,
                _ => {
                    open = Some((who, has_tools));
                    turns += 1;
                }
            }
        }
        turns
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
