//! The manifest of a session that is being stored, file by file.

use std::path::Path;

use crate::checkouts::{
    former::leave_project, identity::portable, identity::with_known_remote, locate::identity,
    locate::is_below_repo, locate::place_of,
};
use crate::domain::{
    Placeholders, ProjectIdentity, RelativeName, SessionFile, SessionId,
    client_dir::client_dir_name, path::PortablePath, path::without_dots,
};
use crate::flows::collapse_context::CollapseContext;
use crate::flows::compare::SessionComparer;
use crate::flows::differences::{Differences, FilePush};
use crate::flows::fork::mark_written_as;
use crate::flows::session_pair::{portable_hash, text_hash};
use crate::localize::{
    LocalCopy, Localizer, StoredLine, StoredText, collect::CollectStats, collect::Collector,
    collect::StoreTarget, collect::collapse_title, collect::describe, collect::share_segments,
    run_projects::RunProjects,
};
use crate::rewrite::collapse_path;
use crate::session::{
    facts::Facts, facts::custom_title_file, facts::is_archived_file, facts::working_directories,
};
use crate::store::{
    Snapshot, Transaction, manifest::Manifest, manifest::PlaceholdersKey, manifest::StoredFile,
};
use crate::sys::fs;
use crate::workspace::error::SyncError;

/// A session that is being stored.
pub(super) struct SessionDraft<'a> {
    pub(super) manifest: Manifest,
    /// Counts of the stored local lines.
    pub(super) collected: CollectStats,
    /// The user's turns among the stored lines.
    pub(super) turns: u64,
    localizer: &'a Localizer,
    snapshot: &'a Snapshot<'a>,
    local: &'a LocalCopy<'a>,
    /// The stored session whose files are continued or replaced.
    earlier: Option<&'a Manifest>,
    placeholders: Placeholders,
    /// The directory of the session on this machine so far.
    former_directory: Option<String>,
    collector: Collector<'a>,
    facts: Facts,
}

impl<'a> SessionDraft<'a> {
    pub(super) fn new(
        comparer: &SessionComparer<'a>,
        local: &'a LocalCopy<'a>,
        earlier: Option<&'a Manifest>,
        manifest: Manifest,
        context: CollapseContext,
    ) -> Self {
        let CollapseContext {
            placeholders,
            directories,
            former_directory,
            first_directory,
        } = context;
        let localizer = comparer.localizer;
        // The lines of a fork name the session that the local file has.
        let id = &local.session.id;
        let written_as = (manifest.session != *id).then(|| id.clone());
        let first = first_directory.as_deref();
        let projects = RunProjects::new(localizer, placeholders.clone(), directories, first);
        Self {
            manifest,
            collected: CollectStats::default(),
            turns: 0,
            localizer,
            snapshot: comparer.snapshot,
            local,
            earlier,
            collector: Collector::new(localizer, projects, written_as),
            placeholders,
            former_directory,
            facts: Facts::default(),
        }
    }

    /// Stores the files of the session that are to be pushed.
    pub(super) fn store_files(
        &mut self,
        tx: &mut Transaction<'_>,
        found: &Differences,
    ) -> Result<(), SyncError> {
        for (file, push) in &found.to_push {
            let after = match file {
                SessionFile::Transcript => found.choices.stored.as_slice(),
                SessionFile::Named(_) => &[],
            };
            self.store_file(tx, file, *push, after)?;
        }
        Ok(())
    }

