//! Everything that can go wrong, and what to do about it: each error of the lower modules gets its kind and its hints here,
//! and nowhere else.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use crate::browse::search::pattern::PatternError;
use crate::config::{ConfigError, Key};
use crate::domain::pattern::ProjectPattern;
use crate::import::source::SourceError;
use crate::session::SessionError;
use crate::store::StoreError;
use crate::sys::env::EnvError;
use crate::sys::fs::PathError;
use crate::sys::lock::LockError;
use crate::sys::process::ProcessError;
use crate::transport::clone::CloneError;
use crate::transport::remote::RemoteError;
use crate::transport::url::UrlError;
use crate::ui::output::Output;
use crate::ui::sanitize;
use crate::workspace::error::SyncError;
use crate::workspace::paths::damaged_names;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: Kind,
    source: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
    /// This machine's clone is damaged, and can be made anew.
    damaged_store: bool,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The person's: something here has to be changed first.
    Failed,
    /// The network's or the remote's.
    Remote,
    /// The person's: the command line makes no sense.
    Usage,
    /// Somebody's who has the session open.
    Locked,
    /// Nobody's: another process is at work.
    Busy,
    /// Nobody's: the person interrupted.
    Interrupted,
    /// Ours.
    Internal,
}

/// What goes wrong in the commands themselves.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("cannot write to standard output")]
    Stdout(#[source] io::Error),
    #[error("cannot ask on this terminal")]
    Terminal(#[source] io::Error),
    #[error("cancelled")]
    Cancelled,
    #[error("somebody may be at work there, and there is nobody to ask")]
    NobodyToAsk,
    #[error("a machine is forgotten only if somebody says yes, and there is nobody to ask")]
    NobodyToAskOfMachine,
    #[error("cannot tell the current directory")]
    CurrentDir(#[source] io::Error),
    #[error("`{0}` is not Unicode and cannot be written to the configuration")]
    NotUnicode(String),
    #[error("{0} is not set")]
    Unset(&'static str),
    #[error("`{0}` is not on the list")]
    NoSuchPattern(String),
    #[error("there is nothing at ~/.claude-session-sync/repo to import from")]
    NothingToImport,
    #[error("cannot make room for two machines")]
    Stage(#[source] io::Error),
    #[error("the story did not come out as told: {0}")]
    Story(String),
}

/// The hint for what is our fault.
pub(super) fn please_report() -> String {
    format!(
        "please report these lines and the command you typed; this is ccsync {}",
        env!("CARGO_PKG_VERSION")
    )
}

impl CliError {
    pub(super) fn new(
        kind: Kind,
        source: impl Error + Send + Sync + 'static,
        hints: Vec<String>,
    ) -> Self {
        Self {
            kind,
            source: Box::new(source),
            hints,
            damaged_store: false,
        }
    }

    /// A bug of ours.
    pub(crate) fn internal(source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(Kind::Internal, source, vec![please_report()])
    }

    /// Standard output cannot be written.
    pub(crate) fn stdout(source: io::Error) -> Self {
        Self::new(Kind::Failed, CommandError::Stdout(source), Vec::new())
    }

    /// The terminal does not answer.
    pub(crate) fn terminal(source: io::Error) -> Self {
        let hint = "every answer can be given as an option: ccsync init --help".to_owned();
        Self::new(Kind::Failed, CommandError::Terminal(source), vec![hint])
    }

    /// The person did not want to answer.
    pub(crate) fn cancelled() -> Self {
        Self::new(Kind::Interrupted, CommandError::Cancelled, Vec::new())
    }

    /// It needs a yes, and standard input is no terminal.
    pub(crate) fn nobody_to_ask() -> Self {
        let hint = "if you are sure, add --yes to the command".to_owned();
        Self::new(Kind::Usage, CommandError::NobodyToAsk, vec![hint])
    }

    /// A machine is forgotten only after a yes, and standard input is no terminal.
    pub(crate) fn nobody_to_ask_of_machine() -> Self {
        let hint = "if you are sure, add --yes to the command".to_owned();
        Self::new(Kind::Usage, CommandError::NobodyToAskOfMachine, vec![hint])
    }

    /// The same, with other hints: who made the call knows better.
    pub(crate) fn with_hints(self, hints: Vec<String>) -> Self {
        Self {
            hints,
            damaged_store: false,
            ..self
        }
    }

    /// The directory that the program was started in is gone or closed to us.
    pub(crate) fn current_dir(source: io::Error) -> Self {
        Self::new(
            Kind::Failed,
            CommandError::CurrentDir(source),
            vec!["cd to a directory that exists".to_owned()],
        )
    }

    /// TOML holds Unicode only.
    pub(crate) fn not_unicode(path: &Path) -> Self {
        Self::new(
            Kind::Failed,
            CommandError::NotUnicode(path.to_string_lossy().into_owned()),
            Vec::new(),
        )
    }

    /// A setting without a value and without a default.
    pub(crate) fn unset(key: Key) -> Self {
        let name = match key {
            Key::Remote => "remote",
            Key::Name => "name",
            Key::Paths => "paths",
            Key::Days => "days",
            Key::MaxSize => "max_size",
            Key::MaxAge => "max_age",
            Key::ExtraKind => "beside",
        };
        Self::new(
            Kind::Failed,
            CommandError::Unset(name),
            vec![format!("ccsync config set {name} VALUE")],
        )
    }

    /// A pattern that is not on the list.
    pub(crate) fn no_such_pattern(pattern: &ProjectPattern) -> Self {
        let error = CommandError::NoSuchPattern(pattern.to_string());
        Self::new(
            Kind::Failed,
            error,
            vec!["the lists: ccsync config show".to_owned()],
        )
    }

    /// No source was named, and there is none where the other program keeps it.
    pub(crate) fn nothing_to_import() -> Self {
        let hint = "name the directory or the git repository: ccsync import PATH|URL".to_owned();
        Self::new(Kind::Usage, CommandError::NothingToImport, vec![hint])
    }

    /// The demo has no directory to play in.
    pub(crate) fn stage(source: io::Error) -> Self {
        Self::new(Kind::Failed, CommandError::Stage(source), Vec::new())
    }

    /// The demo found something else than it had announced.
    pub(crate) fn story(what: impl Into<String>) -> Self {
        Self::new(
            Kind::Failed,
            CommandError::Story(what.into()),
            vec![please_report()],
        )
    }

    /// The same mistake, made in a file instead of on the command line.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self.kind {
            Kind::Usage => Self {
                kind: Kind::Failed,
                hints: vec![format!("correct it in {}", path.display())],
                ..self
            },
            _ => self,
        }
    }

    /// Says how a damaged clone, which lies at `store`, is made anew. What it holds and the remote lacks is taken over from where it is
    /// moved to.
    pub(crate) fn about_store(mut self, store: &Path) -> Self {
        if self.damaged_store {
            let away = free_name(store);
            self.hints = vec![
                format!(
                    "the clone can be made anew; first: {}",
                    move_command(store, &away)
                ),
                "then: ccsync sync".to_owned(),
            ];
        }
        self
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self.kind {
            Kind::Failed | Kind::Remote => Exit::Failed,
            Kind::Usage => Exit::Usage,
            Kind::Locked => Exit::Locked,
            Kind::Busy => Exit::Busy,
            Kind::Interrupted => Exit::Interrupted,
            Kind::Internal => Exit::Internal,
        }
    }

    /// Whether local work can go on, because only the remote or the way to it failed.
    pub(crate) fn is_remote_trouble(&self) -> bool {
        self.kind == Kind::Remote
    }

    /// What went wrong, in one line.
    pub(crate) fn message(&self) -> String {
        sanitize::one_line(&self.source.to_string()).into_owned()
    }

    /// Prints the message, its causes and its hints.
    pub(crate) fn show(&self, out: &mut Output) {
        let message = sanitize::lines(&self.source.to_string());
        out.error(&message, &causes(self.source.as_ref()), &self.hints);
    }
}

/// The causes, outermost first; one that says nothing, or nothing new, is left out.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes = Vec::new();
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = sanitize::lines(cause.to_string().trim());
        if !text.is_empty() && text != last {
            causes.push(text.clone());
        }
        last = text;
        next = cause.source();
    }
    causes
}

