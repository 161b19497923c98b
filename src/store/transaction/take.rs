//! Taking files from another commit, for a merge.

use git2::Oid;

use super::commit::Transaction;
use crate::domain::{BundleId, SessionId};
use crate::store::{
    error::StoreError, format::milestone::Milestone, format::milestone::MilestoneName, layout,
    objects::tree::TreeEntry, objects::tree::changed_files, snapshot::Snapshot,
};

/// A milestone whose name another machine was first to use.
#[derive(Debug, Clone)]
pub struct RenamedMilestone {
    /// The name it had.
    pub from: MilestoneName,
    /// The name it has now.
    pub to: MilestoneName,
}

impl Transaction<'_> {
    /// Takes a session from `from`.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn take_session(
        &mut self,
        from: &Snapshot<'_>,
        session: &SessionId,
    ) -> Result<(), StoreError> {
        let (here, there) = (
            self.base.session_tree(session)?,
            from.session_tree(session)?,
        );
        let changed = self.changed_below(&layout::session(session), here, there)?;
        self.changes.extend(changed);
        Ok(())
    }

    /// Takes a bundle from `from`.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn take_bundle(&mut self, from: &Snapshot<'_>, id: &BundleId) -> Result<(), StoreError> {
        let (here, there) = (self.base.bundle_tree(id)?, from.bundle_tree(id)?);
        let mut changed = self.changed_below(id.as_str(), here, there)?;
        changed.retain(|(path, _)| layout::is_in_bundle(path));
        self.changes.extend(changed);
        Ok(())
    }

    fn changed_below(
        &self,
        directory: &str,
        here: Option<Oid>,
        there: Option<Oid>,
    ) -> Result<Vec<(String, Option<TreeEntry>)>, StoreError> {
        let changed = changed_files(self.store.objects(), here, there)?;
        let with_path = |(path, new)| (format!("{directory}/{path}"), new);
        Ok(changed
            .iter()
            .filter_map(|file| Some((file.path()?, file.new)))
            .map(with_path)
            .collect())
    }

    /// Takes everything from `from` that changed there since `earlier`, except sessions and
    /// bundles.
    ///
    /// A note, a milestone or a tombstone that was removed there is removed here. Foreign files
    /// are only added: if the base has one too, the base's is the better one. So is the file with
    /// the format, which [`Self::commit`] replaces if it is older.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn take_other_files(
        &mut self,
        from: &Snapshot<'_>,
        earlier: &Snapshot<'_>,
    ) -> Result<(), StoreError> {
        for file in changed_files(self.store.objects(), earlier.tree(), from.tree())? {
            let Some(path) = file.path() else { continue };
            if layout::session_of(path).is_some() || layout::is_in_bundle(path) {
                continue;
            }
            let is_removed = file.new.is_none()
                && layout::is_removable(path)
                && self.base.file(path)? == earlier.file(path)?;
            let is_added = file.new.is_some() && !self.base.has(path);
            if layout::is_machine_file(path) || is_added || is_removed {
                self.changes.insert(path.to_owned(), file.new);
            }
        }
        Ok(())
    }

    /// Takes everything from `from` except sessions and bundles.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn take_all_other_files(&mut self, from: &Snapshot<'_>) -> Result<(), StoreError> {
        for file in changed_files(self.store.objects(), self.base.tree(), from.tree())? {
            let Some(path) = file.path() else { continue };
            if layout::session_of(path).is_none() && !layout::is_in_bundle(path) {
                self.changes.insert(path.to_owned(), file.new);
            }
        }
        Ok(())
    }

    /// Adds a milestone of `ours` under another name if the base has one of the same name.
    ///
    /// Applies to milestones that are new since `earlier`, and must come before anything else is
    /// taken from `ours`.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn rename_milestones(
        &mut self,
        ours: &Snapshot<'_>,
        earlier: &Snapshot<'_>,
    ) -> Result<Vec<RenamedMilestone>, StoreError> {
        let mut renamed = Vec::new();
        for milestone in ours.milestones()? {
            let path = layout::milestone(&milestone.name);
            let (our_file, base_file) = (ours.file(&path)?, self.base.file(&path)?);
            let is_new = our_file != earlier.file(&path)?;
            if is_new && self.base.has(&path) && base_file != our_file {
                let to = milestone.name.with_machine(&milestone.machine);
                if !self.base.has(&layout::milestone(&to)) {
                    self.write_milestone(&Milestone {
                        name: to.clone(),
                        ..milestone.clone()
                    })?;
                }
                renamed.push(RenamedMilestone {
                    from: milestone.name,
                    to,
                });
            }
        }
        Ok(renamed)
    }
}
