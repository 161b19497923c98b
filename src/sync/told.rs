//! What the model is told when a session goes on in another place with its past untouched.
//!
//! In a session that is pulled as its origin wrote it (`paths = original`), what the model read names the origin's paths. The client itself tells it the new
//! working directory (client 2.1.329); this tells it the rest: where the roots are now, and the memory directory. The past is not edited.

use std::collections::BTreeSet;
use std::path::Path;

use super::work::Work;
use super::{Context, SyncError};
use crate::domain::client_dir::client_dir_name;
use crate::domain::id::SessionId;
use crate::domain::root::RootSet;
use crate::project::main_checkout;
use crate::session::discover::projects_dir;
use crate::store::manifest::Manifest;

/// What to tell at the beginning of a run in `directory`; `None` where the session's text names this machine's paths already, or the
/// model was told in an earlier run.
///
/// # Errors
/// What concerns the whole command, or a manifest that cannot be read.
pub fn what_to_tell(ctx: &Context<'_>, session: &SessionId, directory: &Path) -> Result<Option<String>, SyncError> {
    let work = Work::open(ctx)?;
    let Some(manifest) = work.store.head_snapshot()?.manifest(session)? else { return Ok(None) };
    let here = work.views.roots();
    if !work.views.keeps_the_past(&manifest) || was_here_last(&manifest, &work) {
        return Ok(None);
    }
    let memory = projects_dir(&ctx.env.claude_dir)
        .join(client_dir_name(&main_checkout(directory).to_string_lossy()))
        .join("memory");
    let moves = moves(&manifest, here);
    // On machines with equal directories nothing is elsewhere.
    Ok((!moves.is_empty()).then(|| text(&moves, &memory)))
}

/// Whether the last line was written on this machine, with its present roots: then the model was told when the session came here.
fn was_here_last(manifest: &Manifest, work: &Work<'_>) -> bool {
    let last = manifest.transcript.runs.last();
    last.is_some_and(|run| {
        run.machine == *work.views.me() && manifest.roots.get(&run.roots) == Some(work.views.roots())
    })
}

/// Former and present place of each root that lies elsewhere here; no present place where this machine has none.
fn moves(manifest: &Manifest, here: &RootSet) -> BTreeSet<(String, Option<String>)> {
    let roots = manifest.roots.values().flat_map(|set| &set.roots);
    let moved = roots.map(|root| (root.path.clone(), here.get(root.name.as_str()).map(|here| here.path.clone())));
    moved.filter(|(then, now)| now.as_ref() != Some(then)).collect()
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
    lines.push(format!("- the memory directory is now `{}`", memory.display()));
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_root_is_named_once() {
        let moved = |then: &str, now: Option<&str>| (then.to_owned(), now.map(str::to_owned));
        let moves = [moved("/home/al", Some("/Users/al")), moved("/srv/x", None)].into_iter().collect();
        insta::assert_snapshot!(text(&moves, Path::new("/Users/al/.claude/projects/-Users-al-app/memory")), @"");
    }
}
