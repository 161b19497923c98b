//! The state of the picker. Pure: takes keys, the mouse and news, returns the next step.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ratatui_core::layout::Rect;

use super::bindings::{BINDINGS, ListCommand, Movement, command};
use super::edit::{Edit, LineEditor};
use super::item::Picked;
use super::key::{MouseAction, MouseEvent, PickerKey};
use super::layout::{ListLayout, contains};
use super::list::RowList;
use super::preview::{PreviewPane, Previews, Scroll};
use super::row::PickerRow;
use super::updates::Update;
use super::view::{Surroundings, Toggle};
use crate::domain::SessionId;
use crate::ui::sanitize::one_line;

/// Lines that one step of the wheel moves.
const WHEEL_LINES: usize = 3;

/// Next step after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PickerStep {
    /// Draw again.
    Draw,
    /// Rename the session, and send the result as [`Update::Renamed`].
    Rename {
        session: SessionId,
        title: String,
    },
    End(Picked),
}

/// The part of the picker that has the keyboard.
pub(super) enum Mode {
    List,
    /// The preview, on the whole screen.
    Preview,
    /// With the number of lines above the screen.
    Help(usize),
    /// With the new title.
    Rename(LineEditor),
}

/// The whole state of the picker.
pub(super) struct PickerState {
    pub(super) list: RowList,
    pub(super) filter: LineEditor,
    pub(super) mode: Mode,
    pub(super) previews: Previews,
    pub(super) here: Surroundings,
    pub(super) now: DateTime<Utc>,
    /// Sessions are being fetched.
    pub(super) is_fetching: bool,
    fetch_failure: Option<String>,
    /// Answer to the last key, if it had no visible effect.
    answer: Option<String>,
    /// Titles given meanwhile, which a fetch that began earlier does not know.
    renamed: BTreeMap<SessionId, String>,
    area: Rect,
    /// The session that the mouse selected: another click opens it.
    clicked: Option<SessionId>,
}

impl PickerState {
    pub(super) fn new(list: RowList, here: Surroundings, now: DateTime<Utc>) -> Self {
        Self {
            list,
            filter: LineEditor::default(),
            mode: Mode::List,
            previews: Previews::default(),
            here,
            now,
            is_fetching: false,
            fetch_failure: None,
            answer: None,
            renamed: BTreeMap::new(),
            area: Rect::default(),
            clicked: None,
        }
    }

    /// Adapts to the size of the screen.
    pub(super) fn resize(&mut self, area: Rect) {
        self.area = area;
        let page = usize::from(self.layout().rows.height);
        self.list.set_page(page);
    }

    pub(super) fn layout(&self) -> ListLayout {
        ListLayout::new(self.area, self.notice().is_some())
    }

    /// Returns what the user should know now, if anything.
    pub(super) fn notice(&self) -> Option<&str> {
        self.answer.as_deref().or(self.fetch_failure.as_deref())
    }

    /// Returns the session whose turns are shown and were not asked for yet.
    pub(super) fn wanted_turns(&mut self) -> Option<SessionId> {
        let is_shown = match self.mode {
            Mode::Preview => true,
            Mode::List | Mode::Rename(_) => self.layout().preview.is_some(),
            Mode::Help(_) => false,
        };
        let row = self.list.selected().filter(|_| is_shown)?;
        self.previews.show(&row.session)
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: PickerKey) -> PickerStep {
        self.answer = None;
        self.clicked = None;
        if key == PickerKey::Ctrl('c') {
            return PickerStep::End(Picked::Cancelled);
        }
        match &mut self.mode {
            Mode::List => return self.press_in_list(key),
            Mode::Preview => return self.press_in_preview(key),
            Mode::Rename(_) => return self.press_in_rename(key),
            Mode::Help(above) => match key {
                PickerKey::Up => *above = above.saturating_sub(1),
                PickerKey::Down => *above = (*above + 1).min(BINDINGS.len()),
                _ => self.mode = Mode::List,
            },
        }
        PickerStep::Draw
    }

