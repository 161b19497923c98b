//! Opens the workspace: process lock, store, records and localizer. Every command that changes
//! something starts here.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::checkouts::{Clones, current_placeholders::CurrentPlaceholders};
use crate::domain::{Phase, url::RemoteUrl};
use crate::localize::Localizer;
use crate::remote::Remote;
use crate::secrets::Secrets;
use crate::session::{
    Discovery, SessionError, discover::discover, discover::discover_on_one_thread,
};
use crate::store::{
    Author, MAX_LOOSE_OBJECTS, MAX_PACKS, Store, machine::Machine, manifest::PlaceholdersKey,
    needs_repack,
};
use crate::sys::{
    fail_point::fail_point, former_names::rename_former_files, fs::PathError,
    fs::create_private_dir_all, process_lock::ChildProcessLock, process_lock::LockError,
    process_lock::ProcessLock,
};
use crate::transport::{GitCli, RemoteError};
use crate::workspace::{
    context::Context, context::LOCK_WAIT, error::SyncError, exclusion::ExcludeRules,
    filter::SessionFilter, index::IndexKey, leases::Leases, paths::leases_path, paths::mirror_path,
    paths::remote_rules_path, paths::remote_url, paths::store_path, records::SessionRecords,
    recovery::recover, remote_rules::RemoteRules, store_remote::open_remote,
};

/// Age from which a scan is repeated before anything is decided by it.
const MAX_SCAN_AGE: Duration = Duration::from_secs(1);

/// The opened state of one command, locked for this process.
pub(crate) struct Workspace<'a> {
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) store: Store,
    pub(crate) localizer: Localizer,
    /// This machine, as its file in the store is to describe it.
    pub(crate) machine: Machine,
    pub(crate) records: SessionRecords,
    pub(crate) leases: Leases,
    /// Known rules of the remote.
    pub(crate) remote_rules: RemoteRules,
    /// Settings that exclude sessions.
    pub(crate) rules: ExcludeRules,
    /// `None`: nothing can be written here; the command only looks.
    locks: Option<(ChildProcessLock, ProcessLock)>,
}

/// Time for which a command that changes nothing waits for another ccsync.
const LOOK_WAIT: Duration = Duration::from_secs(1);

impl<'a> Workspace<'a> {
    /// Takes the process lock, waiting up to [`LOCK_WAIT`], and opens everything.
    pub(crate) fn open(ctx: &'a Context<'a>) -> Result<Self, SyncError> {
        Self::open_locked(ctx, Some(lock(ctx, LOCK_WAIT)?))
    }

    /// Opens everything for a command that changes nothing. Works in directories that this user
    /// cannot write, too.
    pub(crate) fn open_to_look(ctx: &'a Context<'a>) -> Result<Self, SyncError> {
        Self::open_locked(ctx, lock_if_writable(ctx)?)
    }

    /// Opens everything as [`Self::open_to_look`], without waiting for another ccsync.
    pub(crate) fn open_at_once(ctx: &'a Context<'a>) -> Result<Self, SyncError> {
        Self::open_locked(ctx, None)
    }

    /// Opens the workspace as [`Self::open_to_look`], and discovers the sessions.
    pub(crate) fn look_and_discover(ctx: &'a Context<'a>) -> Result<(Self, Discovery), SyncError> {
        Self::open_and_discover_with(ctx, lock_if_writable(ctx)?)
    }

    /// Opens the workspace and discovers the sessions, both at once.
    pub(crate) fn open_and_discover(ctx: &'a Context<'a>) -> Result<(Self, Discovery), SyncError> {
        Self::open_and_discover_with(ctx, Some(lock(ctx, LOCK_WAIT)?))
    }

    fn open_and_discover_with(
        ctx: &'a Context<'a>,
        locks: Option<(ChildProcessLock, ProcessLock)>,
    ) -> Result<(Self, Discovery), SyncError> {
        let (workspace, found) = std::thread::scope(|scope| {
            let found = scope.spawn(|| find_sessions(ctx));
            (
                Self::open_locked(ctx, locks),
                found.join().expect("a scan does not panic"),
            )
        });
        let (mut workspace, mut found) = (workspace?, found?);
        workspace.add_team_files(&mut found);
        workspace.records.record_discovery(&found);
        Ok((workspace, found))
    }

