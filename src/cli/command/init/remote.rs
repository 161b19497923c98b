//! Chooses the remote: an address that was given, a repository on GitHub, or an answer.
//!
//! A repository is used only if it has sessions or is empty. One that others can read needs two
//! confirmations.

use super::args::InitArgs;
use super::directory;
use super::error::InitError;
use crate::cli::{app::App, app::current_dir, ask, error::CliError, error::CommandError};
use crate::domain::{UserError as _, url::RemoteUrl};
use crate::machine::set_up::lost_configuration;
use crate::transport::{
    RemoteError, github::Account, github::DEFAULT_NAME, github::GitHub, github::GitHubError,
    github::Repository, github::RepositoryName, github::Visibility, remote::Missing,
};
use crate::ui::sanitize::one_line;
use crate::workspace::SyncError;

/// The chosen remote.
#[derive(Default)]
pub(super) struct Chosen {
    /// `None`: the configured one, or the repository on this disk.
    pub(super) remote: Option<RemoteUrl>,
    /// Git must connect without a prompt: if `gh` gave the address, the user does not
    /// know the password that git would ask for.
    pub(super) without_questions: bool,
    /// The repository, if `gh` knows it.
    pub(super) repository: Option<ChosenRepository>,
    /// The store here is of another remote, and goes to this disk all the same.
    pub(super) leaves_former_remote: bool,
}

/// A repository on GitHub.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChosenRepository {
    /// `OWNER/NAME`, not sanitized.
    pub(super) name: String,
    pub(super) host: String,
    pub(super) visibility: Visibility,
    /// This command created it.
    pub(super) created: bool,
    is_https: bool,
}

impl Chosen {
    /// Adds hints to the error of a git that cannot reach a repository that `gh` knows.
    pub(super) fn explain(&self, error: SyncError) -> CliError {
        let no_way_in = matches!(
            error,
            SyncError::Remote(
                RemoteError::Denied { .. }
                    | RemoteError::Unreachable {
                        why: Missing::Repository,
                        ..
                    }
            )
        );
        let Some(repository) = self.repository.as_ref().filter(|_| no_way_in) else {
            return error.into();
        };
        let host = one_line(&repository.host);
        let mut hints = if repository.is_https {
            vec!["let git use the account of `gh`: `gh auth setup-git`".to_owned()]
        } else {
            vec![
                format!("git must be able to connect by ssh: `ssh -T git@{host}`"),
                format!(
                    "or use https: `gh config set --host {host} git_protocol https && gh auth setup-git`"
                ),
            ]
        };
        let name = one_line(&repository.name);
        hints.push(format!("then run `ccsync init --github {host}/{name}`"));
        CliError::from(error).with_hints(hints)
    }
}

/// Chooses the remote by the arguments, or asks for it.
///
/// # Errors
/// [`InitError`]; errors of `gh` only if `--github` was given.
pub(super) fn choose(args: &InitArgs, app: &mut App) -> Result<Chosen, CliError> {
    if let Some(remote) = &args.remote {
        return use_address(parse_remote(remote)?, args, app);
    }
    if let Some(name) = &args.github {
        return choose_on_github(name.as_ref(), args, app);
    }
    if args.may_ask(app) && is_missing(args, app)? {
        ask_for_remote(args, app)
    } else {
        Ok(Chosen::default())
    }
}

/// Returns true if the remote must be asked for: none is configured, and no other change was
/// requested.
fn is_missing(args: &InitArgs, app: &App) -> Result<bool, CliError> {
    let changes = args.name.is_some() || !args.add_placeholder.is_empty() || args.new_id;
    Ok(!app.is_set_up()? || (!changes && app.config()?.remote.is_none()))
}

/// Uses an address, which may be the address of a repository that `gh` knows.
fn use_address(remote: RemoteUrl, args: &InitArgs, app: &App) -> Result<Chosen, CliError> {
    args.keep_answers(Some(&remote), app)?;
    directory::prepare(&remote, args, app)?;
    let found = if args.no_github {
        None
    } else {
        GitHub::look_up(&remote)
    };
    let repository = match found {
        None => None,
        Some(repository) => {
            permit(&repository, args, app)?;
            Some(ChosenRepository::new(&repository, &remote, false))
        }
    };
    Ok(Chosen {
        remote: Some(remote),
        repository,
        ..Chosen::default()
    })
}

