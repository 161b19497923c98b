//! The surroundings of the machines: rules of the remote, settings that exclude a project,
//! clients of other hosts.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ccsync::config::Config;
use ccsync::domain::ProjectPattern;
use ccsync::domain::id::SessionId;
use ccsync::workspace::paths::config_path;

use super::{Machine, is_transcript, tree};
use crate::harness::{Tree, markers};

/// The end of Claude Code's directory name of the project that machines exclude now and then.
const SECRET: &str = "-secret-app";

/// A rule of the remote.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    AcceptAll,
    KeepLocks,
    CreateNoLocks,
    /// Refuses the session of this number.
    RefuseSession(usize),
}

/// Returns the id of the session of this number.
pub(super) fn session_id(number: usize) -> String {
    format!("5e55101{number}-0000-4000-8000-000000000000")
}

impl Rule {
    /// Lets the remote follow this rule, and no other one.
    pub(super) fn set(self, remote: &Path) {
        let test = match self {
            Self::AcceptAll => "true".to_owned(),
            Self::KeepLocks => {
                "case $ref$new in refs/heads/ccsync/lock/*-*0000000) false;; esac".to_owned()
            }
            Self::CreateNoLocks => {
                "case $ref$old in refs/heads/ccsync/lock/*-*0000000) false;; esac".to_owned()
            }
            Self::RefuseSession(number) => format!(
                "case $new in 0000000*) ;; *) ! git log --format= --name-only $new --not --all | grep -q {};; esac",
                session_id(number)
            ),
        };
        let hook = hook(remote);
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        let script = format!("#!/bin/sh\nwhile read old new ref; do\n{test} || exit 1\ndone\n");
        fs::write(&hook, script).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn hook(remote: &Path) -> PathBuf {
    remote.join("hooks/pre-receive")
}

/// Returns true if the remote refuses this session.
pub(super) fn refuses(remote: &Path, session: &SessionId) -> bool {
    let rule = fs::read_to_string(hook(remote)).unwrap_or_default();
    rule.contains(session.as_str())
}

/// Returns every object of a remote as text.
pub(super) fn all_objects(remote: &Path) -> String {
    let remote = git2::Repository::open_bare(remote).unwrap();
    let objects = remote.odb().unwrap();
    let mut text = String::new();
    let add = |id: &git2::Oid| {
        let object = objects.read(*id).unwrap();
        if object.kind() == git2::ObjectType::Blob {
            text.push_str(&String::from_utf8_lossy(object.data()));
        }
        true
    };
    objects.foreach(add).unwrap();
    text
}

impl Machine {
    fn config(&self) -> Config {
        Config::load(&config_path(&self.env)).unwrap().unwrap()
    }

    pub(super) fn set_excluding(&self, excludes: bool) {
        let pattern = ProjectPattern::new("~/secret").unwrap();
        let mut config = self.config();
        config.sync.exclude = excludes.then_some(pattern).into_iter().collect();
        config.save(&config_path(&self.env)).unwrap();
    }

    pub(super) fn is_excluding(&self) -> bool {
        !self.config().sync.exclude.is_empty()
    }

    /// Returns the lines in the project that is sometimes excluded.
    pub(super) fn secret_lines(&self) -> BTreeSet<String> {
        let files = tree(&self.projects()).into_iter();
        let secret = files.filter(|(path, _)| {
            is_transcript(path)
                && path
                    .iter()
                    .any(|part| part.to_string_lossy().ends_with(SECRET))
        });
        secret.flat_map(|(_, (_, text))| markers(&text)).collect()
    }

    /// Returns true if nothing of the session is only here once the machine has pushed.
    pub(super) fn can_store(&self, transcript: &Path) -> bool {
        let is_excluded = self.is_excluding() && is_secret(transcript);
        !is_excluded && !refuses(&self.remote(), &session_of(transcript))
    }

    fn pid_file(&self) -> PathBuf {
        self.env.claude_dir.join("sessions/7.json")
    }

    /// Another host, which shares the directory, opens the session.
    pub(super) fn open_elsewhere(&self, transcript: &Path) {
        let record = serde_json::json!({
            "pid": 7, "sessionId": session_of(transcript), "procStart": "1", "kind": "interactive",
            "pidDomain": "linux:00000000000000000000000000000000:pid:[4026531836]",
        });
        fs::create_dir_all(self.pid_file().parent().unwrap()).unwrap();
        fs::write(self.pid_file(), record.to_string()).unwrap();
    }

    pub(super) fn close_elsewhere(&self) {
        drop(fs::remove_file(self.pid_file()));
    }

    /// Returns the session that another host has open.
    pub(super) fn open_session(&self) -> Option<SessionId> {
        let record: serde_json::Value =
            serde_json::from_slice(&fs::read(self.pid_file()).ok()?).unwrap();
        record["sessionId"].as_str().unwrap().parse().ok()
    }

    /// Runs a command, which must not write to a session that another host has open.
    pub(super) fn run_beside_others<T>(&self, command: impl FnOnce() -> T) -> T {
        let before = self.open_files();
        let result = command();
        assert!(
            before == self.open_files(),
            "written while another host has it open"
        );
        result
    }

    fn open_files(&self) -> Tree {
        let Some(open) = self.open_session() else {
            return Tree::new();
        };
        let of_session = |path: &PathBuf| path.to_string_lossy().contains(open.as_str());
        let files = tree(&self.projects()).into_iter();
        files.filter(|(path, _)| of_session(path)).collect()
    }
}

fn session_of(transcript: &Path) -> SessionId {
    transcript
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

fn is_secret(transcript: &Path) -> bool {
    let directory = transcript.parent().unwrap().to_str().unwrap();
    directory.ends_with(SECRET)
}
