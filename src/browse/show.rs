//! Reads a session's conversation from the store or this machine, whichever is longer.
//!
//! Reads the transcript twice and passes it on turn by turn, so that any length fits
//! into memory. Takes no lock, fetches nothing, changes nothing.

use std::collections::BTreeSet;

use crate::browse::{list::read_local_details, preview::newest_of_file, successor::latest};
use crate::domain::{RelativeName, SessionFile, SessionId, SessionName, Turn};
use crate::localize::{LocalText, StoredDataError, StoredText};
use crate::session::{
    LocalSession, discover::discover_some, discover::find_session_here, time::parse_time,
    turns::Outline, turns::TurnReader,
};
use crate::store::{Snapshot, manifest::Manifest};
use crate::sys::signal;
use crate::workspace::{
    Context, LookupScope, ReadOnlyStore, SyncError, lookup::find_session, read_only::machine_names,
    read_only::session_name,
};

/// Source of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The store.
    Store,
    /// The file on this machine: the store has the session incompletely or not at all.
    Here,
}

/// Header of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSession {
    /// The session.
    pub name: SessionName,
    /// Source.
    pub source: Source,
    /// Number of turns that follow.
    pub turns: u64,
    /// Number of omitted turns before them.
    pub turns_omitted: u64,
    /// Number of its sub-agents.
    pub agents: u64,
}

/// Part of a conversation: the header first, then the turns, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationPart {
    /// Before the header: the session that was asked for goes on as another one, which follows.
    Successor {
        /// The session that was asked for.
        from: SessionId,
        /// The session that follows.
        to: SessionId,
    },
    /// The header.
    Session(ShownSession),
    /// A turn.
    Turn(Turn),
}

/// Passes the last `most` turns of a session (all if `None`) to `take`, localized, until
/// it returns `false`. `session` is an id or a unique prefix.
///
/// # Errors
/// [`LookupError`](crate::workspace::lookup::LookupError); what cannot be read, perhaps
/// after some turns.
pub fn show(
    ctx: &Context<'_>,
    session: &SessionId,
    most: Option<usize>,
    take: &mut dyn FnMut(ConversationPart) -> bool,
) -> Result<(), SyncError> {
    let stored = ReadOnlyStore::open(ctx)?;
    let snapshot = stored
        .as_ref()
        .map(|stored| stored.store.head_snapshot())
        .transpose()?;
    let states = snapshot
        .as_ref()
        .map(Snapshot::sessions)
        .transpose()?
        .unwrap_or_default();
    let here = discover_some(&ctx.env.claude_dir, &|id| {
        id.as_str().starts_with(session.as_str())
    })?;
    let ids: BTreeSet<&SessionId> = here.sessions.keys().chain(states.keys()).collect();
    let named =
        find_session(session, ids)?.ok_or_else(|| LookupScope::Anywhere.no_session(session))?;
    let latest = latest(ctx, snapshot.as_ref(), &states, &named);
    let id = latest.as_ref().unwrap_or(&named);
    let here = find_session_here(&ctx.env.claude_dir, id);
    let local = here.as_ref();
    let manifest = match snapshot
        .as_ref()
        .map(|snapshot| snapshot.manifest(id))
        .transpose()
    {
        // The local file can be shown even if the store is damaged.
        Err(_) if local.is_some() => None,
        manifest => manifest?.flatten(),
    };
    let machines = machine_names(ctx, snapshot.as_ref())?;
    if let Some(latest) = &latest {
        let (from, to) = (named.clone(), latest.clone());
        if !take(ConversationPart::Successor { from, to }) {
            return Ok(());
        }
    }
    match (local, &manifest, &stored, &snapshot) {
        (Some(local), Some(manifest), Some(stored), _) if is_ahead(local, manifest) => {
            let text = Text::Here(local);
            pass_turns(
                &text,
                session_name(&stored.localizer, manifest, &machines),
                agents(local.files.keys().filter_map(SessionFile::name)),
                most,
                take,
            )
        }
        (_, Some(manifest), Some(stored), Some(snapshot)) => {
            let text = Text::Stored {
                stored,
                snapshot,
                manifest,
            };
            pass_turns(
                &text,
                session_name(&stored.localizer, manifest, &machines),
                agents(manifest.files.keys()),
                most,
                take,
            )
        }
        (Some(local), ..) => {
            let name = read_local_details(
                local,
                &ctx.settings.placeholders,
                &ctx.settings.machine.name,
            )
            .name;
            pass_turns(
                &Text::Here(local),
                name,
                agents(local.files.keys().filter_map(SessionFile::name)),
                most,
                take,
            )
        }
        _ => Err(LookupScope::Anywhere.no_session(id).into()),
    }
}

/// Returns true if the local file has turns after the stored ones.
fn is_ahead(local: &LocalSession, manifest: &Manifest) -> bool {
    newest_of_file(&local.transcript_path())
        > manifest.last_activity.as_deref().and_then(parse_time)
}

fn agents<'n>(files: impl Iterator<Item = &'n RelativeName>) -> u64 {
    let is_agent = |name: &&RelativeName| {
        let file = name.as_str().rsplit('/').next().unwrap_or_default();
        name.as_str().starts_with("subagents/")
            && file.starts_with("agent-")
            && file.ends_with(".jsonl")
    };
    files.filter(is_agent).count() as u64
}

fn pass_turns(
    text: &Text<'_>,
    name: SessionName,
    agents: u64,
    most: Option<usize>,
    take: &mut dyn FnMut(ConversationPart) -> bool,
) -> Result<(), SyncError> {
    let mut outline = Outline::default();
    text.each_line(&mut |line| {
        outline.add(line);
        true
    })?;
    let mut reader = TurnReader::new(&outline, most.unwrap_or(usize::MAX));
    let (turns, turns_omitted) = reader.extent();
    let source = if matches!(text, Text::Here(_)) {
        Source::Here
    } else {
        Source::Store
    };
    if !take(ConversationPart::Session(ShownSession {
        name,
        source,
        turns,
        turns_omitted,
        agents,
    })) {
        return Ok(());
    }
    drop(outline);
    let mut goes_on = true;
    text.each_line(&mut |line| {
        if let Some(turn) = reader.add(line) {
            goes_on = take(ConversationPart::Turn(turn));
        }
        goes_on
    })?;
    if goes_on && let Some(turn) = reader.finish() {
        take(ConversationPart::Turn(turn));
    }
    Ok(())
}

/// A transcript to read.
enum Text<'a> {
    Stored {
        stored: &'a ReadOnlyStore,
        snapshot: &'a Snapshot<'a>,
        manifest: &'a Manifest,
    },
    Here(&'a LocalSession),
}

impl Text<'_> {
    /// Calls `each` with every line, until it returns `false`.
    fn each_line(&self, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), StoredDataError> {
        let mut each_of = |lines: &[u8]| {
            signal::check()?;
            Ok(lines.split(|byte| *byte == b'\n').all(&mut *each))
        };
        match self {
            Self::Stored {
                stored,
                snapshot,
                manifest,
            } => {
                let text = StoredText::transcript(snapshot, manifest);
                text.walk(0, &mut |piece| {
                    each_of(&stored.localizer.localize_text(
                        manifest,
                        piece.run,
                        text.kind(),
                        piece.text,
                    )?)
                })
            }
            Self::Here(session) => {
                let mut text = LocalText::open(
                    &session.transcript_path(),
                    0,
                    session.files[&SessionFile::Transcript].len,
                )?;
                loop {
                    let lines = text.next_lines()?;
                    if lines.is_empty() || !each_of(&lines)? {
                        return Ok(());
                    }
                }
            }
        }
    }
}
