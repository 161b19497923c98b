//! Tests every error with its causes, hints and exit code, as the user sees it.

use super::*;
use crate::browse::search::pattern::PatternError;
use crate::check::repair::NoCompleteRecord;
use crate::config::ConfigError;
use crate::domain::{SessionId, url::UrlError};
use crate::history::{error::HistoryError, error::MilestoneError};
use crate::import::source::ImportError;
use crate::leasing::error::LeaseError;
use crate::localize::StoredDataError;
use crate::machine::{error::MachineError, notes::NoteError};
use crate::session::{SessionError, live::ClientProcess};
use crate::store::StoreError;
use crate::sys::{
    Interrupted, env::EnvError, fs::PathError, process::ProcessError, process_lock::LockError,
};
use crate::transport::{RemoteError, clone::CloneError, remote::GitMessage, remote::Missing};
use crate::ui::output::capture::captured;
use crate::workspace::{LookupScope, SetupError, SyncError, lookup::LookupError};

fn shown(error: impl Into<CliError>) -> String {
    let error = error.into();
    let (out, err) = captured(|output| error.show(output));
    assert_eq!(out, "");
    format!("{err}exit {}\n", error.exit().code())
}

fn path_error(kind: io::ErrorKind) -> PathError {
    PathError::new("write", Path::new("/h/.claude/x"), kind.into())
}

fn message() -> GitMessage {
    GitMessage::new("fatal: one\nfatal: two\u{1b}[2J")
}

