//! Manual pages in roff, one for each command.

use std::io;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::examples::examples;
use super::exit::Exit;

/// The manual page of one command.
pub(crate) struct ManPage {
    /// `ccsync-lock-show.1`
    pub(crate) file_name: String,
    pub(crate) roff: Vec<u8>,
}

/// Files that every command reads or writes.
const FILES: [(&str, &str); 6] = [
    ("~/.config/ccsync/config.toml", "Settings of this machine."),
    ("~/.config/ccsync/key", "The key of an encrypted store."),
    (
        "~/.local/share/ccsync/store/",
        "The store: this machine's clone of the remote.",
    ),
    (
        "~/.local/share/ccsync/remote.git/",
        "The remote, until another one is configured.",
    ),
    (
        "~/.local/state/ccsync/",
        "Caches, copies of replaced files, and the locks of this machine.",
    ),
    (
        "~/.claude/projects/",
        "The sessions, as Claude Code keeps them.",
    ),
];

/// Variables that every command reads.
const ENVIRONMENT: [(&str, &str); 12] = [
    (
        "CCSYNC_HOME",
        "Directory of configuration, data and state. Must be absolute.",
    ),
    (
        "XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME",
        "Base directories, if CCSYNC_HOME is not set.",
    ),
    (
        "CLAUDE_CONFIG_DIR",
        "Directory of Claude Code, in place of ~/.claude.",
    ),
    (
        "CLAUDE_CODE_PROJECT_DIR_NAME",
        "With CLAUDE_CONFIG_DIR: the directory of Claude Code for all projects.",
    ),
    ("HOME", "Your home directory (on Windows USERPROFILE)."),
    ("PATH", "Where git, claude and gh are found."),
    ("NO_COLOR", "Disables colors."),
    ("CCSYNC_KEY", "The key of an encrypted store."),
    (
        "COLUMNS, LINES",
        "Size of the output, in place of the terminal's.",
    ),
    ("TMPDIR", "Directory of temporary files (on Windows TEMP)."),
    (
        "GIT_SSH_COMMAND, GIT_SSH",
        "Your ssh command, used as it is.",
    ),
    ("GH_HOST", "GitHub host that gh uses."),
];

impl ManPage {
    /// Returns the pages of all commands.
    pub(crate) fn all(mut command_line: clap::Command) -> Vec<Self> {
        command_line.build();
        let mut pages = Vec::new();
        add_pages(&command_line, &mut pages);
        pages
    }

    /// Returns the page of the command that `words` name, if there is one.
    pub(crate) fn find(mut command_line: clap::Command, words: &[String]) -> Option<Self> {
        command_line.build();
        let command = words
            .iter()
            .try_fold(&command_line, |command, word| command.find_subcommand(word));
        command.map(Self::new)
    }

    fn new(command: &clap::Command) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let man = Man::new(command.clone())
            .source(format!("ccsync {version}"))
            .manual("ccsync manual");
        Self {
            file_name: man.get_filename(),
            roff: render(&man, command).expect("a vector can be written to"),
        }
    }
}

fn add_pages(command: &clap::Command, pages: &mut Vec<ManPage>) {
    pages.push(ManPage::new(command));
    for subcommand in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        add_pages(subcommand, pages);
    }
}

fn render(man: &Man, command: &clap::Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }

    let name = command.get_bin_name().unwrap_or_default();
    let path = name.strip_prefix("ccsync").unwrap_or_default().trim_start();
    let examples = examples(path);
    let mut roff = Roff::new();
    section(
        &mut roff,
        "EXAMPLES",
        examples.iter().map(|e| (e.line, sentence(e.effect))),
    );
    section(
        &mut roff,
        "FILES",
        FILES.map(|(name, text)| (name, text.to_owned())),
    );
    section(
        &mut roff,
        "ENVIRONMENT",
        ENVIRONMENT.map(|(name, text)| (name, text.to_owned())),
    );
    let codes = Exit::ALL.map(|exit| (exit.code().to_string(), sentence(exit.meaning())));
    section(&mut roff, "EXIT STATUS", codes);
    if !path.is_empty() {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("ccsync"), roman("(1)")]);
    }
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// Adds a section with a list of terms.
fn section<T: Into<String>>(
    roff: &mut Roff,
    title: &str,
    terms: impl IntoIterator<Item = (T, String)>,
) {
    roff.control("SH", [title]);
    for (term, text) in terms {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(text)]);
    }
}

/// Returns a phrase as a sentence.
fn sentence(phrase: &str) -> String {
    let mut chars = phrase.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    format!("{}{}.", first.collect::<String>(), chars.as_str())
}
