//! The path notice: tells the model about moved directories in a session with original
//! paths.
//!
//! A session that is not localized names the origin's paths. Claude Code itself
//! announces the new working directory (client 2.1.329); the notice adds the
//! placeholders' directories and the memory directory. The conversation is not edited.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::checkouts::locate::is_below_repo;
use crate::domain::{
    Placeholder, PlaceholderName, Placeholders, SessionId, client_dir::client_dir_name,
};
use crate::localize::{StoredText, location::expand_name};
use crate::project::main_checkout;
use crate::rewrite::{collapse_path, expand_path};
use crate::session::{discover::find_transcript, files::project_dir, turns::turns};
use crate::store::manifest::Manifest;
use crate::sys::fs::canonicalize_existing;
use crate::workspace::{Context, SyncError, Workspace};

/// Returns the notice for a run in `directory`; `None` if the session names this
/// machine's paths already, or if an earlier run gave the notice.
///
/// # Errors
/// Errors of the whole command, or a manifest that cannot be read.
pub fn path_notice(
    ctx: &Context<'_>,
    session: &SessionId,
    directory: &Path,
) -> Result<Option<String>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let snapshot = workspace.store.head_snapshot()?;
    let Some(manifest) = snapshot.manifest(session)? else {
        return Ok(None);
    };
    let here = &placeholders_at(&workspace, &manifest, directory);
    let transcript = StoredText::transcript(&snapshot, &manifest);
    if !workspace.localizer.uses_original_paths(&manifest)
        || last_message_is_local(transcript, &workspace, here)?
    {
        return Ok(None);
    }
    let memory = project_dir(
        ctx.env,
        &client_dir_name(&main_checkout(directory).to_string_lossy()),
    )
    .join("memory");
    let mut moves = moves(&manifest, here);
    moves.extend(moved_since(&workspace, &manifest, here));
    moves.extend(moved_client_directories(
        &manifest,
        &client_directory(ctx, session, directory),
    ));
    // Machines with equal directories need no notice.
    Ok((!moves.is_empty()).then(|| text(&moves, &memory)))
}

/// Returns true if the last message is from this machine with its current placeholders:
/// then the model has the notice. Lines without a message (mode, costs) do not count,
/// since nothing has reached the model with them.
fn last_message_is_local(
    text: StoredText<'_>,
    workspace: &Workspace<'_>,
    here: &Placeholders,
) -> Result<bool, SyncError> {
    let mut end = text.file.lines();
    for run in text.file.runs.iter().rev() {
        let start = end.saturating_sub(run.lines);
        if has_message(text, start, end)? {
            let placeholders = text.manifest.placeholders.get(&run.placeholders);
            return Ok(run.machine == *workspace.localizer.machine()
                && placeholders.is_some_and(|placeholders| is_same_place(placeholders, here)));
        }
        end = start;
    }
    Ok(false)
}

/// Returns the placeholders of this machine, with the repository of a session in
/// `directory`.
fn placeholders_at(
    workspace: &Workspace<'_>,
    manifest: &Manifest,
    directory: &Path,
) -> Placeholders {
    let locator = workspace.localizer.locator();
    let tree = workspace
        .localizer
        .clones()
        .facts(directory)
        .filter(|_| is_below_repo(manifest));
    match tree
        .and_then(|facts| locator.checkout_at(&facts, locator.locate(manifest, &manifest.session)))
    {
        Some(repo) => workspace.localizer.placeholders().with(repo),
        None => workspace.localizer.placeholders_for(manifest),
    }
}

/// Returns true if text with these placeholders names directories of this machine.
fn is_same_place(placeholders: &Placeholders, here: &Placeholders) -> bool {
    let is_same_repo = match (placeholders.repo(), here.repo()) {
        (Some(there), Some(here)) => there.directory == here.directory,
        _ => true,
    };
    is_same_repo && placeholders.without_repo() == here.without_repo()
}

/// Returns true if the lines `from..to` of one run have a message. Stops at the first
/// one.
fn has_message(text: StoredText<'_>, from: u64, to: u64) -> Result<bool, SyncError> {
    let (mut left, mut found) = (to - from, false);
    text.walk(from, &mut |piece| {
        left = left.saturating_sub(piece.lines);
        found = !turns(piece.text).is_empty();
        Ok(!found && left > 0)
    })?;
    Ok(found)
}

