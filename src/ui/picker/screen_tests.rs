//! The parts of the picker besides the list: preview, help, view, title, mouse, and its looks.

use super::bindings::BINDINGS;
use super::key::{MouseAction, MouseEvent, PickerKey};
use super::state::{Mode, PickerState, PickerStep};
use super::tests::{
    a_few, backend, fetched, filter, id, item, many, picker, picker_of, press, screen, selected,
    shown, turns, type_in,
};
use super::updates::Update;
use super::{Item, Picked};

#[test]
fn picker_preview_opens_scrolls_and_closes() {
    let mut state = picker(a_few());
    screen(&mut state, 40, 12);
    assert_eq!(state.wanted_turns(), None, "there is no room beside");
    press(&mut state, &[PickerKey::Char(' ')]);
    assert_eq!(state.wanted_turns(), Some(id(6)));
    assert_eq!(state.wanted_turns(), None, "asked for once");
    state.absorb(Update::Turns(id(6), Ok(turns())));
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
    insta::assert_snapshot!("preview_that_fits", screen(&mut state, 80, 40));
    press(&mut state, &[PickerKey::Escape]);
    assert!(matches!(state.mode, Mode::List));
    assert_eq!(
        state.filter.text(),
        "",
        "typing in a preview does not filter"
    );
    press(&mut state, &[PickerKey::Down, PickerKey::Right]);
    assert_eq!(state.wanted_turns(), Some(id(1)));
    state.absorb(Update::Turns(
        id(1),
        Err("its file cannot be read".to_owned()),
    ));
    assert!(screen(&mut state, 80, 6).contains("its file cannot be read"));
    assert_eq!(
        state.press(PickerKey::Enter),
        PickerStep::End(Picked::Chosen(id(1)))
    );
}

#[test]
fn picker_preview_is_beside_the_list_where_there_is_room() {
    let mut items = a_few();
    items[5].branch = "main".to_owned();
    items[5].lock = Some("desk, 3 min".to_owned());
    let mut state = picker(items);
    screen(&mut state, 140, 24);
    assert_eq!(state.wanted_turns(), Some(id(6)));
    state.absorb(Update::Turns(id(6), Ok(turns())));
    insta::assert_snapshot!("beside", screen(&mut state, 140, 24));
    press(&mut state, &[PickerKey::Down]);
    assert_eq!(
        state.wanted_turns(),
        Some(id(1)),
        "it follows the selection"
    );
    press(&mut state, &[PickerKey::Up]);
    assert_eq!(state.wanted_turns(), None, "it is still known");
}

#[test]
fn picker_space_and_question_mark_are_letters_in_a_filter() {
    let mut state = picker(a_few());
    type_in(&mut state, "fix the");
    assert_eq!(state.filter.text(), "fix the");
    type_in(&mut state, "?");
    assert_eq!(state.filter.text(), "fix the?");
    press(&mut state, &[PickerKey::Escape, PickerKey::Char('?')]);
    assert!(matches!(state.mode, Mode::Help(_)));
    insta::assert_snapshot!("help", screen(&mut state, 80, 24));
    press(
        &mut state,
        &[PickerKey::Down, PickerKey::Escape, PickerKey::F1],
    );
    assert!(matches!(state.mode, Mode::Help(_)));
}

#[test]
fn picker_headless_sessions_alone_are_listed_at_first() {
    let mut items = a_few();
    items.iter_mut().for_each(|item| item.is_headless = true);
    assert_eq!(
        shown(&picker_of(items.clone(), false)),
        ["of the current project"]
    );
    items[0].is_headless = false;
    let title = items[0].title.clone();
    assert_eq!(shown(&picker_of(items, false)), [title.as_str()]);
}

