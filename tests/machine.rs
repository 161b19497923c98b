//! `ccsync machine`: the list of a store's machines, their names, and removed machines.

use std::fs;

use crate::harness::{Machine, ONE, TWO, TestEnv, questions, tree};

fn names(machine: &Machine) -> Vec<String> {
    let list = machine
        .ccsync(["machine", "list", "--json"])
        .success()
        .json();
    list["machines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|machine| machine["name"].as_str().unwrap().to_owned())
        .collect()
}

fn id(machine: &Machine) -> String {
    machine
        .ccsync(["config", "show", "--json"])
        .success()
        .json()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn machine_list_shows_activity_of_every_machine() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.session(TWO).turn("there").write();
    b.append(ONE, "from b");
    b.ccsync(["push"]).success();
    let list = a.ccsync(["machine", "list", "--json"]).success().json();
    let [me, other] = list["machines"].as_array().unwrap().as_slice() else {
        panic!("{list}")
    };
    assert_eq!(
        (&me["name"], &me["this"], &me["sessions"]),
        (&"a".into(), &true.into(), &0.into())
    );
    assert_eq!(
        (&other["name"], &other["this"], &other["sessions"]),
        (&"b".into(), &false.into(), &2.into())
    );
    assert_eq!(
        (other["id"].as_str().unwrap(), &other["system"]),
        (id(&b).as_str(), &"linux".into())
    );
    assert_eq!(
        (&other["locks"], &list["remote_error"]),
        (&serde_json::json!([]), &serde_json::Value::Null)
    );
    assert!(
        other["last_push"].as_str().unwrap().ends_with('Z'),
        "{list}"
    );
    let text = a.ccsync(["machine", "list"]).success().stdout;
    assert!(
        text.contains("a (this machine)") && text.contains(&id(&b)[..8]),
        "{text}"
    );
}

#[test]
fn machine_list_offline_is_of_last_contact() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    assert_eq!(names(&a), ["a", "b"]);
    fs::rename(env.remote_of_pair(), env.root().join("away")).unwrap();
    let run = a.ccsync(["machine", "list"]).success();
    assert!(
        run.stdout.contains("a (this machine)") && run.stderr.contains("as of the last fetch"),
        "{run}"
    );
    assert_eq!(names(&a), ["a", "b"]);
}

#[test]
fn machine_rename_applies_to_this_machine_only() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    insta::assert_snapshot!(a.ccsync(["machine", "rename", "desk"]).success(), @r"
    machine rename: this machine is now `desk`
    --- exit 0
    ");
    let mut both = names(&b);
    both.sort_unstable();
    assert_eq!(both, ["b", "desk"]);
    insta::assert_snapshot!(a.ccsync(["machine", "rename", "b", "lap"]).code(1), @r"
    --- stderr
    error: cannot rename machine `b`: only that machine can
    hint: on that machine, run `ccsync machine rename NAME`
    --- exit 1
    ");
    insta::assert_snapshot!(a.ccsync(["machine", "rename", "desk", "B"]).code(1), @r"
    --- stderr
    error: machine `B` already exists
    hint: list the names in use with `ccsync machine list`
    --- exit 1
    ");
    a.ccsync(["machine", "rename", "desk", "top"]).success();
    a.ccsync(["machine", "rename", "gone", "x"]).code(1);
    a.ccsync(["machine", "rename", "bad\u{7}"]).code(2);
    assert_eq!(
        a.ccsync(["config", "get", "name"]).success().stdout,
        "top\n"
    );
}

#[test]
fn machine_rename_offline_is_queued() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let away = env.root().join("away");
    fs::rename(env.remote_of_pair(), &away).unwrap();
    a.ccsync(["machine", "rename", "desk"]).code(6);
    fs::rename(&away, env.remote_of_pair()).unwrap();
    a.ccsync(["push"]).success();
    assert!(names(&b).contains(&"desk".to_owned()));
}

#[test]
fn machine_forget_keeps_its_sessions() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.append(ONE, "from b");
    b.ccsync(["push"]).success();
    a.ccsync(["machine", "forget", "b"]).code(2);
    a.ccsync(["machine", "forget", "a", "--yes"]).code(1);
    a.ccsync(["machine", "forget", "c", "--yes"]).code(1);
    assert_eq!(names(&a), ["a", "b"]);
    insta::assert_snapshot!(a.ccsync(["machine", "forget", &id(&b)[..8], "--yes"]).success(), @r"
    machine forget: b removed
    --- exit 0
    ");
    assert_eq!(names(&a), ["a"]);
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(ONE)), ["hello", "from b"]);
    a.ccsync(["verify", "--full"]).success();
    a.assert_in_order("after a forget");
    // A machine that is set up later reads these sessions, too.
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    c.ccsync(["pull"]).success();
    assert_eq!(questions(&c.text(ONE)), ["hello", "from b"]);
    assert_eq!(names(&c), ["c", "a"]);
}

