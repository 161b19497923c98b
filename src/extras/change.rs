//! A change of one file on this machine: what it would become, and writing it.

use crate::extras::state::Found;
use crate::sys::fail_point::fail_point;
use crate::sys::fs::{FileStamp, knows_executables};

use crate::domain::extras::ExtraKind;
use crate::domain::path::RelativeName;
use crate::extras::base::Base;
use crate::extras::bundles::There;
use crate::extras::compare::{Here, Place, Sides};
use crate::extras::merge::{Side, merge};
use crate::extras::state::State;
use crate::extras::text_file::{PathRewriter, hash};
use crate::report::transfer::ExtraOutcome;
use crate::session::journal::Journal;
use crate::workspace::error::SyncError;

/// What a file would become here.
pub(crate) struct Proposed {
    /// The file as the store has it, and its content here; none: it is removed.
    pub(crate) becomes: Option<(Base, String)>,
    /// Its owner may run it then.
    pub(crate) executable: bool,
    pub(crate) outcome: ExtraOutcome,
    /// By which a yes to it is remembered.
    pub(crate) consent: String,
}

impl Proposed {
    pub(crate) fn of(theirs: Base, local: String, outcome: ExtraOutcome) -> Self {
        Self {
            becomes: Some((theirs, local)),
            executable: false,
            outcome,
            consent: String::new(),
        }
    }

    pub(crate) fn removal() -> Self {
        Self {
            becomes: None,
            executable: false,
            outcome: ExtraOutcome::Removed,
            consent: String::new(),
        }
    }

    /// Whether what this machine has changed is not in it.
    pub(crate) fn replaces_changes(&self, sides: &Sides) -> bool {
        matches!(sides.here, Here::Changed { .. }) && self.outcome != ExtraOutcome::Merged
    }
}

/// What is proposed for a file: both changes where they do not meet, else what the store has.
pub(crate) fn proposed(
    path_rewriter: &PathRewriter,
    name: &RelativeName,
    sides: &Sides,
) -> Result<Proposed, String> {
    let mut change = match &sides.there {
        There::Is { doc, .. } => {
            let local = path_rewriter.expand(doc).map_err(|e| e.to_string())?;
            let executable = is_skill(name) && sides.becomes_program(doc);
            let as_stored = is_skill(name) && doc.executable.unwrap_or(executable);
            let theirs = Base {
                doc: doc.clone(),
                local: local.clone(),
                executable: as_stored,
                is_reading: true,
            };
            let change = match both(path_rewriter, name, sides) {
                Some(both) => Proposed::of(theirs, both, ExtraOutcome::Merged),
                None => Proposed::of(theirs, local, ExtraOutcome::Brought),
            };
            Proposed {
                executable,
                ..change
            }
        }
        There::Removed | There::Absent => Proposed::removal(),
    };
    change.consent = consent_to(
        name,
        change
            .becomes
            .as_ref()
            .map(|(_, local)| (local.as_str(), change.executable)),
    );
    Ok(change)
}

fn is_skill(name: &RelativeName) -> bool {
    ExtraKind::from_user_file(name.as_str()) == Some(ExtraKind::Skills)
}

/// By what a yes to this content of a file, which may be run or not, is remembered; `None`: to its removal.
fn consent_to(name: &RelativeName, content: Option<(&str, bool)>) -> String {
    let (what, text) = match content {
        Some((text, true)) => ("program", text),
        Some((text, false)) => ("true", text),
        None => ("false", ""),
    };
    let content = hash(&format!("{what}\n{text}"));
    format!("{}{content}", consents_to(name))
}

/// How every yes to a content of this file begins.
pub(crate) fn consents_to(name: &RelativeName) -> String {
    hash(name.as_str())
}

/// Both machines' changes, where each can be made for itself and the result is still what it was before: settings stay JSON.
fn both(path_rewriter: &PathRewriter, name: &RelativeName, sides: &Sides) -> Option<String> {
    let (Here::Changed { .. }, There::Is { doc, .. }, Some(base)) =
        (&sides.here, &sides.there, &sides.base)
    else {
        return None;
    };
    let ours = sides.ours()?;
    let (a, b) = (
        Side {
            doc: &ours.doc,
            machine: "",
        },
        Side { doc, machine: "" },
    );
    let merged = merge(Some(&base.doc), a, b);
    let text = path_rewriter
        .expand(&merged.doc)
        .ok()
        .filter(|_| merged.is_clean)?;
    let is_json = name.as_str().ends_with(".json");
    (!is_json || serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok()).then_some(text)
}

/// Makes a file here what it is to become, and remembers as what.
pub(crate) fn carry_out(
    journal: &Journal,
    place: &Place,
    name: &RelativeName,
    expected: Option<FileStamp>,
    change: &Proposed,
    state: &mut State,
) -> Result<(), SyncError> {
    let path = place.path(name);
    let Some((theirs, local)) = &change.becomes else {
        if let Some(expected) = expected {
            journal.remove(&path, &expected)?;
            fail_point("an extras file is removed");
        }
        return Ok(state.record(&place.name, name, None, None)?);
    };
    let executable = change.executable;
    let is_executable_so = place.executable(name).is_none_or(|now| now == executable);
    let is_there = expected.is_some()
        && is_executable_so
        && crate::sys::fs::read(&path).is_ok_and(|text| text == local.as_bytes());
    let stamp = if is_there {
        expected
    } else {
        Some(journal.write_text(&path, expected.as_ref(), local, executable)?)
    };
    fail_point("an extras file is written");
    state.record(&place.name, name, stamp, Some(theirs))?;
    let executable = executable && knows_executables();
    state.note(
        &place.name,
        name,
        Found {
            stamp,
            hash: Some(hash(local)),
            executable,
            left: None,
        },
    );
    Ok(())
}