/// Where something damaged can be moved to.
fn free_name(path: &Path) -> PathBuf {
    damaged_names(path)
        .find(|name| !name.exists())
        .unwrap_or_else(|| path.to_owned())
}

fn move_command(from: &Path, to: &Path) -> String {
    format!(
        "{} {} {}",
        if cfg!(windows) { "move" } else { "mv" },
        shell_word(from),
        shell_word(to)
    )
}

/// A path as it can be typed.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match () {
        () if text.chars().all(plain) => text,
        () if cfg!(windows) => format!("\"{text}\""),
        () => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

fn hints<const N: usize>(hints: [&str; N]) -> Vec<String> {
    hints.map(str::to_owned).to_vec()
}

impl From<EnvError> for CliError {
    fn from(error: EnvError) -> Self {
        let hint = match &error {
            EnvError::NoHome { variable } => format!("export {variable}=/path/to/your/home"),
            EnvError::Relative { variable, .. } => {
                format!("export {variable}=/an/absolute/path, or unset it")
            }
        };
        Self::new(Kind::Failed, error, vec![hint])
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let (kind, hints) = match &error {
            ConfigError::Path(e)
                if matches!(
                    e.source.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory
                ) =>
            {
                (Kind::Failed, make_anew(&e.path))
            }
            ConfigError::Path(e) => (Kind::Failed, path_hints(e)),
            ConfigError::Syntax { path, .. } => (Kind::Failed, make_anew(path)),
            ConfigError::UnknownKey { .. } => (Kind::Usage, hints(["ccsync config show"])),
            ConfigError::InvalidValue { .. } => (Kind::Usage, hints(["ccsync config --help"])),
            ConfigError::Placeholder { .. } | ConfigError::ReservedPlaceholder => (
                Kind::Usage,
                hints(["ccsync config add-placeholder PROJECTS=/an/absolute/path"]),
            ),
            ConfigError::Home { .. } => (
                Kind::Failed,
                hints(["set the variable HOME to a directory of your own"]),
            ),
            ConfigError::Serialise(_) => return Self::internal(error),
        };
        Self::new(kind, error, hints)
    }
}