    /// Scans this machine's sessions on one thread while `step` runs, which mostly waits for the
    /// remote. The caller records what the scan found with `SessionRecords::record_discovery`.
    pub(crate) fn scan_during<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, SyncError>,
    ) -> Result<(T, Discovery), SyncError> {
        let ctx = self.ctx;
        let claude_dir = &ctx.env.claude_dir;
        let began = ctx.clock.monotonic();
        let (done, found) = std::thread::scope(|scope| {
            let found = scope.spawn(|| discover_on_one_thread(claude_dir));
            (step(self), found.join().expect("a scan does not panic"))
        });
        let (done, mut found) = (done?, found?);
        if ctx.clock.monotonic().saturating_sub(began) > MAX_SCAN_AGE {
            found = discover(claude_dir)?;
        }
        self.add_team_files(&mut found);
        Ok((done, found))
    }

    /// Adds the task lists of teams to the sessions that own them.
    fn add_team_files(&mut self, found: &mut Discovery) {
        let claude_dir = &self.ctx.env.claude_dir;
        self.records.teams.add_files(claude_dir, found);
    }

    fn open_locked(
        ctx: &'a Context<'a>,
        locks: Option<(ChildProcessLock, ProcessLock)>,
    ) -> Result<Self, SyncError> {
        let path = store_path(ctx.env);
        let store = match locks {
            Some(_) => Store::open_or_create(&path)?,
            None => Store::open_read_only(&path)?,
        };
        fail_point("the store is open");
        let machine = this_machine(ctx, &store)?;
        let records = SessionRecords::load(ctx.env, index_key(ctx), &store)?;
        Ok(Self {
            ctx,
            localizer: localizer(ctx, &store, &machine)?,
            store,
            machine,
            records,
            leases: Leases::load(&leases_path(ctx.env))?,
            remote_rules: remote_rules(ctx),
            rules: ExcludeRules::new(&ctx.settings),
            locks,
        })
    }

    /// Reads the files of this machine and of the others again, after a fetch.
    pub(crate) fn refresh_machines(&mut self) -> Result<(), SyncError> {
        self.machine = this_machine(self.ctx, &self.store)?;
        let all = all_machines(&self.store)?;
        let current = CurrentPlaceholders::new(&all, &self.machine);
        self.localizer.set_current_placeholders(current);
        Ok(())
    }

    /// Commits this machine's file if the store has another version of it.
    pub(crate) fn register_machine(&self) -> Result<(), SyncError> {
        let head = self.store.head()?;
        let mut tx = self.store.begin(head.as_ref())?;
        if tx.has_machine(&self.machine)? {
            return Ok(());
        }
        fail_point("before the machine is registered");
        tx.write_machine(&self.machine)?;
        let message = format!("machine {}", self.machine.name);
        tx.commit(&self.author(), &message, head.as_slice())?;
        Ok(())
    }

    /// Applies the settings that exclude sessions.
    pub(crate) fn filter(&self) -> SessionFilter<'_> {
        SessionFilter {
            rules: &self.rules,
            localizer: &self.localizer,
            store: &self.store,
            index: &self.records.index,
            projects: &self.records.projects,
            leases: &self.leases,
            now: self.ctx.clock.now(),
        }
    }

    /// Returns the author of a commit made now.
    pub(crate) fn author(&self) -> Author<'_> {
        Author {
            machine: &self.machine,
            time: self.ctx.clock.now(),
            named: self.ctx.settings.author.as_ref(),
        }
    }

    /// Finds every session of this machine, and records which were deleted.
    pub(crate) fn discover(&mut self) -> Result<Discovery, SyncError> {
        let mut found = find_sessions(self.ctx)?;
        self.add_team_files(&mut found);
        self.records.record_discovery(&found);
        Ok(found)
    }

    /// Returns the remote, reached through the user's git.
    ///
    /// An encrypted store is never reached in another way than behind its mirror.
    pub(crate) fn remote(&self) -> Result<Remote, SyncError> {
        if self.ctx.offline {
            return Err(RemoteError::NotAsked.into());
        }
        let url = self.remote_url()?;
        let mirror = mirror_path(self.ctx.env);
        open_remote(
            self.ctx.env,
            &self.ctx.settings,
            &self.store,
            &mirror,
            |git_dir| self.git_for(git_dir, url.clone()),
        )
    }

    /// Returns a repository on this disk that git reaches from the store.
    pub(crate) fn remote_at(&self, path: &Path) -> Result<GitCli, SyncError> {
        let url = RemoteUrl::parse(&path.to_string_lossy(), &self.ctx.env.dirs.data)?;
        Ok(self.git_for(self.store.git_dir(), url))
    }

    /// Returns the remote as git reaches it from another repository on this disk.
    pub(crate) fn git_at(&self, git_dir: &Path) -> Result<GitCli, SyncError> {
        Ok(self.git_for(git_dir, self.remote_url()?))
    }

    fn remote_url(&self) -> Result<RemoteUrl, SyncError> {
        remote_url(self.ctx.env, self.ctx.settings.remote.as_deref())
    }

    /// Returns a remote as git reaches it from a repository on this disk.
    pub(crate) fn git_for(&self, git_dir: &Path, url: RemoteUrl) -> GitCli {
        let env = self.ctx.env.git.clone();
        let git = GitCli::new(git_dir, url, env, self.ctx.interactive);
        git.with_progress(Arc::clone(&self.ctx.progress))
    }

    /// Writes what this command found out.
    pub(crate) fn save(&mut self) -> Result<(), SyncError> {
        if self.locks.is_none() {
            return Ok(());
        }
        let projects = std::mem::take(&mut *self.rules.new_projects());
        self.records.save(self.ctx.env, &self.store, projects)?;
        self.localizer.save_secrets()?;
        // Clones that are not recorded are found again.
        let _ = self.localizer.clones().save();
        fail_point("ccsync's index is saved");
        self.repack_if_needed();
        Ok(())
    }

    /// Saves space and time. If it fails, a later command tries again.
    fn repack_if_needed(&self) {
        let mirror = mirror_path(self.ctx.env);
        let has_purged = self.store.may_have_purged_objects();
        let mut are_dropped = true;
        for git_dir in [self.store.git_dir(), &mirror] {
            let Ok(url) = self.remote_url() else { return };
            let git = self.git_for(git_dir, url);
            if has_purged && git_dir.exists() {
                are_dropped &= git.drop_unreferenced().is_ok();
            } else if needs_repack(git_dir) {
                let _ = git.repack_if_needed(MAX_PACKS, MAX_LOOSE_OBJECTS);
            }
        }
        if has_purged && are_dropped {
            let _ = self.store.set_purged_objects(false);
        }
    }
}

