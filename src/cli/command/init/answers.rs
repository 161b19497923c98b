//! The answers of an `init` that failed: the next one uses them, until one succeeds.

use super::args::InitArgs;
use super::remote::parse_remote;
use crate::cli::{app::App, app::current_dir, args::PlaceholderArg, error::CliError, exit::Exit};
use crate::domain::url::{RemoteUrl, redact};
use crate::machine::unfinished_set_up::UnfinishedSetUp;
use crate::ui::sanitize::one_line;

impl InitArgs {
    /// Adds what an `init` that failed was given.
    pub(super) fn with_kept_answers(&self, app: &mut App) -> Self {
        let mut args = self.clone();
        let Some(kept) = UnfinishedSetUp::load(&app.env) else {
            return args;
        };
        if args.remote.is_none() && args.github.is_none() {
            // On a terminal, an invalid address and the repository on GitHub are asked for again.
            let is_good = |text: &String| !args.may_ask(app) || parse_remote(text).is_ok();
            args.remote = kept.remote.filter(is_good);
            let github = kept
                .github
                .filter(|_| !args.may_ask(app) && !args.no_github);
            args.github = github.map(|name| name.parse().ok());
            args.no_github |= kept.no_github;
        }
        args.encrypt |= kept.encrypt && !args.no_encrypt;
        args.name = args.name.or(kept.name);
        args.new_id |= kept.new_id;
        let kept = kept.placeholders.into_iter();
        let kept = kept.map(|(name, path)| PlaceholderArg::new(name, path));
        args.add_placeholder = kept.chain(args.add_placeholder).collect();
        if let (Some(remote), None) = (&args.remote, &self.remote) {
            let remote = redact(remote);
            app.out.note(&format!(
                "the remote is {}, as given before; for another one: `ccsync init --remote URL`",
                one_line(&remote)
            ));
        }
        args
    }

    /// Returns true if an answer was given as an option.
    pub(super) fn has_answers(&self) -> bool {
        let where_to = self.remote.is_some() || self.github.is_some();
        where_to
            || self.encrypt
            || self.name.is_some()
            || self.new_id
            || !self.add_placeholder.is_empty()
    }

    /// Keeps the answers, with the chosen remote, until a set-up succeeds.
    pub(super) fn keep_answers(
        &self,
        chosen: Option<&RemoteUrl>,
        app: &App,
    ) -> Result<(), CliError> {
        let cwd = current_dir()?;
        let given = self.remote.as_ref().map(|text| match parse_remote(text) {
            Ok(remote) => remote.as_git_argument().to_owned(),
            Err(_) => text.clone(),
        });
        let remote = chosen.map(|remote| remote.as_git_argument().to_owned());
        let remote = remote.or(given);
        let github = self.github.as_ref().filter(|_| remote.is_none());
        let name = |name: &Option<_>| name.as_ref().map(ToString::to_string).unwrap_or_default();
        let placeholders = self.add_placeholder.iter();
        let kept = UnfinishedSetUp {
            github: github.map(name),
            remote,
            no_github: self.no_github,
            encrypt: self.encrypt,
            name: self.name.clone(),
            placeholders: placeholders
                .map(|given| (given.name.clone(), given.directory(&app.env.home, &cwd)))
                .collect(),
            new_id: self.new_id,
        };
        kept.save(&app.env);
        Ok(())
    }
}

/// Adds to the error of an `init` that its answers are kept. After a "no", where the sessions go
/// is asked again.
pub(super) fn explain(error: CliError, args: &InitArgs, app: &App) -> CliError {
    let Some(kept) = UnfinishedSetUp::load(&app.env) else {
        return error;
    };
    match error.exit() {
        Exit::Failed if kept != UnfinishedSetUp::default() => {
            error.with_hint("what you gave is kept; to try again: `ccsync init`")
        }
        // A "no", or the end of the questions.
        Exit::Done | Exit::Interrupted if args.may_ask(app) => {
            let undecided = UnfinishedSetUp {
                remote: None,
                github: None,
                ..kept
            };
            undecided.save(&app.env);
            error
        }
        _ => error,
    }
}
