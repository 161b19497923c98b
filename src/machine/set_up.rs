//! Sets this machine up: an id, a name, a remote, and its file in the store.
//!
//! Can be repeated at any time: omitted values stay, and sessions of the former remote
//! move to a new one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, MachineIdentity, SettingKey, Settings};
use crate::domain::{MachineId, PlaceholderName, Progress, url::RemoteUrl, url::redact};
use crate::flows::RemoteSync;
use crate::machine::join_encrypted::{self, EncryptionChoice};
use crate::machine::names::{free_name, taken_names};
use crate::machine::suggested_placeholders::{ForeignPlaceholder, foreign_placeholders};
use crate::machine::unfinished_set_up::UnfinishedSetUp;
use crate::report::RemoteState;
use crate::sys::{Clock, Env, fail_point::fail_point};
use crate::workspace::{
    Context, SetupError, SyncError, Workspace, last_fetch::LastFetch, paths::config_path,
    paths::embedded_remote_path, paths::remote_url, paths::store_path,
    recovery::remove_stale_settings, store_remote::store_header,
};

/// Attempts to find a free name while other machines register.
const ROUNDS: u32 = 5;

/// Input of a set-up; omitted values stay or take their default.
#[derive(Debug, Clone, Default)]
pub struct SetUp {
    /// The remote; without one, a bare repository under the data directory.
    pub remote: Option<RemoteUrl>,
    /// The machine's name; the host's by default. A number is added if another machine has it.
    pub name: Option<String>,
    /// Directories on this machine that get a placeholder.
    pub placeholders: Vec<(PlaceholderName, PathBuf)>,
    /// Adopt placeholders of other machines if their directories exist here.
    pub adopt: bool,
    /// Give a copied configuration a new machine id.
    pub new_id: bool,
    /// The user's wish for a new store.
    pub encryption: EncryptionChoice,
    /// Without a configuration and a remote, keep the sessions of another remote on this disk.
    pub leave_former_remote: bool,
}

/// Result of a set-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetUpReport {
    /// This machine's name.
    pub machine_name: String,
    /// The wanted name, if another machine has it.
    pub requested_name: Option<String>,
    /// The remote, without secrets.
    pub remote_display: String,
    /// True if the remote is the bare repository in the data directory.
    pub embedded: bool,
    /// True if the store is encrypted.
    pub encrypted: bool,
    /// True if there was no configuration before.
    pub first_time: bool,
    /// True if it had another remote before.
    pub moved: bool,
    /// Names of the other machines, not sanitized.
    pub other_machines: Vec<String>,
    /// Number of sessions that this machine's store added to the remote.
    pub sessions_moved: u64,
    /// Name and directory of each placeholder.
    pub placeholders: Vec<(String, String)>,
    /// Adopted placeholders of other machines.
    pub adopted: Vec<ForeignPlaceholder>,
    /// Placeholders of other machines without a directory here.
    pub missing_placeholders: Vec<ForeignPlaceholder>,
    /// State of the remote.
    pub remote: RemoteState,
}

/// Sets this machine up, or changes its set-up.
///
/// # Errors
/// The remote cannot be reached or has a newer format; then nothing is
/// changed.
pub fn set_up(
    env: &Env,
    clock: &dyn Clock,
    progress: Arc<dyn Progress + Send + Sync>,
    interactive: bool,
    request: SetUp,
) -> Result<SetUpReport, SyncError> {
    let former = Config::load(&config_path(env))?;
    if former.is_none()
        && request.remote.is_none()
        && !request.leave_former_remote
        && let Some(lost) = lost_configuration(env)
    {
        return Err(lost.into());
    }
    let how = Joining {
        is_named: request.name.is_some(),
        adopt: request.adopt,
        new_id: request.new_id,
        encryption: request.encryption,
    };
    let mut config = wanted(env, former.as_ref(), request)?;
    let settings = Settings::resolve(&config, env)?;
    let ctx = Context {
        env,
        settings,
        clock,
        progress,
        interactive,
        offline: false,
        by_itself: false,
        history_choice: None,
    };
    let joined = join(&ctx, &mut config, former.as_ref(), &how)?;
    let mut report = enter(&ctx, config, joined.tell_apart)?;
    remove_stale_settings(&ctx);
    report.requested_name =
        Some(ctx.settings.machine.name).filter(|wished| *wished != report.machine_name);
    report.first_time = former.is_none();
    UnfinishedSetUp::remove(env);
    Ok(SetUpReport {
        moved: joined.moved,
        sessions_moved: joined.sessions_moved,
        adopted: joined.adopted,
        ..report
    })
}

