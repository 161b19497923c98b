//! The manifest of a session that is being stored, file by file.

use std::path::Path;

use crate::checkouts::identity::{portable, with_known_remote};
use crate::checkouts::locate::is_below_repo;
use crate::domain::client_dir::client_dir_name;
use crate::domain::id::SessionId;
use crate::domain::path::{PortablePath, without_dots};
use crate::domain::placeholder::Placeholders;
use crate::domain::session_file::SessionFile;
use crate::flows::collapse_context::CollapseContext;
use crate::flows::compare::{FilePush, FilePushes, SessionComparer, portable_hash};
use crate::flows::fork::mark_written_as;
use crate::localize::collect::{CollectStats, Collector, collapse_title, describe, share_segments};
use crate::localize::local_copy::LocalCopy;
use crate::localize::localizer::Localizer;
use crate::localize::stored_text::{StoredText, text_kind};
use crate::rewrite::{collapse_path, expand_path};
use crate::session::facts::{Facts, custom_title_file, working_directories};
use crate::store::manifest::{Manifest, StoredFile};
use crate::store::{Snapshot, Transaction};
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
        } = context;
        let localizer = comparer.localizer;
        // The lines of a fork name the session that the local file has.
        let id = &local.session.id;
        let written_as = (manifest.session != *id).then(|| id.clone());
        Self {
            manifest,
            collected: CollectStats::default(),
            turns: 0,
            localizer,
            snapshot: comparer.snapshot,
            local,
            earlier,
            collector: Collector::new(localizer, &placeholders, &directories, written_as),
            placeholders,
            facts: Facts::default(),
        }
    }

    /// Stores files of the session.
    pub(super) fn store_files(
        &mut self,
        tx: &mut Transaction<'_>,
        files: &FilePushes,
    ) -> Result<(), SyncError> {
        files
            .iter()
            .try_for_each(|(file, push)| self.store_file(tx, file, *push))
    }

    fn store_file(
        &mut self,
        tx: &mut Transaction<'_>,
        file: &SessionFile,
        push: FilePush,
    ) -> Result<(), SyncError> {
        let session = self.manifest.session.clone();
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
        let (mut stored, collected) = self
            .collector
            .store(tx, &session, file, kept, &mut text, facts)?;
        if let (FilePush::Whole, Some(earlier)) = (push, &earlier) {
            self.record_replaced(&mut stored, earlier)?;
        }

        if file.key() == "custom-title.json" {
            let title = custom_title_file(&fs::read(&self.local.path(file))?);
            let title = title.map(|title| collapse_title(self.localizer, &title));
            self.manifest.titles.custom = title;
        }
        match file {
            SessionFile::Transcript => self.manifest.transcript = stored,
            SessionFile::Named(name) => drop(self.manifest.files.insert(name.clone(), stored)),
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

    /// Records in a file which version it replaces, so that a machine that still has that version
    /// is known to be behind.
    fn record_replaced(
        &self,
        file: &mut StoredFile,
        earlier: &StoredText<'_>,
    ) -> Result<(), SyncError> {
        let hash =
            |local: &[u8]| portable_hash(self.localizer, &self.placeholders, local, earlier.name);
        let mut former = Vec::new();
        let (id, kind) = (&earlier.manifest.session, text_kind(earlier.name));
        let reader = self.localizer.reader(earlier.manifest, id, kind);
        earlier.walk(0, &mut |piece| {
            former.extend_from_slice(&reader.read_preferred(piece.run, piece.text)?);
            Ok(true)
        })?;
        file.record_replaced(earlier.file, hash(&former));
        // The present content may have been replaced before; now it is current again.
        let present = hash(&fs::read(&self.local.path(earlier.name))?);
        file.previous_hashes.retain(|hash| *hash != present);
        Ok(())
    }

    /// Marks the kept lines of the continued files as written under the id `session`.
    pub(super) fn mark_kept_lines(&mut self, files: &FilePushes, session: &SessionId) {
        for file in files.keys() {
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
        let placeholders = &self.placeholders;
        describe(&mut self.manifest, self.localizer, placeholders, facts);
        self.follow_repo();
        self.record_git();
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

    fn project_directory(&self) -> Option<String> {
        expand_path(self.manifest.project.as_ref()?, &self.placeholders)
    }
}
