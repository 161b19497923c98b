//! Arguments of `ccsync key`.

use crate::cli::args::JsonFlag;

/// Show, check or change the key of an encrypted store
///
/// With the key, all sessions of the store can be read. Without it, the remote is of no use,
/// not even to you: keep a copy that is not on a computer.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(super) action: KeyAction,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyAction {
    /// Check that the key of this machine opens the store, here and on the remote
    Check {
        /// Do not contact the remote
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Print the key as 24 words, which can be written down
    Words(PrintArgs),
    /// Print the key as 64 hexadecimal digits
    Show(PrintArgs),
    /// Set a passphrase with which other machines can join
    ///
    /// The key is stored in the remote, wrapped with the passphrase. Its host can try
    /// passphrases without limit, so take a long one. Asks twice on a terminal, else reads
    /// one line of standard input.
    Passphrase {
        /// Remove the passphrase from the store
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Give the store a new key, and seal all of it again
    ///
    /// Other machines lose nothing; their next command asks for the new key. With the former
    /// key, a copy of the remote that was made before can still be read.
    Rotate {
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct PrintArgs {
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(super) yes: bool,
}
