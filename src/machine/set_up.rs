//! Making a directory of settings a machine: an id, a name, a remote, and its file in the store.
//!
//! Can be run again at any time: what is not given stays as it is, and what the former remote held is carried into a new one.

use crate::workspace::paths::config_path;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, Machine, Settings};
use crate::domain::id::MachineId;
use crate::domain::placeholder::PlaceholderName;
use crate::domain::progress::Progress;
use crate::flows::remote_sync::{fetch, push_remaining_refs};
use crate::machine::directory::free_name;
use crate::machine::suggested_placeholders::{ForeignPlaceholder, foreign_placeholders};
use crate::report::transfer::RemoteState;
use crate::sys::clock::Clock;
use crate::sys::env::Env;
use crate::sys::fail_point::fail_point;
use crate::transport::url::RemoteUrl;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::paths::{embedded_remote_path, remote_url, store_path};

/// How often a name gives way to others that came at the same moment.
const ROUNDS: u32 = 5;

/// What a set-up is asked for; what is not given stays as it is or takes its default.
#[derive(Debug, Clone, Default)]
pub struct SetUp {
    /// The remote; without one, a bare repository under the data directory.
    pub remote: Option<RemoteUrl>,
    /// The machine's name; the host's by default. A number is added if another machine has it.
    pub name: Option<String>,
    /// Directories on this machine that get a placeholder.
    pub placeholders: Vec<(PlaceholderName, PathBuf)>,
    /// Takes over the placeholders of other machines whose directories are found here.
    pub adopt: bool,
    /// Makes a machine of its own of one that was copied.
    pub new_id: bool,
}

/// What a set-up did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetUpReport {
    /// This machine's name.
    pub machine_name: String,
    /// The name that it would have, if no other machine had it.
    pub wished_name: Option<String>,
    /// The remote, without secrets.
    pub remote_display: String,
    /// The remote is the bare repository under the data directory.
    pub embedded: bool,
    /// There was no configuration before.
    pub first_time: bool,
    /// Its sessions went to another remote before.
    pub moved: bool,
    /// Names of the other machines, unsanitised.
    pub other_machines: Vec<String>,
    /// Sessions that the remote did not have and this machine's store brought along.
    pub carried: u64,
    /// Placeholder and directory of each root.
    pub placeholders: Vec<(String, String)>,
    /// Placeholders of other machines that were taken over.
    pub learnt: Vec<ForeignPlaceholder>,
    /// Placeholders of other machines that have no directory here.
    pub unmapped: Vec<ForeignPlaceholder>,
    /// What became of the remote.
    pub remote: RemoteState,
}

/// Sets this machine up, or changes how it is set up.
///
/// # Errors
/// If the remote cannot be reached or holds a store of a newer format; then nothing is changed.
pub fn set_up(
    env: &Env,
    clock: &dyn Clock,
    progress: Arc<dyn Progress + Send + Sync>,
    interactive: bool,
    request: SetUp,
) -> Result<SetUpReport, SyncError> {
    let former = Config::load(&config_path(env))?;
    let how = Joining {
        is_named: request.name.is_some(),
        adopt: request.adopt,
        new_id: request.new_id,
    };
    let mut config = wanted(env, former.as_ref(), request)?;
    let settings = Settings::resolve(&config, env)?;
    let ctx = Context {
        env,
        settings,
        clock,
        progress,
        interactive,
    };
    let joined = join(&ctx, &mut config, former.as_ref(), &how)?;
    let mut report = enter(&ctx, config, joined.tell_apart)?;
    report.wished_name =
        Some(ctx.settings.machine.name).filter(|wished| *wished != report.machine_name);
    report.first_time = former.is_none();
    Ok(SetUpReport {
        moved: joined.moved,
        carried: joined.carried,
        learnt: joined.learnt,
        ..report
    })
}

/// How a machine comes to its remote.
struct Joining {
    /// Its name was asked for.
    is_named: bool,
    adopt: bool,
    new_id: bool,
}

/// What came of it.
struct Joined {
    /// It had another remote.
    moved: bool,
    carried: u64,
    learnt: Vec<ForeignPlaceholder>,
    /// Its name gives way where another machine has it.
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
    if let Err(e) = fetch(&mut workspace) {
        // The former remote stays the remote.
        workspace.store.set_remote_head(before.as_ref())?;
        return Err(e);
    }
    if moved || how.new_id {
        workspace.locks.forget_all()?;
    }
    let there = workspace
        .store
        .snapshot(workspace.store.remote_head()?.as_ref())?;
    // A machine that the store knows has its name there; only a newcomer gives way.
    let is_known = there.machine(&config.machine.id).ok().flatten().is_some();
    let learnt = if how.adopt {
        adopt(&workspace, config)?
    } else {
        Vec::new()
    };
    config.save(&config_path(ctx.env))?;
    fail_point("the configuration is saved");
    let there = there.sessions()?;
    let carried = sessions_before
        .keys()
        .filter(|id| !there.contains_key(*id))
        .count() as u64;
    Ok(Joined {
        moved,
        carried,
        learnt,
        tell_apart: how.is_named || !is_known,
    })
}

