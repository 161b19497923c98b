//! What every command opens first: the machine-wide lock, the store, the index, this machine's eyes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::checkouts::clones::Clones;
use crate::checkouts::current_placeholders::CurrentPlaceholders;
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Phase;
use crate::localize::localizer::Localizer;
use crate::session::LocalSession;
use crate::session::discover::{Discovery, discover, discover_on_one_thread};
use crate::store::SessionState;
use crate::store::machine::Machine;
use crate::store::manifest::PlaceholdersKey;
use crate::store::{Author, MAX_LOOSE_OBJECTS, MAX_PACKS, Store};
use crate::sys::fail_point::fail_point;
use crate::sys::fs::create_private_dir_all;
use crate::sys::lock::{ChildProcessLock, ProcessLock};
use crate::transport::git_cli::GitCli;
use crate::transport::url::RemoteUrl;
use crate::workspace::context::{Context, LOCK_WAIT};
use crate::workspace::deleted::DeletedSessions;
use crate::workspace::error::SyncError;
use crate::workspace::exclusion::ExcludeRules;
use crate::workspace::filter::SessionFilter;
use crate::workspace::index::{Index, NotPulledSession};
use crate::workspace::leases::Leases;
use crate::workspace::paths::store_path;
use crate::workspace::paths::{claims_path, index_path, remote_url};
use crate::workspace::pinned::PinnedSessions;
use crate::workspace::recovery::recover;

/// Age from which a scan is repeated before anything is decided by it.
const MAX_SCAN_AGE: Duration = Duration::from_secs(1);

/// An open store, locked for this process.
pub(crate) struct Workspace<'a> {
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) store: Store,
    pub(crate) localizer: Localizer,
    /// This machine as the store is to know it.
    pub(crate) machine: Machine,
    pub(crate) index: Index,
    /// This machine's locks on sessions.
    pub(crate) locks: Leases,
    /// Sessions that stay at an earlier state here.
    pub(crate) held: PinnedSessions,
    /// Settings that exclude sessions.
    pub(crate) rules: ExcludeRules,
    gone: DeletedSessions,
    _process: (ChildProcessLock, ProcessLock),
}

impl<'a> Workspace<'a> {
    /// Takes the lock, waiting up to [`LOCK_WAIT`], and opens everything.
    pub(crate) fn open(ctx: &'a Context<'a>) -> Result<Self, SyncError> {
        Self::open_locked(ctx, lock(ctx)?)
    }

    /// As [`Self::open`] and [`Self::discover`], both at once.
    pub(crate) fn open_and_discover(ctx: &'a Context<'a>) -> Result<(Self, Discovery), SyncError> {
        let locks = lock(ctx)?;
        let claude_dir = &ctx.env.claude_dir;
        ctx.progress.begin(Phase::Scan, 0, 0);
        let (workspace, found) = std::thread::scope(|scope| {
            let found = scope.spawn(|| discover(claude_dir));
            (
                Self::open_locked(ctx, locks),
                found.join().expect("a scan does not panic"),
            )
        });
        ctx.progress.end();
        let (mut workspace, found) = (workspace?, found?);
        workspace.note_gone(&found);
        Ok((workspace, found))
    }