/// Finds or creates the repository with this name. Without a name, a repository that has
/// sessions is used, whatever its name is.
fn choose_on_github(
    wanted: Option<&RepositoryName>,
    args: &InitArgs,
    app: &App,
) -> Result<Chosen, CliError> {
    let github = GitHub::new(wanted.and_then(|wanted| wanted.host.clone()));
    let name = wanted.map_or(DEFAULT_NAME, |wanted| wanted.name.as_str());
    if let Some(owner) = wanted.and_then(|wanted| wanted.owner.as_deref()) {
        return match github.repository(owner, name)? {
            Some(repository) => use_repository(&github, &repository, args, app),
            None => create_repository(&github, owner, name),
        };
    }
    let account = github.account(name)?;
    match (&account.named, account.stores.as_slice()) {
        (Some(named), _) if wanted.is_some() || named.is_store => {
            use_repository(&github, named, args, app)
        }
        (None, _) if wanted.is_some() => create_repository(&github, &account.login, name),
        (_, [store]) => use_repository(&github, store, args, app),
        (_, stores @ [_, _, ..]) => {
            Err(InitError::Several(stores.iter().map(|store| store.name.clone()).collect()).into())
        }
        (Some(named), []) => use_repository(&github, named, args, app),
        (None, []) => create_repository(&github, &account.login, name),
    }
}

fn create_repository(github: &GitHub, owner: &str, name: &str) -> Result<Chosen, CliError> {
    let repository = github.create(owner, name)?;
    if repository.visibility != Visibility::Private {
        return Err(InitError::Open {
            name: repository.name,
            visibility: repository.visibility,
        }
        .into());
    }
    Ok(chosen(github, &repository, true))
}

fn use_repository(
    github: &GitHub,
    repository: &Repository,
    args: &InitArgs,
    app: &App,
) -> Result<Chosen, CliError> {
    let name = || repository.name.clone();
    if !repository.is_store && !repository.is_empty {
        return Err(InitError::NotAStore(name()).into());
    }
    if !repository.can_push {
        return Err(InitError::ReadOnly(name()).into());
    }
    permit(repository, args, app)?;
    Ok(chosen(github, repository, false))
}

fn chosen(github: &GitHub, repository: &Repository, created: bool) -> Chosen {
    let remote = github.address(repository).clone();
    let chosen = ChosenRepository::new(repository, &remote, created);
    Chosen {
        without_questions: chosen.is_https,
        repository: Some(chosen),
        remote: Some(remote),
        ..Chosen::default()
    }
}

impl ChosenRepository {
    fn new(repository: &Repository, remote: &RemoteUrl, created: bool) -> Self {
        Self {
            name: repository.name.clone(),
            host: repository.host.clone(),
            visibility: repository.visibility,
            created,
            is_https: remote.as_git_argument().starts_with("http"),
        }
    }
}

/// Refuses a repository that others can read, unless the user confirms it twice.
fn permit(repository: &Repository, args: &InitArgs, app: &App) -> Result<(), CliError> {
    let refused = || InitError::Open {
        name: repository.name.clone(),
        visibility: repository.visibility,
    };
    if repository.visibility == Visibility::Private || args.allow_public && args.yes {
        return Ok(());
    }
    if !args.allow_public || !args.may_ask(app) {
        return Err(refused().into());
    }
    let question = format!(
        "{} is {}: others can read every session in it. To use it, type yes",
        one_line(&repository.name),
        repository.visibility
    );
    if ask::confirm_in_words(&question)? {
        return Ok(());
    }
    let unused = format!(
        "nothing was set up; {} is not used",
        one_line(&repository.name)
    );
    Err(CommandError::Declined(unused).into())
}

/// Refuses an address if `gh` says that others can read the repository.
///
/// # Errors
/// [`InitError::Open`].
pub(in crate::cli) fn refuse_open(remote: &RemoteUrl) -> Result<(), CliError> {
    match GitHub::look_up(remote) {
        Some(Repository {
            name, visibility, ..
        }) if visibility != Visibility::Private => Err(InitError::Open { name, visibility }.into()),
        _ => Ok(()),
    }
}

/// One of the offered answers.
enum RemoteChoice<'a> {
    Take(&'a Repository),
    Make,
    MakeOther,
    Address,
    ThisDisk,
}

fn ask_for_remote(args: &InitArgs, app: &mut App) -> Result<Chosen, CliError> {
    let github = GitHub::new(None);
    let account = if args.no_github {
        Err(GitHubError::Missing)
    } else {
        github.account(DEFAULT_NAME)
    };
    match account {
        Ok(account) => ask_with(&github, &account, args, app),
        Err(GitHubError::Interrupted(_)) => Err(CommandError::Cancelled.into()),
        Err(error) => {
            match &error {
                GitHubError::Missing => {}
                GitHubError::NotSignedIn { .. } => {
                    app.out.hint("to find or create the repository on GitHub: `gh auth login`, then `ccsync init`");
                }
                error => app
                    .out
                    .note(&format!("GitHub skipped: {}", one_line(&error.to_string()))),
            }
            ask_address(args, app)
        }
    }
}