    /// Handles pasted text.
    pub(super) fn paste(&mut self, text: &str) -> PickerStep {
        match &mut self.mode {
            Mode::List => {
                self.filter.insert(text);
                self.apply_filter();
            }
            Mode::Rename(title) => title.insert(text),
            Mode::Preview | Mode::Help(_) => {}
        }
        PickerStep::Draw
    }

    /// Handles the mouse.
    pub(super) fn click(&mut self, event: MouseEvent) -> PickerStep {
        let layout = self.layout();
        let is_over = |part| contains(part, event.column, event.row);
        let is_over_preview =
            matches!(self.mode, Mode::Preview) || layout.preview.is_some_and(is_over);
        match (event.action, &mut self.mode) {
            (MouseAction::WheelUp, Mode::Help(above)) => *above = above.saturating_sub(1),
            (MouseAction::WheelDown, Mode::Help(above)) => {
                *above = (*above + 1).min(BINDINGS.len());
            }
            (MouseAction::WheelUp, _) if is_over_preview => {
                self.scroll_preview(Scroll::Up(WHEEL_LINES));
            }
            (MouseAction::WheelDown, _) if is_over_preview => {
                self.scroll_preview(Scroll::Down(WHEEL_LINES));
            }
            (MouseAction::WheelUp, Mode::List) => self.move_by_wheel(Movement::Up),
            (MouseAction::WheelDown, Mode::List) => self.move_by_wheel(Movement::Down),
            (MouseAction::Click, Mode::List) if is_over(layout.rows) => {
                return self.click_row(usize::from(event.row - layout.rows.y));
            }
            _ => {}
        }
        PickerStep::Draw
    }

    /// Takes in what another thread has found.
    pub(super) fn absorb(&mut self, update: Update) {
        match update {
            Update::Fetched(fetched) => self.end_fetch(fetched),
            Update::Turns(session, turns) => self.previews.set_turns(&session, turns),
            Update::Renamed(session, Ok(title)) => {
                self.list.rename(&session, &title);
                self.renamed.insert(session, title);
                self.answer = None;
            }
            Update::Renamed(_, Err(reason)) => {
                self.answer = Some(format!("not renamed: {}", one_line(&reason)));
            }
            Update::Ended => {}
        }
    }

    fn end_fetch(&mut self, fetched: Result<Vec<PickerRow>, String>) {
        self.is_fetching = false;
        match fetched {
            Ok(rows) => {
                self.previews.refresh();
                self.list.replace(rows);
                for (session, title) in &self.renamed {
                    self.list.rename(session, title);
                }
            }
            Err(reason) => {
                let reason = one_line(&reason);
                self.fetch_failure = Some(format!("as of the last fetch: {reason}"));
            }
        }
    }

    fn press_in_list(&mut self, key: PickerKey) -> PickerStep {
        if let Some(command) = command(key, self.filter.text().is_empty()) {
            return self.run(command);
        }
        if key == PickerKey::Right && self.filter.is_at_end() {
            return self.run(ListCommand::Preview);
        }
        if let Some(edit) = Edit::from_key(key)
            && self.filter.apply(edit)
        {
            self.apply_filter();
        }
        PickerStep::Draw
    }

    fn run(&mut self, command: ListCommand) -> PickerStep {
        match command {
            ListCommand::Open => return self.open(),
            ListCommand::Cancel => return PickerStep::End(Picked::Cancelled),
            ListCommand::Leave if self.filter.text().is_empty() => {
                return PickerStep::End(Picked::Cancelled);
            }
            ListCommand::Leave => {
                let selected = self.list.selected().map(|row| row.session.clone());
                self.filter = LineEditor::default();
                self.apply_filter();
                self.select_session(selected.as_ref());
            }
            ListCommand::Help => self.mode = Mode::Help(0),
            ListCommand::Move(movement) => self.list.move_selection(movement),
            ListCommand::Toggle(toggle) => self.toggle(toggle),
            ListCommand::Preview if self.list.selected().is_some() => self.mode = Mode::Preview,
            ListCommand::Rename => {
                if let Some(row) = self.list.selected() {
                    self.mode = Mode::Rename(LineEditor::new(&row.title));
                }
            }
            ListCommand::Preview => {}
        }
        PickerStep::Draw
    }

