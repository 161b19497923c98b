//! A placeholder that the user adds after sessions were stored below its directory.

use std::fs;

use ccsync::handoff::path_notice::path_notice;
use ccsync::handoff::project_here::ProjectHere;

use crate::harness::library::with_context;
use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions};
use crate::project_location::{assert_session_is_in, assert_settled};
use crate::project_repository::here;

/// Sets the placeholder `LAB` to a directory relative to the home directory.
fn give(machine: &Machine, directory: &str) -> Run {
    machine.add_placeholder(&format!("LAB={}", machine.home.join(directory).display()))
}

/// `a` has pushed a session in `lab/x`, and added a placeholder for `lab` since; `b` has
/// the directory in `science`.
fn pair_with_later_placeholder(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).project("lab/x").turn("hello").write();
    a.ccsync(["push"]).success();
    give(&a, "lab");
    a.ccsync(["push"]).success();
    give(&b, "science");
    fs::create_dir_all(b.home.join("science/x")).unwrap();
    (a, b)
}

#[test]
fn add_placeholder_names_sessions_stored_below_it() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).project("lab/x").turn("hello").write();
    a.session(TWO).project("work/app").turn("there").write();
    a.ccsync(["push"]).success();
    insta::assert_snapshot!(give(&a, "lab"), @r"
    --- stderr
    hint: 1 session below LAB keeps its stored text; new turns use LAB
    hint: to place them by LAB on other machines, too: `ccsync push`
    --- exit 0
    ");
    fs::create_dir_all(a.home.join("empty")).unwrap();
    let none = give(&a, "empty");
    assert_eq!(none.stderr, "", "nothing is there");
    let lab = a.home.join("lab");
    let config = a.ccsync(["config", "show", "--json"]).success().json();
    let own_id = config["id"].as_str().unwrap();
    for this in ["this", "a", own_id, &own_id[..8]] {
        let set = a
            .ccsync(["config", "set-path", "LAB", this, lab.to_str().unwrap()])
            .success();
        assert!(
            set.stderr
                .contains("1 session below LAB keeps its stored text")
                && !set.stderr.contains("ccsync push"),
            "{set}"
        );
    }
    let placeholder = format!("WORK={}", a.home.join("work").display());
    let init = a
        .ccsync(["init", "--yes", "--add-placeholder", &placeholder])
        .success();
    assert!(
        init.stderr
            .contains("1 session below WORK keeps its stored text"),
        "{init}"
    );
    assert!(
        !a.ccsync(["init", "--yes"])
            .success()
            .stderr
            .contains("stored text")
    );
}

#[test]
fn placeholder_missing_directory_needs_yes() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let remote = env.bare_remote();
    let typo = format!("WORK={}", a.home.join("wrok").display());
    let init = ["init", "--name", "a", "--remote", remote.to_str().unwrap()];
    let refused = a.ccsync(init.iter().chain(&["--add-placeholder", &typo]));
    insta::assert_snapshot!(refused.code(2), @r"
    --- stderr
    error: no directory `$ROOT/a/home/al/wrok` on this machine for a placeholder
    hint: create it with `mkdir -p $ROOT/a/home/al/wrok`
    hint: to use it without, run the command again with `--yes`
    --- exit 2
    ");
    a.ccsync(init).success();

    let config = |args: &[&str]| a.ccsync([&["config"], args].concat());
    let placeholders = || config(&["show", "--json"]).json()["placeholders"].clone();
    let own_id = config(&["show", "--json"]).json()["id"].clone();
    let directory = a.home.join("wrok").to_str().unwrap().to_owned();
    let add = ["add-placeholder", &typo];
    let set_path = |machine| ["set-path", "WORK", machine, &directory];
    let own_id = own_id.as_str().unwrap();
    config(&add).code(2);
    for this in ["this", "a", "A", own_id, &own_id[..8]] {
        config(&set_path(this)).code(2);
    }
    assert_eq!(placeholders(), serde_json::json!({}));

    let confirmed = config(&[&add[..], &["--yes"]].concat()).success();
    assert!(confirmed.stderr.contains("no directory"), "{confirmed}");
    config(&["remove-placeholder", "WORK"]).success();
    config(&[&set_path("this")[..], &["--yes"]].concat()).success();
    config(&["remove-placeholder", "WORK"]).success();
    fs::create_dir(&directory).unwrap();
    let named = config(&add).success();
    assert_eq!(named.stderr, "");
}

