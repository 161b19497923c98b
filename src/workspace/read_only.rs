//! The store, opened read-only: without a lock and without a fetch.

use crate::checkouts::Clones;
use crate::domain::SessionName;
use crate::localize::Localizer;
use crate::session::time::parse_time;
use crate::store::{Snapshot, Store, machine::Machine, manifest::Manifest};
use crate::workspace::{
    context::Context, error::SyncError, lookup::FORGOTTEN, lookup::MachineNames, paths::store_path,
};

/// The store and the localizer, for commands that only read.
pub(crate) struct ReadOnlyStore {
    pub(crate) store: Store,
    pub(crate) localizer: Localizer,
}

impl ReadOnlyStore {
    /// Opens the store; `None` if there is no store yet.
    pub(crate) fn open(ctx: &Context<'_>) -> Result<Option<Self>, SyncError> {
        let path = store_path(ctx.env);
        if !path.join(".git").exists() {
            return Ok(None);
        }
        Ok(Some(Self {
            store: Store::open_without_repair(&path)?,
            localizer: localizer(ctx),
        }))
    }
}

/// Returns the facts by which a user recognises a stored session.
pub(crate) fn session_name(
    localizer: &Localizer,
    manifest: &Manifest,
    machines: &MachineNames,
) -> SessionName {
    SessionName {
        session: manifest.session.clone(),
        project: localizer.project(manifest),
        title: localizer.title(manifest),
        machine: manifest
            .last_writer()
            .and_then(|id| machines.get(id))
            .cloned(),
        last_activity: manifest.last_activity.as_deref().and_then(parse_time),
        fork_of: manifest.fork_of.as_ref().map(|fork| fork.session.clone()),
    }
}

/// Returns the localizer with this machine's current placeholders only.
pub(crate) fn localizer(ctx: &Context<'_>) -> Localizer {
    let settings = &ctx.settings;
    Localizer::new(
        settings.machine.id.clone(),
        settings.placeholders.clone(),
        Vec::new(),
        settings.localize,
        Clones::new(ctx.env, &settings.placeholders, ctx.clock),
    )
}

/// Returns the names of this machine and of all machines of the store. Forgotten ones are
/// marked.
pub(crate) fn machine_names(
    ctx: &Context<'_>,
    snapshot: Option<&Snapshot<'_>>,
) -> Result<MachineNames, SyncError> {
    let forgotten = snapshot
        .map(Snapshot::forgotten_machines)
        .transpose()?
        .unwrap_or_default();
    let label = |machine: Machine| (machine.id, machine.name + FORGOTTEN);
    let mut names: MachineNames = forgotten.into_iter().map(label).collect();
    names.extend(present_machine_names(ctx, snapshot)?);
    Ok(names)
}

/// Returns the names as [`machine_names`], without forgotten machines.
pub(crate) fn present_machine_names(
    ctx: &Context<'_>,
    snapshot: Option<&Snapshot<'_>>,
) -> Result<MachineNames, SyncError> {
    let known = snapshot
        .map(Snapshot::machines)
        .transpose()?
        .unwrap_or_default();
    let mut names: MachineNames = known
        .into_iter()
        .map(|machine| (machine.id, machine.name))
        .collect();
    let me = &ctx.settings.machine;
    names.insert(me.id.clone(), me.name.clone());
    Ok(names)
}
