//! The sessions that are new on this machine after a pull. The memory of their projects and their
//! plans come with them, if they were lost here.
//!
//! Must not write anything.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;

use crate::checkouts::locate::place_of;
use crate::domain::{Placeholders, PortablePath, RelativeName, client_dir::client_dir_name};
use crate::extras::{owner::ExtrasOwner, owner::OwnerFile, state::DirectoryName};
use crate::project::main_checkout;
use crate::session::LocalSession;

/// The sessions that are new on this machine after a pull.
#[derive(Default)]
pub(crate) struct ReturnedSessions {
    /// The user asked for everything.
    all: bool,
    /// The client's names of the directories of their projects and of the main checkouts.
    directories: BTreeSet<DirectoryName>,
    transcripts: Vec<PathBuf>,
    /// The names of plans that the transcripts contain.
    named_plans: OnceCell<BTreeSet<RelativeName>>,
}

impl ReturnedSessions {
    /// Describes these sessions and their projects, which are portable paths. If `all`, the user
    /// asked for everything.
    pub(crate) fn new(
        all: bool,
        sessions: &[LocalSession],
        projects: &BTreeSet<String>,
        placeholders: &Placeholders,
    ) -> Self {
        let names = sessions.iter().map(|session| session.directory_name());
        let mut directories: BTreeSet<DirectoryName> = names.map(str::to_owned).collect();
        for project in projects {
            let local = PortablePath::new(project.clone());
            let path = place_of(&local, placeholders);
            if let Some(path) = path.filter(|path| Path::new(path).is_absolute()) {
                let checkout = main_checkout(Path::new(&path));
                directories.extend(checkout.to_str().map(client_dir_name));
            }
        }
        Self {
            all,
            directories,
            transcripts: sessions.iter().map(LocalSession::transcript_path).collect(),
            named_plans: OnceCell::new(),
        }
    }

    /// Returns true if files of an owner may have to come back.
    pub(crate) fn concern(&self, owner: &ExtrasOwner) -> bool {
        let is_any = self.all || !self.directories.is_empty();
        if owner.bundle.is_user() {
            return is_any;
        }
        !owner.listing.exists && (self.all || self.directories.contains(&owner.name))
    }

    /// Returns true if a file that the client has deleted belongs to one of the sessions. `plans`
    /// are the stored ones.
    pub(crate) fn name(
        &self,
        file: OwnerFile<'_>,
        plans: impl FnOnce() -> BTreeSet<RelativeName>,
    ) -> bool {
        if !file.kind.is_deleted_by_client() {
            return false;
        }
        self.all || self.named_plans(plans).contains(file.name)
    }

    fn named_plans(
        &self,
        plans: impl FnOnce() -> BTreeSet<RelativeName>,
    ) -> &BTreeSet<RelativeName> {
        self.named_plans.get_or_init(|| {
            let plans = plans();
            let mut patterns = Vec::new();
            let mut owners = Vec::new();
            for plan in &plans {
                let Some(name) = plan.as_str().rsplit('/').next() else {
                    continue;
                };
                let slug = name.strip_suffix(".md").unwrap_or(name);
                patterns.extend([name.to_owned(), format!("\"slug\":\"{slug}\"")]);
                owners.extend([plan, plan]);
            }
            let mut named = BTreeSet::new();
            let Ok(searcher) = AhoCorasick::new(&patterns) else {
                return named;
            };
            for path in &self.transcripts {
                // A transcript that cannot be read names no plan.
                let found = File::open(path).into_iter();
                let found = found.flat_map(|file| searcher.stream_find_iter(file));
                for hit in found.map_while(Result::ok) {
                    named.insert(owners[hit.pattern().as_usize()].clone());
                }
            }
            named
        })
    }
}
