//! The picker without a terminal: keys in, screens out.

use chrono::TimeDelta;
use ratatui_core::backend::TestBackend;
use ratatui_core::terminal::Terminal;

use super::columns::PreferredWidths;
use super::draw::Theme;
use super::edit::LineEditor;
use super::key::PickerKey;
use super::list::RowList;
use super::row::rows;
use super::state::{Mode, PickerState, PickerStep};
use super::updates::Update;
use super::*;
use crate::domain::{SessionId, Turn, TurnSpeaker};
use chrono::{DateTime, Utc};

pub(super) fn now() -> DateTime<Utc> {
    "2026-03-10T12:00:00Z".parse().unwrap()
}

pub(super) fn id(n: usize) -> SessionId {
    format!("{n:08x}-0000-4000-8000-000000000000")
        .parse()
        .unwrap()
}

pub(super) fn item(n: usize, title: &str) -> Item {
    Item {
        session: id(n),
        is_of_this_project: false,
        last_activity: Some(now() - TimeDelta::minutes(7 * n as i64)),
        project: "{{HOME}}/work/app".to_owned(),
        branch: String::new(),
        title: title.to_owned(),
        first_words: String::new(),
        machine: "laptop".to_owned(),
        bytes: 34_000 * n as u64,
        lock: None,
        tag: String::new(),
        is_fork: false,
        is_here: true,
        is_headless: false,
        is_archived: false,
    }
}

pub(super) fn a_few() -> Vec<Item> {
    let mut items = vec![
        item(1, "fix the login form"),
        item(2, "目目 wide 🚀 and e\u{301} combining"),
        item(
            300,
            "a title that is rather long, so that it has to be cut somewhere before it ends",
        ),
        item(4, " "),
        item(5, "hostile\u{1b}[2J\u{202e}title"),
        item(6, "of the current project"),
    ];
    items[1].lock = Some("desk, 3 min".to_owned());
    items[2].project = "{{HOME}}/a/very/long/way/down/to/the/project".to_owned();
    items[2].is_fork = true;
    items[3].first_words = "please look at\nthe parser".to_owned();
    items[3].is_here = false;
    items[4].machine = "desk\u{9b}".to_owned();
    items[4].last_activity = None;
    items[5].is_of_this_project = true;
    items[5].last_activity = Some(now() - TimeDelta::days(3));
    items
}

/// Returns `n` sessions. Every tenth is about parsers.
pub(super) fn many(n: usize) -> Vec<Item> {
    (1..=n)
        .map(|n| {
            item(
                n,
                &format!(
                    "{} number {n}",
                    if n % 10 == 0 {
                        "a parser,"
                    } else {
                        "something,"
                    }
                ),
            )
        })
        .collect()
}

/// Returns a picker of all projects.
pub(super) fn picker(items: Vec<Item>) -> PickerState {
    picker_of(items, true)
}

pub(super) fn picker_of(items: Vec<Item>, all_projects: bool) -> PickerState {
    let list = RowList::new(rows(items, now()), all_projects, now());
    let here = Surroundings {
        branch: Some("main".to_owned()),
        machine: "laptop".to_owned(),
    };
    PickerState::new(list, here, now())
}

pub(super) fn press(state: &mut PickerState, keys: &[PickerKey]) {
    for key in keys {
        assert_eq!(state.press(*key), PickerStep::Draw, "{key:?}");
    }
}

pub(super) fn type_in(state: &mut PickerState, text: &str) {
    text.chars()
        .for_each(|c| press(state, &[PickerKey::Char(c)]));
}

/// Replaces the filter.
pub(super) fn filter(state: &mut PickerState, text: &str) {
    state.filter = LineEditor::default();
    state.list.set_filter("");
    type_in(state, text);
}

pub(super) fn shown(state: &PickerState) -> Vec<&str> {
    let rows = (0..state.list.len()).filter_map(|at| state.list.get(at));
    rows.map(|row| row.title.as_str()).collect()
}

pub(super) fn selected(state: &PickerState) -> Option<&str> {
    state.list.selected().map(|row| row.title.as_str())
}

