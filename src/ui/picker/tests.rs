//! The picker without a terminal: keys in, screens out.

use chrono::TimeDelta;
use ratatui_core::backend::TestBackend;
use ratatui_core::terminal::Terminal;

use super::key::PickerKey;
use super::state::{PickerState, PickerStep};
use chrono::{DateTime, Utc};

use super::columns::PreferredWidths;
use super::draw::Theme;
use super::*;
use crate::domain::{SessionId, Turn, TurnSpeaker};

pub(super) fn now() -> DateTime<Utc> {
    "2026-03-10T12:00:00Z".parse().unwrap()
}

fn id(n: usize) -> SessionId {
    format!("{n:08x}-0000-4000-8000-000000000000")
        .parse()
        .unwrap()
}

fn item(n: usize, title: &str) -> Item {
    Item {
        session: id(n),
        is_of_this_project: false,
        last_activity: Some(now() - TimeDelta::minutes(7 * n as i64)),
        project: "{{HOME}}/work/app".to_owned(),
        title: title.to_owned(),
        first_words: String::new(),
        machine: "laptop".to_owned(),
        bytes: 34_000 * n as u64,
        lock: None,
        is_fork: false,
        is_here: true,
    }
}

fn a_few() -> Vec<Item> {
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

fn press(state: &mut PickerState, keys: &[PickerKey]) {
    for key in keys {
        assert_eq!(state.press(*key), PickerStep::Draw);
    }
}

fn type_in(state: &mut PickerState, text: &str) {
    text.chars()
        .for_each(|c| press(state, &[PickerKey::Char(c)]));
}

fn shown(state: &PickerState) -> Vec<&str> {
    state
        .shown
        .iter()
        .map(|row| state.rows[*row].title.as_str())
        .collect()
}

fn backend(state: &mut PickerState, width: u16, height: u16, colors: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let (preferred, theme) = (PreferredWidths::from_rows(&state.rows), Theme::new(colors));
    terminal
        .draw(|frame| draw::draw(frame, state, &preferred, &theme))
        .unwrap();
    terminal.backend().clone()
}

/// Returns the text of the screen, with `|` at its right edge.
fn screen(state: &mut PickerState, width: u16, height: u16) -> String {
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
    let state = PickerState::new(a_few(), now());
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
fn picker_filter_needs_every_word() {
    let mut state = PickerState::new(a_few(), now());
    type_in(&mut state, "LOGIN  work");
    assert_eq!(
        shown(&state),
        ["fix the login form"],
        "in title and project, whatever the case"
    );
    press(&mut state, &[PickerKey::Clear]);
    assert_eq!(shown(&state).len(), 6);
    for (filter, found) in [
        ("PARSER", 1),
        ("desk\\u{9b}", 1),
        ("0000012c", 1),
        ("logni", 0),
        ("fix parser", 0),
        ("E\u{301}", 1),
        ("  ", 6),
    ] {
        state.set_filter(filter);
        assert_eq!(shown(&state).len(), found, "{filter}");
    }
    state.set_filter("");
    type_in(&mut state, "foxx");
    press(
        &mut state,
        &[
            PickerKey::Backspace,
            PickerKey::Backspace,
            PickerKey::Backspace,
        ],
    );
    assert_eq!(state.filter, "f");
    assert_eq!(state.paste("orm\n"), PickerStep::Draw);
    assert_eq!(shown(&state), ["fix the login form"]);
}

#[test]
fn picker_keys_move_the_selection() {
    let mut state = PickerState::new(many(100), now());
    screen(&mut state, 80, 23);
    let at = |state: &PickerState| (state.selected, state.top);
    for (key, expected) in [
        (PickerKey::Up, (0, 0)),
        (PickerKey::Down, (1, 0)),
        (PickerKey::PageDown, (21, 2)),
        (PickerKey::Up, (20, 2)),
        (PickerKey::End, (99, 80)),
        (PickerKey::Down, (99, 80)),
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
        state.press(PickerKey::Escape),
        PickerStep::End(Picked::Cancelled)
    );
    assert_eq!(
        state.press(PickerKey::Cancel),
        PickerStep::End(Picked::Cancelled)
    );
    type_in(&mut state, "no such title");
    for key in [
        PickerKey::Enter,
        PickerKey::Tab,
        PickerKey::Down,
        PickerKey::End,
        PickerKey::PageUp,
    ] {
        assert_eq!(state.press(key), PickerStep::Draw, "nothing to choose");
    }
}

#[test]
fn picker_preview_opens_scrolls_and_closes() {
    let mut state = PickerState::new(a_few(), now());
    assert_eq!(state.press(PickerKey::Tab), PickerStep::Preview(id(6)));
    assert_eq!(state.press(PickerKey::Right), PickerStep::Preview(id(6)));
    state.open_preview(Ok(turns()));
    insta::assert_snapshot!("preview_end", screen(&mut state, 40, 12));
    press(&mut state, &[PickerKey::Home]);
    insta::assert_snapshot!("preview_beginning", screen(&mut state, 40, 12));
    let first_line =
        |state: &mut PickerState| screen(state, 40, 12).lines().nth(2).unwrap().to_owned();
    let beginning = first_line(&mut state);
    press(&mut state, &[PickerKey::Up, PickerKey::Down, PickerKey::Up]);
    assert_eq!(first_line(&mut state), beginning);
    press(
        &mut state,
        &[PickerKey::PageDown, PickerKey::PageUp, PickerKey::Char('x')],
    );
    assert_eq!(first_line(&mut state), beginning);
    insta::assert_snapshot!("preview_that_fits", screen(&mut state, 80, 30));
    press(&mut state, &[PickerKey::Escape]);
    assert!(state.preview.is_none());
    assert_eq!(state.filter, "", "typing in a preview does not filter");
    state.open_preview(Err("its file cannot be read".to_owned()));
    assert!(screen(&mut state, 80, 6).contains("its file cannot be read"));
    assert_eq!(
        state.press(PickerKey::Enter),
        PickerStep::End(Picked::Chosen(id(6)))
    );
}

#[test]
fn picker_screen_adapts_to_width() {
    let mut state = PickerState::new(a_few(), now());
    press(&mut state, &[PickerKey::Down]);
    for width in [40, 80, 120] {
        insta::assert_snapshot!(format!("list_{width}"), screen(&mut state, width, 10));
    }
}

#[test]
fn picker_screen_with_no_and_with_thousand_sessions() {
    let mut none = PickerState::new(Vec::new(), now());
    insta::assert_snapshot!("none", screen(&mut none, 60, 5));
    let mut state = PickerState::new(many(1000), now());
    type_in(&mut state, "parser 7");
    press(&mut state, &[PickerKey::End]);
    insta::assert_snapshot!("thousand", screen(&mut state, 80, 9));
    type_in(&mut state, "77");
    insta::assert_snapshot!("thousand_none", screen(&mut state, 80, 5));
}

#[test]
fn picker_colors_do_not_change_text() {
    let mut state = PickerState::new(a_few(), now());
    type_in(&mut state, "o LOGIN");
    let plain = backend(&mut state, 60, 5, false);
    let painted = backend(&mut state, 60, 5, true);
    assert_eq!(plain.to_string(), painted.to_string(), "the same text");
    insta::assert_snapshot!("painted", format!("{:#?}", painted.buffer()));
    let unpainted = plain
        .buffer()
        .content()
        .iter()
        .all(|cell| cell.modifier.is_empty());
    assert!(unpainted, "without colours nothing is emphasised");
}

#[test]
fn picker_any_window_size_never_panics() {
    for (width, height) in (0..30).flat_map(|width| (0..6).map(move |height| (width, height))) {
        let mut state = PickerState::new(a_few(), now());
        screen(&mut state, width, height);
        type_in(&mut state, "fix 目");
        screen(&mut state, width, height);
        state.set_filter("");
        state.open_preview(Ok(turns()));
        screen(&mut state, width, height);
    }
}

#[test]
fn picker_filter_matches_are_marked() {
    let found = |text: &'static str, filter| -> Vec<&str> {
        row::occurrences(text, &row::words(filter))
            .into_iter()
            .map(|range| &text[range])
            .collect()
    };
    assert_eq!(found("Fix the FORM", "form fi"), ["Fi", "FORM"]);
    assert_eq!(
        found("aaa", "aa a"),
        ["aaa"],
        "overlapping matches are joined"
    );
    // The lower case of this letter has more bytes.
    assert_eq!(found("İx", "x"), ["x"]);
    assert_eq!(found("İx", "i"), ["İ"]);
}

#[test]
fn picker_line_prompt_selects_by_number() {
    struct Answers;
    impl Preview for Answers {
        fn turns(&mut self, _: &SessionId) -> Result<Vec<Turn>, String> {
            Ok(turns())
        }
    }
    let ask = |typed: &str| {
        let (mut state, mut output) = (PickerState::new(a_few(), now()), Vec::new());
        let picked = lines::pick(
            &mut state,
            &mut Answers,
            80,
            &mut typed.as_bytes(),
            &mut output,
        )
        .unwrap();
        (picked, String::from_utf8(output).unwrap())
    };
    assert_eq!(ask("2\n").0, Picked::Chosen(id(1)));
    assert_eq!(ask("\n").0, Picked::Cancelled);
    assert_eq!(ask("").0, Picked::Cancelled);
    assert_eq!(ask("7\n2?\n\n").0, Picked::Cancelled, "7 is a filter");
    let (picked, output) = ask("parser\n1?\n1\n");
    assert_eq!(picked, Picked::Chosen(id(4)));
    insta::assert_snapshot!("by_lines", output);
}

#[test]
fn picker_fetched_rows_do_not_move_the_selection() {
    let mut state = PickerState::new(many(40), now());
    state.set_page(10);
    press(&mut state, &[PickerKey::Down; 15]);
    let selected = state.selected_row().unwrap().session.clone();
    let line = state.selected - state.top;
    let mut fetched = many(40);
    fetched.extend([item(900, "new"), item(901, "new")].map(|item| Item {
        last_activity: Some(now()),
        ..item
    }));
    state.end_fetch(Ok(fetched));
    assert_eq!(state.selected_row().unwrap().session, selected);
    assert_eq!(state.selected - state.top, line);
    assert_eq!(state.shown.len(), 42);
}

#[test]
fn picker_fetched_rows_obey_the_filter_and_may_vanish() {
    let mut state = PickerState::new(many(20), now());
    type_in(&mut state, "parser");
    press(&mut state, &[PickerKey::Down]);
    let mut fetched = many(15);
    fetched.push(item(30, "a parser, too"));
    state.end_fetch(Ok(fetched));
    assert_eq!(shown(&state), ["a parser, number 10", "a parser, too"]);
    assert_eq!(state.selected_row().unwrap().title, "a parser, too");
    state.end_fetch(Ok(Vec::new()));
    assert_eq!(state.selected_row().map(|row| &row.session), None);
}

#[test]
fn picker_failed_fetch_is_one_line() {
    let mut state = PickerState::new(a_few(), now());
    state.end_fetch(Err("no\nroute\u{7}".to_owned()));
    let text = screen(&mut state, 60, 8);
    let failure = text.lines().nth(6).unwrap();
    assert!(failure.starts_with("as of the last fetch: no"), "{text}");
    assert!(text.lines().nth(5).unwrap().contains("~/"), "{text}");
}