#[test]
fn picker_toggles_select_what_is_listed() {
    let mut items = a_few();
    items[0].branch = "main".to_owned();
    items[1].machine = "desk".to_owned();
    items[3].is_headless = true;
    items[4].is_archived = true;
    items[4].tag = "later".to_owned();
    let mut state = picker_of(items, false);
    assert_eq!(shown(&state), ["of the current project"]);
    let titles = |state: &mut PickerState, key| {
        press(state, &[PickerKey::Ctrl(key)]);
        let firsts = shown(state).into_iter();
        let firsts = firsts.map(|title| title.split([' ', '\\']).next().unwrap());
        firsts.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(titles(&mut state, 'a'), "of fix 目目 a hostile");
    assert_eq!(selected(&state), Some("of the current project"));
    assert_eq!(titles(&mut state, 'g'), "of fix 目目 please a hostile");
    assert_eq!(titles(&mut state, 'f'), "of fix 目目 please hostile");
    assert_eq!(titles(&mut state, 'x'), "of fix 目目 please");
    assert_eq!(
        titles(&mut state, 't'),
        "fix 目目 please",
        "of the last day"
    );
    assert_eq!(titles(&mut state, 't'), "of fix 目目 please", "of 7 days");
    assert_eq!(titles(&mut state, 'o'), "of fix please", "of this machine");
    let status = screen(&mut state, 110, 10);
    assert!(
        status.contains("(from laptop, last 7 days, no forks, with headless, no archived)"),
        "{status}"
    );
    assert_eq!(titles(&mut state, 'o'), "目目", "of the next machine");
    press(&mut state, &[PickerKey::Ctrl('o'), PickerKey::Ctrl('o')]);
    assert_eq!(titles(&mut state, 'b'), "fix", "of this branch");
    state.here.branch = None;
    press(&mut state, &[PickerKey::Ctrl('b')]);
    assert!(screen(&mut state, 80, 10).contains("the current directory is on no branch"));
    press(&mut state, &[PickerKey::Ctrl('x'), PickerKey::Down]);
    assert!(!screen(&mut state, 80, 10).contains("on no branch"));
}

#[test]
fn picker_tag_and_archived_are_shown_and_found() {
    let mut items = a_few();
    items[4].is_archived = true;
    items[4].tag = "later\u{7}".to_owned();
    let mut state = picker(items);
    assert!(screen(&mut state, 118, 10).contains("archived #later\\u{7}"));
    filter(&mut state, "#later");
    assert_eq!(state.list.len(), 1);
}

#[test]
fn picker_rename_asks_for_title_and_shows_the_result() {
    let mut state = picker(a_few());
    press(&mut state, &[PickerKey::Ctrl('r'), PickerKey::Ctrl('u')]);
    type_in(&mut state, "x new title");
    press(&mut state, &[PickerKey::Ctrl('a'), PickerKey::Delete]);
    let asked = screen(&mut state, 60, 8);
    assert!(asked.starts_with("new title:  new title "), "{asked}");
    let rename = PickerStep::Rename {
        session: id(6),
        title: "new title".to_owned(),
    };
    assert_eq!(state.press(PickerKey::Enter), rename);
    state.absorb(Update::Renamed(id(6), Ok("new title".to_owned())));
    assert_eq!(selected(&state), Some("new title"));
    state.absorb(fetched(a_few()));
    assert_eq!(
        selected(&state),
        Some("new title"),
        "the fetch began before"
    );
    let refused = Err("the session is open on desk".to_owned());
    state.absorb(Update::Renamed(id(6), refused));
    let text = screen(&mut state, 60, 8);
    assert!(
        text.contains("not renamed: the session is open on desk"),
        "{text}"
    );
    press(&mut state, &[PickerKey::Ctrl('r'), PickerKey::Escape]);
    press(&mut state, &[PickerKey::Ctrl('r'), PickerKey::Enter]);
    assert_eq!(selected(&state), Some("new title"), "nothing has changed");
}

#[test]
fn picker_mouse_selects_opens_and_scrolls() {
    let mut state = picker(many(100));
    screen(&mut state, 140, 23);
    state.wanted_turns();
    state.absorb(Update::Turns(id(1), Ok(turns())));
    let long = screen(&mut state, 140, 23);
    let event = |column, row, action| MouseEvent {
        column,
        row,
        action,
    };
    let click = |state: &mut PickerState, row| state.click(event(10, row, MouseAction::Click));
    assert_eq!(
        click(&mut state, 2),
        PickerStep::Draw,
        "the first click selects"
    );
    assert_eq!(click(&mut state, 5), PickerStep::Draw);
    assert_eq!(state.list.selected, 3);
    assert_eq!(click(&mut state, 5), PickerStep::End(Picked::Chosen(id(4))));
    press(&mut state, &[PickerKey::Up]);
    assert_eq!(click(&mut state, 4), PickerStep::Draw);
    for place in [0, 1, 22] {
        assert_eq!(click(&mut state, place), PickerStep::Draw);
        assert_eq!(state.list.selected, 2, "no row is there");
    }
    state.click(event(10, 5, MouseAction::WheelDown));
    assert_eq!(state.list.selected, 5);
    state.click(event(10, 5, MouseAction::WheelUp));
    press(&mut state, &[PickerKey::Home]);
    state.click(event(130, 5, MouseAction::WheelUp));
    assert_eq!(state.list.selected, 0);
    assert_ne!(screen(&mut state, 140, 23), long, "the preview is scrolled");
}

#[test]
fn picker_screen_adapts_to_width() {
    let mut state = picker(a_few());
    press(&mut state, &[PickerKey::Down]);
    for width in [40, 80, 118] {
        insta::assert_snapshot!(format!("list_{width}"), screen(&mut state, width, 10));
    }
}

#[test]
fn picker_screen_with_no_and_with_thousand_sessions() {
    let mut none = picker(Vec::new());
    insta::assert_snapshot!("none", screen(&mut none, 60, 5));
    let mut state = picker(many(1000));
    type_in(&mut state, "parser 7");
    press(&mut state, &[PickerKey::End]);
    insta::assert_snapshot!("thousand", screen(&mut state, 80, 9));
    type_in(&mut state, "77");
    insta::assert_snapshot!("thousand_none", screen(&mut state, 80, 5));
}

#[test]
fn picker_colors_do_not_change_text() {
    let mut state = picker(a_few());
    type_in(&mut state, "fix app");
    let plain = backend(&mut state, 60, 5, false);
    let painted = backend(&mut state, 60, 5, true);
    assert_eq!(plain.to_string(), painted.to_string(), "the same text");
    insta::assert_snapshot!("painted", format!("{:#?}", painted.buffer()));
    let cells = plain.buffer().content().iter();
    let emphasised = cells.filter(|cell| !cell.modifier.is_empty());
    let emphasised: String = emphasised.map(|cell| cell.symbol()).collect();
    assert_eq!(emphasised, "appfix", "without colours only matches are");
}

#[test]
fn picker_any_window_size_never_panics() {
    let sizes = (0..30).chain([119, 120, 121, 200]);
    for (width, height) in sizes.flat_map(|width| (0..9).map(move |height| (width, height))) {
        let mut state = picker(a_few());
        screen(&mut state, width, height);
        type_in(&mut state, "fix 目");
        screen(&mut state, width, height);
        press(&mut state, &[PickerKey::Escape, PickerKey::Ctrl('r')]);
        screen(&mut state, width, height);
        press(&mut state, &[PickerKey::Escape, PickerKey::Tab]);
        let session = state.wanted_turns().unwrap_or(id(1));
        state.absorb(Update::Turns(session, Ok(turns())));
        screen(&mut state, width, height);
        press(
            &mut state,
            &[PickerKey::Tab, PickerKey::F1, PickerKey::Down],
        );
        screen(&mut state, width, height);
    }
}

#[test]
fn picker_row_is_one_line_whatever_its_texts() {
    let odd = "שלום 目目目 👩‍🔧 e\u{301}\u{302} \u{202e}\u{1b}[2J\nline\ttab";
    let items = vec![Item {
        project: odd.repeat(9),
        branch: odd.to_owned(),
        machine: odd.repeat(2),
        lock: Some(odd.to_owned()),
        tag: odd.to_owned(),
        ..item(1, &odd.repeat(9))
    }];
    for width in [20, 40, 80, 200] {
        let mut state = picker(items.clone());
        type_in(&mut state, "שלום目e");
        press(&mut state, &[PickerKey::Escape]);
        let text = screen(&mut state, width, 8);
        let used = text
            .lines()
            .filter(|line| line.contains("1970") || line.starts_with("> "));
        assert_eq!(used.count(), 1, "{text}");
        let cells = |line: &str| dialoguer::console::measure_text_width(line);
        assert!(
            text.lines()
                .all(|line| cells(line) == usize::from(width) + 1),
            "{text}"
        );
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\t']), "{text}");
    }
}

#[test]
fn picker_failed_fetch_is_one_line() {
    let mut state = picker(a_few());
    state.absorb(Update::Fetched(Err("no\nroute\u{7}".to_owned())));
    let text = screen(&mut state, 60, 8);
    let failure = text.lines().nth(6).unwrap();
    assert!(failure.starts_with("as of the last fetch: no"), "{text}");
    assert!(text.lines().nth(5).unwrap().contains("~/"), "{text}");
}

#[test]
fn picker_keys_are_documented() {
    let page = include_str!("../../../docs/daily-use.md");
    let rows = BINDINGS.iter();
    let rows = rows.map(|binding| format!("| {} | {} |\n", binding.label, binding.effect));
    let table = format!(
        "| key | effect |\n|---|---|\n{}\n",
        rows.collect::<String>()
    );
    assert!(page.contains(&table), "docs/daily-use.md needs:\n{table}");
}
