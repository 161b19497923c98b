//! A session's conversation as people read it, from the store or from here, whichever went on longer.
//!
//! The transcript is read twice and passed on turn by turn, so that it may be of any length. Takes no lock, fetches nothing, changes nothing.

use std::collections::BTreeSet;

use crate::browse::list::read_particulars;
use crate::browse::preview::newest_of_file;
use crate::domain::found::SessionName;
use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::domain::session_file::SessionFile;
use crate::domain::turn::Turn;
use crate::localize::stored_text::{LocalText, StoredText};
use crate::session::discover::{LocalSession, discover_some};
use crate::session::facts::parse_time;
use crate::session::turns::{Outline, Telling};
use crate::store::Snapshot;
use crate::store::manifest::Manifest;
use crate::sys::signal;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::lookup::session_named;
use crate::workspace::read_only::{Stored, machine_names, session_name};

/// From where a conversation is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The store.
    Store,
    /// The file on this machine: the store does not have the session, or not all of it.
    Here,
}

/// The session whose conversation follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSession {
    /// Which.
    pub name: SessionName,
    /// From where it is read.
    pub source: Source,
    /// How many turns follow.
    pub turns: u64,
    /// How many are left out before them.
    pub left_out: u64,
    /// How many sub-agents worked for it.
    pub agents: u64,
}

/// A conversation, in its parts: the session first, then its turns, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// What follows.
    Session(ShownSession),
    /// A turn.
    Turn(Turn),
}

/// Gives the last `most` turns of a session (all if `None`) to `take`, with this machine's paths, until it returns `false`. `session` is a whole
/// id, or a beginning that only one has.
///
/// # Errors
/// [`SyncError::Nowhere`], [`SyncError::AmbiguousName`]; what cannot be read, perhaps after some turns.
pub fn show(
    ctx: &Context<'_>,
    session: &SessionId,
    most: Option<usize>,
    take: &mut dyn FnMut(Shown) -> bool,
) -> Result<(), SyncError> {
    let stored = Stored::open(ctx)?;
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
    let id = session_named(session, ids)?.ok_or_else(|| SyncError::Nowhere {
        session: session.clone(),
    })?;
    let local = here.sessions.get(&id);
    let manifest = match snapshot
        .as_ref()
        .map(|snapshot| snapshot.manifest(&id))
        .transpose()
    {
        // What is here can be shown, whatever is wrong with the store.
        Err(_) if local.is_some() => None,
        manifest => manifest?.flatten(),
    };
    let machines = machine_names(ctx, snapshot.as_ref())?;
    match (local, &manifest, &stored, &snapshot) {
        (Some(local), Some(manifest), Some(stored), _) if is_ahead(local, manifest) => {
            let text = Text::Here(local);
            tell(
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
            tell(
                &text,
                session_name(&stored.localizer, manifest, &machines),
                agents(manifest.files.keys()),
                most,
                take,
            )
        }
        (Some(local), ..) => {
            let name = read_particulars(
                local,
                &ctx.settings.placeholders,
                &ctx.settings.machine.name,
            )
            .name;
            tell(
                &Text::Here(local),
                name,
                agents(local.files.keys().filter_map(SessionFile::name)),
                most,
                take,
            )
        }
        _ => Err(SyncError::Nowhere { session: id }),
    }
}

/// Whether something was said here after what the store has.
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

fn tell(
    text: &Text<'_>,
    name: SessionName,
    agents: u64,
    most: Option<usize>,
    take: &mut dyn FnMut(Shown) -> bool,
) -> Result<(), SyncError> {
    let mut outline = Outline::default();
    text.each_line(&mut |line| {
        outline.add(line);
        true
    })?;
    let mut telling = Telling::of_last(&outline, most.unwrap_or(usize::MAX));
    let (turns, left_out) = telling.extent();
    let source = if matches!(text, Text::Here(_)) {
        Source::Here
    } else {
        Source::Store
    };
    if !take(Shown::Session(ShownSession {
        name,
        source,
        turns,
        left_out,
        agents,
    })) {
        return Ok(());
    }
    drop(outline);
    let mut goes_on = true;
    text.each_line(&mut |line| {
        if let Some(turn) = telling.add(line) {
            goes_on = take(Shown::Turn(turn));
        }
        goes_on
    })?;
    if goes_on && let Some(turn) = telling.finish() {
        take(Shown::Turn(turn));
    }
    Ok(())
}

/// A transcript to be read.
enum Text<'a> {
    Stored {
        stored: &'a Stored,
        snapshot: &'a Snapshot<'a>,
        manifest: &'a Manifest,
    },
    Here(&'a LocalSession),
}

impl Text<'_> {
    /// Calls `each` with every line, until it returns `false`.
    fn each_line(&self, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), SyncError> {
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
                    each_of(&stored.localizer.localised(
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
