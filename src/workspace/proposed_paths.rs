//! Directories of placeholders that other machines proposed to this one.
//!
//! Only the user accepts a proposal, after seeing it. Must not change the configuration without
//! that.

use crate::checkouts::identity::is_plain;
use crate::config::{Config, is_private};
use crate::domain::{
    id::MachineId, path::PortablePath, placeholder::PlaceholderName, placeholder::Placeholders,
};
use crate::rewrite::collapse_path;
use crate::store::{StoreError, machine::ProposedPaths};
use crate::sys::fs::resolve_links;
use crate::workspace::{error::SyncError, open::Workspace, paths::config_path};

/// A proposed directory that this machine can use. The text is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathProposal {
    pub(crate) name: PlaceholderName,
    /// The directory of the placeholder now.
    pub(crate) here: Option<String>,
    pub(crate) proposed: String,
    /// The machine that made the proposal, as the store says.
    pub(crate) from: Option<MachineId>,
}

impl PathProposal {
    /// The placeholder as it is written in text, which names the proposal.
    pub(crate) fn title(&self) -> String {
        format!("{{{{{}}}}}", self.name)
    }
}

/// Lists the proposals to this machine. Skips directories that hold no projects.
pub(crate) fn proposed_paths(workspace: &Workspace<'_>) -> Result<Vec<PathProposal>, SyncError> {
    let Some((proposed, config)) = read(workspace)? else {
        return Ok(Vec::new());
    };
    let env = workspace.ctx.env;
    let placeholders = &workspace.ctx.settings.placeholders;
    let mut found = Vec::new();
    for (name, path) in proposed.placeholders {
        let here = config.placeholders.get(&name).cloned();
        let is_possible = config
            .clone()
            .set_placeholder(name.clone(), &path, env)
            .is_ok();
        if is_possible && holds_projects(&path, placeholders) && here.as_ref() != Some(&path) {
            found.push(PathProposal {
                from: proposed.from.get(&name).cloned(),
                name,
                here,
                proposed: path,
            });
        }
    }
    Ok(found)
}

/// Uses the `accepted` proposals, and removes these and the `refused` ones from the store.
pub(crate) fn decide_paths(
    workspace: &Workspace<'_>,
    accepted: &[PathProposal],
    refused: &[PathProposal],
) -> Result<(), SyncError> {
    let Some((mut proposed, mut config)) = read(workspace)? else {
        return Ok(());
    };
    let env = workspace.ctx.env;
    for proposal in accepted {
        config.set_placeholder(proposal.name.clone(), &proposal.proposed, env)?;
    }
    if !accepted.is_empty() {
        config.save(&config_path(env))?;
    }
    for proposal in accepted.iter().chain(refused) {
        proposed.placeholders.remove(&proposal.name);
        proposed.from.remove(&proposal.name);
    }
    let me = &workspace.machine;
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    match proposed.placeholders.is_empty() {
        true => tx.remove_proposed_paths(&me.id),
        false => tx.write_proposed_paths(&me.id, &proposed)?,
    }
    let message = format!("{} decided on its paths", me.name);
    tx.commit(&workspace.author(), &message, head.as_slice())?;
    Ok(())
}

fn read(workspace: &Workspace<'_>) -> Result<Option<(ProposedPaths, Config)>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let proposed = match snapshot.proposed_paths(&workspace.machine.id) {
        // An invalid file is ignored; the next proposal replaces it.
        Err(StoreError::Malformed { .. }) => None,
        proposed => proposed?,
    };
    let config = Config::load(&config_path(workspace.ctx.env))?;
    Ok(proposed.zip(config))
}

/// Returns true if users keep projects in such a directory. Links in it are followed.
fn holds_projects(path: &str, placeholders: &Placeholders) -> bool {
    let real = resolve_links(path.as_ref());
    let forms = [Some(path), real.to_str()];
    let portable = |path: &str| -> PortablePath { collapse_path(placeholders, path) };
    forms
        .into_iter()
        .flatten()
        .all(|path| is_plain(&portable(path)) && !is_private(path.as_ref()))
}