fn ask_with(
    github: &GitHub,
    account: &Account,
    args: &InitArgs,
    app: &App,
) -> Result<Chosen, CliError> {
    let choices = choices(account);
    let texts: Vec<String> = choices.iter().map(|choice| choice.text(account)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let choice = &choices[ask::choose("Where your sessions go", &texts)?];
    if !matches!(choice, RemoteChoice::ThisDisk | RemoteChoice::Address) {
        // The user has decided, but it may fail.
        args.keep_answers(None, app)?;
    }
    match choice {
        RemoteChoice::Take(repository) => use_repository(github, repository, args, app),
        RemoteChoice::Make => create_repository(github, &account.login, DEFAULT_NAME),
        RemoteChoice::MakeOther => choose_on_github(Some(&ask_name()?), args, app),
        RemoteChoice::Address => ask_address(args, app),
        RemoteChoice::ThisDisk => this_disk(app),
    }
}

/// Returns the answers, the most likely first: a store with the usual name, other stores, a new
/// repository.
fn choices(account: &Account) -> Vec<RemoteChoice<'_>> {
    let named = account.named.as_ref();
    let mut choices: Vec<RemoteChoice<'_>> = named
        .filter(|named| named.is_store)
        .map(RemoteChoice::Take)
        .into_iter()
        .collect();
    let others = account
        .stores
        .iter()
        .filter(|store| named.is_none_or(|named| named.name != store.name));
    choices.extend(others.map(RemoteChoice::Take));
    choices.push(match named {
        None => RemoteChoice::Make,
        Some(named) if named.is_empty && !named.is_store => RemoteChoice::Take(named),
        Some(_) => RemoteChoice::MakeOther,
    });
    choices.extend([RemoteChoice::Address, RemoteChoice::ThisDisk]);
    choices
}

impl RemoteChoice<'_> {
    fn text(&self, account: &Account) -> String {
        match self {
            Self::Take(repository) => {
                let state = if repository.is_store {
                    "has sessions"
                } else {
                    "empty"
                };
                format!(
                    "{} on {}, {}, {state}",
                    one_line(&repository.name),
                    one_line(&repository.host),
                    repository.visibility
                )
            }
            Self::Make => format!(
                "a new private repository on GitHub: {}/{DEFAULT_NAME}",
                one_line(&account.login)
            ),
            Self::MakeOther => "a new private repository on GitHub".to_owned(),
            Self::Address => "another git repository, by its address".to_owned(),
            Self::ThisDisk => "only this disk, for now".to_owned(),
        }
    }
}

fn ask_name() -> Result<RepositoryName, CliError> {
    let answer = ask::line("Name of the repository")?;
    if answer.is_empty() {
        return Err(CommandError::Declined("nothing was set up".to_owned()).into());
    }
    Ok(answer.parse().map_err(InitError::Name)?)
}

fn ask_address(args: &InitArgs, app: &App) -> Result<Chosen, CliError> {
    let question =
        "Private git repository for your sessions (URL or path; empty: only on this disk)";
    let answer = ask::line(question)?;
    if answer.is_empty() {
        this_disk(app)
    } else {
        use_address(parse_remote(&answer)?, args, app)
    }
}

/// Chooses the repository on this disk. If the store here is of another remote, asks first.
fn this_disk(app: &App) -> Result<Chosen, CliError> {
    let Some(lost) = lost_configuration(&app.env) else {
        return Ok(Chosen::default());
    };
    let lost_text = lost.to_string();
    let question = format!(
        "{}. Keep its sessions on this disk only?",
        one_line(&lost_text)
    );
    if !app.is_set_up()? && !ask::confirm(&question)? {
        let stays = format!("nothing was set up; {}", lost.hints().join("; "));
        return Err(CommandError::Declined(stays).into());
    }
    Ok(Chosen {
        leaves_former_remote: true,
        ..Chosen::default()
    })
}

pub(super) fn parse_remote(text: &str) -> Result<RemoteUrl, CliError> {
    Ok(RemoteUrl::parse(text, &current_dir()?)?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn chosen_repository() -> ChosenRepository {
        ChosenRepository {
            name: "al/claude-sessions".to_owned(),
            host: "github.com".to_owned(),
            visibility: Visibility::Private,
            created: true,
            is_https: true,
        }
    }
}