/// What helps where the configuration cannot be read. The machine gets a new id; nothing depends on its keeping the former one.
fn make_anew(config: &Path) -> Vec<String> {
    let away = free_name(config);
    vec![
        format!(
            "correct the file, or move it away: {}",
            move_command(config, &away)
        ),
        "then, with the address of your remote: ccsync init --remote URL".to_owned(),
    ]
}

impl From<UrlError> for CliError {
    fn from(error: UrlError) -> Self {
        let hint = "for instance: ccsync init --remote git@github.com:you/sessions.git";
        Self::new(Kind::Usage, error, hints([hint]))
    }
}

impl From<RemoteError> for CliError {
    fn from(error: RemoteError) -> Self {
        let (kind, hints) = match &error {
            RemoteError::Unreachable { .. } if error.is_transient() => (
                Kind::Remote,
                hints(["nothing is lost; when the network is back: ccsync sync"]),
            ),
            RemoteError::Unreachable { remote, .. } => (
                Kind::Remote,
                vec![
                    format!("what git itself says: git ls-remote {remote}"),
                    "to use another remote: ccsync init --remote URL".to_owned(),
                ],
            ),
            RemoteError::Denied { remote, .. } => (
                Kind::Remote,
                vec![format!(
                    "git must get in without ccsync, too: git ls-remote {remote}"
                )],
            ),
            RemoteError::Rejected { .. } => (
                Kind::Remote,
                hints([
                    "the rules of the remote's main branch must allow you to push; then: ccsync push",
                ]),
            ),
            RemoteError::InvalidRef { .. } => return Self::internal(error),
            RemoteError::GitMissing => (
                Kind::Failed,
                hints(["install git 2.34 or later: https://git-scm.com/downloads"]),
            ),
            RemoteError::GitTooOld { need, .. } => (
                Kind::Failed,
                vec![format!(
                    "install git {need} or later: https://git-scm.com/downloads"
                )],
            ),
            RemoteError::Interrupted(_) => (Kind::Interrupted, Vec::new()),
            RemoteError::Failed { said, .. } if is_full(said.as_str()) => {
                (Kind::Remote, hints([MAKE_ROOM]))
            }
            RemoteError::Garbled { .. } | RemoteError::Failed { .. } => (
                Kind::Remote,
                hints([
                    "if a second try fails alike, look at the versions: git version, ccsync --version",
                ]),
            ),
            RemoteError::Process(_) => (Kind::Failed, hints(["check that git runs: git version"])),
        };
        Self::new(kind, error, hints)
    }
}