pub(super) fn fetched(items: Vec<Item>) -> Update {
    Update::Fetched(Ok(rows(items, now())))
}

pub(super) fn backend(
    state: &mut PickerState,
    width: u16,
    height: u16,
    colors: bool,
) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let preferred = PreferredWidths::from_rows(state.list.all());
    let theme = Theme::new(colors);
    terminal
        .draw(|frame| draw::draw(frame, state, &preferred, &theme))
        .unwrap();
    terminal.backend().clone()
}

/// Returns the text of the screen, with `|` at its right edge.
pub(super) fn screen(state: &mut PickerState, width: u16, height: u16) -> String {
    let backend = backend(state, width, height, false);
    let buffer = backend.buffer();
    let mut text = String::new();
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            text.push_str(symbol);
            x += dialoguer::console::measure_text_width(symbol).max(1) as u16;
        }
        text.push_str("|\n");
    }
    text
}

pub(super) fn turns() -> Vec<Turn> {
    let turn = |who, minutes, text: &str, tools: &[&str]| Turn {
        speaker: who,
        time: Some(now() - TimeDelta::minutes(minutes)),
        text: text.to_owned(),
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
    };
    vec![
        turn(TurnSpeaker::Client, 90, "Earlier: a parser was begun.", &[]),
        turn(
            TurnSpeaker::User,
            60,
            "please look at the parser\u{1b}[31m, it does not take 目目目目目目目目目目 for an answer",
            &[],
        ),
        turn(
            TurnSpeaker::Assistant,
            59,
            "I will look.\n\n    let indented = 1;",
            &["Bash: cargo test", "Edit src/x.rs"],
        ),
        turn(TurnSpeaker::Assistant, 58, "", &["Read README.md"]),
        turn(TurnSpeaker::Assistant, 57, "All tests pass.", &[]),
        turn(TurnSpeaker::User, 5, "thank you", &[]),
    ]
}

#[test]
fn picker_current_project_comes_first_then_newest() {
    let state = picker(a_few());
    let firsts: Vec<_> = shown(&state)
        .iter()
        .map(|title| title.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        firsts,
        [
            "of",
            "fix",
            "目目",
            "please",
            "a",
            "hostile\\u{1b}[2J\\u{202e}title"
        ]
    );
}

#[test]
fn picker_filter_needs_every_word_in_any_column() {
    let mut state = picker(a_few());
    for (words, found) in [
        ("LOGIN  work", 1),
        ("PARSER", 1),
        ("lgn frm", 1),
        ("desk\\u{9b}", 1),
        ("0000012c", 1),
        ("000012c", 0),
        ("fix parser", 0),
        ("fork", 1),
        ("", 6),
    ] {
        filter(&mut state, words);
        assert_eq!(state.list.len(), found, "{words}");
    }
    filter(&mut state, "foxx");
    press(&mut state, &[PickerKey::Backspace; 3]);
    assert_eq!(state.filter.text(), "f");
    assert_eq!(state.paste("orm\n"), PickerStep::Draw);
    assert_eq!(selected(&state), Some("fix the login form"));
}

#[test]
fn picker_best_match_comes_first() {
    let titles = ["a long part of road", "parse it", "other", "the parser"];
    let items = (1..).zip(titles).map(|(n, title)| item(n, title));
    let mut state = picker(items.collect());
    filter(&mut state, "parse");
    assert_eq!(shown(&state), ["parse it", "the parser"]);
    filter(&mut state, "par");
    assert_eq!(
        shown(&state),
        ["a long part of road", "parse it", "the parser"],
        "equal matches stay in the order of their age"
    );
}

