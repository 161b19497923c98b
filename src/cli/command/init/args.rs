//! Arguments of `ccsync init`.

use std::path::PathBuf;

use crate::cli::{app::App, args::JsonFlag, args::PlaceholderArg};
use crate::machine::join_encrypted::EncryptionChoice;
use crate::transport::github::RepositoryName;
use clap::ValueHint;

/// Set up this machine, or change its remote, name or id
///
/// On a terminal, asks where your sessions should go. If GitHub's `gh` is signed in,
/// offers the repository that your other machines use, or a new private one. Without a
/// remote, sessions are kept in a repository on this disk, and a remote that you add
/// later gets them.
///
/// Uses what other machines have: if another machine has this name, a number is appended.
/// Each of their placeholders gets the directory here that is at the same path below the
/// home directory, at the same path, or of the same name in the home directory.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct InitArgs {
    /// The remote: a private git repository, or a directory on a shared disk
    #[arg(long, value_name = "URL|PATH", value_hint = ValueHint::AnyPath)]
    pub(super) remote: Option<String>,
    /// Use a repository on GitHub through `gh`: one that has sessions, an empty one, or a
    /// new private one [default: the one that has your sessions, or claude-sessions]
    #[arg(long, value_name = "[HOST/][OWNER/]NAME", num_args = 0..=1, conflicts_with_all = ["remote", "no_github"])]
    pub(super) github: Option<Option<RepositoryName>>,
    /// Do not ask GitHub
    #[arg(long)]
    pub(super) no_github: bool,
    /// Accept a repository that others can read; asks for confirmation, unless --yes is
    /// given
    #[arg(long)]
    pub(super) allow_public: bool,
    /// Encrypt a new store: the remote sees no text, path or name; makes a key, which other
    /// machines need
    #[arg(long)]
    pub(super) encrypt: bool,
    /// Do not encrypt a new store, and do not ask
    #[arg(long, conflicts_with = "encrypt")]
    pub(super) no_encrypt: bool,
    /// File with the key of an encrypted store: 24 words, or 64 hexadecimal digits
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) key_file: Option<PathBuf>,
    /// Name of this machine [default: the host name]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Give a directory a placeholder, so that it can be elsewhere on other machines; can
    /// be repeated
    #[arg(long, value_name = "NAME=PATH")]
    pub(super) add_placeholder: Vec<PlaceholderArg>,
    /// Give this machine a new id, because its configuration was copied from a machine
    /// that is still in use
    #[arg(long)]
    pub(super) new_id: bool,
    /// Sync by itself from now on, as `ccsync auto on`
    #[arg(long, conflicts_with_all = ["no_auto", "json"])]
    pub(super) auto: bool,
    /// Do not ask whether to sync by itself
    #[arg(long)]
    pub(super) no_auto: bool,
    /// Ask nothing; use the placeholders of other machines whose directories exist here, and
    /// accept missing directories of --add-placeholder
    #[arg(long, short)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) json: JsonFlag,
}

impl InitArgs {
    /// Returns the choice that was made, if any.
    pub(super) fn encryption(&self) -> EncryptionChoice {
        match (self.encrypt, self.no_encrypt) {
            (true, _) => EncryptionChoice::Encrypted,
            (_, true) => EncryptionChoice::Plain,
            _ => EncryptionChoice::AsRemote,
        }
    }

    /// Returns true if questions may be asked.
    pub(super) fn may_ask(&self, app: &App) -> bool {
        !self.yes && !self.json.json && app.is_interactive()
    }
}