#[test]
fn machine_forgotten_keeps_its_name_in_history() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let memory = b.project_dir("work/app").join("memory");
    fs::create_dir_all(&memory).unwrap();
    fs::write(memory.join("MEMORY.md"), "colour: blue\n").unwrap();
    b.append(ONE, "from b");
    b.ccsync(["push"]).success();
    let id = id(&b);
    a.ccsync(["machine", "forget", "b", "--yes"]).success();
    // Another machine has this name now.
    let new = env.machine("new");
    new.ccsync([
        "init",
        "--yes",
        "--name",
        "b",
        "--remote",
        env.remote_of_pair().to_str().unwrap(),
    ])
    .success();
    let memory = a.project_dir("work/app").join("memory");
    fs::create_dir_all(&memory).unwrap();
    fs::write(memory.join("MEMORY.md"), "colour: red\n").unwrap();
    let pull = a.ccsync(["pull"]).code(5);
    let kept = fs::read_to_string(memory.join("MEMORY.md")).unwrap();
    assert!(kept.contains("b (forgotten):]\n"), "{kept}");
    for text in [
        &pull.stdout,
        &a.ccsync(["list"]).success().stdout,
        &a.ccsync(["log"]).success().stdout,
    ] {
        assert!(
            text.contains("b (forgotten)") && !text.contains(&id[..8]),
            "{text}"
        );
    }
    // The name alone means the machine that has it now.
    for (from, sessions) in [("b", 0), ("b (forgotten)", 1), (&id, 1)] {
        let run = a
            .ccsync(["list", "--json", "--from", from])
            .success()
            .json();
        assert_eq!(
            run["sessions"].as_array().unwrap().len(),
            sessions,
            "{from}: {run}"
        );
        let exit = if sessions == 0 { 1 } else { 0 };
        a.ccsync(["search", "from b", "--from", from]).code(exit);
    }
    // A note can be written only for a machine in the list.
    a.ccsync(["note", "hello", "--for", "b (forgotten)"])
        .code(1);
    a.ccsync(["note", "hello", "--for", "b"]).success();
    assert!(new.ccsync(["pull"]).success().stdout.contains("hello"));
}

#[test]
fn machine_forgotten_returns_with_its_paths() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    for place in ["old", "new"] {
        b.add_placeholder(&format!("OLD=~/{place}"));
        b.ccsync(["push"]).success();
    }
    a.ccsync(["machine", "forget", "b", "--yes"]).success();
    b.append(ONE, "still here");
    b.ccsync(["pull"]).success();
    b.ccsync(["push"]).success();
    assert_eq!(names(&a), ["a", "b"]);
    assert_eq!(
        (questions(&b.text(ONE)), b.sessions().len()),
        (vec!["hello".to_owned(), "still here".to_owned()], 1)
    );
    let directory = b.store().join("machines");
    let files: Vec<_> = tree(&directory)
        .into_keys()
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    assert!(
        !files.iter().any(|file| file.ends_with(".forgotten.json")),
        "{files:?}"
    );
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(directory.join(format!("{}.json", id(&b)))).unwrap())
            .unwrap();
    assert_eq!(
        file["former_placeholders"].as_array().unwrap().len(),
        2,
        "its former roots are known: {file}"
    );
}

#[test]
fn machine_forgotten_files_are_still_recognized() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    // Sessions on `b` name its paths; `c` is to replace it.
    let c = env.machine("c");
    a.ccsync(["machine", "forget", "b", "--yes"]).success();
    let directory = c.project_dir("work/app");
    fs::create_dir_all(&directory).unwrap();
    fs::copy(
        b.transcript_path(ONE),
        directory.join(format!("{ONE}.jsonl")),
    )
    .unwrap();
    c.init(&env.remote_of_pair());
    let push = c.ccsync(["push"]).success();
    assert_eq!(
        push.summary(),
        "push: up to date (1 session); nothing to push",
        "{push}"
    );
    c.append(ONE, "on c");
    c.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(
        (questions(&a.text(ONE)), a.sessions().len()),
        (vec!["hello".to_owned(), "on c".to_owned()], 1)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn machine_forget_with_live_lock_needs_force() {
    use crate::harness::client::Client;
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let client = Client::install(&b);
    let running = client.start_late(&["start"], "at work");
    let list = a.ccsync(["machine", "list", "--json"]).success().json();
    let of_b = list["machines"]
        .as_array()
        .unwrap()
        .iter()
        .find(|machine| machine["name"] == "b")
        .unwrap();
    assert_eq!(of_b["locks"].as_array().unwrap().len(), 1, "{list}");
    insta::assert_snapshot!(a.ccsync(["machine", "forget", "b", "--yes"]).code(4), @r"
    --- stderr
    error: machine `b` holds 1 live lock
    hint: list its sessions with `ccsync lock show`
    hint: if none is in use, run `ccsync machine forget b --force`
    --- exit 4
    ");
    assert_eq!(names(&a).len(), 2);
    insta::assert_snapshot!(a.ccsync(["machine", "forget", "b", "--yes", "--force"]).success(), @r"
    machine forget: b removed; 1 lock released
    --- exit 0
    ");
    client.finish();
    b.ended(running);
    b.ccsync(["push"]);
    assert!(names(&a).contains(&"b".to_owned()));
    a.ccsync(["pull"]).success();
    let said: Vec<String> = a
        .sessions()
        .iter()
        .flat_map(|session| questions(&a.text(session)))
        .collect();
    assert!(said.iter().any(|said| said == "at work"), "{said:?}");
}
