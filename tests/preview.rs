//! The preview shows the end of a conversation that is here or only in the store.

use ccsync::browse::preview::last_turns;
use ccsync::domain::turn::{Turn, TurnSpeaker};
use ccsync::workspace::error::SyncError;
use ccsync::workspace::lookup::LookupError;

use crate::harness::library::with_context;
use crate::harness::{Machine, ONE, TWO, TestEnv};

fn preview(machine: &Machine, session: &str, most: usize) -> Result<Vec<Turn>, SyncError> {
    with_context(machine, |ctx| {
        last_turns(ctx, &session.parse().unwrap(), most)
    })
}

fn lines(turns: &[Turn]) -> Vec<String> {
    let who = |turn: &Turn| {
        if turn.speaker == TurnSpeaker::User {
            "U"
        } else {
            "A"
        }
    };
    turns
        .iter()
        .map(|turn| format!("{} {} {:?}", who(turn), turn.text, turn.tools))
        .collect()
}

#[test]
fn preview_shows_newer_of_local_and_stored() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE)
        .turn(&format!("look at {}/work/app", a.home.display()))
        .write();
    assert_eq!(preview(&a, ONE, 9).unwrap().len(), 3, "not pushed yet");
    a.ccsync(["push"]).success();
    assert!(
        matches!(
            preview(&b, ONE, 9),
            Err(SyncError::Lookup(LookupError::NoSession { .. }))
        ),
        "not fetched yet"
    );
    b.ccsync(["list", "--remote"]).success();
    assert_eq!(b.sessions(), [""; 0], "a list pulls nothing");
    let here = b.home.join("work/app");
    let question = format!("look at {}", here.display());
    let first = [
        format!("U {question} []"),
        "A  [\"Read src/main.rs\"]".to_owned(),
        format!("A Answer to: {question} []"),
    ];
    assert_eq!(
        lines(&preview(&b, ONE, 9).unwrap()),
        first,
        "with the paths of this machine"
    );

    b.ccsync(["pull"]).success();
    b.append(ONE, "only here");
    assert_eq!(
        lines(&preview(&b, ONE, 1).unwrap()),
        ["A Answer to: only here []"]
    );
    b.ccsync(["push"]).success();
    a.ccsync(["list", "--remote"]).success();
    assert_eq!(
        lines(&preview(&a, ONE, 1).unwrap()),
        ["A Answer to: only here []"],
        "the store has more"
    );
    assert!(matches!(
        preview(&a, TWO, 1),
        Err(SyncError::Lookup(LookupError::NoSession { .. }))
    ));
}

#[test]
fn preview_reads_only_end_of_long_session() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let long = "x".repeat(20_000);
    let builder = (0..120).fold(a.session(ONE), |builder, n| {
        builder.turn(&format!("question {n} {long}"))
    });
    builder.write();
    a.ccsync(["push"]).success();
    b.ccsync(["list", "--remote"]).success();
    for machine in [&a, &b] {
        let turns = preview(machine, ONE, 4).unwrap();
        let firsts: Vec<String> = turns
            .iter()
            .map(|turn| turn.text.chars().take(23).collect())
            .collect();
        assert_eq!(
            firsts[1..],
            ["question 119 xxxxxxxxxx", "", "Answer to: question 119"]
        );
        // The limit is larger than the first read.
        let turns = preview(machine, ONE, 200).unwrap();
        assert_eq!(turns.len(), 200);
        assert!(
            turns[199 - 5 * 3 + 1].text.starts_with("question 115 "),
            "{}",
            turns[185].text
        );
        assert_eq!(preview(machine, ONE, 1000).unwrap().len(), 360);
    }
}

#[test]
fn preview_does_not_wait_for_other_process() {
    let env = TestEnv::new();
    let (_, b) = env.pair_with_session();
    let lock = b.home.join(".local/state/ccsync/lock");
    let file = std::fs::File::open(lock).unwrap();
    file.lock().unwrap();
    assert_eq!(preview(&b, ONE, 9).unwrap().len(), 3);
}
