//! Lets the clone of this machine drop what was purged from the history of the store.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::CommitId;
use crate::extras::context::load_state;
use crate::flows::send::follow_new_commits;
use crate::workspace::{SyncError, Workspace};

/// Lets the end of this command drop the objects that no ref needs. Before that, the records of
/// this machine must name commits that stay.
pub(crate) fn forget_purged_objects(workspace: &mut Workspace<'_>) -> Result<(), SyncError> {
    workspace.records.index.follow(&workspace.store)?;
    load_state(workspace, workspace.store.head()?.as_ref()).save()?;
    Ok(workspace.store.set_purged_objects(true)?)
}

/// Lets milestones that were not sent yet name commits of the new history: those of `unsent`
/// commits the head, others the commit that replaces theirs.
pub(crate) fn follow_milestones(
    workspace: &mut Workspace<'_>,
    unsent: &BTreeSet<CommitId>,
    theirs: &CommitId,
) -> Result<(), SyncError> {
    let store = &workspace.store;
    let Some(head) = store.head()? else {
        return Ok(());
    };
    let mut new_commits = BTreeMap::new();
    for milestone in store.head_snapshot()?.milestones()? {
        let former = milestone.commit;
        if unsent.contains(&former) {
            new_commits.insert(former, head.clone());
        } else if !store.history().contains(&former)?
            && let Some(new) = store.replacement(theirs, &former)?
        {
            new_commits.insert(former, new);
        }
    }
    follow_new_commits(workspace, &new_commits)
}
