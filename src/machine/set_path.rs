//! Sets directories of placeholders, here or as a proposal for another machine.
//!
//! Only a machine itself changes its configuration; its user accepts a proposal there.

use std::path::PathBuf;

use crate::config::{Config, ConfigError, Settings};
use crate::domain::{MachineId, Placeholder, PlaceholderName};
use crate::flows::{FetchMode, RemoteSync};
use crate::report::RemoteState;
use crate::store::{FORMAT, ManifestError, StoreError, machine::ProposedPaths};
use crate::workspace::{
    Context, SyncError, Workspace, lookup::LookupError, lookup::find_machine, paths::config_path,
    read_only::present_machine_names,
};

/// A directory that was set for a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// True on this machine; false for a proposal to another one.
    pub is_here: bool,
    /// State of the remote.
    pub remote: RemoteState,
}

/// Returns true if `machine` may mean this one; another one can have the same name.
///
/// # Errors
/// If the configuration of this machine cannot be read.
pub fn may_be_here(ctx: &Context<'_>, machine: &str) -> Result<bool, SyncError> {
    let me = present_machine_names(ctx, None)?;
    Ok(find_machine(machine, &me, &ctx.settings.machine.id).is_ok())
}

/// Sets the directory of a placeholder on a machine: here at once, elsewhere if the user
/// accepts it there.
///
/// `machine` is a name, a prefix of an id, or `this`.
///
/// # Errors
/// [`LookupError`] if the store knows none of that
/// name, or more than one.
pub fn set_path(
    ctx: &Context<'_>,
    name: PlaceholderName,
    machine: &str,
    path: &str,
) -> Result<PathChange, SyncError> {
    let me = &ctx.settings.machine;
    if machine == "this" || machine == me.name || machine == me.id.as_str() {
        return set_path_here(ctx, name, path);
    }

    let mut workspace = Workspace::open(ctx)?;
    RemoteSync::new(&mut workspace).fetch(FetchMode::Sessions)?;
    let names = present_machine_names(ctx, Some(&workspace.store.head_snapshot()?))?;
    let target = find_machine(machine, &names, &me.id)?;
    if target == me.id {
        drop(workspace);
        return set_path_here(ctx, name, path);
    }

    propose_path(&workspace, name, &target, path)?;
    let remote = RemoteSync::new(&mut workspace).push_remaining()?.state;
    Ok(PathChange {
        is_here: false,
        remote,
    })
}

fn propose_path(
    workspace: &Workspace<'_>,
    name: PlaceholderName,
    machine: &MachineId,
    path: &str,
) -> Result<(), SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let target = snapshot.machine(machine)?;
    let target = target.ok_or_else(|| LookupError::NoMachine {
        name: machine.to_string(),
    })?;
    Placeholder::new(target.placeholders.system, name.clone(), path, None).map_err(|source| {
        ConfigError::Placeholder {
            name: name.clone(),
            source,
        }
    })?;
    let mut proposed = match snapshot.proposed_paths(&target.id) {
        Err(StoreError::Malformed { source, .. }) if !matches!(source, ManifestError::Newer(_)) => {
            ProposedPaths::default()
        }
        proposed => proposed?.unwrap_or_default(),
    };
    proposed.format = FORMAT;
    let me = workspace.machine.id.clone();
    proposed.from.insert(name.clone(), me);
    proposed.placeholders.insert(name, path.to_owned());
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    tx.write_proposed_paths(&target.id, &proposed)?;
    tx.commit(
        &workspace.author(),
        &format!("paths for {}", target.name),
        head.as_slice(),
    )?;
    Ok(())
}

fn set_path_here(
    ctx: &Context<'_>,
    name: PlaceholderName,
    path: &str,
) -> Result<PathChange, SyncError> {
    let remote = change_here(ctx, |config| config.set_placeholder(name, path, ctx.env))?;
    Ok(PathChange {
        is_here: true,
        remote,
    })
}

/// Sets the directories of placeholders on this machine.
///
/// # Errors
/// [`SyncError::Config`] for an invalid directory; then nothing is changed.
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

/// Changes the configuration of this machine and pushes its file.
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
    workspace.register_machine()?;
    Ok(RemoteSync::new(&mut workspace).push()?.state)
}
