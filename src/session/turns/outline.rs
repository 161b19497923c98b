//! The records of a transcript that belong to the present conversation, in a few bytes each.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::record::Record;
use crate::domain::TurnSpeaker;

/// The records of a transcript without their texts.
#[derive(Default)]
pub struct Outline {
    records: Vec<Node>,
}

/// A record. Its ids are kept as hashes: a collision would show an abandoned branch.
struct Node {
    uuid: Option<u64>,
    parent: Option<u64>,
    message: Option<u64>,
    /// The speaker; true if there is text; true if tools are used.
    speech: Option<(TurnSpeaker, bool, bool)>,
}

impl Outline {
    /// Adds the next line of the transcript.
    pub fn add(&mut self, line: &[u8]) {
        let Some(record) = Record::parse(line) else {
            return;
        };
        let speech = record.speech.map(|speech| {
            (
                speech.speaker,
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

    /// Returns true for each record that belongs to the conversation.
    ///
    /// Going back and asking something else leaves a branch: the records after the point of return
    /// that are no ancestors of the last record. Where the chain of ancestors ends (the lines begin
    /// later, a record is unreadable, a compaction), all earlier records belong to it.
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
            // Parallel tool calls are records of one message; only one need be an ancestor.
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

    /// Counts the turns of the records that are `live`.
    pub(super) fn count_turns(&self, live: &[bool]) -> usize {
        let mut turns = 0;
        let mut open: Option<(TurnSpeaker, bool)> = None;
        let speeches = self
            .records
            .iter()
            .zip(live)
            .filter(|(_, is_live)| **is_live)
            .filter_map(|(node, _)| node.speech);
        for (speaker, has_text, has_tools) in speeches {
            match &mut open {
                Some(open) if continues_turn(*open, (speaker, has_text)) => open.1 |= has_tools,
                _ => {
                    open = Some((speaker, has_tools));
                    turns += 1;
                }
            }
        }
        turns
    }
}

/// Returns true if a record continues the open turn.
///
/// The model speaks in pieces, one record each. They are one turn until it has used tools and
/// speaks again. `open` is the speaker of the turn, and true if it used tools; `next` is the
/// speaker of the record, and true if it has text.
pub(super) fn continues_turn(open: (TurnSpeaker, bool), next: (TurnSpeaker, bool)) -> bool {
    let is_model = (open.0, next.0) == (TurnSpeaker::Assistant, TurnSpeaker::Assistant);
    is_model && !(open.1 && next.1)
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
