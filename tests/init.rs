//! `init` and `config` on one machine after another, and repeatedly.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::harness::{Machine, ONE, TestEnv, questions};

#[test]
fn init_without_terminal_asks_nothing() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let run = a.ccsync(["init"]).success();
    assert!(
        run.stdout.ends_with("init: this machine is set up\n"),
        "{run}"
    );
    assert!(run.stderr.contains("ccsync init --remote URL"), "{run}");
}

#[test]
fn init_names_what_it_set_up() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, b) = (env.machine("a"), env.machine("b"));
    insta::assert_snapshot!(a.init(&remote), @r"
      machine  a
      remote   $ROOT/remote-1.git
      HOME     $ROOT/a/home/al
    init: this machine is set up
    --- stderr
    hint: next: `ccsync push`
    --- exit 0
    ");
    a.add_placeholder("WORK=~/work");
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    insta::assert_snapshot!(b.init(&remote), @r"
      machine  b
      remote   $ROOT/remote-1.git
      others   a
      HOME     $ROOT/b/Users/alex/deep.er
      WORK     no directory here  (on a: $ROOT/a/home/al/work)
    init: this machine is set up; 1 placeholder missing
    --- stderr
    hint: other machines have the placeholder WORK; to set its directory here: `ccsync config add-placeholder WORK=PATH`
    hint: next: `ccsync resume`
    --- exit 0
    ");
}

#[test]
fn init_again_changes_only_given_settings() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let show = || a.ccsync(["config", "show", "--json"]).success().json();
    let before = show();
    a.ccsync(["init", "--yes", "--name", "renamed"]).success();
    let after = show();
    assert_eq!(
        (&after["id"], &after["remote"]),
        (&before["id"], &before["remote"])
    );
    assert_eq!(after["name"], "renamed");
}

#[test]
fn push_before_init_uses_local_remote() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.session(ONE).turn("hello").write();
    let push = a.ccsync(["push"]).success();
    assert_eq!(
        push.summary(),
        "push: 1 session: 1 added; saved on this disk as $COMMIT"
    );
    assert_eq!(push.stderr.lines().count(), 2, "{push}");
    assert!(
        push.stderr
            .contains("to sync with other machines: `ccsync init`\n"),
        "{push}"
    );
}

#[test]
fn init_remote_later_pushes_local_sessions() {
    let env = TestEnv::new();
    let (a, b) = (env.machine("a"), env.machine("b"));
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let remote = env.bare_remote();
    let report = a
        .ccsync([
            "init",
            "--yes",
            "--json",
            "--remote",
            remote.to_str().unwrap(),
        ])
        .success()
        .json();
    assert_eq!(
        (&report["sessions_moved"], &report["embedded"]),
        (&1.into(), &false.into())
    );
    b.init(&remote);
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
}

#[test]
fn push_dry_run_before_init_creates_nothing() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let before = a.tree();
    a.ccsync(["push", "--dry-run"]).code(1);
    assert_eq!(a.tree(), before);
}

#[test]
fn config_get_and_set_settings() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    assert_eq!(
        a.ccsync(["config", "get", "pull_max_age"]).success().stdout,
        "30\n"
    );
    a.ccsync(["config", "set", "pull_max_age", "7"]).success();
    assert_eq!(
        a.ccsync(["config", "get", "pull_max_age"]).success().stdout,
        "7\n"
    );
    a.ccsync(["config", "set", "name", "my laptop"]).success();
    a.ccsync(["config", "set", "localize", "never"]).success();
    insta::assert_snapshot!(a.ccsync(["config", "show"]).success(), @r"
    file          $ROOT/a/home/al/.config/ccsync/config.toml
    id            $MACHINE
    name          my laptop
    remote        $ROOT/remote-1.git
    author        this machine
    client_dir    ~/.claude
    localize      never
    extras        memory,claude-md,plans
    secrets       mask, or off if the store is encrypted
    key_command   none
    include       every project
    exclude       none
    max_size      none
    pull_max_age  7
    push_max_age  none
    --- exit 0
    ");
}

