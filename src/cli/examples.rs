//! Examples of every command, for its help and its manual page.

/// A command line that a user may type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Example {
    pub(crate) line: &'static str,
    /// Its effect, as a phrase in lower case.
    pub(crate) effect: &'static str,
}

/// Sections of examples; each begins with the command that they belong to.
const EXAMPLES: &str = include_str!("examples.txt");

/// Returns the section of the help with the examples of a command: `lock show`; `` for the
/// program itself.
pub(crate) fn help_section(command: &str) -> String {
    let lines = lines(command).map(|line| format!("\n{line}"));
    format!("Examples:{}", lines.collect::<String>())
}

/// Returns the examples of a command.
pub(crate) fn examples(command: &str) -> Vec<Example> {
    let parsed = lines(command).filter_map(|line| line.split_once(" # "));
    parsed
        .map(|(line, effect)| Example {
            line: line.trim(),
            effect,
        })
        .collect()
}

fn lines(command: &str) -> impl Iterator<Item = &'static str> {
    let heading = format!("ccsync {command}");
    let section = EXAMPLES
        .split("\n\n")
        .find(move |section| section.lines().next() == Some(heading.trim_end()));
    section
        .into_iter()
        .flat_map(|section| section.lines().skip(1))
}
