//! Changes to files that can run programs: they are written only after the user's approval.
//!
//! An approval is remembered by the hash of the content, so that the user is not asked twice. A
//! refusal keeps the file of this machine until the stored one changes again. Must not print or
//! ask.

use crate::domain::{error::error_chain, extras::ExtraKind, path::RelativeName};
use crate::extras::{
    change::FileChange, context::ExtrasContext, context::MachineLabels, file_version::FileVersion,
    merge::MergeSide, merge::merge, open_bundle::OpenBundle, open_bundle::StoredVersion,
    owner::ExtrasOwner, owner::OwnerFile, path_rewriter::PathRewriter, state::ExtrasState,
    text_file::InvalidText, text_file::TextFile, text_file::hash, versions::Decision,
    versions::Versions,
};
use crate::report::transfer::ExtraOutcome;
use crate::session::journal::Journal;
use crate::workspace::{
    context::Context, error::SyncError, open::Workspace, paths::undo_path,
    proposed_paths::PathProposal, proposed_paths::decide_paths, proposed_paths::proposed_paths,
};

/// A change that needs approval. All text in it is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedChange {
    /// Name of the file below the directory of the client.
    pub name: String,
    /// Name of the machine that made the change.
    pub from: String,
    /// The content here; `None`: the file is missing here.
    pub here: Option<String>,
    /// The proposed content; `None`: the file would be removed.
    pub proposed: Option<String>,
    /// The owner of the file may execute it now.
    pub executable_here: bool,
    /// The owner of the file could execute it then.
    pub executable: bool,
    /// This machine has changes of its own, which would be replaced.
    pub replaces_changes: bool,
    /// Identifies this change of this local content.
    pub id: String,
}

/// The result of the user's answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedChanges {
    /// Names of files that were changed.
    pub applied: Vec<String>,
    /// Names of files that were kept.
    pub rejected: Vec<String>,
    /// Files that could not be changed, with the reason.
    pub skipped: Vec<(String, String)>,
}

/// Lists the changes that need approval, from the store as it is here. Fetches nothing.
///
/// # Errors
/// An error that concerns the whole command.
pub fn proposals(ctx: &Context<'_>) -> Result<Vec<ProposedChange>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let ExtrasContext {
        owners, mut state, ..
    } = ExtrasContext::open(&workspace)?;
    let mut found = Vec::new();
    if let Some(user) = UserFiles::find(&workspace, &owners) {
        found = user.pending_changes(&mut state)?;
    }
    let mut found: Vec<_> = found.into_iter().map(|pending| pending.proposal).collect();
    let labels = MachineLabels::read(&workspace, &workspace.store.head_snapshot()?)?;
    let paths = proposed_paths(&workspace)?;
    found.extend(paths.iter().map(|path| path_to_proposal(path, &labels)));
    Ok(found)
}

/// Shows the proposed directory of a placeholder like a file with one line.
fn path_to_proposal(path: &PathProposal, labels: &MachineLabels) -> ProposedChange {
    let line = |directory: &String| format!("{directory}\n");
    ProposedChange {
        name: path.title(),
        from: labels.proposer(path.from.as_ref()),
        here: path.here.as_ref().map(line),
        proposed: Some(line(&path.proposed)),
        executable_here: false,
        executable: false,
        replaces_changes: false,
        id: path_id(path),
    }
}

fn path_id(path: &PathProposal) -> String {
    hash(&format!(
        "{}\n{:?}\n{}",
        path.name, path.here, path.proposed
    ))
}

/// Applies the changes with an id among `approved`, and keeps the files of those `refused`.
/// Ignores a change that is not proposed any more.
///
/// # Errors
/// An error that concerns the whole command.
pub fn apply(
    ctx: &Context<'_>,
    approved: &[String],
    refused: &[String],
) -> Result<AppliedChanges, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let ExtrasContext {
        owners, mut state, ..
    } = ExtrasContext::open(&workspace)?;
    let journal = Journal::new(&undo_path(ctx.env), ctx.clock.now());
    let mut result = AppliedChanges::default();
    decide_on_paths(&workspace, approved, refused, &mut result)?;
    let Some(user) = UserFiles::find(&workspace, &owners) else {
        return Ok(result);
    };

    for pending in user.pending_changes(&mut state)? {
        let Some(file) = user.file(&pending.name) else {
            continue;
        };
        let (name, change) = (pending.proposal.name, &pending.change);
        if approved.contains(&pending.proposal.id) {
            match change.apply(&journal, file, pending.versions.stamp, &mut state) {
                Ok(()) => {
                    state.approve(&change.approval);
                    result.applied.push(name);
                }
                Err(e) => result.skipped.push((name, error_chain(&e))),
            }
        } else if refused.contains(&pending.proposal.id) {
            keep(file, &pending.versions, &mut state)?;
            result.rejected.push(name);
        }
    }

    state.save()?;
    Ok(result)
}

/// Accepts or refuses the proposed directories of placeholders.
fn decide_on_paths(
    workspace: &Workspace<'_>,
    approved: &[String],
    refused: &[String],
    result: &mut AppliedChanges,
) -> Result<(), SyncError> {
    let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
    for path in proposed_paths(workspace)? {
        let id = path_id(&path);
        if approved.contains(&id) {
            accepted.push(path);
        } else if refused.contains(&id) {
            rejected.push(path);
        }
    }
    if accepted.is_empty() && rejected.is_empty() {
        return Ok(());
    }
    decide_paths(workspace, &accepted, &rejected)?;
    result
        .applied
        .extend(accepted.iter().map(PathProposal::title));
    result
        .rejected
        .extend(rejected.iter().map(PathProposal::title));
    Ok(())
}