impl From<LockError> for CliError {
    fn from(error: LockError) -> Self {
        let (kind, hints) = match &error {
            LockError::Busy { .. } => (
                Kind::Busy,
                hints(["run the command again when it has finished"]),
            ),
            LockError::Interrupted(_) => (Kind::Interrupted, Vec::new()),
            LockError::Path(e) => (Kind::Failed, path_hints(e)),
        };
        Self::new(kind, error, hints)
    }
}

impl From<PathError> for CliError {
    fn from(error: PathError) -> Self {
        let hints = path_hints(&error);
        Self::new(Kind::Failed, error, hints)
    }
}

impl From<ProcessError> for CliError {
    fn from(error: ProcessError) -> Self {
        let (kind, hints) = match &error {
            ProcessError::Interrupted(_) => (Kind::Interrupted, Vec::new()),
            ProcessError::NotFound { program } if program == "claude" => (
                Kind::Failed,
                hints(["install Claude Code, so that this works: claude --version"]),
            ),
            _ => (Kind::Failed, Vec::new()),
        };
        Self::new(kind, error, hints)
    }
}

const MAKE_ROOM: &str = "make room, then run the command again: df -h";

/// Whether git, which passes on what the system says, speaks of a disk without room.
fn is_full(words: &str) -> bool {
    words.contains("No space left") || words.contains("quota exceeded")
}

fn path_hints(error: &PathError) -> Vec<String> {
    let directory = error.path.parent().unwrap_or(&error.path).display();
    match error.source.kind() {
        io::ErrorKind::PermissionDenied => vec![format!(
            "look at its owner and permissions: ls -ld {directory}"
        )],
        io::ErrorKind::IsADirectory => {
            let away = free_name(&error.path);
            vec![format!(
                "a file belongs there; move the directory away: {}",
                move_command(&error.path, &away)
            )]
        }
        _ if error.is_full() => vec![format!(
            "make room, then run the command again: df -h {directory}"
        )],
        _ => Vec::new(),
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let hints = match &error {
            StoreError::Newer { .. } => hints(["install a newer ccsync: cargo install ccsync"]),
            StoreError::Io {
                source,
                path,
                action,
            } => path_hints(&PathError::new(
                action,
                path,
                io::Error::from(source.kind()),
            )),
            StoreError::Session { .. } | StoreError::Segment { .. } => {
                hints(["ccsync push, on a machine that has the session"])
            }
            StoreError::Git(e) if is_full(e.message()) => hints([MAKE_ROOM]),
            // The directory is known where the error is shown.
            StoreError::Git(_) | StoreError::Damaged { .. } | StoreError::Object { .. } => {
                Vec::new()
            }
            StoreError::Lock { .. } => hints(["ccsync lock show"]),
            StoreError::TooMany => hints([
                "somebody has put them there: remove them from the remote's branch `main` with git, then run the command again",
            ]),
            StoreError::Malformed { path, .. } => {
                vec![format!(
                    "who wrote it, in the directory that `ccsync status` calls store: git log -p -- {path}"
                )]
            }
        };
        Self::new(Kind::Failed, error, hints)
    }
}