fn remote_rules(ctx: &Context<'_>) -> RemoteRules {
    let remote = remote_url(ctx.env, ctx.settings.remote.as_deref());
    let remote = remote.map(|url| url.to_string()).unwrap_or_default();
    RemoteRules::load(&remote_rules_path(ctx.env), &remote, ctx.clock.now())
}

/// Takes the process lock; `None` if this user can write nothing here, or another ccsync works for
/// long.
fn lock_if_writable(
    ctx: &Context<'_>,
) -> Result<Option<(ChildProcessLock, ProcessLock)>, SyncError> {
    let is_read_only = |e: &PathError| {
        matches!(
            e.source.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    };
    match lock(ctx, LOOK_WAIT) {
        Err(SyncError::Path(e) | SyncError::Lock(LockError::Path(e))) if is_read_only(&e) => {
            Ok(None)
        }
        // Unfinished changes of another ccsync are not shown.
        Err(SyncError::Lock(LockError::Busy { .. })) => Ok(None),
        locks => Ok(Some(locks?)),
    }
}

/// Takes the process lock, and removes what a killed process left.
fn lock(ctx: &Context<'_>, wait: Duration) -> Result<(ChildProcessLock, ProcessLock), SyncError> {
    let dirs = &ctx.env.dirs;
    create_private_dir_all(&dirs.state)?;
    let path = dirs.state.join("lock");
    let mut lock = ProcessLock::acquire(&path, wait, ctx.clock, &mut |_| ())?;
    fail_point("the lock is taken");
    create_private_dir_all(&dirs.data)?;
    rename_former_files(&dirs.state)?;
    let children = recover(ctx, &mut lock)?;
    Ok((children, lock))
}

fn find_sessions(ctx: &Context<'_>) -> Result<Discovery, SessionError> {
    ctx.progress.begin(Phase::Scan, 0, 0);
    let found = discover(&ctx.env.claude_dir);
    ctx.progress.end();
    found
}

/// Returns the localizer with the placeholders of all machines: files may be raw copies.
fn localizer(ctx: &Context<'_>, store: &Store, machine: &Machine) -> Result<Localizer, SyncError> {
    let machines = all_machines(store)?;
    let current = CurrentPlaceholders::new(&machines, machine);
    let others = machines.into_iter().filter(|other| other.id != machine.id);
    let others = others.map(|other| other.placeholders);
    let localizer = Localizer::new(
        machine.id.clone(),
        machine.placeholders.clone(),
        machine
            .former_placeholders
            .iter()
            .cloned()
            .chain(others)
            .collect(),
        ctx.settings.localize,
        Clones::new(ctx.env, &ctx.settings.placeholders, ctx.clock),
    );
    let secrets = Secrets::open(ctx.env, ctx.settings.secrets)?;
    let localizer = localizer.with_secrets(Arc::new(secrets));
    Ok(localizer.with_current_placeholders(current))
}

/// Returns all machines, the forgotten ones first: copies of their files do not change when they
/// are forgotten.
fn all_machines(store: &Store) -> Result<Vec<Machine>, SyncError> {
    let snapshot = store.head_snapshot()?;
    let mut machines = snapshot.forgotten_machines()?;
    machines.extend(snapshot.machines()?);
    Ok(machines)
}

/// Returns this machine by its settings, with what the store remembers of it.
fn this_machine(ctx: &Context<'_>, store: &Store) -> Result<Machine, SyncError> {
    let me = &ctx.settings.machine;
    let snapshot = store.head_snapshot()?;
    // A forgotten machine that is still in use had placeholders, too.
    let earlier = match snapshot.readable_machine(&me.id)? {
        None => snapshot.forgotten_machine(&me.id).unwrap_or_default(),
        known => known,
    };
    let placeholders = ctx.settings.placeholders.clone();
    Ok(Machine::renewed(
        earlier,
        me.id.clone(),
        &me.name,
        placeholders,
    ))
}

/// Returns what the entries of the index depend on besides files and store.
fn index_key(ctx: &Context<'_>) -> IndexKey {
    let placeholders = PlaceholdersKey::new(&ctx.settings.placeholders);
    let placeholders = serde_json::to_string(&placeholders).unwrap_or_default();
    IndexKey {
        machine: ctx.settings.machine.id.to_string(),
        claude_dir: ctx.env.claude_dir.clone(),
        settings: format!("{placeholders} {}", ctx.settings.localize),
    }
}