#[test]
fn config_never_shows_remote_secret() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.ccsync(["init", "--yes"]).success();
    let file = a.home.join(".config/ccsync/config.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        format!("remote = \"https://al:hunter2@127.0.0.1:1/s.git\"\n{text}"),
    )
    .unwrap();
    for args in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["config", "get", "remote"],
        &["status"],
        &["status", "--json"],
        &["pull"],
        &["push"],
    ] {
        let run = a.ccsync(args);
        assert!(
            !format!("{}{}", run.stdout, run.stderr).contains("hunter2"),
            "{args:?}\n{run}"
        );
    }
}

/// Sets up `a` with the placeholders `WORK` (`~/my/work`) and `FAR`, and a pushed session
/// in `WORK`.
fn machine_with_placeholders(env: &TestEnv, remote: &Path) -> Machine {
    let a = env.machine("a");
    a.init(remote);
    for (name, path) in [("WORK", "~/my/work"), ("FAR", "/far/away")] {
        a.add_placeholder(&format!("{name}={path}"));
    }
    a.session(ONE).project("my/work/app").turn("hello").write();
    a.ccsync(["push"]).success();
    a
}

#[test]
fn init_second_machine_adopts_existing_placeholders() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    machine_with_placeholders(&env, &remote);
    let b = env.machine("b");
    fs::create_dir_all(b.home.join("my/work")).unwrap();
    insta::assert_snapshot!(b.init(&remote), @r"
      machine  b
      remote   $ROOT/remote-1.git
      others   a
      HOME     $ROOT/b/Users/alex/deep.er
      WORK     $ROOT/b/Users/alex/deep.er/my/work  (as on a)
      FAR      no directory here  (on a: /far/away)
    init: this machine is set up; 1 placeholder added; 1 missing
    --- stderr
    hint: other machines have the placeholder FAR; to set its directory here: `ccsync config add-placeholder FAR=PATH`
    hint: next: `ccsync resume`
    --- exit 0
    ");
    b.ccsync(["pull"]).success();
    assert!(
        b.text(ONE)
            .contains(b.home.join("my/work/app").to_str().unwrap()),
        "{}",
        b.text(ONE)
    );
    let c = env.machine("c");
    fs::create_dir_all(c.home.join("work")).unwrap();
    let report = c
        .ccsync([
            "init",
            "--yes",
            "--json",
            "--remote",
            remote.to_str().unwrap(),
        ])
        .success()
        .json();
    assert_eq!(report["adopted"], serde_json::json!(["WORK"]));
    assert_eq!(report["missing"][0]["name"], "FAR");
    assert_eq!(report["missing"][0]["directory_there"], "/far/away");
    let config = c.ccsync(["config", "show", "--json"]).success().json();
    assert_eq!(
        config["placeholders"]["WORK"],
        c.home.join("work").to_str().unwrap()
    );
}

#[test]
fn init_without_yes_only_suggests_placeholder() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    machine_with_placeholders(&env, &remote);
    let b = env.machine("b");
    fs::create_dir_all(b.home.join("my/work")).unwrap();
    let run = b
        .ccsync(["init", "--remote", remote.to_str().unwrap()])
        .success();
    let command = format!(
        "ccsync config add-placeholder WORK={}",
        b.home.join("my/work").display()
    );
    assert!(
        run.stderr.contains(&command) && run.stderr.contains("add-placeholder FAR=PATH"),
        "{run}"
    );
    assert!(
        b.ccsync(["config", "show", "--json"]).success().json()["placeholders"]
            .as_object()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn init_never_adopts_placeholder_at_unsafe_path() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let a = env.machine("a");
    a.init(&remote);
    for place in [".profile.d", "bin", ".config/autostart"] {
        a.add_placeholder(&format!("EVIL=~/{place}"));
        let b = env.machine(&format!("b-{}", place.replace(['/', '.'], "-")));
        fs::create_dir_all(b.home.join(place)).unwrap();
        let report = b
            .ccsync([
                "init",
                "--yes",
                "--json",
                "--remote",
                remote.to_str().unwrap(),
            ])
            .success()
            .json();
        assert_eq!(
            (&report["adopted"], &report["missing"][0]["suggested"]),
            (&serde_json::json!([]), &serde_json::Value::Null)
        );
    }
}