/// Change of the remote.
struct Joining {
    /// True if the name was given.
    is_named: bool,
    adopt: bool,
    new_id: bool,
    encryption: EncryptionChoice,
}

/// Result of joining a remote.
struct Joined {
    /// True if it had another remote.
    moved: bool,
    sessions_moved: u64,
    adopted: Vec<ForeignPlaceholder>,
    /// True if the name may change if another machine has it.
    tell_apart: bool,
}

/// Fetches what the remote has, adapts the configuration to it, and saves that.
fn join(
    ctx: &Context<'_>,
    config: &mut Config,
    former: Option<&Config>,
    how: &Joining,
) -> Result<Joined, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    if config.remote.is_none() {
        crate::store::create_embedded_remote(&embedded_remote_path(ctx.env))?;
    }
    let moved = former.is_some_and(|former| former.remote != config.remote);
    let before = workspace.store.remote_head()?;
    if moved {
        workspace.store.set_remote_head(None)?;
    }
    let sessions_before = workspace.store.head_snapshot()?.sessions()?;
    if let Err(e) = join_encrypted::fetch(&mut workspace, how.encryption) {
        // The former remote stays.
        workspace.store.set_remote_head(before.as_ref())?;
        return Err(e);
    }
    if moved || how.new_id {
        workspace.leases.forget_all()?;
    }
    let there = workspace
        .store
        .snapshot(workspace.store.remote_head()?.as_ref())?;
    // A known machine keeps its name; only a new one changes it.
    let is_known = there.machine(&config.machine.id).ok().flatten().is_some();
    let adopted = if how.adopt {
        adopt(&workspace, config)?
    } else {
        Vec::new()
    };
    config.save(&config_path(ctx.env))?;
    fail_point("the configuration is saved");
    let there = there.sessions()?;
    let sessions_moved = sessions_before
        .keys()
        .filter(|id| !there.contains_key(*id))
        .count() as u64;
    Ok(Joined {
        moved,
        sessions_moved,
        adopted,
        tell_apart: how.is_named || !is_known,
    })
}

/// Sets placeholders of other machines to existing directories here.
fn adopt(
    workspace: &Workspace<'_>,
    config: &mut Config,
) -> Result<Vec<ForeignPlaceholder>, SyncError> {
    let mut adopted = foreign_placeholders(workspace, &config.placeholder_set(workspace.ctx.env)?)?;
    // An invalid directory stays missing.
    adopted.retain(|placeholder| {
        let here = placeholder.here.as_deref().and_then(Path::to_str);
        here.is_some_and(|here| {
            config
                .set_placeholder(placeholder.name.clone(), here, workspace.ctx.env)
                .is_ok()
        })
    });
    Ok(adopted)
}

/// Commits and pushes this machine's file. Only then a machine with the same name shows
/// that registered at the same time; the second one changes its name.
fn enter(
    ctx: &Context<'_>,
    mut config: Config,
    tell_apart: bool,
) -> Result<SetUpReport, SyncError> {
    let mut rounds = if tell_apart { ROUNDS } else { 0 };
    loop {
        let ctx = ctx.with_settings(Settings::resolve(&config, ctx.env)?);
        let mut workspace = Workspace::open(&ctx)?;
        if rounds == 0 || unused_name(&workspace)? == workspace.machine.name {
            workspace.register_machine()?;
            let remote = RemoteSync::new(&mut workspace).push_remaining()?.state;
            if rounds == 0 || unused_name(&workspace)? == workspace.machine.name {
                return report(&workspace, remote);
            }
        }
        config.set(SettingKey::Name, &unused_name(&workspace)?)?;
        config.save(&config_path(ctx.env))?;
        rounds -= 1;
    }
}

