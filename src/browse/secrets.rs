//! Lists secrets: those that this machine has found, and those that the store holds unmasked.

use serde::Serialize;

use crate::config::SecretsMode;
use crate::domain::{SecretName, SessionFile, SessionId};
use crate::localize::{LocalText, StoredText, stored_text::text_kind};
use crate::secrets::{
    FindingKind, KnownSecret, Scanner, SecretDecision, SecretPlace, Secrets, excerpt, form_name,
};
use crate::session::{discover::find_session_here, turns::count_user_turns};
use crate::store::segment::offset_after_lines;
use crate::workspace::{Context, SyncError, Workspace, store_remote::secrets_mode};

/// One place of a secret. It never contains the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretRow {
    /// Id, for decisions.
    pub id: String,
    /// Form, such as `github-token`.
    pub form: String,
    /// The form in words.
    pub name: String,
    /// Its treatment.
    pub status: SecretStatus,
    /// Session that it was found in.
    pub session: Option<SessionId>,
    /// Number of the user's turn in the session, if it is in the transcript.
    pub turn: Option<u64>,
    /// File of the session or of the extras.
    pub file: String,
    /// Line in the file, from 1.
    pub line: u64,
    /// The text around it.
    pub excerpt: String,
}

/// Treatment of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretStatus {
    /// It is a placeholder in the store.
    Masked,
    /// It keeps its session from being stored.
    Held,
    /// It is stored, and reported.
    Reported,
    /// It may be stored, by a decision.
    Allowed,
    /// The store holds it.
    InStore,
}

/// Lists the secrets that were found in what this machine has stored. Ignored ones are excluded.
pub fn secrets(ctx: &Context<'_>) -> Result<Vec<SecretRow>, SyncError> {
    let mode = secrets_mode(ctx.env, &ctx.settings)?;
    let secrets = Secrets::open(&ctx.env.dirs.state, mode)?;
    let mut rows = Vec::new();
    for secret in secrets.vault().secrets() {
        let Some(status) = status(&secret, mode) else {
            continue;
        };
        for place in &secret.places {
            let turn = turn(ctx, place);
            rows.push(SecretRow::new(&secret.name, status, place.clone(), turn));
        }
    }
    rows.sort_by(|a, b| (&a.session, &a.file, a.line).cmp(&(&b.session, &b.file, b.line)));
    Ok(rows)
}

/// Lists the secrets that the sessions in the store hold unmasked. They get ids, so that they can
/// be masked from now on.
pub fn stored_secrets(ctx: &Context<'_>) -> Result<Vec<SecretRow>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let mode = secrets_mode(ctx.env, &ctx.settings)?;
    let secrets = Secrets::open(&ctx.env.dirs.state, mode)?;
    let snapshot = workspace.store.head_snapshot()?;
    let scanner = Scanner::new();
    let mut rows = Vec::new();
    for id in snapshot.sessions()?.keys() {
        // An unreadable session is named by `verify`.
        let Ok(Some(manifest)) = snapshot.manifest(id) else {
            continue;
        };
        for (file, _) in manifest.all_files() {
            let Some(stored) = StoredText::new(&snapshot, &manifest, &file) else {
                continue;
            };
            let mut line = 1;
            let walked = stored.walk(0, &mut |piece| {
                let found = scanner.scan(piece.text, text_kind(&file));
                for finding in found {
                    let FindingKind::Value(form) = finding.kind else {
                        continue;
                    };
                    let value = &piece.text[finding.range.clone()];
                    let Some(name) = secrets.vault().name(form, value) else {
                        continue;
                    };
                    if secrets.vault().decision(&name) == Some(SecretDecision::Ignore) {
                        continue;
                    }
                    secrets.vault().insert(&name, value);
                    let before = &piece.text[..finding.range.start];
                    let place = SecretPlace {
                        session: Some(id.clone()),
                        file: file.key().to_owned(),
                        line: line + memchr::memchr_iter(b'\n', before).count() as u64,
                        excerpt: excerpt(piece.text, &finding.range, &[]),
                    };
                    rows.push(SecretRow::new(&name, SecretStatus::InStore, place, None));
                }
                line += piece.lines;
                Ok(true)
            });
            drop(walked);
        }
    }
    secrets.vault().save()?;
    Ok(rows)
}

impl SecretRow {
    fn new(name: &SecretName, status: SecretStatus, place: SecretPlace, turn: Option<u64>) -> Self {
        Self {
            id: name.id().to_owned(),
            form: name.form().to_owned(),
            name: form_name(name.form()).to_owned(),
            status,
            session: place.session,
            turn,
            file: place.file,
            line: place.line,
            excerpt: place.excerpt,
        }
    }
}

fn status(secret: &KnownSecret, mode: SecretsMode) -> Option<SecretStatus> {
    match (secret.decision, mode) {
        (Some(SecretDecision::Ignore), _) => None,
        (Some(SecretDecision::Allow), _) => Some(SecretStatus::Allowed),
        (Some(SecretDecision::Mask), _) | (None, SecretsMode::Mask | SecretsMode::Off) => {
            Some(SecretStatus::Masked)
        }
        (None, SecretsMode::Hold) => Some(SecretStatus::Held),
        (None, SecretsMode::Warn) => Some(SecretStatus::Reported),
    }
}

/// Returns the number of the turn that a line of a transcript belongs to, if the transcript is
/// here.
fn turn(ctx: &Context<'_>, place: &SecretPlace) -> Option<u64> {
    let id = place.session.as_ref()?;
    if place.file != SessionFile::Transcript.key() {
        return None;
    }
    let session = find_session_here(&ctx.env.claude_dir, id)?;
    let len = session.files.get(&SessionFile::Transcript)?.len;
    let mut left = place.line as usize;
    let mut turns = 0;
    let text = LocalText::open(&session.transcript_path(), 0, len).ok()?;
    let read = text.each_piece(|piece| {
        let lines = &piece[..offset_after_lines(piece, left)];
        left -= memchr::memchr_iter(b'\n', lines).count().min(left);
        turns += count_user_turns(lines);
        Ok(())
    });
    read.ok().map(|()| turns)
}