#[test]
fn remove_placeholder_keeps_stored_sessions() {
    let env = TestEnv::new();
    let (a, b) = pair_with_later_placeholder(&env);
    a.append(ONE, "below LAB");
    a.ccsync(["push"]).success();
    a.ccsync(["config", "remove-placeholder", "LAB"]).success();
    a.append(ONE, "without LAB");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(
        questions(&b.text(ONE)),
        ["hello", "below LAB", "without LAB"]
    );
    let unknown = a.ccsync(["config", "remove-placeholder", "LAB"]).code(1);
    insta::assert_snapshot!(unknown, @r"
    --- stderr
    error: no placeholder `LAB` on this machine
    hint: see the settings with `ccsync config show`
    --- exit 1
    ");
}

#[test]
fn pull_earlier_session_uses_placeholder_added_later() {
    let env = TestEnv::new();
    let (a, b) = pair_with_later_placeholder(&env);
    let pull = b.ccsync(["pull"]).success();
    assert!(pull.stdout.contains("{{LAB}}/x"), "{pull}");
    assert_session_is_in(&b, ONE, "science/x");
    assert!(
        matches!(here(&b, ONE), ProjectHere::Present { directory, .. } if directory == b.home.join("science/x"))
    );
    assert!(
        b.text(ONE).contains(b.home.join("lab/x").to_str().unwrap()),
        "as it was stored"
    );
    assert_settled(&b, &[ONE]);
    // From here on both use the placeholder.
    b.append(ONE, "on b");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_session_is_in(&a, ONE, "lab/x");
    let cwd = format!("\"cwd\":\"{}\"", a.home.join("lab/x").display());
    a.append_raw(ONE, format!("{{\"type\":\"x\",{cwd}}}\n").as_bytes());
    a.append(ONE, "on a");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let cwd = format!("\"cwd\":\"{}\"", b.home.join("science/x").display());
    assert!(
        b.text(ONE).contains(&cwd),
        "what was written since is read below it: {}",
        b.text(ONE)
    );
    assert_eq!(questions(&b.text(ONE)), ["hello", "on b", "on a"]);
    assert_settled(&a, &[ONE]);
    assert_settled(&b, &[ONE]);
}

#[test]
fn add_placeholder_does_not_move_existing_sessions() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).project("lab/x").turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    give(&a, "lab");
    a.ccsync(["push"]).success();
    give(&b, "science");
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    for (machine, place) in [(&b, "lab/x"), (&c, "lab/x")] {
        machine.ccsync(["pull"]).success();
        assert_session_is_in(machine, ONE, place);
        assert_settled(machine, &[ONE]);
    }
}

#[test]
fn placeholder_of_storing_time_decides_location() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    give(&a, "lab");
    a.session(ONE).project("lab/x").turn("hello").write();
    a.ccsync(["push"]).success();
    // The placeholder has another directory now, and sessions stored below the former one
    // do not belong to it.
    let other = format!("OTHER={}", a.home.join("lab").display());
    a.add_placeholder(&format!("LAB={}", a.home.join("elsewhere").display()));
    a.add_placeholder(&other);
    a.ccsync(["push"]).success();
    give(&b, "science");
    b.add_placeholder(&format!("OTHER={}", b.home.join("other").display()));
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "science/x");
}

#[test]
fn placeholder_of_forgotten_machine_is_still_used() {
    let env = TestEnv::new();
    let (a, b) = pair_with_later_placeholder(&env);
    b.ccsync(["machine", "forget", "a", "--yes"]).success();
    b.ccsync(["pull"]).success();
    assert_session_is_in(&b, ONE, "science/x");
    drop(a);
}

#[test]
fn path_notice_names_placeholder_added_later() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let signed =
        br#"{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"x","signature":"c2ln"}]}}"#;
    a.session(ONE)
        .project("lab/x")
        .turn("hello")
        .raw(signed)
        .raw(b"\n")
        .write();
    a.ccsync(["push"]).success();
    give(&a, "lab");
    a.ccsync(["push"]).success();
    give(&b, "science");
    b.ccsync(["pull"]).success();
    let directory = b.home.join("science/x");
    let notice = with_context(&b, |ctx| {
        path_notice(ctx, &ONE.parse().unwrap(), &directory)
    })
    .unwrap()
    .unwrap();
    let line = format!(
        "- `{}` is now `{}`",
        a.home.join("lab").display(),
        b.home.join("science").display()
    );
    assert!(notice.contains(&line), "{notice}");
}

/// Each change would be one more description of this machine in the manifest.
#[test]
fn placeholders_changed_hundred_times_keep_store_small() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let mut asked = vec!["hello".to_owned()];
    for n in 0..100 {
        give(&a, &format!("lab/{n}"));
        let mode = ["never", "always", "auto"][n % 3];
        b.ccsync(["config", "set", "localize", mode]).success();
        if n % 20 == 0 {
            asked.push(format!("after {n}"));
            a.append(ONE, &asked[asked.len() - 1]);
            a.ccsync(["push"]).success();
            b.ccsync(["pull"]).success();
        }
    }
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    assert_eq!(questions(&b.text(ONE)), asked);
    assert_settled(&a, &[ONE]);
    assert_settled(&b, &[ONE]);
    for machine in [&a, &b] {
        let verify = machine.ccsync(["verify", "--full"]).success();
        assert!(verify.stdout.contains("all agree"), "{verify}");
    }

    // One for each push with new lines.
    let stored = b.git(&[
        "show",
        &format!("HEAD:sessions/{}/{ONE}/manifest.json", &ONE[..2]),
    ]);
    let manifest: serde_json::Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(manifest["placeholders"].as_object().unwrap().len(), 6);
}
