//! `ccsync show`: prints a conversation.

use clap::ValueEnum;
use serde::Serialize;

use crate::browse::{show::ConversationPart, show::ShownSession, show::Source};
use crate::cli::{
    app::App, args::JsonFlag, complete, error::CliError, error::CommandError, exit::Exit,
};
use crate::domain::{SessionId, Turn, TurnSpeaker};
use crate::ui::turns::{self, Head};
use crate::ui::{Output, format::successor_note, json};

/// Show a conversation
///
/// Prints the messages and the names of used tools, with the paths of this machine. Reads
/// the store as of the last fetch, or the file on this machine if it is longer. Branches
/// that you left by going back are omitted.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Session id or unique prefix
    #[arg(value_name = "SESSION", add = complete::session())]
    session: SessionId,
    /// Only the last N turns
    #[arg(long, short = 'n', value_name = "N")]
    turns: Option<u32>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: ShowFormat,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    #[default]
    Text,
    Markdown,
    /// The former name of `--json`.
    #[value(hide = true)]
    Json,
}

/// JSON document. A list `turns` of [`TurnRow`] follows, one on each line.
#[derive(Serialize)]
struct ShowDocument<'a> {
    session: &'a SessionId,
    /// Portable path.
    project: Option<&'a str>,
    title: Option<&'a str>,
    /// The machine that wrote it last.
    machine: Option<&'a str>,
    last_activity: Option<String>,
    fork_of: Option<&'a SessionId>,
    /// `store` or `here`.
    source: &'static str,
    /// Number of sub-agents.
    agents: u64,
    /// Number of turns before the first one shown.
    turns_omitted: u64,
}

#[derive(Serialize)]
struct TurnRow<'a> {
    /// `user`, `assistant` or `summary`.
    speaker: &'static str,
    time: Option<String>,
    text: &'a str,
    tools: &'a [String],
}

pub(in crate::cli) fn run(args: &ShowArgs, app: &mut App) -> Result<Exit, CliError> {
    let format = if args.json.json {
        ShowFormat::Json
    } else {
        args.format
    };
    let width = app.env.stdout_is_terminal.then(|| app.out.width());
    let ctx = app.context()?;
    let mut printing = Printing {
        out: app.secondary_output(),
        format,
        width,
        left: 0,
    };
    let mut failed = None;
    let most = args.turns.map(|turns| turns as usize);
    let shown = crate::browse::show::show(&ctx, &args.session, most, &mut |part| {
        failed = printing.part(&part).err();
        failed.is_none() && !printing.out.is_closed()
    });
    match failed {
        Some(e) => Err(e),
        None => Ok(shown.map(|()| Exit::Done)?),
    }
}

/// Prints a conversation part by part.
struct Printing {
    out: Output,
    format: ShowFormat,
    /// Width of the terminal, if there is one.
    width: Option<usize>,
    /// Number of turns that are still to be printed.
    left: u64,
}

impl Printing {
    fn part(&mut self, part: &ConversationPart) -> Result<(), CliError> {
        let text = match part {
            ConversationPart::Successor { from, to } => {
                self.out.note(&successor_note(from, to));
                return Ok(());
            }
            ConversationPart::Session(session) => {
                self.left = session.turns;
                self.head(session)?
            }
            ConversationPart::Turn(turn) => {
                self.left = self.left.saturating_sub(1);
                self.turn(turn)?
            }
        };
        Ok(self.out.data(&text).map_err(CommandError::Stdout)?)
    }

    fn head(&self, session: &ShownSession) -> Result<String, CliError> {
        let head = Head {
            name: &session.name,
            turns_omitted: session.turns_omitted,
            agents: session.agents,
        };
        Ok(match self.format {
            ShowFormat::Text => turns::head(&head).join("\n"),
            ShowFormat::Markdown => turns::markdown_head(&head).join("\n"),
            ShowFormat::Json => {
                let opening = json::opening("show", &document(session), "turns")
                    .map_err(CliError::internal)?;
                opening + if self.left == 0 { "]}" } else { "" }
            }
        })
    }

    fn turn(&self, turn: &Turn) -> Result<String, CliError> {
        Ok(match self.format {
            ShowFormat::Text => turns::turn(turn, self.width).join("\n"),
            ShowFormat::Markdown => turns::markdown_turn(turn).join("\n"),
            ShowFormat::Json => {
                let row = json::element(&row(turn)).map_err(CliError::internal)?;
                row + if self.left == 0 { "]}" } else { "," }
            }
        })
    }
}

fn document(session: &ShownSession) -> ShowDocument<'_> {
    let name = &session.name;
    ShowDocument {
        session: &name.session,
        project: name.project.as_deref(),
        title: name.title.as_deref(),
        machine: name.machine.as_deref(),
        last_activity: name.last_activity.map(json::time),
        fork_of: name.fork_of.as_ref(),
        source: match session.source {
            Source::Store => "store",
            Source::Here => "here",
        },
        agents: session.agents,
        turns_omitted: session.turns_omitted,
    }
}

fn row(turn: &Turn) -> TurnRow<'_> {
    let speaker = match turn.speaker {
        TurnSpeaker::User => "user",
        TurnSpeaker::Assistant => "assistant",
        TurnSpeaker::Client => "summary",
    };
    TurnRow {
        speaker,
        time: turn.time.map(json::time),
        text: &turn.text,
        tools: &turn.tools,
    }
}
