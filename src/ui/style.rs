//! Colours: which, and whether. Decided once per stream; meaning never depends on colour.

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// The headings of a listing.
pub(crate) const HEADING: Style = Style::new().bold();
/// `error:`.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// `hint:`, and what is a command to type.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
/// What went well and changed something.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What needs a look.
pub(crate) const ATTENTION: Style = AnsiColor::Yellow.on_default();
/// What was searched for.
pub(crate) const FOUND: Style = AnsiColor::Red.on_default().bold();
/// What is there for completeness.
pub(crate) const QUIET: Style = Style::new().dimmed();

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorMode {
    // On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    // Also into files and pipes.
    Always,
    Never,
}

/// Whether one stream gets colours: the flag decides, then `NO_COLOR`, then what the stream is.
pub(crate) fn is_colored(mode: ColorMode, no_color: bool, is_terminal: bool) -> bool {
    match mode {
        ColorMode::Always => true,
        ColorMode::Never => false,
        ColorMode::Auto => is_terminal && !no_color,
    }
}

/// `text` wrapped in the escapes of `style`. Streams without colours strip them again, so callers need not ask.
pub(crate) fn paint(style: Style, text: &str) -> String {
    if text.is_empty() || style == Style::new() {
        return text.to_owned();
    }
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_flag_beats_no_color_and_no_color_beats_terminal() {
        assert!(is_colored(ColorMode::Auto, false, true));
        assert!(!is_colored(ColorMode::Auto, true, true));
        assert!(!is_colored(ColorMode::Auto, false, false));
        assert!(is_colored(ColorMode::Always, true, false));
        assert!(!is_colored(ColorMode::Never, false, true));
    }
}