/// Returns the former and the current directory of each moved placeholder; `None` if this
/// machine does not have it.
fn moves(manifest: &Manifest, here: &Placeholders) -> BTreeSet<(String, Option<String>)> {
    let others = here.without_repo();
    let placeholders = manifest
        .placeholders
        .values()
        .flat_map(|set| set.placeholders.iter().map(move |root| (set, root)));
    let directory_here = |name: &str| here.get(name).map(|here| here.directory.clone());
    let moved = placeholders.map(|(set, root)| (set, root, directory_here(root.name.as_str())));
    // A repository at the same path below another placeholder is not mentioned.
    let is_unmoved = |set: &Placeholders, root: &Placeholder, now: &Option<String>| {
        let elsewhere = expand_path(
            &collapse_path(&set.without_repo(), &root.directory),
            &others,
        );
        set.repo() == Some(root) && elsewhere.is_some() && elsewhere == *now
    };
    let moved = moved.filter(|(set, root, now)| {
        now.as_ref() != Some(&root.directory) && !is_unmoved(set, root, now)
    });
    moved
        .map(|(_, root, now)| (root.directory.clone(), now))
        .collect()
}

/// Returns the same for placeholders that were added after the text was written, if this
/// machine has them.
fn moved_since<'a>(
    workspace: &'a Workspace<'_>,
    manifest: &'a Manifest,
    here: &'a Placeholders,
) -> impl Iterator<Item = (String, Option<String>)> {
    let placeholders = workspace
        .localizer
        .current_placeholders()
        .placeholders(manifest);
    let pairs = placeholders.filter_map(|root| Some((root, here.get(root.name.as_str())?)));
    pairs
        .filter(|(then, now)| then.directory != now.directory)
        .map(|(then, now)| (then.directory.clone(), Some(now.directory.clone())))
}

/// Returns Claude Code's directory for the session here. It keeps the outputs of tools that are too
/// long for the conversation, which names their paths.
fn client_directory(ctx: &Context<'_>, session: &SessionId, directory: &Path) -> PathBuf {
    let present = find_transcript(&ctx.env.claude_dir, session);
    let present = present.and_then(|transcript| Some(transcript.parent()?.to_owned()));
    present.unwrap_or_else(|| {
        let directory = canonicalize_existing(&directory.to_string_lossy());
        project_dir(ctx.env, &client_dir_name(&directory))
    })
}

/// Returns Claude Code's directory for the session on each machine that wrote it, if it is not
/// `here`. Only the usual place is known, below the home directory.
fn moved_client_directories(
    manifest: &Manifest,
    here: &Path,
) -> BTreeSet<(String, Option<String>)> {
    let here = here.to_string_lossy();
    let directory_of = |set: &Placeholders| {
        let home = set.get(PlaceholderName::home().as_str())?;
        let name = expand_name(manifest, set)?;
        let parts = [home.directory.as_str(), ".claude", "projects", &name];
        Some(parts.join(&set.system.separator().to_string()))
    };
    let directories = manifest.placeholders.values().filter_map(directory_of);
    directories
        .filter(|there| *there != here)
        .map(|there| (there, Some(here.to_string())))
        .collect()
}

fn text(moves: &BTreeSet<(String, Option<String>)>, memory: &Path) -> String {
    let mut lines = vec![
        "This conversation continues on another machine. Earlier messages are unchanged and name the paths of the machine on \
         which they were written. From here on, use the current paths:"
            .to_owned(),
    ];
    lines.extend(moves.iter().map(|(then, now)| match now {
        Some(now) => format!("- `{then}` is now `{now}`"),
        None => format!("- `{then}` does not exist on this machine"),
    }));
    lines.push(format!(
        "- the memory directory is now `{}`",
        memory.display()
    ));
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_notice_names_each_placeholder_once() {
        let moved = |then: &str, now: Option<&str>| (then.to_owned(), now.map(str::to_owned));
        let moves = [moved("/home/al", Some("/Users/al")), moved("/srv/x", None)]
            .into_iter()
            .collect();
        insta::assert_snapshot!(text(&moves, Path::new("/Users/al/.claude/projects/-Users-al-app/memory")), @r"
        This conversation continues on another machine. Earlier messages are unchanged and name the paths of the machine on which they were written. From here on, use the current paths:
        - `/home/al` is now `/Users/al`
        - `/srv/x` does not exist on this machine
        - the memory directory is now `/Users/al/.claude/projects/-Users-al-app/memory`
        ");
    }
}
