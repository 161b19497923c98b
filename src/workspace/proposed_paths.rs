//! Directories of placeholders that other machines proposed to this one.

use crate::config::{Config, Settings};
use crate::store::StoreError;
use crate::sys::fail_point::fail_point;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::paths::config_path;

/// Takes over the paths that other machines proposed to this one; the settings then, if there were any.
pub(crate) fn adopt_proposed_paths(
    workspace: &Workspace<'_>,
) -> Result<Option<Settings>, SyncError> {
    let env = workspace.ctx.env;
    let proposed = match workspace
        .store
        .head_snapshot()?
        .proposed_paths(&workspace.machine.id)
    {
        // Whatever it was to say, it says nothing; the next proposal takes its place.
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
        // What is no directory's path here was proposed in error; the rest still counts.
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
