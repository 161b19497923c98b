//! The session in which a conversation goes on under another id, by the store and by the
//! transcript here.

use std::collections::BTreeMap;

use crate::domain::{SessionFile, SessionId, Successors};
use crate::session::{
    LocalSession, continued::Continued, continued::MAX_SUCCESSORS, continued::continued_at_end,
    discover::find_session_here,
};
use crate::store::{SessionState, Snapshot, manifest::Manifest};
use crate::workspace::Context;

/// Returns the session that continues one. The end of its transcript is read only if it may not be
/// the stored one.
pub(crate) fn successor(
    local: Option<&LocalSession>,
    manifest: Option<&Manifest>,
) -> Option<SessionId> {
    let may_differ = |local: &&LocalSession| {
        let len = local.files[&SessionFile::Transcript].len;
        manifest.is_none_or(|manifest| manifest.transcript.local_bytes() != len)
    };
    let here = local.filter(may_differ);
    match here.map(|local| continued_at_end(&local.transcript_path())) {
        Some(Continued::Here) => None,
        Some(Continued::In(successor)) => Some(successor),
        Some(Continued::Unchanged) | None => manifest?.continued_in.clone(),
    }
}

/// Returns the session in which the conversation of `session` is now, if it is another one.
pub(super) fn latest(
    ctx: &Context<'_>,
    snapshot: Option<&Snapshot<'_>>,
    states: &BTreeMap<SessionId, SessionState>,
    session: &SessionId,
) -> Option<SessionId> {
    let here = |id: &SessionId| find_session_here(&ctx.env.claude_dir, id);
    let next = |id: &SessionId| {
        let manifest = snapshot.and_then(|snapshot| snapshot.manifest(id).ok().flatten());
        successor(here(id).as_ref(), manifest.as_ref())
    };
    let mut pairs = Vec::new();
    let mut at = session.clone();
    while pairs.len() < MAX_SUCCESSORS
        && let Some(successor) = next(&at)
    {
        pairs.push((at, successor.clone()));
        at = successor;
    }
    let exists = |id: &SessionId| states.contains_key(id) || here(id).is_some();
    Successors::new(pairs, exists).latest(session).cloned()
}
