//! What the model is told when a session goes on in another place with its past untouched.
//!
//! In a session that is pulled as its origin wrote it (`paths = original`), what the model read names the origin's paths. The client itself tells it the new
//! working directory (client 2.1.329); this tells it the rest: where the roots are now, and the memory directory. The past is not edited.

use std::collections::BTreeSet;
use std::path::Path;

use crate::checkouts::locate::is_below_repo;
use crate::domain::client_dir::client_dir_name;
use crate::domain::id::SessionId;
use crate::domain::placeholder::{Placeholder, Placeholders};
use crate::localize::stored_text::StoredText;
use crate::project::main_checkout;
use crate::rewrite::{collapse_path, expand_path};
use crate::session::discover::projects_dir;
use crate::session::turns::turns;
use crate::store::manifest::Manifest;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// What to tell at the beginning of a run in `directory`; `None` where the session's text names this machine's paths already, or the
/// model was told in an earlier run.
///
/// # Errors
/// What concerns the whole command, or a manifest that cannot be read.
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
    let memory = projects_dir(&ctx.env.claude_dir)
        .join(client_dir_name(&main_checkout(directory).to_string_lossy()))
        .join("memory");
    let mut moves = moves(&manifest, here);
    moves.extend(moved_since(&workspace, &manifest, here));
    // On machines with equal directories nothing is elsewhere.
    Ok((!moves.is_empty()).then(|| text(&moves, &memory)))
}

/// Whether the last words were said on this machine, with its present roots: then the model was told when the session came here. A client
/// that was only looked into leaves lines, too (its mode, its costs), but with them nothing has reached the model.
fn last_message_is_local(
    text: StoredText<'_>,
    workspace: &Workspace<'_>,
    here: &Placeholders,
) -> Result<bool, SyncError> {
    let mut end = text.file.lines();
    for run in text.file.runs.iter().rev() {
        let start = end.saturating_sub(run.lines);
        if has_words(text, start, end)? {
            let placeholders = text.manifest.placeholders.get(&run.placeholders);
            return Ok(run.machine == *workspace.localizer.me()
                && placeholders.is_some_and(|placeholders| is_same_place(placeholders, here)));
        }
        end = start;
    }
    Ok(false)
}

/// The roots of this machine, with the repository of a session that goes on in `directory`.
fn placeholders_at(
    workspace: &Workspace<'_>,
    manifest: &Manifest,
    directory: &Path,
) -> Placeholders {
    let repos = workspace.localizer.repos();
    let tree = workspace
        .localizer
        .clones()
        .facts(directory)
        .filter(|_| is_below_repo(manifest));
    match tree.and_then(|facts| repos.working_tree(&facts, repos.of(manifest, &manifest.session))) {
        Some(repo) => workspace.localizer.placeholders().with(repo),
        None => workspace.localizer.roots_of(manifest),
    }
}

/// Whether text with these roots names the places of this machine.
fn is_same_place(placeholders: &Placeholders, here: &Placeholders) -> bool {
    let is_same_repo = match (placeholders.repo(), here.repo()) {
        (Some(there), Some(here)) => there.path == here.path,
        _ => true,
    };
    is_same_repo && placeholders.without_repo() == here.without_repo()
}

/// Whether somebody says something in lines `from..to`, which are of one run. Reads no further than the first words.
fn has_words(text: StoredText<'_>, from: u64, to: u64) -> Result<bool, SyncError> {
    let (mut left, mut found) = (to - from, false);
    text.walk(from, &mut |piece| {
        left = left.saturating_sub(piece.lines);
        found = !turns(piece.text).is_empty();
        Ok(!found && left > 0)
    })?;
    Ok(found)
}

/// Former and present place of each root that lies elsewhere here; no present place where this machine has none.
fn moves(manifest: &Manifest, here: &Placeholders) -> BTreeSet<(String, Option<String>)> {
    let others = here.without_repo();
    let placeholders = manifest
        .placeholders
        .values()
        .flat_map(|set| set.placeholders.iter().map(move |root| (set, root)));
    let place = |name: &str| here.get(name).map(|here| here.path.clone());
    let moved = placeholders.map(|(set, root)| (set, root, place(root.name.as_str())));
    // That a repository lies in the same place below another root goes without saying.
    let is_said = |set: &Placeholders, root: &Placeholder, now: &Option<String>| {
        let elsewhere = expand_path(&collapse_path(&set.without_repo(), &root.path), &others);
        set.repo() == Some(root) && elsewhere.is_some() && elsewhere == *now
    };
    let moved = moved
        .filter(|(set, root, now)| now.as_ref() != Some(&root.path) && !is_said(set, root, now));
    moved
        .map(|(_, root, now)| (root.path.clone(), now))
        .collect()
}

/// The same of roots that were none yet when the text was written, where this machine has them.
fn moved_since<'a>(
    workspace: &'a Workspace<'_>,
    manifest: &'a Manifest,
    here: &'a Placeholders,
) -> impl Iterator<Item = (String, Option<String>)> {
    let placeholders = workspace.localizer.since().placeholders(manifest);
    let pairs = placeholders.filter_map(|root| Some((root, here.get(root.name.as_str())?)));
    pairs
        .filter(|(then, now)| then.path != now.path)
        .map(|(then, now)| (then.path.clone(), Some(now.path.clone())))
}

fn text(moves: &BTreeSet<(String, Option<String>)>, memory: &Path) -> String {
    let mut lines = vec![
        "This conversation goes on on another machine than the one it was on before. Earlier messages are unchanged and name the paths of \
         the machine on which they were written. Use the present paths from here on:"
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
        This conversation goes on on another machine than the one it was on before. Earlier messages are unchanged and name the paths of the machine on which they were written. Use the present paths from here on:
        - `/home/al` is now `/Users/al`
        - `/srv/x` does not exist on this machine
        - the memory directory is now `/Users/al/.claude/projects/-Users-al-app/memory`
        ");
    }
}
