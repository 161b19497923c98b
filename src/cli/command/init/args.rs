//! Arguments of `ccsync init`.

use crate::cli::app::App;
use crate::cli::args::{JsonFlag, PlaceholderArg};
use crate::transport::github::RepositoryName;

/// Set up this machine: once, and again to change something
///
/// On a terminal, asks where the sessions go. With GitHub's `gh` signed in, it finds the repository that another machine of yours uses, or
/// makes a private one. Without a remote, sessions are kept in a repository on this disk; a remote named later takes them over.
///
/// Takes over what other machines have: a name that one of them has gets a number, and a placeholder of theirs is given the directory
/// here that is at the same path below the home directory, at the same path, or of the same name in the home directory.
#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// Where the sessions go: a private git repository of yours, or a directory on a shared disk
    #[arg(long, value_name = "URL|PATH")]
    pub(super) remote: Option<String>,
    /// Use a repository on GitHub, through `gh`: one that holds sessions, or an empty one, or a new private one
    /// [default: claude-sessions, or the one of yours that holds sessions]
    #[arg(long, value_name = "[HOST/][OWNER/]NAME", num_args = 0..=1, conflicts_with_all = ["remote", "no_github"])]
    pub(super) github: Option<Option<RepositoryName>>,
    /// Ask GitHub nothing
    #[arg(long)]
    pub(super) no_github: bool,
    /// Also a repository that others can read; asks once more, unless --yes is given
    #[arg(long)]
    pub(super) allow_public: bool,
    /// What this machine is called in lists [default: the host name]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Give a directory a placeholder, so that it may lie elsewhere on other machines; may be repeated
    #[arg(long, value_name = "NAME=PATH")]
    pub(super) add_placeholder: Vec<PlaceholderArg>,
    /// Give this machine a new id: its configuration was copied from another one that is still in use
    #[arg(long)]
    pub(super) new_id: bool,
    /// Ask nothing; take over the placeholders of other machines whose directories are found here
    #[arg(long, short)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) json: JsonFlag,
}

impl InitArgs {
    /// Returns true if questions may be asked.
    pub(super) fn may_ask(&self, app: &App) -> bool {
        !self.yes && !self.json.json && app.is_interactive()
    }
}