impl From<SessionError> for CliError {
    fn from(error: SessionError) -> Self {
        let hints = match error {
            SessionError::Path(e) => return e.into(),
            SessionError::Journal { .. } => {
                hints(["what that pull replaced lies beside the journal"])
            }
            SessionError::Running { .. } => hints(["leave the client, then run the command again"]),
            SessionError::Link { .. } => {
                hints(["replace the link by what it leads to, then run the command again"])
            }
            SessionError::Changed { .. } => hints(["run the command again"]),
            SessionError::NoPlace { .. } => {
                hints(["a newer ccsync has stored it: update this one"])
            }
        };
        Self::new(Kind::Failed, error, hints)
    }
}

impl From<CloneError> for CliError {
    fn from(error: CloneError) -> Self {
        let hints = match &error {
            CloneError::Path(e) => path_hints(e),
            CloneError::Occupied { directory } => {
                vec![format!(
                    "look at what is there: ls -la {}",
                    shell_word(directory)
                )]
            }
            CloneError::Interrupted(_) => {
                return Self::new(
                    Kind::Interrupted,
                    error,
                    hints(["nothing is left of it; to go on, run the command again"]),
                );
            }
            CloneError::Remote {
                source: RemoteError::GitMissing | RemoteError::GitTooOld { .. },
                ..
            } => hints(["install git 2.34 or later: https://git-scm.com/downloads"]),
            CloneError::Remote { remote, .. } => {
                let remote = sanitize::lines(remote);
                vec![format!(
                    "whether git reaches it: git ls-remote -- {}",
                    shell_word(Path::new(&remote))
                )]
            }
        };
        Self::new(Kind::Failed, error, hints)
    }
}

impl From<SyncError> for CliError {
    fn from(error: SyncError) -> Self {
        let damaged_store = error.is_damaged_store();
        Self {
            damaged_store,
            ..Self::of_sync(error)
        }
    }
}

fn import_hints(error: &SourceError) -> Vec<String> {
    match error {
        SourceError::Ours { .. } => hints(["use it as it is: ccsync init --remote URL"]),
        SourceError::Missing { .. } | SourceError::Unknown { .. } => {
            hints(["what can be imported, and from where: ccsync import --help"])
        }
    }
}

