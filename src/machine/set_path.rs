//! The directories of placeholders: those of this machine, and those that one machine proposes to another.
//!
//! Only a machine itself changes its configuration; what others propose is taken over when it pulls.

use std::path::PathBuf;

use crate::config::{Config, ConfigError, Settings};
use crate::domain::placeholder::{Placeholder, PlaceholderName};
use crate::flows::remote_sync::{fetch, push_remaining_refs, send};
use crate::machine::set_up::register;
use crate::report::transfer::RemoteState;
use crate::store::StoreError;
use crate::store::machine::ProposedPaths;
use crate::store::manifest::{FORMAT, ManifestError};
use crate::sys::fail_point::fail_point;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::paths::config_path;

/// Gives a placeholder its directory on a machine: this one at once, another one when it pulls next.
///
/// `machine` is a name, an id, or `this`.
///
/// # Errors
/// [`SyncError::NoSuchMachine`] if the store knows none of that name, or more than one.
pub fn set_path(
    ctx: &Context<'_>,
    name: PlaceholderName,
    machine: &str,
    path: &str,
) -> Result<RemoteState, SyncError> {
    let me = &ctx.settings.machine;
    if machine == "this" || machine == me.name || machine == me.id.as_str() {
        return set_path_here(ctx, name, path);
    }
    let mut workspace = Workspace::open(ctx)?;
    fetch(&mut workspace)?;
    propose_path(&workspace, name, machine, path)?;
    Ok(push_remaining_refs(&mut workspace)?.0)
}

fn propose_path(
    workspace: &Workspace<'_>,
    name: PlaceholderName,
    machine: &str,
    path: &str,
) -> Result<(), SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let (machines, _) = snapshot.machines()?;
    let named: Vec<_> = machines
        .iter()
        .filter(|m| m.name == machine || m.id.as_str() == machine)
        .collect();
    let [target] = named.as_slice() else {
        return Err(SyncError::NoSuchMachine {
            name: machine.to_owned(),
            found: named.len(),
        });
    };
    Placeholder::new(target.placeholders.system, name.clone(), path, None).map_err(|source| {
        ConfigError::Placeholder {
            name: name.clone(),
            source,
        }
    })?;
    let mut proposed = match snapshot.proposed_paths(&target.id) {
        Err(StoreError::Malformed { source, .. }) if !matches!(source, ManifestError::Newer(_)) => {
            Default::default()
        }
        proposed => proposed?.map(|proposed| proposed.paths).unwrap_or_default(),
    };
    proposed.insert(name, path.to_owned());
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    tx.put_proposed_paths(
        &target.id,
        Some(&ProposedPaths {
            format: FORMAT,
            paths: proposed,
        }),
    )?;
    tx.commit(
        &workspace.author(),
        &format!("paths for {}", target.name),
        head.as_slice(),
    )?;
    Ok(())
}

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
    for (name, path) in proposed.paths {
        // What is no directory's path here was proposed in error; the rest still counts.
        let _ = config.set_placeholder(name, &path, env);
    }
    config.save(&config_path(env))?;
    fail_point("paths of others are adopted");
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    tx.put_proposed_paths(&workspace.machine.id, None)?;
    tx.commit(
        &workspace.author(),
        &format!("{} took over its paths", workspace.machine.name),
        head.as_slice(),
    )?;
    Ok(Some(Settings::resolve(&config, env)?))
}

fn set_path_here(
    ctx: &Context<'_>,
    name: PlaceholderName,
    path: &str,
) -> Result<RemoteState, SyncError> {
    change_here(ctx, |config| config.set_placeholder(name, path, ctx.env))
}

/// Gives placeholders their directories on this machine.
///
/// # Errors
/// [`SyncError::Config`] for a directory that cannot be a placeholder's; then nothing is changed.
pub fn set_paths_here(
    ctx: &Context<'_>,
    paths: Vec<(PlaceholderName, PathBuf)>,
) -> Result<RemoteState, SyncError> {
    change_here(ctx, |config| {
        paths.into_iter().try_for_each(|(name, path)| {
            config.set_placeholder(name, &path.to_string_lossy(), ctx.env)
        })
    })
}

/// Changes the configuration of this machine, and tells the others of it.
pub(crate) fn change_here(
    ctx: &Context<'_>,
    change: impl FnOnce(&mut Config) -> Result<(), ConfigError>,
) -> Result<RemoteState, SyncError> {
    let file = config_path(ctx.env);
    let mut config = Config::load(&file)?.unwrap_or(Config::new(ctx.settings.machine.clone())?);
    change(&mut config)?;
    config.save(&file)?;
    let ctx = ctx.with_settings(Settings::resolve(&config, ctx.env)?);
    let mut workspace = Workspace::open(&ctx)?;
    register(&mut workspace)?;
    Ok(send(&mut workspace)?.0)
}