#[test]
fn init_taken_machine_name_gets_number() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let machines = ["x", "y", "z"].map(|name| env.machine(name));
    let init = |machine: &Machine| {
        machine
            .ccsync([
                "init",
                "--yes",
                "--name",
                "Laptop",
                "--remote",
                remote.to_str().unwrap(),
            ])
            .success()
    };
    init(&machines[0]);
    insta::assert_snapshot!(init(&machines[1]), @r"
      machine  Laptop-2
               another machine is called Laptop
      remote   $ROOT/remote-1.git
      others   Laptop
      HOME     $ROOT/y/home/y
    init: this machine is set up
    --- stderr
    hint: next: `ccsync resume`
    --- exit 0
    ");
    init(&machines[2]);
    let name = |machine: &Machine| machine.ccsync(["config", "get", "name"]).success().stdout;
    assert_eq!(
        machines.each_ref().map(name),
        ["Laptop\n", "Laptop-2\n", "Laptop-3\n"]
    );
    // A machine keeps the name that it has.
    machines[1].ccsync(["init", "--yes"]).success();
    assert_eq!(name(&machines[1]), "Laptop-2\n");
    let run = machines[1]
        .ccsync(["init", "--yes", "--name", "laptop"])
        .success();
    assert_eq!(name(&machines[1]), "laptop-2\n", "{run}");
}

#[test]
fn init_concurrent_machines_get_distinct_names() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let machines: Vec<Machine> = (0..4).map(|n| env.machine(&format!("m{n}"))).collect();
    let args = [
        "init",
        "--yes",
        "--name",
        "laptop",
        "--remote",
        remote.to_str().unwrap(),
    ];
    let started: Vec<_> = machines
        .iter()
        .map(|machine| {
            machine
                .command(args)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for (machine, child) in machines.iter().zip(started) {
        machine.ended(child).success();
    }
    let list = machines[0]
        .ccsync(["machine", "list", "--json"])
        .success()
        .json();
    let mut names: Vec<&str> = list["machines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|machine| machine["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["laptop", "laptop-2", "laptop-3", "laptop-4"]);
}

/// Changes the configuration of `machine` to that of another host. Returns `None` if
/// hosts cannot be distinguished here.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn mark_config_as_copied(machine: &Machine) -> Option<()> {
    let file = machine.home.join(".config/ccsync/config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let Some(line) = text.lines().find(|line| line.starts_with("host = ")) else {
        eprintln!("skipped: this system has no /etc/machine-id");
        return None;
    };
    fs::write(&file, text.replace(line, "host = \"0123456789abcdef\"")).unwrap();
    Some(())
}

#[test]
fn init_copied_config_gets_new_machine_id() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let Some(()) = mark_config_as_copied(&a) else {
        return;
    };
    for command in ["push", "pull", "sync"] {
        let run = a.ccsync([command]).success();
        assert!(
            run.stderr.contains("created on another host")
                && run.stderr.contains("ccsync init --new-id"),
            "{run}"
        );
    }
    let id = |machine: &Machine| {
        machine
            .ccsync(["config", "show", "--json"])
            .success()
            .json()["id"]
            .clone()
    };
    let before = id(&a);
    a.ccsync(["init", "--yes", "--new-id", "--name", "copy"])
        .success();
    assert_ne!(id(&a), before);
    let list = b.ccsync(["machine", "list", "--json"]).success().json();
    let mut names: Vec<&str> = list["machines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "copy"]);
    // The machine has the same sessions as before.
    let push = a.ccsync(["push"]).success();
    assert!(!push.stderr.contains("another host"), "{push}");
    assert_eq!(
        (questions(&a.text(ONE)), a.sessions().len()),
        (vec!["hello".to_owned()], 1)
    );
    a.append(ONE, "again");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "again"]);
    a.ccsync(["verify", "--full"]).success();
}

#[test]
fn init_reinstalled_machine_keeps_id() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let file = a.home.join(".config/ccsync/config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let Some(()) = mark_config_as_copied(&a) else {
        return;
    };
    a.ccsync(["init", "--yes"]).success();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(a.ccsync(["pull"]).success().stderr, "");
}
