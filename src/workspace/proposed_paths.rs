//! Directories of placeholders that other machines proposed to this one.

use crate::config::{Config, Settings};
use crate::store::StoreError;
use crate::sys::fail_point::fail_point;
use crate::workspace::{error::SyncError, open::Workspace, paths::config_path};

/// Adopts the paths that other machines proposed to this one. Returns the new settings,
/// if there were any.
pub(crate) fn adopt_proposed_paths(
    workspace: &Workspace<'_>,
) -> Result<Option<Settings>, SyncError> {
    let env = workspace.ctx.env;
    let proposed = match workspace
        .store
        .head_snapshot()?
        .proposed_paths(&workspace.machine.id)
    {
        // An invalid proposal is ignored; the next one replaces it.
        Err(StoreError::Malformed { .. }) => None,
        proposed => proposed?,
    };
    let Some(proposed) = proposed else {
        return Ok(None);
    };
    let Some(mut config) = Config::load(&config_path(env))? else {
        return Ok(None);
    };
    for (name, path) in proposed.placeholders {
        // An invalid directory is skipped; the others count.
        let _ = config.set_placeholder(name, &path, env);
    }
    config.save(&config_path(env))?;
    fail_point("proposed paths are adopted");
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    tx.remove_proposed_paths(&workspace.machine.id);
    tx.commit(
        &workspace.author(),
        &format!("{} took over its paths", workspace.machine.name),
        head.as_slice(),
    )?;
    Ok(Some(Settings::resolve(&config, env)?))
}
