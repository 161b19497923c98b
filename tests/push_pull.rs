//! A session is pushed from one machine, pulled on another, and pulled back.

use std::fs;

use crate::harness::{ONE, TWO, TestEnv, chain_is_whole, questions};

#[test]
fn pull_session_has_local_project_path() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE)
        .project("work/app")
        .turn("hello")
        .turn("and again")
        .write();
    assert_eq!(
        a.ccsync(["push"]).success().summary(),
        "push: 1 session: 1 added; on the remote as $COMMIT"
    );
    assert_eq!(
        b.ccsync(["pull"]).success().summary(),
        "pull: 1 session: 1 added; on the remote as $COMMIT"
    );

    let path = b.transcript_path(ONE);
    assert_eq!(path.parent().unwrap(), b.project_dir("work/app"));
    let expected = a
        .text(ONE)
        .replace(a.home.to_str().unwrap(), b.home.to_str().unwrap());
    assert_eq!(b.text(ONE), expected);
    let native = format!(r#""cwd":"{}/work/app""#, b.home.display());
    assert!(
        b.text(ONE).lines().all(|line| line.contains(&native)),
        "{}",
        b.text(ONE)
    );
}

#[test]
fn pull_at_origin_is_exact() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let home = a.home.display();
    let odd = format!(
        "{{\"type\":\"odd\", \"n\":1.0e+2,\"s\":\"\\ud83d {{{{HOME}}}} {home}/x {home}x \\/ \u{2028}é\"}}\n\u{7f}not json {home}\n\n"
    );
    let path = a
        .session(ONE)
        .turn("hello")
        .raw(odd.as_bytes())
        .raw(b"\xff\xfe\n")
        .write();
    let before = fs::read(&path).unwrap();
    a.ccsync(["push"]).success();
    fs::remove_file(&path).unwrap();
    a.ccsync(["pull", ONE]).success();
    assert_eq!(a.transcript(ONE), before);
}

#[test]
fn sync_alternating_machines_extends_session() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("first").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    for round in 0..3 {
        b.append(ONE, &format!("b {round}"));
        assert_eq!(
            b.ccsync(["push"]).success().summary(),
            "push: 1 session: 1 extended; on the remote as $COMMIT"
        );
        a.ccsync(["pull"]).success();
        a.append(ONE, &format!("a {round}"));
        a.ccsync(["sync"]).success();
        b.ccsync(["sync"]).success();
    }
    let all = ["first", "b 0", "a 0", "b 1", "a 1", "b 2", "a 2"];
    for machine in [&a, &b] {
        assert_eq!(machine.sessions(), [ONE]);
        assert_eq!(questions(&machine.text(ONE)), all);
        assert!(chain_is_whole(&machine.text(ONE)));
    }
}

#[test]
fn push_and_pull_again_do_nothing() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    a.session(TWO).project("lib").turn("hi").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let before = b.client_tree();
    insta::assert_snapshot!(b.ccsync(["pull"]), @r"
    pull: up to date (2 sessions); on the remote as $COMMIT
    --- exit 0
    ");
    assert!(
        a.ccsync(["push"])
            .success()
            .summary()
            .starts_with("push: up to date (2 sessions)")
    );
    assert_eq!(b.client_tree(), before);
}

#[test]
fn push_pull_includes_session_directory() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let extras = a.session(ONE).turn("hello").write().with_extension("");
    fs::create_dir_all(extras.join("subagents")).unwrap();
    fs::create_dir_all(extras.join("tool-results")).unwrap();
    let line = format!(
        "{{\"type\":\"user\",\"cwd\":\"{}/work/app\",\"uuid\":\"u\"}}\n",
        a.home.display()
    );
    fs::write(extras.join("subagents/agent-1.jsonl"), &line).unwrap();
    fs::write(
        extras.join("tool-results/toolu_1.txt"),
        format!("{}/work/app\n", a.home.display()),
    )
    .unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let there = b.transcript_path(ONE).with_extension("");
    let read = |name: &str| fs::read_to_string(there.join(name)).unwrap();
    assert_eq!(
        read("subagents/agent-1.jsonl"),
        line.replace(a.home.to_str().unwrap(), b.home.to_str().unwrap())
    );
    assert_eq!(
        read("tool-results/toolu_1.txt"),
        format!("{}/work/app\n", b.home.display())
    );
    b.ccsync(["verify", "--full"]).success();
}

#[test]
fn pull_placeholder_maps_project_directory() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let code = b.home.join("code");
    fs::create_dir_all(&code).unwrap();
    a.add_placeholder("WORK=~/work");
    b.add_placeholder(&format!("WORK={}", code.display()));
    a.session(ONE).project("work/app").turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(
        b.transcript_path(ONE).parent().unwrap(),
        b.project_dir("code/app")
    );
    assert!(b.text(ONE).contains(&format!("{}/app", code.display())));
}

#[test]
fn pull_old_session_is_named_and_pulled_on_request() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).days_old(90).turn("long ago").write();
    a.session(TWO).project("lib").turn("now").write();
    a.ccsync(["push"]).success();
    let pulled = b.ccsync(["pull"]).success();
    assert_eq!(
        pulled.summary(),
        "pull: 2 sessions: 1 added, 1 not pulled; on the remote as $COMMIT"
    );
    assert_eq!(b.sessions(), [TWO]);
    b.ccsync(["pull", ONE]).success();
    assert_eq!(b.sessions(), [ONE, TWO]);
}

#[test]
fn pull_days_option_includes_older_sessions() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).days_old(90).turn("long ago").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull", "--days", "365"]).success();
    assert_eq!(b.sessions(), [ONE]);
}

#[test]
fn list_names_location_of_sessions() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let rows = b.ccsync(["list", "--remote", "--json"]).success().json();
    let row = &rows["sessions"][0];
    assert_eq!(
        (&rows["version"], &row["session"]),
        (&2.into(), &ONE.into())
    );
    assert_eq!(
        (&row["here"], &row["in_store"], &row["machine"]),
        (&false.into(), &true.into(), &"a".into())
    );
    assert_eq!(
        (&row["project"], &row["lines"]),
        (&"{{HOME}}/work/app".into(), &4.into())
    );
    assert_eq!(
        b.ccsync(["list", "--from", "b", "--json"]).success().json()["sessions"],
        serde_json::json!([])
    );
    assert_eq!(
        b.ccsync(["list", "--project", "nowhere", "--json"])
            .success()
            .json()["sessions"],
        serde_json::json!([])
    );
    b.ccsync(["pull"]).success();
    assert_eq!(
        b.ccsync(["list", "--format", "json"]).success().json()["sessions"][0]["here"],
        true
    );
}

#[test]
fn status_lists_pending_without_contacting_remote() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    let waiting = a.ccsync(["status", "--json"]).success().json();
    assert_eq!(waiting["to_push"][0]["session"], ONE);
    assert_eq!(waiting["sessions_here"], 1);
    a.ccsync(["push"]).success();
    let done = a.ccsync(["status", "--json"]).success().json();
    assert_eq!(
        (&done["to_push"], &done["queued_commits"]),
        (&serde_json::json!([]), &0.into())
    );
    assert_eq!(
        (&done["sessions_in_store"], &done["machine"]),
        (&1.into(), &"a".into())
    );
}
