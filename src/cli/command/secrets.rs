//! `ccsync secrets`: lists the secrets that were found, and decides about them.

use serde::Serialize;

use crate::browse::secrets::{SecretRow, SecretStatus, secrets, stored_secrets};
use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::secrets::SecretDecision;
use crate::ui::{Cell, HEADING, Table, format::short_id, sanitize::one_line};
use crate::workspace::secret_decision::decide_about_secrets;

/// List the secrets in your sessions, and decide about them
///
/// A password or key that ccsync finds becomes a placeholder in the store. Its value stays
/// on this machine. The setting `secrets` changes that.
#[derive(Debug, clap::Args)]
pub(crate) struct SecretsArgs {
    #[command(subcommand)]
    action: SecretsAction,
}

#[derive(Debug, clap::Subcommand)]
enum SecretsAction {
    /// List the secrets that were found, without their values
    List {
        /// Also read the whole store, and list secrets in it that are not masked
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Store a secret as it is from now on
    Allow(DecisionArgs),
    /// Mask a secret from now on, whatever the setting `secrets` says
    Mask(DecisionArgs),
    /// Do not take a text for a secret
    Ignore(DecisionArgs),
}

#[derive(Debug, clap::Args)]
struct DecisionArgs {
    /// Id of a secret, or its beginning
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: each secret has the fields of `SecretRow`.
#[derive(Serialize)]
struct SecretsDocument {
    secrets: Vec<SecretRow>,
}

/// JSON document.
#[derive(Serialize)]
struct DecisionDocument {
    decision: SecretDecision,
    /// Ids of the secrets.
    ids: Vec<String>,
}

pub(in crate::cli) fn run(args: &SecretsArgs, app: &mut App) -> Result<Exit, CliError> {
    match &args.action {
        SecretsAction::List { all, json } => list(*all, json.json, app),
        SecretsAction::Allow(args) => decide(args, SecretDecision::Allow, app),
        SecretsAction::Mask(args) => decide(args, SecretDecision::Mask, app),
        SecretsAction::Ignore(args) => decide(args, SecretDecision::Ignore, app),
    }
}

fn list(all: bool, json: bool, app: &mut App) -> Result<Exit, CliError> {
    let mut rows = secrets(&app.context()?)?;
    if all {
        rows.extend(stored_secrets(&app.context()?)?);
    }
    if json {
        app.print_json("secrets list", &SecretsDocument { secrets: rows })?;
    } else if rows.is_empty() {
        app.out.note("no secrets");
    } else {
        let lines = table(&rows).lines(app.out.width());
        app.print(&lines)?;
    }
    Ok(Exit::Done)
}

fn table(rows: &[SecretRow]) -> Table {
    let mut table = Table::new(0, 5);
    let heading = |text: &str| Cell::new(text).style(HEADING);
    table.row(["id", "form", "status", "session", "turn", "text"].map(heading));
    for row in rows {
        let session = row.session.as_ref().map(|id| short_id(id.as_str()));
        let turn = row.turn.map_or_else(
            || format!("{}:{}", row.file, row.line),
            |turn| turn.to_string(),
        );
        table.row([
            Cell::new(&row.id),
            Cell::new(&row.form),
            Cell::new(status(row.status)),
            Cell::new(session.unwrap_or_default()),
            Cell::new(one_line(&turn)),
            Cell::new(one_line(&row.excerpt)),
        ]);
    }
    table
}

fn status(status: SecretStatus) -> &'static str {
    match status {
        SecretStatus::Masked => "masked",
        SecretStatus::Held => "held",
        SecretStatus::Reported => "stored",
        SecretStatus::Allowed => "allowed",
        SecretStatus::InStore => "in store",
    }
}

fn decide(args: &DecisionArgs, decision: SecretDecision, app: &mut App) -> Result<Exit, CliError> {
    let names = decide_about_secrets(&app.context()?, &args.ids, decision)?;
    let ids = names.iter().map(|name| name.id().to_owned()).collect();
    if args.json.json {
        app.print_json("secrets", &DecisionDocument { decision, ids })?;
        return Ok(Exit::Done);
    }
    let what = match decision {
        SecretDecision::Allow => "stored unmasked from now on",
        SecretDecision::Mask => "masked from now on",
        SecretDecision::Ignore => "no secret",
    };
    let lines = names
        .iter()
        .map(|name| format!("{} {}: {what}", name.form(), name.id()));
    app.print(&lines.collect::<Vec<_>>())?;
    Ok(Exit::Done)
}