/// Keeps the file of this machine: it counts as in sync with the stored one.
fn keep(
    file: OwnerFile<'_>,
    versions: &Versions,
    state: &mut ExtrasState,
) -> Result<(), SyncError> {
    let base = match &versions.theirs {
        StoredVersion::Present { file, .. } => Some(FileVersion {
            file: file.clone(),
            local: versions.ours().map(|ours| ours.local).unwrap_or_default(),
            executable: versions.executable.unwrap_or(false),
            is_localized: false,
        }),
        StoredVersion::Removed | StoredVersion::Absent => None,
    };
    Ok(state.record(&file.owner.name, file.name, versions.stamp, base.as_ref())?)
}

/// The user's own files; others cannot run programs.
struct UserFiles<'u> {
    workspace: &'u Workspace<'u>,
    owner: &'u ExtrasOwner,
    rewriter: PathRewriter,
}

struct PendingApproval {
    name: RelativeName,
    versions: Versions,
    change: FileChange,
    proposal: ProposedChange,
}

impl<'u> UserFiles<'u> {
    /// Returns `None` if no such file travels.
    fn find(workspace: &'u Workspace<'u>, owners: &'u [ExtrasOwner]) -> Option<Self> {
        let owner = owners.iter().find(|owner| owner.bundle.is_user())?;
        Some(Self {
            workspace,
            owner,
            rewriter: owner.path_rewriter(workspace),
        })
    }

    fn file<'f>(&'f self, name: &'f RelativeName) -> Option<OwnerFile<'f>> {
        let synced = &self.workspace.ctx.settings.extras;
        self.owner.file(name, &self.rewriter, synced)
    }

    /// Lists the changes that need approval. Skips files that cannot be read: a pull reports
    /// them.
    fn pending_changes(&self, state: &mut ExtrasState) -> Result<Vec<PendingApproval>, SyncError> {
        let snapshot = self.workspace.store.head_snapshot()?;
        let labels = MachineLabels::read(self.workspace, &snapshot)?;
        let new = || self.owner.new_bundle();
        let bundle = OpenBundle::open(&snapshot, &self.owner.bundle, new)?;
        let mut pending = Vec::new();
        for name in bundle
            .bundle
            .files
            .keys()
            .chain(bundle.bundle.removed.keys())
        {
            if let Some(file) = self.file(name)
                && file.kind.can_run_code()
                && file.owner.link_to(name).is_none()
                && let Ok(versions) = Versions::read(file, &bundle, state)
                && matches!(versions.decide(file), Decision::Theirs | Decision::Both)
                && let Ok(change) = propose(file, &versions)
            {
                let from = match &versions.theirs {
                    StoredVersion::Present { by, .. } => Some(by),
                    _ => bundle
                        .bundle
                        .removed
                        .get(name)
                        .map(|removed| &removed.machine),
                };
                let from = from.map_or_else(String::new, |by| labels.one(by));
                pending.push(PendingApproval {
                    name: name.clone(),
                    proposal: to_proposal(name, from, &versions, &change),
                    versions,
                    change,
                });
            }
        }
        Ok(pending)
    }
}

fn to_proposal(
    name: &RelativeName,
    from: String,
    versions: &Versions,
    change: &FileChange,
) -> ProposedChange {
    let here = versions.ours().map(|ours| ours.local);
    ProposedChange {
        name: name.to_string(),
        from,
        // The user sees a difference, so an approval of it does not hold for another local
        // content.
        id: hash(&format!(
            "{}\n{:?}\n{here:?}",
            change.approval, versions.executable
        )),
        here,
        proposed: change.content.as_ref().map(|new| new.local.clone()),
        executable_here: versions.executable.unwrap_or(false),
        executable: change.is_executable(),
        replaces_changes: change.replaces_changes(versions),
    }
}

/// Returns the change to propose for a file that can run programs: both sides' changes if they
/// do not overlap, else the stored content.
pub(crate) fn propose(file: OwnerFile<'_>, versions: &Versions) -> Result<FileChange, InvalidText> {
    let mut change = match versions.theirs(file)? {
        Some(stored) => {
            let is_skill = file.kind == ExtraKind::Skills;
            let executable = is_skill && versions.becomes_program(&stored.file);
            let stored = FileVersion {
                executable: is_skill && stored.file.executable.unwrap_or(executable),
                ..stored
            };
            let merged = merge_cleanly(file, versions, &stored.file);
            let merged = merged.map(|local| (local, ExtraOutcome::Merged));
            FileChange::to_content(stored, merged, executable)
        }
        None => FileChange::removal(),
    };
    change.approval = approval_key(file.name, &change);
    Ok(change)
}

/// Merges both sides' changes; `None` if they overlap, or the merged settings are not JSON.
fn merge_cleanly(file: OwnerFile<'_>, versions: &Versions, stored: &TextFile) -> Option<String> {
    let base = versions.base.as_ref()?;
    let ours = versions.ours().filter(|_| versions.has_local_changes())?;
    let side = |file| MergeSide { file, machine: "" };
    let merged = merge(Some(&base.file), side(&ours.file), side(stored));
    if !merged.is_clean {
        return None;
    }
    let text = file.rewriter.expand(&merged.file).ok()?;
    let is_valid = !file.name.as_str().ends_with(".json")
        || serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    is_valid.then_some(text)
}

/// The key under which an approval of this change is remembered.
fn approval_key(name: &RelativeName, change: &FileChange) -> String {
    let content = match &change.content {
        Some(new) if new.executable => format!("program\n{}", new.local),
        Some(new) => format!("true\n{}", new.local),
        None => "false\n".to_owned(),
    };
    format!("{}{}", approval_prefix(name), hash(&content))
}

/// The beginning of the keys of all approvals of this file.
pub(crate) fn approval_prefix(name: &RelativeName) -> String {
    hash(name.as_str())
}
