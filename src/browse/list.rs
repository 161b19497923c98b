//! Lists the sessions of this machine and of the store in one table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::browse::successor::successor;
use crate::checkouts::locate::identity;
use crate::domain::{
    MachineId, Placeholders, RelativeName, SessionFile, SessionId, SessionName, Successors,
    composed::contains_spelling,
};
use crate::flows::{FetchMode, RemoteSync, parallel::manifests};
use crate::localize::LocalText;
use crate::rewrite::collapse_path;
use crate::session::{Facts, LocalSession, facts::is_archived_file, time::parse_time};
use crate::store::{manifest::Manifest, segment::count_lines};
use crate::workspace::{
    Context, ExcludeReason, SyncError, Workspace, deleted_sessions::deleted_reason,
    lookup::find_machine, read_only::ReadOnlyStore, read_only::machine_names,
};

/// Which sessions to list.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Fetch first.
    pub fetch: bool,
    /// Only sessions whose files are on this machine.
    pub here: bool,
    /// Only sessions whose project contains this text.
    pub project: Option<String>,
    /// Only sessions last written by the machine of this name or id.
    pub from: Option<String>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The session.
    pub session: SessionId,
    /// Its project: the portable path of its directory on this machine, else its remote.
    /// Not sanitized.
    pub project: Option<String>,
    /// Identity of the project's remote. Not sanitized.
    pub identity: Option<String>,
    /// Its title, not sanitized.
    pub title: Option<String>,
    /// Its first prompt, not sanitized.
    pub first_prompt: Option<String>,
    /// Time of its newest record.
    pub last_activity: Option<DateTime<Utc>>,
    /// Name of the machine that wrote its last line, not sanitized.
    pub machine: Option<String>,
    /// Lines of the transcript.
    pub lines: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// True if its files are on this machine.
    pub here: bool,
    /// True if the store has it.
    pub in_store: bool,
    /// The branch that was checked out in its project, not sanitized.
    pub branch: Option<String>,
    /// The user's tag, not sanitized.
    pub tag: Option<String>,
    /// It was continued last without a terminal (`claude -p`, SDK).
    pub headless: bool,
    /// The user has archived it in Claude Code.
    pub archived: bool,
    /// The session it was forked from, if any.
    pub fork_of: Option<SessionId>,
    /// Reason why the settings exclude it, if they do.
    pub exclude_reason: Option<ExcludeReason>,
}

/// The sessions of a list.
pub(crate) struct SessionRows {
    /// The newest first; without those that go on under another id.
    pub(crate) rows: Vec<SessionRow>,
    /// Which sessions those are.
    pub(crate) successors: Successors,
}

/// Lists sessions, the newest first. One that goes on under another id is listed as that one.
///
/// # Errors
/// Errors of the whole command. A session with an unreadable manifest is
/// listed without details.
pub fn list(ctx: &Context<'_>, filter: &ListFilter) -> Result<Vec<SessionRow>, SyncError> {
    let mut workspace = match filter.fetch {
        true => Workspace::open(ctx)?,
        false => Workspace::open_to_look(ctx)?,
    };
    if filter.fetch {
        RemoteSync::new(&mut workspace).fetch(FetchMode::Sessions)?;
    }
    Ok(rows(&mut workspace, filter)?.rows)
}

/// Lists sessions as [`list`], without a fetch.
pub(crate) fn rows(
    workspace: &mut Workspace<'_>,
    filter: &ListFilter,
) -> Result<SessionRows, SyncError> {
    let found = workspace.discover()?;
    let snapshot = workspace.store.head_snapshot()?;
    let names = machine_names(workspace.ctx, Some(&snapshot))?;
    let me = &workspace.machine.id;
    let from = filter
        .from
        .as_deref()
        .map(|from| find_machine(from, &names, me))
        .transpose()?;
    let states = snapshot.sessions()?;
    let ids = found.sessions.keys().chain(states.keys());
    let ids: BTreeSet<&SessionId> = ids.filter(|id| !id.is_sub_agent()).collect();
    let sessions = states.keys().filter(|id| !id.is_sub_agent());
    let manifests = manifests(&workspace.store, sessions)?;
    let mut rows = Vec::new();
    let (mut pairs, mut listed) = (Vec::new(), BTreeSet::new());
    for id in ids {
        let local = found.sessions.get(id);
        let manifest = manifests.get(id);
        let mut row = row(
            workspace,
            id,
            local,
            manifest,
            states.contains_key(id),
            &names,
        );
        if let Some(reason) = deleted_reason(workspace.ctx, &snapshot, id)? {
            row.exclude_reason = Some(reason);
        }
        // A session that was never pushed is this machine's.
        let writer = manifest.map_or(Some(me), Manifest::last_writer);
        let is_from = from.as_ref().is_none_or(|from| writer == Some(from));
        if filter.here && !row.here {
            continue;
        }
        listed.insert(id.clone());
        let successor = successor(local, manifest);
        pairs.extend(successor.map(|successor| (id.clone(), successor)));
        if is_from && filter.accepts_project(&row) {
            rows.push(row);
        }
    }
    let successors = Successors::new(pairs, |id| listed.contains(id));
    rows.retain(|row| successors.latest(&row.session).is_none());
    rows.sort_by(|a, b| (b.last_activity, &a.session).cmp(&(a.last_activity, &b.session)));
    Ok(SessionRows { rows, successors })
}