    /// Stores a file, with stored lines `after` it.
    fn store_file(
        &mut self,
        tx: &mut Transaction<'_>,
        file: &SessionFile,
        push: FilePush,
        after: &[StoredLine],
    ) -> Result<(), SyncError> {
        let session = self.manifest.session.clone();
        if let (FilePush::Remove, SessionFile::Named(name)) = (push, file) {
            return self.remove_file(name);
        }
        let earlier = self
            .earlier
            .and_then(|earlier| StoredText::new(self.snapshot, earlier, file));
        let kept = match (push, &earlier) {
            (FilePush::Continue(from), Some(earlier)) => Some((earlier, from)),
            _ => None,
        };
        if let Some((earlier, from)) = kept
            && earlier.manifest.session != session
        {
            share_segments(tx, &session, earlier, from.lines)?;
        }

        let offset = kept.map_or(0, |(_, from)| from.offset);
        let mut text = self.local.open(file, offset)?;
        let facts = file.is_transcript().then_some(&mut self.facts);
        let target = StoreTarget {
            session: &session,
            file,
            earlier: kept,
            after,
        };
        let (mut stored, collected) = self.collector.store(tx, &target, &mut text, facts)?;
        if let (FilePush::Whole, Some(earlier)) = (push, &earlier) {
            self.record_replaced(&mut stored, earlier)?;
        }
        if let Some(removed) = file.name().and_then(|name| self.manifest.removed.get(name)) {
            // A machine that still has the removed content is behind the new one.
            stored.previous_hashes.clone_from(removed);
            self.forget_present(&mut stored, file)?;
        }

        if file.key() == "custom-title.json" {
            let title = custom_title_file(&fs::read(&self.local.path(file))?);
            let title = title.map(|title| collapse_title(self.localizer, &title));
            self.manifest.titles.custom = title;
        }
        if file.key() == "archived.json" {
            self.manifest.labels.archived = is_archived_file(&fs::read(&self.local.path(file))?);
        }
        match file {
            SessionFile::Transcript => self.manifest.transcript = stored,
            SessionFile::Named(name) => {
                self.manifest.removed.remove(name);
                self.manifest.files.insert(name.clone(), stored);
            }
        }
        // Only the lines of the transcript are counted; of all files, the bytes.
        let lines = if file.is_transcript() {
            collected.lines
        } else {
            0
        };
        self.collected += CollectStats { lines, ..collected };
        Ok(())
    }

    /// Removes a file that Claude Code removed here. Its contents are remembered, so that other
    /// machines know that theirs is what was removed.
    fn remove_file(&mut self, name: &RelativeName) -> Result<(), SyncError> {
        let file = SessionFile::Named(name.clone());
        let earlier = self
            .earlier
            .and_then(|earlier| StoredText::new(self.snapshot, earlier, &file));
        if let Some(earlier) = earlier {
            let mut last = StoredFile::default();
            last.record_replaced(earlier.file, text_hash(&earlier.portable()?));
            let hashes = last.previous_hashes;
            self.manifest.removed.insert(name.clone(), hashes);
        }
        if name.as_str() == "archived.json" {
            self.manifest.labels.archived = false;
        }
        self.manifest.files.remove(name);
        Ok(())
    }

    /// Records in a file which version it replaces, so that a machine that still has that version
    /// is known to be behind.
    fn record_replaced(
        &self,
        file: &mut StoredFile,
        earlier: &StoredText<'_>,
    ) -> Result<(), SyncError> {
        file.record_replaced(earlier.file, text_hash(&earlier.portable()?));
        self.forget_present(file, earlier.name)
    }

    /// Removes the present content from the previous ones: it is current again.
    fn forget_present(&self, stored: &mut StoredFile, file: &SessionFile) -> Result<(), SyncError> {
        let present = fs::read(&self.local.path(file))?;
        let present = portable_hash(
            self.localizer,
            &self.local.session.id,
            &self.placeholders,
            &present,
            file,
        );
        stored.previous_hashes.retain(|hash| *hash != present);
        Ok(())
    }

    /// Marks the kept lines of the continued files as written under the id `session`.
    pub(super) fn mark_kept_lines(&mut self, found: &Differences, session: &SessionId) {
        for file in found.to_push.keys() {
            if let Some(file) = self.manifest.file_mut(file) {
                mark_written_as(file, session);
            }
        }
    }

    /// Takes the project from the first records; those of sub-agents if a crash left nothing else.
    pub(super) fn set_project(&mut self) {
        let name = self.local.session.directory_name();
        let project = self.facts.project(name).map(str::to_owned);
        let project = project.or_else(|| self.directory_of_agents());
        self.manifest.project = project.and_then(|cwd| self.portable_directory(&cwd));
    }

