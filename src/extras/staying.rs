//! Files that belong to the kinds that travel, but lie where ccsync does not look: they stay on
//! their machine, and are named once. Must not read their content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::domain::{ExtraKind, PortablePath, path::path_below};
use crate::extras::state::ExtrasState;
use crate::report::{BundleReport, ExtraOutcome, ExtraReport, SessionReport};
use crate::rewrite::expand_path;
use crate::session::{instructions::imported_files, moved::moved_directories};
use crate::sys::fs::is_dir_in_time;
use crate::workspace::Workspace;

/// The client's directory in a project.
const PROJECT_DIRECTORY: &str = ".claude";

/// Directories of a project in which agents keep their memory.
const AGENT_MEMORIES: [&str; 2] = ["agent-memory", "agent-memory-local"];

/// A file or directory that stays on this machine.
struct StayingFile {
    name: String,
    reason: String,
}

/// Reports the files of the user, and of the projects whose `sessions` were stored, that stay on
/// this machine.
pub(crate) fn report_staying(
    workspace: &Workspace<'_>,
    sessions: &[SessionReport],
) -> Vec<BundleReport> {
    let env = workspace.ctx.env;
    let mut staying = moved_by_settings(workspace, &env.claude_dir);
    staying.extend(unsynced_imports(workspace));
    for project in projects_of(workspace, sessions) {
        let directory = project.join(PROJECT_DIRECTORY);
        if directory != env.claude_dir {
            staying.extend(moved_by_settings(workspace, &directory));
            staying.extend(memories_of_agents(workspace, &directory));
        }
    }
    staying.into_iter().map(StayingFile::into_report).collect()
}

/// Keeps the reports that no earlier push has made.
pub(crate) fn retain_new(reports: &mut Vec<BundleReport>, state: &mut ExtrasState) {
    reports.retain(|report| {
        let is_new = |file: &ExtraReport| state.record_report(&format!("{file:?}"));
        report.files.iter().all(is_new)
    });
}

impl StayingFile {
    fn into_report(self) -> BundleReport {
        let reason = self.reason;
        let file = ExtraReport::new(self.name, ExtraOutcome::Excluded { reason });
        BundleReport::single(None, file)
    }
}

/// Lists the directories of the stored sessions' projects on this machine.
fn projects_of(workspace: &Workspace<'_>, sessions: &[SessionReport]) -> BTreeSet<PathBuf> {
    let stored = sessions.iter().filter(|report| report.outcome.is_stored());
    let projects: BTreeSet<&String> = stored
        .filter_map(|report| report.project.as_ref())
        .collect();
    let placeholders = workspace.localizer.placeholders();
    let paths = projects
        .into_iter()
        .filter_map(|project| expand_path(&PortablePath::new(project.clone()), placeholders));
    paths
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .collect()
}

fn moved_by_settings(workspace: &Workspace<'_>, directory: &Path) -> Vec<StayingFile> {
    let synced = &workspace.ctx.settings.extras;
    let moved = moved_directories(directory).into_iter();
    let staying = moved
        .filter(|moved| synced.contains(&moved.kind))
        .map(|moved| {
            let what = match moved.kind {
                ExtraKind::Plans => "plans are",
                _ => "memory is",
            };
            StayingFile {
                reason: format!(
                    "{what} there because of `{}` in {}",
                    moved.setting,
                    moved.file.display()
                ),
                name: moved.directory,
            }
        });
    staying.collect()
}

/// Lists the files that the user's instructions import and that are no extras themselves.
fn unsynced_imports(workspace: &Workspace<'_>) -> Vec<StayingFile> {
    let (env, synced) = (workspace.ctx.env, &workspace.ctx.settings.extras);
    if !synced.contains(&ExtraKind::ClaudeMd) {
        return Vec::new();
    }
    let is_synced = |path: &PathBuf| {
        let below = path_below(&env.claude_dir, path);
        let kind = below.and_then(|name| ExtraKind::from_user_file(&name));
        kind.is_some_and(|kind| synced.contains(&kind))
    };
    let mut imports = imported_files(&env.claude_dir, &env.home);
    imports.retain(|path| !is_synced(path));
    let rules = env.claude_dir.join("rules");
    let staying = imports.into_iter().map(|path| StayingFile {
        name: path.display().to_string(),
        reason: format!(
            "CLAUDE.md imports it; files in {} are synced",
            rules.display()
        ),
    });
    staying.collect()
}

/// Lists the memories of agents in a project, which travel with its repository if at all.
fn memories_of_agents(workspace: &Workspace<'_>, directory: &Path) -> Vec<StayingFile> {
    if !workspace.ctx.settings.extras.contains(&ExtraKind::Memory) {
        return Vec::new();
    }
    let memories = AGENT_MEMORIES.iter().map(|name| directory.join(name));
    let staying = memories
        .filter(|path| is_dir_in_time(path))
        .map(|path| StayingFile {
            name: path.display().to_string(),
            reason: "memory of agents that belongs to the project's repository".to_owned(),
        });
    staying.collect()
}
