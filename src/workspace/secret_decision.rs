//! Decisions of the user about single secrets.

use crate::domain::{ErrorKind, SecretName, UserError};
use crate::secrets::SecretDecision;
use crate::workspace::{Context, SyncError, Workspace};

/// Error: an id names no secret.
#[derive(Debug, thiserror::Error)]
#[error("no secret with the id `{0}`")]
struct UnknownSecret(String);

impl UserError for UnknownSecret {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["list the secrets with `ccsync secrets list --all`".to_owned()]
    }
}

/// Decides about the secrets whose ids begin with `ids`. Returns their names.
///
/// # Errors
/// [`SyncError`] if an id names no secret, or more than one; then nothing is decided.
pub fn decide_about_secrets(
    ctx: &Context<'_>,
    ids: &[String],
    decision: SecretDecision,
) -> Result<Vec<SecretName>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let Some(secrets) = workspace.localizer.secrets() else {
        return Ok(Vec::new());
    };
    let known = secrets.vault().secrets();
    let find = |id: &String| {
        let mut matching = known
            .iter()
            .filter(|secret| secret.name.id().starts_with(id));
        match (matching.next(), matching.next()) {
            (Some(secret), None) if !id.is_empty() => Ok(secret.name.clone()),
            _ => Err(SyncError::Operation(Box::new(UnknownSecret(id.clone())))),
        }
    };
    let names = ids.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    for name in &names {
        secrets.vault().decide(name, decision);
    }
    secrets.vault().save()?;
    Ok(names)
}
