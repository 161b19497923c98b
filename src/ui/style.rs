//! Colours: which ones, and when. Decided once per stream; meaning never depends on
//! colour.

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// Headings of a listing.
pub(crate) const HEADING: Style = Style::new().bold();
/// The word `error:`.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The word `hint:`, and commands to type.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
/// Successful changes.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Results that need attention.
pub(crate) const ATTENTION: Style = AnsiColor::Yellow.on_default();
/// Matches of a search.
pub(crate) const FOUND: Style = AnsiColor::Red.on_default().bold();
/// Secondary information.
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

/// Returns true if a stream gets colours. The option wins, then `NO_COLOR`, then the kind
/// of the stream.
pub(crate) fn is_colored(mode: ColorMode, no_color: bool, is_terminal: bool) -> bool {
    match mode {
        ColorMode::Always => true,
        ColorMode::Never => false,
        ColorMode::Auto => is_terminal && !no_color,
    }
}

/// Wraps `text` in the escapes of `style`. Streams without colours strip them, so callers
/// need not check.
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