#[test]
fn error_environment_messages_and_hints() {
    let relative = EnvError::Relative {
        variable: "CCSYNC_HOME",
        path: "x".into(),
    };
    let programs = [
        ProcessError::NotFound {
            program: "claude".to_owned(),
        },
        ProcessError::Silent {
            program: "gh".to_owned(),
            after: std::time::Duration::from_secs(9),
            stderr: String::new(),
        },
    ];
    let no_home = shown(EnvError::NoHome { variable: "HOME" });
    let shown = [no_home, shown(relative), programs.map(shown).join("\n")];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn error_damaged_store_hint_quotes_its_path() {
    let shown_at = |error: StoreError, store: &str| {
        let error = CliError::from(SyncError::from(error)).about_store(Path::new(store));
        captured(|output| error.show(output)).1
    };
    let damaged = || StoreError::Damaged {
        path: "/h/store/.git/objects/ab/cd".into(),
    };
    let full = StoreError::Git(git2::Error::from_str(
        "failed to write: No space left on device",
    ));
    let all = [
        shown_at(damaged(), "/h/store"),
        shown_at(damaged(), "/h/it's here/store"),
        shown_at(full, "/h/store"),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn error_config_messages_and_hints() {
    let syntax = ConfigError::Syntax {
        path: "/c/config.toml".into(),
        line: 3,
        message: "unknown key `x`".to_owned(),
    };
    let name: crate::domain::placeholder::PlaceholderName = "WORK".parse().unwrap();
    let invalid = crate::domain::placeholder::InvalidPlaceholder::Path("/".to_owned());
    let errors = [
        ConfigError::Path(path_error(io::ErrorKind::PermissionDenied)),
        syntax,
        ConfigError::UnknownKey {
            key: "x".to_owned(),
        },
        "x".parse::<crate::config::LocalizeMode>().unwrap_err(),
        ConfigError::Placeholder {
            name,
            source: invalid.clone(),
        },
        ConfigError::ReservedPlaceholder,
        ConfigError::Home {
            path: "/".into(),
            source: Some(invalid),
        },
    ];
    insta::assert_snapshot!(errors.map(shown).join("\n"));
}

#[test]
fn error_remote_messages_and_hints() {
    let remote = || "https://***@host/s.git".to_owned();
    let errors = [
        RemoteError::Unreachable {
            remote: remote(),
            why: Missing::Connection,
            message: message(),
        },
        RemoteError::Unreachable {
            remote: remote(),
            why: Missing::Repository,
            message: message(),
        },
        RemoteError::Denied {
            remote: remote(),
            message: message(),
        },
        RemoteError::Rejected {
            remote: remote(),
            reason: "protected branch".to_owned(),
            message: message(),
        },
        RemoteError::GitMissing,
        RemoteError::Garbled {
            remote: remote(),
            what: "no refs".to_owned(),
            message: message(),
        },
        RemoteError::Failed {
            command: "push",
            status: "exit status: 3".to_owned(),
            message: GitMessage::new(""),
        },
    ];
    insta::assert_snapshot!(errors.map(shown).join("\n"));
}

#[test]
fn error_url_messages_and_hints() {
    let errors = [
        UrlError::Empty,
        UrlError::LeadingDash,
        UrlError::ControlCharacter,
        UrlError::Helper("ext".to_owned()),
        UrlError::Scheme("ftp".to_owned()),
        UrlError::Host,
        UrlError::NoPath,
    ];
    insta::assert_snapshot!(errors.map(shown).join("\n"));
}

#[test]
fn error_lock_and_path_messages_and_hints() {
    let errors = [
        LockError::Busy { pid: Some(7) },
        LockError::Interrupted(Interrupted),
        LockError::Path(path_error(io::ErrorKind::StorageFull)),
    ];
    insta::assert_snapshot!(errors.map(shown).join("\n"));
}

#[test]
fn error_command_messages_and_hints() {
    let broken = || io::Error::from(io::ErrorKind::NotConnected);
    let errors = [
        CommandError::Stdout(broken()),
        CommandError::Terminal(broken()),
        CommandError::Cancelled,
        CommandError::Declined("nothing was restored".to_owned()),
        CommandError::ConfirmationNeeded {
            action: "forgetting a machine".to_owned(),
            flag: "--yes",
        },
        CommandError::CurrentDir(broken()),
        CommandError::NotUnicode("/x".to_owned()),
        CommandError::Unset(SettingKey::Remote),
        CommandError::NoSuchPattern("/x".parse().unwrap()),
        CommandError::NoPlaceholderDirectory("/my work".into()),
        CommandError::NothingToImport,
        CommandError::Story("the fork is missing".to_owned()),
    ];
    let shown = errors.map(shown).join("\n") + "\n" + &internal();
    insta::assert_snapshot!(shown);
}

fn internal() -> String {
    let error = CliError::internal(io::Error::from(io::ErrorKind::NotConnected));
    let (_, err) = captured(|output| error.show(output));
    format!("{err}exit {}\n", error.exit().code())
}

#[test]
fn error_session_messages_and_hints() {
    let session = || id("a");
    let path = || "/h/.claude/x".into();
    let errors = [
        SessionError::Running {
            session: session(),
            client: ClientProcess {
                pid: 7,
                is_foreign: false,
                is_background: false,
                is_headless: false,
            },
        },
        SessionError::Link { path: path() },
        SessionError::NoPlace {
            name: crate::domain::path::RelativeName::new("x").unwrap(),
        },
        SessionError::Changed { path: path() },
    ];
    let stored = [
        StoredDataError::Inconsistent { session: session() },
        StoredDataError::Oversized {
            session: session(),
            source: crate::rewrite::Oversized,
        },
    ];
    let shown = [errors.map(shown).join("\n"), stored.map(shown).join("\n")];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn error_store_messages_and_hints() {
    let errors = [
        StoreError::Newer { found: 99 },
        StoreError::TooMany,
        StoreError::Lock {
            commit: "1a2b3c4d5e".repeat(4).parse().unwrap(),
            what: "generation out of range",
        },
        StoreError::Segment {
            path: "sessions/x".to_owned(),
        },
    ];
    insta::assert_snapshot!(errors.map(shown).join("\n"));
}

#[test]
fn error_lookup_messages_and_hints() {
    let errors = [
        LookupScope::Store.no_session(&id("a")),
        LookupScope::Here.no_session(&id("a")),
        LookupScope::Anywhere.no_session(&id("a")),
        LookupError::AmbiguousSession {
            prefix: id("a"),
            candidates: ["a1", "a2", "a3", "a4", "a5"].map(str::to_owned).to_vec(),
        },
        LookupError::NoMachine {
            name: "x".to_owned(),
        },
        LookupError::AmbiguousMachine {
            name: "x".to_owned(),
            candidates: vec!["x (11111111)".to_owned(), "x (22222222)".to_owned()],
        },
    ];
    insta::assert_snapshot!(errors.map(shown).join("\n"));
}

#[test]
fn error_machine_messages_and_hints() {
    let name = || "it's".to_owned();
    let errors = [
        MachineError::NameTaken { name: name() },
        MachineError::NotThisMachine { name: name() },
        MachineError::ThisMachine { name: name() },
        MachineError::Busy {
            name: name(),
            locks: 2,
        },
    ];
    let setup = [
        SetupError::NotSetUp,
        SetupError::ConfigLost {
            path: "/c/config.toml".into(),
            store: "/d/store".into(),
            remote: None,
        },
        SetupError::ConfigLost {
            path: "/c/config.toml".into(),
            store: "/d/store".into(),
            remote: Some("git@host:my s.git".to_owned()),
        },
        SetupError::Unfinished { remote: None },
        SetupError::Unfinished {
            remote: Some("git@host:s.git".to_owned()),
        },
        SetupError::NewerState {
            path: "/s/pinned.json".into(),
            found: 2,
        },
        SetupError::ForeignStore {
            remote: "git@host:s.git".to_owned(),
        },
    ];
    let shown = [errors.map(shown).join("\n"), setup.map(shown).join("\n")];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn error_history_messages_and_hints() {
    let commit = || "1a2b".to_owned();
    let history = [
        HistoryError::NoSuchCommit { commit: commit() },
        HistoryError::AmbiguousCommit { commit: commit() },
        HistoryError::NotInCommit {
            session: id("a"),
            commit: "1a2b3c4d5e".repeat(4).parse().unwrap(),
        },
        HistoryError::NotRestored {
            session: id("a"),
            reason: "no place for it".to_owned(),
        },
    ];
    let name = || "x".parse().unwrap();
    let milestones = [
        MilestoneError::Empty,
        MilestoneError::Exists { name: name() },
        MilestoneError::NotFound { name: name() },
    ];
    let shown = [
        history.map(shown).join("\n"),
        milestones.map(shown).join("\n"),
    ];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn error_operation_messages_and_hints() {
    let source_name = || "`/x`".to_owned();
    let errors = [
        SyncError::from(LeaseError::Contended {
            session: id("a"),
            attempts: 5,
        }),
        NoteError::Empty.into(),
        NoteError::TooLong(5000).into(),
        PatternError::Empty.into(),
        ImportError::Missing { path: "/x".into() }.into(),
        ImportError::Ours {
            source_name: source_name(),
        }
        .into(),
        ImportError::Unknown {
            source_name: source_name(),
        }
        .into(),
        NoCompleteRecord { session: id("a") }.into(),
        Interrupted.into(),
    ];
    insta::assert_snapshot!(errors.map(shown).join("\n"));
}

fn id(text: &str) -> SessionId {
    text.parse().unwrap()
}

#[test]
fn error_clone_messages_and_hints() {
    let remote = || "git@host:al/it's.git".to_owned();
    let of = |source| CloneError::Remote {
        source,
        remote: remote(),
    };
    let errors = [
        CloneError::Occupied {
            directory: "/h/work/my app".into(),
        },
        CloneError::Path(path_error(io::ErrorKind::PermissionDenied)),
        of(RemoteError::Denied {
            remote: remote(),
            message: message(),
        }),
        of(RemoteError::Unreachable {
            remote: remote(),
            why: Missing::Repository,
            message: message(),
        }),
        of(RemoteError::GitMissing),
        CloneError::Interrupted(Interrupted),
    ];
    insta::assert_snapshot!(errors.map(|error| shown(SyncError::from(error))).join("\n"));
}

#[test]
fn error_each_kind_has_its_exit_code() {
    let code = |e: CliError| e.exit().code();
    assert_eq!(code(SetupError::NotSetUp.into()), 1);
    assert_eq!(code(UrlError::Empty.into()), 2);
    assert_eq!(code(LockError::Busy { pid: None }.into()), 75);
    assert_eq!(code(Interrupted.into()), 130);
    assert_eq!(code(CliError::internal(io::Error::other("x"))), 70);
}