#[test]
fn picker_word_keys_edit_the_filter() {
    let mut state = picker(a_few());
    filter(&mut state, "fix the login");
    press(&mut state, &[PickerKey::Ctrl('w')]);
    assert_eq!(state.filter.text(), "fix the ");
    press(&mut state, &[PickerKey::Alt('b'), PickerKey::Alt('d')]);
    assert_eq!(state.filter.text(), "fix  ");
    press(&mut state, &[PickerKey::Ctrl('u')]);
    assert_eq!(state.filter.text(), " ");
    press(&mut state, &[PickerKey::Ctrl('y')]);
    assert_eq!(state.filter.text(), "fix  ");
    press(&mut state, &[PickerKey::Escape]);
    assert_eq!(state.filter.text(), "", "Esc clears the filter first");
    assert_eq!(
        state.press(PickerKey::Escape),
        PickerStep::End(Picked::Cancelled)
    );
}

#[test]
fn picker_escape_keeps_the_selected_session() {
    let mut state = picker(a_few());
    filter(&mut state, "parser");
    press(&mut state, &[PickerKey::Escape]);
    assert_eq!(state.list.len(), 6);
    assert_eq!(selected(&state), Some("please look at the parser"));
}

#[test]
fn picker_keys_move_the_selection() {
    let mut state = picker(many(100));
    screen(&mut state, 80, 23);
    let at = |state: &PickerState| (state.list.selected, state.list.top);
    for (key, expected) in [
        (PickerKey::Up, (0, 0)),
        (PickerKey::Down, (1, 0)),
        (PickerKey::PageDown, (21, 2)),
        (PickerKey::Ctrl('p'), (20, 2)),
        (PickerKey::End, (99, 80)),
        (PickerKey::Ctrl('n'), (99, 80)),
        (PickerKey::PageUp, (79, 79)),
        (PickerKey::Left, (79, 79)),
        (PickerKey::Home, (0, 0)),
    ] {
        press(&mut state, &[key]);
        assert_eq!(at(&state), expected, "{key:?}");
    }
    press(&mut state, &[PickerKey::End]);
    screen(&mut state, 80, 60);
    assert_eq!(at(&state), (99, 43), "a larger window is filled");
    screen(&mut state, 80, 4);
    assert_eq!(
        at(&state),
        (99, 99),
        "a smaller one still shows the selected row"
    );
    type_in(&mut state, "parser");
    assert_eq!(at(&state), (0, 0), "a new list begins at its first row");
    assert_eq!(
        state.press(PickerKey::Enter),
        PickerStep::End(Picked::Chosen(id(10)))
    );
    assert_eq!(
        state.press(PickerKey::Ctrl('c')),
        PickerStep::End(Picked::Cancelled)
    );
    type_in(&mut state, "no such title");
    for key in [
        PickerKey::Enter,
        PickerKey::Tab,
        PickerKey::Down,
        PickerKey::End,
        PickerKey::PageUp,
        PickerKey::Ctrl('r'),
    ] {
        press(&mut state, &[key]);
        assert!(matches!(state.mode, Mode::List), "nothing to choose");
    }
}

#[test]
fn picker_fetched_rows_do_not_move_the_selection() {
    let mut state = picker(many(40));
    screen(&mut state, 80, 13);
    press(&mut state, &[PickerKey::Down; 15]);
    let chosen = selected(&state).unwrap().to_owned();
    let line = state.list.selected - state.list.top;
    let mut items = many(40);
    items.extend([item(900, "new"), item(901, "new")].map(|item| Item {
        last_activity: Some(now()),
        ..item
    }));
    state.absorb(fetched(items));
    assert_eq!(selected(&state), Some(chosen.as_str()));
    assert_eq!(state.list.selected - state.list.top, line);
    assert_eq!(state.list.len(), 42);
}

#[test]
fn picker_fetched_rows_obey_the_filter_and_may_vanish() {
    let mut state = picker(many(20));
    type_in(&mut state, "parser");
    press(&mut state, &[PickerKey::Down]);
    let mut items = many(15);
    items.push(item(30, "a parser, too"));
    state.absorb(fetched(items));
    assert_eq!(shown(&state), ["a parser, number 10", "a parser, too"]);
    assert_eq!(selected(&state), Some("a parser, too"));
    state.absorb(fetched(Vec::new()));
    assert_eq!(selected(&state), None);
}