    /// Scans this machine's sessions on one thread while `step` runs, which mostly waits for the
    /// remote. The caller records what the scan found with [`Self::note_gone`].
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
        let (done, found) = (done?, found?);
        if ctx.clock.monotonic().saturating_sub(began) > MAX_SCAN_AGE {
            return Ok((done, discover(claude_dir)?));
        }
        Ok((done, found))
    }

    fn open_locked(
        ctx: &'a Context<'a>,
        locks: (ChildProcessLock, ProcessLock),
    ) -> Result<Self, SyncError> {
        let env = ctx.env;
        let store = Store::open_or_create(&store_path(env))?;
        fail_point("the store is open");
        let machine = this_machine(ctx, &store)?;
        let mut index = Index::load(&index_path(env), &settings_key(ctx));
        index.follow(&store)?;
        let localizer = this_machines_views(ctx, &store, &machine)?;
        let gone = DeletedSessions::load(&env.dirs.state.join("gone.json"));
        let leases = Leases::load(&claims_path(env))?;
        Ok(Self {
            ctx,
            store,
            localizer,
            machine,
            index,
            locks: leases,
            held: PinnedSessions::load(&env.dirs.state.join("held.json")),
            rules: ExcludeRules::new(&ctx.settings),
            gone,
            _process: locks,
        })
    }

    /// Reads again what the store says of this machine and of the others, after a fetch.
    pub(crate) fn refresh_machines(&mut self) -> Result<(), SyncError> {
        self.machine = this_machine(self.ctx, &self.store)?;
        let all = all_machines(&self.store)?;
        self.localizer
            .learn(CurrentPlaceholders::of(&all, &self.machine));
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
            index: &self.index,
            leases: &self.locks,
            now: self.ctx.clock.now(),
        }
    }

    /// The author of a commit made now.
    pub(crate) fn author(&self) -> Author<'_> {
        Author {
            machine: &self.machine,
            time: self.ctx.clock.now(),
        }
    }

    /// Every session of this machine. Takes note of those that were here and are not any more.
    pub(crate) fn discover(&mut self) -> Result<Discovery, SyncError> {
        self.ctx.progress.begin(Phase::Scan, 0, 0);
        let found = discover(&self.ctx.env.claude_dir);
        self.ctx.progress.end();
        let found = found?;
        self.note_gone(&found);
        Ok(found)
    }

    pub(crate) fn note_gone(&mut self, found: &Discovery) {
        let mut gone = self.index.keep_only(&found.sessions);
        gone.extend(self.held.keep_only(found));
        self.gone.note(gone, found);
    }

    /// The remote, reached through the user's git.
    pub(crate) fn remote(&self) -> Result<GitCli, SyncError> {
        Ok(self.git_for(remote_url(
            self.ctx.env,
            self.ctx.settings.remote.as_deref(),
        )?))
    }

    /// A repository on this disk.
    pub(crate) fn remote_at(&self, path: &Path) -> Result<GitCli, SyncError> {
        Ok(self.git_for(RemoteUrl::parse(
            &path.to_string_lossy(),
            &self.ctx.env.dirs.data,
        )?))
    }

    fn git_for(&self, url: RemoteUrl) -> GitCli {
        let git = self.ctx.env.git;
        let remote = GitCli::new(self.store.git_dir(), url, git, self.ctx.interactive);
        remote.with_progress(Arc::clone(&self.ctx.progress))
    }

    /// Enters in the index those of `sessions` of which it does not know yet that they are in step with the store. They were so
    /// at `commit`; one that changed in the store since then is not entered.
    pub(crate) fn record_in_step<'s>(
        &mut self,
        sessions: impl IntoIterator<Item = &'s LocalSession>,
        commit: Option<&CommitId>,
    ) -> Result<(), SyncError> {
        self.index.follow(&self.store)?;
        let snapshot = self.store.head_snapshot()?;
        let changed = snapshot.changed_since(&self.store.snapshot(commit)?)?;
        for session in sessions {
            if self.index.in_step(session) || changed.contains(&session.id) {
                continue;
            }
            if let Some(state) = snapshot.state(&session.id)? {
                self.held.release(&session.id);
                self.index.record(session, state);
            }
        }
        Ok(())
    }

    /// Enters in the index what a pull has left in the store.
    pub(crate) fn record_elsewhere(
        &mut self,
        unbrought: &[NotPulledSession],
    ) -> Result<(), SyncError> {
        let snapshot = self.store.head_snapshot()?;
        for session in unbrought {
            if let Some(state) = snapshot.state(session.session())? {
                self.index.record_elsewhere(session, state);
            }
        }
        Ok(())
    }

    /// Whether the session was here when the store had it in this state. If its files are gone, the user or the client
    /// removed them, and they are not brought back unasked.
    pub(crate) fn was_here(&self, session: &SessionId, state: &SessionState) -> bool {
        self.gone.at(session) == Some(state)
    }

    /// Writes down what was found out. An index that cannot be written costs time later, not truth.
    pub(crate) fn save(&mut self) -> Result<(), SyncError> {
        // First: once the index has forgotten a session, nothing else knows that it was here.
        self.gone.save()?;
        self.held.save()?;
        fail_point("deleted sessions are saved");
        self.index.follow(&self.store)?;
        self.index
            .record_projects(std::mem::take(&mut *self.rules.learned()));
        let _ = self.index.save(&index_path(self.ctx.env));
        // As above: what is not written down is found again.
        let _ = self.localizer.clones().save();
        fail_point("ccsync's index is saved");
        self.repack_if_needed();
        Ok(())
    }

    /// Saves space and time, never anything that is needed: if it fails, a later command tries again.
    fn repack_if_needed(&self) {
        if self.store.needs_repack()
            && let Ok(git) = self.remote()
        {
            let _ = git.repack_if_needed(MAX_PACKS, MAX_LOOSE_OBJECTS);
        }
    }
}