/// Counts the sessions in the store, as last fetched.
///
/// # Errors
/// If the store cannot be read.
pub(crate) fn count_stored(ctx: &Context<'_>) -> Result<u64, SyncError> {
    let Some(ReadOnlyStore { store, .. }) = ReadOnlyStore::open(ctx)? else {
        return Ok(0);
    };
    Ok(store.head_snapshot()?.sessions()?.len() as u64)
}

impl ListFilter {
    fn accepts_project(&self, row: &SessionRow) -> bool {
        let names = [row.project.as_deref(), row.identity.as_deref()];
        self.project.as_deref().is_none_or(|p| {
            names
                .iter()
                .flatten()
                .any(|name| contains_spelling(name, p))
        })
    }
}

fn row(
    workspace: &Workspace<'_>,
    id: &SessionId,
    local: Option<&LocalSession>,
    manifest: Option<&Manifest>,
    in_store: bool,
    names: &BTreeMap<MachineId, String>,
) -> SessionRow {
    let mut row = SessionRow {
        session: id.clone(),
        project: None,
        identity: None,
        title: None,
        first_prompt: None,
        last_activity: None,
        machine: None,
        lines: 0,
        bytes: local.map_or(0, LocalSession::bytes),
        here: local.is_some(),
        in_store,
        branch: None,
        tag: None,
        headless: false,
        archived: local.is_some_and(is_archived_here),
        fork_of: None,
        exclude_reason: local.and_then(|local| workspace.filter().push_exclude_reason(local)),
    };
    if let (Some(manifest), None) = (manifest, local) {
        row.exclude_reason = workspace.filter().pull_exclude_reason(manifest);
    }
    if let Some(manifest) = manifest {
        row.project = workspace.localizer.project(manifest);
        row.identity = identity(manifest).map(ToString::to_string);
        row.title = workspace.localizer.title(manifest);
        row.first_prompt = workspace.localizer.first_prompt(manifest);
        row.last_activity = manifest.last_activity.as_deref().and_then(parse_time);
        row.machine = manifest.last_writer().and_then(|id| names.get(id)).cloned();
        row.lines = manifest.transcript.lines();
        row.bytes = row.bytes.max(manifest.local_bytes());
        row.fork_of = manifest.fork_of.as_ref().map(|fork| fork.session.clone());
        let branch = manifest.git.as_ref().and_then(|git| git.branch.as_ref());
        row.branch = branch.map(ToString::to_string);
        row.tag = workspace.localizer.tag(manifest);
        row.headless = manifest.labels.headless;
        row.archived = match local {
            Some(_) => row.archived,
            None => manifest.labels.archived,
        };
    } else if let Some(local) = local {
        let read = read_local_details(
            local,
            workspace.localizer.placeholders(),
            &workspace.machine.name,
        );
        let identity = read
            .directory
            .and_then(|cwd| workspace.localizer.clones().record_at(Path::new(&cwd)));
        let identity = identity.map(|identity| identity.to_string());
        row = SessionRow {
            lines: read.lines,
            first_prompt: read.first_prompt,
            branch: read.branch,
            tag: read.tag.filter(|tag| !tag.is_empty()),
            headless: read.headless,
            identity,
            ..row
        };
        let name = read.name;
        (row.project, row.title) = (name.project, name.title);
        (row.last_activity, row.machine) = (name.last_activity, name.machine);
    }
    row
}

/// Details of a session that was never pushed.
pub(crate) struct LocalDetails {
    pub(crate) name: SessionName,
    /// The working directory that it belongs to.
    directory: Option<String>,
    first_prompt: Option<String>,
    branch: Option<String>,
    tag: Option<String>,
    headless: bool,
    lines: u64,
}

/// Returns true if the user has archived the session on this machine.
fn is_archived_here(local: &LocalSession) -> bool {
    let name = RelativeName::new("archived.json").map(SessionFile::Named);
    let file = name.ok().filter(|file| local.files.contains_key(file));
    file.and_then(|file| std::fs::read(local.path(&file)).ok())
        .is_some_and(|json| is_archived_file(&json))
}

/// Reads the details of a session from its transcript on this machine, named `machine`.
/// An unreadable transcript has none.
pub(crate) fn read_local_details(
    local: &LocalSession,
    placeholders: &Placeholders,
    machine: &str,
) -> LocalDetails {
    let mut facts = Facts::default();
    let mut lines = 0;
    let len = local.files[&SessionFile::Transcript].len;
    // The lines before a read error count.
    let _ = LocalText::open(&local.transcript_path(), 0, len).and_then(|text| {
        text.each_piece(|piece| {
            facts.absorb(piece);
            lines += count_lines(piece);
            Ok(())
        })
    });
    let directory = facts.project(local.directory_name()).map(str::to_owned);
    let name = SessionName {
        session: local.id.clone(),
        project: directory
            .as_deref()
            .map(|cwd| collapse_path(placeholders, cwd).to_string()),
        title: facts
            .custom_title
            .or(facts.ai_title)
            .or(facts.last_prompt)
            .or_else(|| facts.first_prompt.clone()),
        machine: Some(machine.to_owned()),
        last_activity: facts.last_activity.as_deref().and_then(parse_time),
        fork_of: None,
    };
    LocalDetails {
        name,
        directory,
        first_prompt: facts.first_prompt,
        branch: facts.branch,
        tag: facts.tag,
        headless: facts.headless.unwrap_or(false),
        lines,
    }
}