/// Gives the placeholders of other machines the directories that are found here.
fn adopt(
    workspace: &Workspace<'_>,
    config: &mut Config,
) -> Result<Vec<ForeignPlaceholder>, SyncError> {
    let mut learnt = foreign_placeholders(workspace, &config.placeholder_set(workspace.ctx.env)?)?;
    // What cannot be a placeholder here stays unmapped.
    learnt.retain(|placeholder| {
        let here = placeholder.here.as_deref().and_then(Path::to_str);
        here.is_some_and(|here| {
            config
                .set_placeholder(placeholder.name.clone(), here, workspace.ctx.env)
                .is_ok()
        })
    });
    Ok(learnt)
}

/// Commits this machine's file and sends it. That another machine registered under the same name at the same moment shows only then: the
/// one that was second gives way.
fn enter(
    ctx: &Context<'_>,
    mut config: Config,
    tell_apart: bool,
) -> Result<SetUpReport, SyncError> {
    let mut rounds = if tell_apart { ROUNDS } else { 0 };
    loop {
        let ctx = ctx.with_settings(Settings::resolve(&config, ctx.env)?);
        let mut workspace = Workspace::open(&ctx)?;
        if rounds == 0 || free_name(&workspace)? == workspace.machine.name {
            register(&mut workspace)?;
            let (remote, _) = push_remaining_refs(&mut workspace)?;
            if rounds == 0 || free_name(&workspace)? == workspace.machine.name {
                return report(&workspace, remote);
            }
        }
        config.set(crate::config::Key::Name, &free_name(&workspace)?)?;
        config.save(&config_path(ctx.env))?;
        rounds -= 1;
    }
}

/// Sets this machine up with nothing given: its first command does that.
///
/// # Errors
/// As for [`set_up`]; [`SyncError::ConfigurationLost`] if this is not the first command.
pub fn set_up_by_default(
    env: &Env,
    clock: &dyn Clock,
    progress: Arc<dyn Progress + Send + Sync>,
    interactive: bool,
) -> Result<SetUpReport, SyncError> {
    let store = store_path(env);
    if !crate::store::belongs_to(&store, &embedded_remote_path(env)) {
        // Its sessions would go to a remote that nobody has chosen.
        return Err(SyncError::ConfigurationLost {
            path: config_path(env),
            store,
        });
    }
    set_up(env, clock, progress, interactive, SetUp::default())
}

fn wanted(env: &Env, former: Option<&Config>, request: SetUp) -> Result<Config, SyncError> {
    let mut config = match former {
        Some(former) => former.clone(),
        None => Config::new(Machine {
            id: new_id(),
            name: env.host_name.clone(),
            host: None,
        })?,
    };
    if request.new_id {
        config.machine = Machine {
            id: new_id(),
            name: env.host_name.clone(),
            host: None,
        };
    }
    config.machine.host.clone_from(&env.host_mark);
    if let Some(name) = request.name {
        config.set(crate::config::Key::Name, &name)?;
    }
    if let Some(remote) = request.remote {
        config.set(crate::config::Key::Remote, remote.as_git_argument())?;
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

/// Commits this machine's file if the store knows it otherwise.
pub(crate) fn register(workspace: &mut Workspace<'_>) -> Result<(), SyncError> {
    workspace.refresh_machine()?;
    if !workspace.machine_changed {
        return Ok(());
    }
    fail_point("before the machine is registered");
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    tx.put_machine(&workspace.machine)?;
    tx.commit(
        &workspace.author(),
        &format!("machine {}", workspace.machine.name),
        head.as_slice(),
    )?;
    workspace.machine_changed = false;
    Ok(())
}

/// How this machine is set up now; what was done for it is the caller's to say.
fn report(workspace: &Workspace<'_>, remote: RemoteState) -> Result<SetUpReport, SyncError> {
    let settings = &workspace.ctx.settings;
    let (machines, _) = workspace.store.head_snapshot()?.machines()?;
    let others = machines
        .into_iter()
        .filter(|machine| machine.id != workspace.machine.id);
    Ok(SetUpReport {
        machine_name: settings.machine.name.clone(),
        wished_name: None,
        remote_display: remote_url(workspace.ctx.env, settings.remote.as_deref())?.to_string(),
        embedded: settings.remote.is_none(),
        first_time: false,
        moved: false,
        other_machines: others.map(|machine| machine.name).collect(),
        carried: 0,
        placeholders: settings
            .placeholders
            .placeholders
            .iter()
            .map(|root| (root.name.to_string(), root.path.clone()))
            .collect(),
        learnt: Vec::new(),
        unmapped: foreign_placeholders(workspace, &settings.placeholders)?,
        remote,
    })
}
