//! The numbered list: lines in, lines out.

use super::tests::{a_few, id, many, now, turns};
use crate::domain::{SessionId, Turn};
use crate::ui::picker::lines::LinePicker;
use crate::ui::picker::list::RowList;
use crate::ui::picker::row::rows;
use crate::ui::picker::{Item, Picked, SessionSource, Surroundings};

struct Answers;

impl SessionSource for Answers {
    fn turns(&self, _: &SessionId) -> Result<Vec<Turn>, String> {
        Ok(turns())
    }

    fn rename(&self, _: &SessionId, title: &str) -> Result<String, String> {
        Ok(title.to_owned())
    }
}

fn ask_about(items: Vec<Item>, typed: &str) -> (Picked, String) {
    let list = RowList::new(rows(items, now()), true, now());
    let mut picker = LinePicker::new(list, Surroundings::default(), now(), 80);
    let mut output = Vec::new();
    let picked = picker.run(&Answers, &mut typed.as_bytes(), &mut output);
    (picked.unwrap(), String::from_utf8(output).unwrap())
}

#[test]
fn picker_line_prompt_selects_by_number() {
    let ask = |typed| ask_about(a_few(), typed);
    assert_eq!(ask("2\n").0, Picked::Chosen(id(1)));
    assert_eq!(ask("\n").0, Picked::Cancelled);
    assert_eq!(ask("").0, Picked::Cancelled);
    assert_eq!(ask("7\n2?\n\n").0, Picked::Cancelled, "7 is a filter");
    let (picked, output) = ask("parser\n1?\n1\n");
    assert_eq!(picked, Picked::Chosen(id(4)));
    insta::assert_snapshot!("by_lines", output);
}

#[test]
fn picker_line_prompt_turns_pages() {
    let ask = |typed| ask_about(many(45), typed);
    let (picked, output) = ask("+\n+\n+\n-\n21\n");
    assert_eq!(picked, Picked::Chosen(id(21)), "numbers go on");
    let pages = output
        .lines()
        .filter(|line| line.contains("of 45 of 45 sessions"));
    let pages: Vec<_> = pages.map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(pages, ["1-20", "21-40", "41-45", "41-45", "21-40"]);
    assert_eq!(ask("45\n").0, Picked::Chosen(id(45)), "also unseen ones");
    assert_eq!(ask("parser\n*\n3\n").0, Picked::Chosen(id(3)));
}

#[test]
fn picker_line_prompt_changes_the_view_and_helps() {
    let (_, output) = ask_about(a_few(), "/forks\n/branch\n?\n");
    assert!(output.contains("5 of 6 sessions (no forks)"), "{output}");
    assert!(
        output.contains("the current directory is on no branch"),
        "{output}"
    );
    assert!(output.contains("/machine, /age, /forks"), "{output}");
}
