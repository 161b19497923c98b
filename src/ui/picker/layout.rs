//! The parts of the screen. Pure.

use ratatui_core::layout::Rect;

/// Minimum width of a screen with a preview beside the list, in cells.
const MIN_WIDTH: u16 = 120;
/// Part of the width that the preview gets, in percent.
const PREVIEW_PERCENT: u32 = 42;
/// Space between list and preview, in cells.
const GAP: u16 = 3;
/// Minimum number of rows below the filter for a preview beside the list.
const MIN_HEIGHT: u16 = 6;

/// The parts of the screen while the list is shown. Parts without room are empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ListLayout {
    pub(super) filter: Rect,
    pub(super) headings: Rect,
    pub(super) rows: Rect,
    /// The preview beside the list, if there is room.
    pub(super) preview: Option<Rect>,
    pub(super) notice: Rect,
    pub(super) status: Rect,
}

impl ListLayout {
    /// `has_notice`: a line is needed for something that the user should know.
    pub(super) fn new(area: Rect, has_notice: bool) -> Self {
        let line = |y: u16| Rect {
            y: area.y + y.min(area.height),
            height: u16::from(y < area.height),
            ..area
        };
        let below = 1 + u16::from(has_notice);
        let height = area.height.saturating_sub(1 + below);
        let has_room = area.width >= MIN_WIDTH && height >= MIN_HEIGHT;
        let wide = u32::from(area.width) * PREVIEW_PERCENT / 100;
        let beside = if has_room {
            u16::try_from(wide).unwrap_or(0)
        } else {
            0
        };
        let width = match beside {
            0 => area.width,
            beside => area.width - beside - GAP,
        };
        let list = |rect: Rect| Rect { width, ..rect };
        let pane = Rect {
            x: area.x + width + GAP,
            y: area.y + 1,
            width: beside,
            height,
        };
        Self {
            filter: line(0),
            headings: list(line(1)),
            rows: Rect {
                height: height.saturating_sub(1),
                ..list(line(2))
            },
            preview: (beside > 0).then_some(pane),
            notice: match has_notice {
                true => line(area.height.saturating_sub(2)),
                false => Rect::default(),
            },
            status: line(area.height.saturating_sub(1)),
        }
    }
}

/// Returns true if a cell is in a part of the screen.
pub(super) fn contains(part: Rect, column: u16, row: u16) -> bool {
    (part.left()..part.right()).contains(&column) && (part.top()..part.bottom()).contains(&row)
}
