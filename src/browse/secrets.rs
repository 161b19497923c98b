//! Lists secrets: those that this machine has found, and those that the store holds unmasked.

use serde::Serialize;

use crate::config::SecretsMode;
use crate::domain::{ProjectKey, SecretName, SessionFile, SessionId};
use crate::localize::{LocalText, StoredText, stored_text::text_kind};
use crate::rewrite::TextKind;
use crate::secrets::{
    FindingKind, SecretDecision, SecretPlace, SecretSource, Secrets, excerpt, form_name,
};
use crate::session::{discover::find_session_here, turns::count_user_turns};
use crate::store::{Snapshot, segment::offset_after_lines};
use crate::workspace::{Context, SyncError, Workspace};

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
    let secrets = Secrets::open(ctx.env, ctx.settings.secrets)?;
    let mut rows = Vec::new();
    for secret in secrets.vault().secrets() {
        for place in &secret.places {
            let mode = place.mode.unwrap_or(ctx.settings.secrets);
            let Some(status) = status(secret.decision, mode) else {
                continue;
            };
            let turn = turn(ctx, place);
            rows.push(SecretRow::new(&secret.name, status, place.clone(), turn));
        }
    }
    rows.sort_by(|a, b| (&a.session, &a.file, a.line).cmp(&(&b.session, &b.file, b.line)));
    Ok(rows)
}

/// Lists the secrets that the store holds unmasked. They get ids, so that they can be masked from
/// now on.
pub fn stored_secrets(ctx: &Context<'_>) -> Result<Vec<SecretRow>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let secrets = Secrets::open(ctx.env, ctx.settings.secrets)?;
    let snapshot = workspace.store.head_snapshot()?;
    let mut rows = StoredRows {
        secrets: &secrets,
        rows: Vec::new(),
    };
    rows.add_sessions(&snapshot)?;
    rows.add_extras(&snapshot)?;
    rows.add_records(&snapshot)?;

    secrets.vault().save()?;
    Ok(rows.rows)
}

/// The secrets that were found in the store so far.
struct StoredRows<'s> {
    secrets: &'s Secrets,
    rows: Vec<SecretRow>,
}

impl StoredRows<'_> {
    fn add_sessions(&mut self, snapshot: &Snapshot<'_>) -> Result<(), SyncError> {
        for id in snapshot.sessions()?.keys() {
            // An unreadable session is named by `verify`.
            let Ok(Some(manifest)) = snapshot.manifest(id) else {
                continue;
            };
            for (file, _) in manifest.all_files() {
                let Some(stored) = StoredText::new(snapshot, &manifest, &file) else {
                    continue;
                };
                let mut first_line = 1;
                let walked = stored.walk(0, &mut |piece| {
                    let source = SecretSource {
                        session: Some(id),
                        file: file.key(),
                        first_line,
                    };
                    self.add_text(piece.text, text_kind(&file), source);
                    first_line += piece.lines;
                    Ok(true)
                });
                drop(walked);
            }
        }
        Ok(())
    }

    fn add_extras(&mut self, snapshot: &Snapshot<'_>) -> Result<(), SyncError> {
        for id in snapshot.bundles()?.keys() {
            let Ok(Some(bundle)) = snapshot.bundle(id) else {
                continue;
            };
            let owner = bundle.project.as_ref().map(ProjectKey::as_str);
            for (name, stored) in &bundle.files {
                if let Ok(text) = snapshot.extra_text(id, name, stored) {
                    let file = match owner {
                        Some(project) => format!("memory of {project}: {name}"),
                        None => name.to_string(),
                    };
                    self.add_file(&file, text.as_bytes());
                }
            }
        }
        Ok(())
    }

    /// Adds those of notes and names of milestones.
    fn add_records(&mut self, snapshot: &Snapshot<'_>) -> Result<(), SyncError> {
        for id in snapshot.note_ids()? {
            if let Ok(Some(note)) = snapshot.note(&id) {
                self.add_file(&format!("note {id}"), note.text.as_bytes());
            }
        }
        for name in snapshot.milestone_names()? {
            self.add_file("milestone", name.as_str().as_bytes());
        }
        Ok(())
    }

    fn add_file(&mut self, file: &str, text: &[u8]) {
        let source = SecretSource {
            session: None,
            file,
            first_line: 1,
        };
        self.add_text(text, TextKind::Plain, source);
    }

    fn add_text(&mut self, text: &[u8], kind: TextKind, source: SecretSource<'_>) {
        for finding in self.secrets.scan(text, kind) {
            let FindingKind::Value(form) = finding.kind else {
                continue;
            };
            let value = &text[finding.range.clone()];
            let vault = self.secrets.vault();
            let Some(name) = vault.name(form, value) else {
                continue;
            };
            if vault.decision(&name) == Some(SecretDecision::Ignore) {
                continue;
            }
            vault.insert(&name, value);
            let before = &text[..finding.range.start];
            let place = SecretPlace {
                session: source.session.cloned(),
                file: source.file.to_owned(),
                line: source.first_line + memchr::memchr_iter(b'\n', before).count() as u64,
                excerpt: excerpt(text, &finding.range, &[]),
                mode: None,
            };
            let row = SecretRow::new(&name, SecretStatus::InStore, place, None);
            self.rows.push(row);
        }
    }
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

fn status(decision: Option<SecretDecision>, mode: SecretsMode) -> Option<SecretStatus> {
    match (decision, mode) {
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