impl CliError {
    fn of_sync(error: SyncError) -> Self {
        let (kind, hints) = match error {
            SyncError::Config(e) => return e.into(),
            SyncError::Remote(e) => return e.into(),
            SyncError::Lock(e) => return e.into(),
            SyncError::Path(e) => return e.into(),
            SyncError::Url(e) => return e.into(),
            SyncError::Store(e) => return e.into(),
            SyncError::Session(e) => return e.into(),
            SyncError::Clone(e) => return e.into(),
            SyncError::ConfigurationLost { .. } => (
                Kind::Failed,
                hints(["with the address of the remote that it had: ccsync init --remote URL"]),
            ),
            SyncError::ForeignStore { ref remote } => {
                let remote = shell_word(Path::new(&*sanitize::one_line(remote)));
                let import = format!(
                    "what is in it can be taken over; nothing in it is changed: ccsync import {remote}"
                );
                (
                    Kind::Failed,
                    vec![
                        import,
                        "a remote of its own for ccsync: ccsync init --remote URL".to_owned(),
                    ],
                )
            }
            SyncError::Import(ref e) => (Kind::Failed, import_hints(e)),
            SyncError::NotSetUp => (Kind::Failed, hints(["ccsync init"])),
            SyncError::Pattern(PatternError::Empty) => {
                (Kind::Usage, hints(["ccsync search \"login form\""]))
            }
            SyncError::Pattern(PatternError::Regex(_)) => (
                Kind::Usage,
                hints(["to search for the text as it stands, leave out --regex"]),
            ),
            SyncError::NoSuchSession { .. }
            | SyncError::AmbiguousName { .. }
            | SyncError::Nowhere { .. } => (Kind::Failed, hints(["ccsync list --remote"])),
            SyncError::Note(_) => (Kind::Usage, hints(["ccsync note \"TEXT\""])),
            SyncError::EmptyStore => (Kind::Failed, hints(["ccsync push"])),
            SyncError::MilestoneExists { .. } => (
                Kind::Failed,
                hints(["choose another name; those there are: ccsync milestone --list"]),
            ),
            SyncError::NoSuchMilestone { .. } => (Kind::Failed, hints(["ccsync milestone --list"])),
            SyncError::NoSuchCommit { .. } | SyncError::AmbiguousCommit { .. } => {
                (Kind::Failed, hints(["ccsync log"]))
            }
            SyncError::NotInCommit { ref session, .. }
            | SyncError::TooEarly { ref session, .. } => (
                Kind::Failed,
                vec![format!("its states: ccsync log {session}")],
            ),
            SyncError::NotRestored { .. } => (Kind::Failed, Vec::new()),
            SyncError::NotHere { ref session } => {
                (Kind::Failed, vec![format!("ccsync pull {session}")])
            }
            SyncError::NothingWhole { ref session } => {
                (Kind::Failed, vec![format!("ccsync verify {session}")])
            }
            SyncError::Inconsistent { .. } | SyncError::Oversized { .. } => (
                Kind::Failed,
                hints(["ccsync push, on a machine that has the session"]),
            ),
            SyncError::NoSuchMachine { .. } => {
                (Kind::Failed, hints(["names and ids: ccsync machine list"]))
            }
            SyncError::NameTaken { .. } => {
                (Kind::Failed, hints(["who has it: ccsync machine list"]))
            }
            SyncError::NotThisMachine { .. } => (
                Kind::Failed,
                hints(["on that machine: ccsync machine rename NAME"]),
            ),
            SyncError::ThisMachine { .. } => (
                Kind::Failed,
                hints(["on another machine: ccsync machine forget NAME"]),
            ),
            SyncError::MachineAtWork { .. } => (
                Kind::Locked,
                hints([
                    "which sessions: ccsync lock show",
                    "if nobody is: ccsync machine forget MACHINE --force",
                ]),
            ),
            SyncError::Contended { .. } | SyncError::ChangedAlready { .. } => {
                (Kind::Failed, hints(["run the command again"]))
            }
            SyncError::Interrupted(_) => (
                Kind::Interrupted,
                hints(["nothing is lost; to go on, run the command again"]),
            ),
        };
        Self::new(kind, error, hints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::signal::Interrupted;
    use crate::transport::remote::{GitSaid, Missing};
    use crate::ui::output::capture::captured;

    fn shown(error: impl Into<CliError>) -> String {
        let error = error.into();
        let (out, err) = captured(|output| error.show(output));
        assert_eq!(out, "");
        format!("{err}exit {}\n", error.exit().code())
    }

    fn path_error(kind: io::ErrorKind) -> PathError {
        PathError::new("write", Path::new("/h/.claude/x"), kind.into())
    }

    fn said() -> GitSaid {
        GitSaid::new("fatal: one\nfatal: two\u{1b}[2J")
    }

    #[test]
    fn error_environment_messages_and_hints() {
        let relative = EnvError::Relative {
            variable: "CCSYNC_HOME",
            path: "x".into(),
        };
        insta::assert_snapshot!(
            [
                shown(EnvError::NoHome { variable: "HOME" }),
                shown(relative)
            ]
            .join("\n")
        );
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
            shown_at(StoreError::TooMany, "/h/store"),
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
            "x".parse::<crate::config::PathsSetting>().unwrap_err(),
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
                said: said(),
            },
            RemoteError::Unreachable {
                remote: remote(),
                why: Missing::Repository,
                said: said(),
            },
            RemoteError::Denied {
                remote: remote(),
                said: said(),
            },
            RemoteError::Rejected {
                remote: remote(),
                reason: "protected branch".to_owned(),
                said: said(),
            },
            RemoteError::GitMissing,
            RemoteError::Interrupted(Interrupted),
            RemoteError::Garbled {
                remote: remote(),
                what: "no refs".to_owned(),
                said: said(),
            },
            RemoteError::Failed {
                command: "push",
                status: "exit status: 3".to_owned(),
                said: GitSaid::new(""),
            },
        ];
        insta::assert_snapshot!(errors.map(shown).join("\n"));
    }