/// Returns the name that this machine wants, with a number if another machine has it.
fn unused_name(workspace: &Workspace<'_>) -> Result<String, SyncError> {
    let me = &workspace.ctx.settings.machine;
    Ok(free_name(&me.name, &taken_names(&workspace.store, &me.id)?))
}

/// Sets this machine up with defaults, as its first command does.
///
/// # Errors
/// As for [`set_up`]; [`SetupError::Unfinished`] if the user has tried to set it up.
pub fn set_up_by_default(
    env: &Env,
    clock: &dyn Clock,
    progress: Arc<dyn Progress + Send + Sync>,
    interactive: bool,
) -> Result<SetUpReport, SyncError> {
    let lost = lost_configuration(env);
    if let (None, Some(unfinished)) = (lost, UnfinishedSetUp::load(env)) {
        // Its sessions would go to a remote that the user has not chosen.
        let remote = unfinished.remote.as_deref().map(redact);
        return Err(SetupError::Unfinished { remote }.into());
    }
    set_up(env, clock, progress, interactive, SetUp::default())
}

/// Returns the error of a machine whose configuration is missing, and whose store or state is of
/// another remote than the one on this disk.
pub fn lost_configuration(env: &Env) -> Option<SetupError> {
    let (store, embedded) = (store_path(env), embedded_remote_path(env));
    // A remote that was refused by a failed set-up never had anything of this machine.
    let refused = UnfinishedSetUp::load(env).and_then(|unfinished| unfinished.remote);
    let refused = refused.as_deref().map(redact);
    let remote = LastFetch::load(env).map(|last| last.remote);
    let remote = remote
        .filter(|remote| *remote != embedded.to_string_lossy() && Some(remote) != refused.as_ref());
    let is_lost = remote.is_some() || !crate::store::belongs_to_remote(&store, &embedded);
    is_lost.then(|| SetupError::ConfigLost {
        path: config_path(env),
        store,
        remote,
    })
}

fn wanted(env: &Env, former: Option<&Config>, request: SetUp) -> Result<Config, SyncError> {
    let mut config = match former {
        Some(former) => former.clone(),
        None => Config::new(MachineIdentity {
            id: new_id(),
            name: env.host_name.clone(),
            host: None,
        })?,
    };
    if request.new_id {
        config.machine = MachineIdentity {
            id: new_id(),
            name: env.host_name.clone(),
            host: None,
        };
    }
    config.machine.host.clone_from(&env.host_mark);
    if former.is_none() {
        config.adopt_client_dir(env);
    }
    if let Some(name) = request.name {
        config.set(SettingKey::Name, &name)?;
    }
    if let Some(remote) = request.remote {
        config.set(SettingKey::Remote, remote.as_git_argument())?;
    }
    for (name, directory) in request.placeholders {
        config.set_placeholder(name, &directory.to_string_lossy(), env)?;
    }
    Ok(config)
}

fn new_id() -> MachineId {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id.parse().expect("a UUID without dashes is a machine id")
}

/// Returns the current set-up; the caller adds what changed.
fn report(workspace: &Workspace<'_>, remote: RemoteState) -> Result<SetUpReport, SyncError> {
    let settings = &workspace.ctx.settings;
    let machines = workspace.store.head_snapshot()?.machines()?;
    let others = machines
        .into_iter()
        .filter(|machine| machine.id != workspace.machine.id);
    Ok(SetUpReport {
        machine_name: settings.machine.name.clone(),
        requested_name: None,
        remote_display: remote_url(workspace.ctx.env, settings.remote.as_deref())?.to_string(),
        embedded: settings.remote.is_none(),
        encrypted: store_header(workspace.ctx.env)?.is_some(),
        first_time: false,
        moved: false,
        other_machines: others.map(|machine| machine.name).collect(),
        sessions_moved: 0,
        placeholders: settings
            .placeholders
            .placeholders
            .iter()
            .map(|root| (root.name.to_string(), root.directory.clone()))
            .collect(),
        adopted: Vec::new(),
        missing_placeholders: foreign_placeholders(workspace, &settings.placeholders)?,
        remote,
    })
}