    pub(super) fn toggle(&mut self, toggle: Toggle) {
        if let Err(reason) = self.list.toggle(toggle, &self.here) {
            self.answer = Some(reason.to_owned());
        }
    }

    fn press_in_preview(&mut self, key: PickerKey) -> PickerStep {
        let page = usize::from(self.area.height);
        match key {
            PickerKey::Enter => return self.open(),
            PickerKey::Escape | PickerKey::Left | PickerKey::Tab => self.mode = Mode::List,
            PickerKey::Up | PickerKey::Ctrl('p') => self.scroll_preview(Scroll::Up(1)),
            PickerKey::Down | PickerKey::Ctrl('n') => self.scroll_preview(Scroll::Down(1)),
            PickerKey::PageUp => self.scroll_preview(Scroll::PageUp),
            PickerKey::PageDown | PickerKey::Char(' ') => self.scroll_preview(Scroll::PageDown),
            PickerKey::Home => self.scroll_preview(Scroll::Up(usize::MAX - page)),
            PickerKey::End => self.scroll_preview(Scroll::Down(usize::MAX)),
            _ => {}
        }
        PickerStep::Draw
    }

    fn press_in_rename(&mut self, key: PickerKey) -> PickerStep {
        let Mode::Rename(line) = &mut self.mode else {
            return PickerStep::Draw;
        };
        match key {
            PickerKey::Escape => self.mode = Mode::List,
            PickerKey::Enter => {
                let title = line.text().trim().to_owned();
                self.mode = Mode::List;
                let row = self.list.selected();
                if let Some(row) = row.filter(|row| !title.is_empty() && row.title != title) {
                    let session = row.session.clone();
                    self.answer = Some("renaming".to_owned());
                    return PickerStep::Rename { session, title };
                }
            }
            _ => {
                if let Some(edit) = Edit::from_key_alone(key) {
                    line.apply(edit);
                }
            }
        }
        PickerStep::Draw
    }

    fn open(&self) -> PickerStep {
        self.list.selected().map_or(PickerStep::Draw, |row| {
            PickerStep::End(Picked::Chosen(row.session.clone()))
        })
    }

    fn click_row(&mut self, line: usize) -> PickerStep {
        let position = self.list.top + line;
        let Some(row) = self.list.get(position) else {
            return PickerStep::Draw;
        };
        if self.clicked.as_ref() == Some(&row.session) {
            return PickerStep::End(Picked::Chosen(row.session.clone()));
        }
        self.clicked = Some(row.session.clone());
        self.list.select(position);
        PickerStep::Draw
    }

    fn move_by_wheel(&mut self, movement: Movement) {
        (0..WHEEL_LINES).for_each(|_| self.list.move_selection(movement));
    }

    fn scroll_preview(&mut self, scroll: Scroll) {
        if let Some(pane) = self.pane() {
            pane.scroll(scroll);
        }
    }

    /// Returns the preview of the selected session.
    pub(super) fn pane(&mut self) -> Option<&mut PreviewPane> {
        let session = &self.list.selected()?.session;
        self.previews.pane(session)
    }

    fn apply_filter(&mut self) {
        self.list.set_filter(self.filter.text());
    }

    fn select_session(&mut self, session: Option<&SessionId>) {
        let positions = 0..self.list.len();
        let is_it = |at: &usize| self.list.get(*at).map(|row| &row.session) == session;
        if let Some(position) = positions.into_iter().find(is_it) {
            self.list.select(position);
        }
    }
}