    #[test]
    fn error_url_messages_and_hints() {
        insta::assert_snapshot!([UrlError::Empty, UrlError::Host].map(shown).join("\n"));
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
            CliError::stdout(broken()),
            CliError::terminal(broken()),
            CliError::cancelled(),
            CliError::nobody_to_ask(),
            CliError::current_dir(broken()),
            CliError::not_unicode(Path::new("/x")),
            CliError::unset(Key::Remote),
            CliError::story("the fork is missing"),
            CliError::internal(broken()),
        ];
        insta::assert_snapshot!(errors.map(shown).join("\n"));
    }

    #[test]
    fn error_sync_messages_and_hints() {
        let errors = [
            SyncError::NotSetUp,
            SyncError::Store(StoreError::Newer { found: 2 }),
            SyncError::NoSuchSession {
                session: "a".parse().unwrap(),
            },
            SyncError::AmbiguousName {
                session: "a".parse().unwrap(),
            },
            SyncError::NotHere {
                session: "a".parse().unwrap(),
            },
            SyncError::Nowhere {
                session: "a".parse().unwrap(),
            },
            SyncError::NothingWhole {
                session: "a".parse().unwrap(),
            },
            SyncError::NoSuchMachine {
                name: "x".to_owned(),
                found: 0,
            },
            SyncError::Contended {
                session: "a".parse().unwrap(),
                attempts: 5,
            },
            SyncError::Note(crate::machine::notes::InvalidNote::Empty),
            SyncError::EmptyStore,
            SyncError::MilestoneExists {
                name: "x".parse().unwrap(),
            },
            SyncError::NoSuchMilestone {
                name: "x".parse().unwrap(),
            },
            SyncError::NoSuchCommit {
                commit: "1a2b".to_owned(),
            },
            SyncError::AmbiguousCommit {
                commit: "1a2b".to_owned(),
            },
            SyncError::NotInCommit {
                session: "a".parse().unwrap(),
                commit: "1a2b3c4d5e".repeat(4).parse().unwrap(),
            },
            SyncError::NotRestored {
                session: "a".parse().unwrap(),
                reason: "no place for it".to_owned(),
            },
            SyncError::Interrupted(Interrupted),
        ];
        insta::assert_snapshot!(errors.map(shown).join("\n"));
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
                said: said(),
            }),
            of(RemoteError::Unreachable {
                remote: remote(),
                why: Missing::Repository,
                said: said(),
            }),
            of(RemoteError::GitMissing),
            CloneError::Interrupted(Interrupted),
        ];
        insta::assert_snapshot!(errors.map(|error| shown(SyncError::from(error))).join("\n"));
    }

    #[test]
    fn error_each_kind_has_its_exit_code() {
        let code = |e: CliError| e.exit().code();
        assert_eq!(code(SyncError::NotSetUp.into()), 1);
        assert_eq!(code(UrlError::Empty.into()), 2);
        assert_eq!(code(LockError::Busy { pid: None }.into()), 75);
        assert_eq!(code(SyncError::from(Interrupted).into()), 130);
        assert_eq!(code(CliError::internal(io::Error::other("x"))), 70);
    }
}
