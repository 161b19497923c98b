//! Styles of the picker.

use ratatui_core::style::{Color, Modifier, Style};

/// Without colours, all styles but one are plain.
pub(in crate::ui::picker) struct Theme {
    pub(super) quiet: Style,
    pub(super) strong: Style,
    pub(super) found: Style,
    pub(super) selected: Style,
    pub(super) attention: Style,
}

impl Theme {
    pub(in crate::ui::picker) fn new(colors: bool) -> Self {
        let style = |style| if colors { style } else { Style::new() };
        // The only sign of a match without colours, and one that is seen in quiet columns.
        let marked = Style::new().add_modifier(Modifier::UNDERLINED);
        Self {
            quiet: style(Style::new().add_modifier(Modifier::DIM)),
            strong: style(Style::new().add_modifier(Modifier::BOLD)),
            found: match colors {
                true => marked
                    .fg(Color::Cyan)
                    .add_modifier(Modifier::BOLD)
                    .remove_modifier(Modifier::DIM),
                false => marked,
            },
            selected: style(Style::new().add_modifier(Modifier::REVERSED)),
            attention: style(Style::new().fg(Color::Yellow)),
        }
    }
}