/// Takes the machine-wide lock, and clears away what a killed process left.
fn lock(ctx: &Context<'_>) -> Result<(ChildProcessLock, ProcessLock), SyncError> {
    let dirs = &ctx.env.dirs;
    create_private_dir_all(&dirs.state)?;
    let mut lock =
        ProcessLock::acquire(&dirs.state.join("lock"), LOCK_WAIT, ctx.clock, &mut |_| ())?;
    fail_point("the lock is taken");
    create_private_dir_all(&dirs.data)?;
    let family = recover(ctx, &mut lock)?;
    Ok((family, lock))
}

/// How text may lie on this machine's disk.
fn this_machines_views(
    ctx: &Context<'_>,
    store: &Store,
    machine: &Machine,
) -> Result<Localizer, SyncError> {
    let machines = all_machines(store)?;
    let since = CurrentPlaceholders::of(&machines, machine);
    let others = machines
        .into_iter()
        .filter(|other| other.id != machine.id)
        .map(|other| other.placeholders);
    let other_roots = machine
        .former_placeholders
        .iter()
        .cloned()
        .chain(others)
        .collect();
    let clones = Clones::new(ctx.env, &ctx.settings.placeholders, ctx.clock);
    let localizer = Localizer::new(
        machine.id.clone(),
        machine.placeholders.clone(),
        other_roots,
        ctx.settings.paths,
        clones,
    );
    Ok(localizer.with_placeholders(since))
}

/// Those that were forgotten first: what was copied from a machine does not change when it is forgotten.
fn all_machines(store: &Store) -> Result<Vec<Machine>, SyncError> {
    let snapshot = store.head_snapshot()?;
    let mut machines = snapshot.forgotten_machines()?;
    machines.extend(snapshot.machines()?);
    Ok(machines)
}

/// This machine by its settings, with what the store remembers of it.
fn this_machine(ctx: &Context<'_>, store: &Store) -> Result<Machine, SyncError> {
    let me = &ctx.settings.machine;
    let snapshot = store.head_snapshot()?;
    // A forgotten machine that is still in use has had placeholders all the same.
    let earlier = match snapshot.readable_machine(&me.id)? {
        None => snapshot.forgotten_machine(&me.id).unwrap_or_default(),
        known => known,
    };
    Ok(Machine::renewed(
        earlier,
        me.id.clone(),
        &me.name,
        ctx.settings.placeholders.clone(),
    ))
}

/// What the entries of the index depend on besides files and store.
fn settings_key(ctx: &Context<'_>) -> String {
    let placeholders = serde_json::to_string(&PlaceholdersKey::new(&ctx.settings.placeholders))
        .unwrap_or_default();
    format!(
        "{} {placeholders} {:?} {}",
        ctx.settings.machine.id,
        ctx.settings.paths,
        ctx.env.claude_dir.display()
    )
}
