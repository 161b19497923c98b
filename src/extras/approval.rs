//! What the client may run programs for: it is proposed, shown by whoever asks, and written only after a yes.
//!
//! A yes is remembered by the hash of the content, so that the same is not asked again; a no leaves this machine's own as it is until the
//! other changes once more.

use crate::domain::error::error_chain;
use crate::domain::extras::ExtraKind;
use crate::domain::path::RelativeName;
use crate::extras::base::Base;
use crate::extras::bundles::{OpenBundle, There};
use crate::extras::change::{Proposed, carry_out, proposed};
use crate::extras::compare::{Decision, Place, Sides};
use crate::extras::context::{Names, load_state, places_here};
use crate::extras::owners::Places;
use crate::extras::state::State;
use crate::extras::text_file::hash;
use crate::session::extras::first_extra_link;
use crate::session::journal::Journal;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::paths::undo_path;

/// A change that waits for a yes. All text in it is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The file, by its name below the client's directory.
    pub name: String,
    /// The name of the machine it comes from.
    pub from: String,
    /// What it is here; none: it is not here.
    pub here: Option<String>,
    /// What it would be; none: it would be removed.
    pub proposed: Option<String>,
    /// Its owner may run it here.
    pub executable_here: bool,
    /// Its owner could run it then.
    pub executable: bool,
    /// This machine has changed it as well, and its changes would be replaced.
    pub replaces_changes: bool,
    /// Names exactly this change.
    pub consent: String,
}

/// What became of proposals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// Names of files that were changed.
    pub applied: Vec<String>,
    /// Names of files that stay as they are here.
    pub kept: Vec<String>,
    /// Files that could not be changed, with the reason.
    pub skipped: Vec<(String, String)>,
}

/// What waits for a yes, by the store as it is here; fetches nothing.
///
/// # Errors
/// What concerns the whole command.
pub fn proposals(ctx: &Context<'_>) -> Result<Vec<Proposal>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let mut state = load_state(&workspace, workspace.store.head()?.as_ref());
    let mut found = Vec::new();
    waiting(
        &workspace,
        &mut state,
        &mut |_, _, sides, change, proposal, _| {
            let _ = (sides, change);
            found.push(proposal);
            Ok(())
        },
    )?;
    Ok(found)
}

/// Carries out what was answered: `yes` and `no` name proposals by their [`Proposal::consent`]. One that has changed since is left alone.
///
/// # Errors
/// What concerns the whole command.
pub fn apply(ctx: &Context<'_>, yes: &[String], no: &[String]) -> Result<Decided, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let mut state = load_state(&workspace, workspace.store.head()?.as_ref());
    let journal = Journal::new(&undo_path(ctx.env), ctx.clock.now());
    let mut decided = Decided::default();
    waiting(
        &workspace,
        &mut state,
        &mut |place, name, sides, change, proposal, state| {
            if yes.contains(&proposal.consent) {
                match carry_out(&journal, place, name, sides.stamp, &change, state) {
                    Ok(()) => {
                        state.accept(&change.consent);
                        decided.applied.push(proposal.name);
                    }
                    Err(e) => decided.skipped.push((proposal.name, error_chain(&e))),
                }
            } else if no.contains(&proposal.consent) {
                keep(place, name, sides, state)?;
                decided.kept.push(proposal.name);
            }
            Ok(())
        },
    )?;
    state.save()?;
    Ok(decided)
}

/// This machine's own stays: what the store has is known, and is as good as in step.
fn keep(
    place: &Place,
    name: &RelativeName,
    sides: &Sides,
    state: &mut State,
) -> Result<(), SyncError> {
    let local = sides.ours().map(|ours| ours.local).unwrap_or_default();
    let base = match &sides.there {
        There::Is { doc, .. } => {
            let executable = sides.executable.unwrap_or(false);
            Some(Base {
                doc: doc.clone(),
                local,
                executable,
                is_reading: false,
            })
        }
        There::Removed | There::Absent => None,
    };
    Ok(state.record(&place.name, name, sides.stamp, base.as_ref())?)
}

/// Takes a proposal, with what is needed to carry it out.
type Each<'e> = dyn FnMut(&Place, &RelativeName, &Sides, Proposed, Proposal, &mut State) -> Result<(), SyncError>
    + 'e;

fn waiting(
    workspace: &Workspace<'_>,
    state: &mut State,
    each: &mut Each<'_>,
) -> Result<(), SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let names = Names::of(workspace, &snapshot)?;
    let (places, _) = places_here(workspace, &Places::new(workspace), state)?;
    let Some(place) = places.iter().find(|place| place.bundle.is_user()) else {
        return Ok(());
    };
    let bundle = OpenBundle::open(&snapshot, &place.bundle, || place.new_bundle())?;
    let path_rewriter = place.path_rewriter(workspace.localizer.placeholders());
    let stored = bundle
        .bundle
        .files
        .keys()
        .chain(bundle.bundle.removed.keys())
        .cloned()
        .collect::<Vec<_>>();
    for name in stored {
        let is_wanted =
            |kind: &ExtraKind| kind.can_run_code() && workspace.ctx.settings.extras.contains(kind);
        let link =
            first_extra_link(&place.directory, &name).filter(|link| *link != place.directory);
        let Some(kind) = place
            .kind(&name)
            .filter(is_wanted)
            .filter(|_| link.is_none())
        else {
            continue;
        };
        // What cannot be read is named by a pull.
        let Ok(sides) = Sides::look(place, &path_rewriter, &bundle, &name, state) else {
            continue;
        };
        if !matches!(
            sides.decide(&path_rewriter, kind, place.listing.exists),
            Decision::Theirs | Decision::Both
        ) {
            continue;
        }
        let Ok(change) = proposed(&path_rewriter, &name, &sides) else {
            continue;
        };
        let from = match &sides.there {
            There::Is { by, .. } => names.one(by),
            _ => bundle
                .bundle
                .removed
                .get(&name)
                .map_or_else(String::new, |removed| names.one(&removed.machine)),
        };
        let proposal = Proposal {
            name: name.to_string(),
            from,
            here: sides.ours().map(|ours| ours.local),
            proposed: change.becomes.as_ref().map(|(_, local)| local.clone()),
            executable_here: sides.executable.unwrap_or(false),
            executable: change.executable,
            replaces_changes: change.replaces_changes(&sides),
            // What was shown is the difference to what lies here: a yes is none to another one.
            consent: hash(&format!(
                "{}\n{:?}\n{:?}",
                change.consent,
                sides.executable,
                sides.ours().map(|ours| ours.local)
            )),
        };
        each(place, &name, &sides, change, proposal, state)?;
    }
    Ok(())
}