    fn directory_of_agents(&self) -> Option<String> {
        let files = self.local.session.files.keys();
        let mut agents = files.filter(|file| file.is_append_only() && !file.is_transcript());
        agents.find_map(|file| {
            let lines = self.local.open(file, 0).ok()?.next_lines().ok()?;
            working_directories(&lines).into_iter().next()
        })
    }

    /// Returns the portable path of a working directory. Other machines refuse one with `..`.
    fn portable_directory(&self, cwd: &str) -> Option<PortablePath> {
        let cwd = without_dots(cwd, self.placeholders.system.is_windows())?;
        Some(collapse_path(&self.placeholders, &cwd))
    }

    /// Moves the session to the project directory that it is in now. Claude Code moves sessions
    /// when it enters a worktree.
    pub(super) fn follow_move(&mut self) {
        let name = self.local.session.directory_name();
        let mut directories = self.facts.cwds.iter();
        if let Some(cwd) = directories.find(|cwd| client_dir_name(cwd) == name) {
            self.manifest.project = self.portable_directory(cwd);
            self.manifest.directory = collapse_title(self.localizer, name);
        }
    }

    /// Completes the manifest and adds it to `tx`.
    pub(super) fn finish(&mut self, tx: &mut Transaction<'_>) -> Result<(), SyncError> {
        let facts = std::mem::take(&mut self.facts);
        self.turns = facts.turns;
        let before = self.manifest.turns;
        self.manifest.turns = before.map(|before| before.saturating_add(facts.turns));
        for project in self.collector.projects() {
            self.manifest.intern_placeholders(&project.placeholders);
        }
        describe(&mut self.manifest, self.localizer, facts);
        self.follow_repo();
        let former = identity(&self.manifest).cloned();
        self.record_git();
        self.record_projects();
        if let Some(former) = former.filter(|_| self.has_moved()) {
            self.leave_project(&former);
        }
        Ok(tx.write_manifest(&self.manifest)?)
    }

    /// Moves the project to the repository of the new lines, on every machine, if it is
    /// in that repository.
    fn follow_repo(&mut self) {
        let Some(directory) = self.project_directory() else {
            return;
        };
        let now = Manifest {
            project: Some(collapse_path(&self.placeholders, &directory)),
            ..self.manifest.clone()
        };
        if is_below_repo(&now) {
            self.manifest = now;
        }
    }

    /// Records the git facts of the project here. Without a repository here, the record
    /// of another machine stays.
    fn record_git(&mut self) {
        let directory = self.project_directory();
        let facts = directory.and_then(|path| self.localizer.clones().facts(Path::new(&path)));
        if let Some(facts) = facts {
            let here = portable(facts, self.localizer.placeholders());
            self.manifest.git = Some(with_known_remote(here, self.manifest.git.take()));
        }
    }

    /// Records the projects of lines that were written in another one than the present one.
    fn record_projects(&mut self) {
        let present = identity(&self.manifest).cloned();
        for project in self.collector.projects() {
            let key = PlaceholdersKey::new(&project.placeholders);
            if let Some(identity) = &project.identity
                && present.as_ref() != Some(identity)
                && self.manifest.placeholders.contains_key(&key)
            {
                self.manifest.former_projects.insert(key, identity.clone());
            }
        }
    }

    /// Returns true if Claude Code has moved the session to another directory on this machine.
    fn has_moved(&self) -> bool {
        let real = |directory: &String| fs::canonicalize_existing(directory);
        let before = self.former_directory.as_ref().map(real);
        before.is_some() && before != self.project_directory().as_ref().map(real)
    }

    /// Records that the lines so far belong to another project, if the present one has another
    /// remote or none.
    fn leave_project(&mut self, former: &ProjectIdentity) {
        let is_in_repo = is_below_repo(&self.manifest);
        if !is_in_repo {
            self.manifest.git = None;
        }
        if identity(&self.manifest) != Some(former) {
            let present = PlaceholdersKey::new(&self.placeholders);
            leave_project(&mut self.manifest, former, is_in_repo.then_some(&present));
        }
    }

    fn project_directory(&self) -> Option<String> {
        place_of(self.manifest.project.as_ref()?, &self.placeholders)
    }
}
