//! Another machine proposes, the user accepts: nothing in the store changes this machine's
//! configuration or reads as a command.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Clone, Machine, ONE, TestEnv};
use crate::project_repository::manifest;

fn placeholders(machine: &Machine) -> Value {
    machine
        .ccsync(["config", "show", "--json"])
        .success()
        .json()["placeholders"]
        .clone()
}

#[test]
fn proposed_path_is_used_only_after_approval() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let old = b.home.join("old").display().to_string();
    let new = b.home.join("new").display().to_string();
    b.add_placeholder(&format!("WORK={old}"));
    b.ccsync(["push"]).success();
    a.ccsync(["config", "set-path", "WORK", "b", &new])
        .success();
    a.ccsync(["config", "set-path", "MORE", "b", &new])
        .success();
    for command in ["pull", "sync", "push", "status", "pull"] {
        let run = b.ccsync([command]).success();
        assert_eq!(placeholders(&b), json!({"WORK": old}), "{run}");
        let is_named = run.stdout.contains("{{WORK}} from a needs your approval");
        assert_eq!(is_named, command != "push", "{run}");
    }
    let shown = b.ccsync(["apply"]).success();
    for line in ["{{WORK}}", &format!("- {old}"), &format!("+ {new}")] {
        assert!(shown.stdout.contains(line), "{line}\n{shown}");
    }
    assert_eq!(placeholders(&b), json!({"WORK": old}));
    b.ccsync(["apply", "--yes", "{{WORK}}"]).success();
    assert_eq!(placeholders(&b), json!({"WORK": new}));
    b.ccsync(["apply", "--yes"]).success();
    assert_eq!(placeholders(&b), json!({"MORE": new, "WORK": new}));
    assert!(!b.ccsync(["sync"]).success().stdout.contains("approval"));
}

#[test]
fn proposed_path_of_keys_or_system_is_ignored() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let home = b.home.display();
    fs::create_dir_all(b.home.join(".ssh")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(b.home.join(".ssh"), b.home.join("keys")).unwrap();
    let proposals = [
        format!("{home}/.ssh"),
        format!("{home}/.config/x"),
        format!("{home}/work/../.gnupg"),
        format!("{home}/keys/x"),
        "/etc".to_owned(),
        "/etc/ssh".to_owned(),
        "/usr/bin".to_owned(),
    ];
    for (n, path) in proposals.iter().enumerate() {
        a.ccsync(["config", "set-path", &format!("P{n}"), "b", path]);
    }
    b.ccsync(["pull"]).success();
    let run = b.ccsync(["apply", "--yes"]).success();
    assert_eq!(placeholders(&b), json!({}), "{run}");
}

#[test]
fn placeholder_of_keys_or_system_is_refused() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    fs::create_dir_all(a.home.join(".ssh")).unwrap();
    for directory in [
        "/etc",
        "/etc/app",
        &a.home.join(".ssh/x").display().to_string(),
    ] {
        let run = a
            .ccsync(["config", "add-placeholder", &format!("X={directory}")])
            .code(2);
        assert!(
            run.stderr.contains("it holds keys or system files"),
            "{run}"
        );
        a.ccsync(["config", "set-path", "X", "this", directory])
            .code(2);
    }
    assert_eq!(placeholders(&a), json!({}));
}

#[test]
fn hostile_project_stands_in_no_command() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let clone = Clone::new(&env.remote_of_pair(), &b);
    let path = format!("sessions/11/{ONE}/manifest.json");
    for project in [
        "{{WORK=1;touch PWNED;#}}/app",
        "{{WORK$(touch PWNED)}}/app",
        "{{work}}/`touch PWNED`",
        "{{W}}/x; touch PWNED",
    ] {
        let mut document = manifest(&a, ONE);
        document["project"] = json!(project);
        clone.write(&path, document.to_string());
        clone.push();
        for args in [
            &["pull"][..],
            &["doctor"],
            &["resume", ONE],
            &["list", "--remote"],
        ] {
            let run = b.ccsync(args);
            for line in format!("{}{}", run.stdout, run.stderr).lines() {
                let command = line
                    .rsplit("ccsync ")
                    .next()
                    .filter(|_| line.contains("ccsync "));
                assert!(
                    !command.is_some_and(|text| text.contains("touch")),
                    "{line}"
                );
            }
        }
        clone.pull();
    }
}

#[test]
fn session_called_memory_is_refused() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let clone = Clone::new(&env.remote_of_pair(), &b);
    let text = clone.git(&["show", &format!("HEAD:sessions/11/{ONE}/manifest.json")]);
    for name in ["memory", "Memory"] {
        let shard = &name.to_lowercase()[..2];
        let path = format!("sessions/{shard}/{name}/manifest.json");
        clone.write(&path, text.replace(ONE, name));
    }
    clone.push();
    b.ccsync(["pull"]);
    assert!(
        !b.sessions()
            .iter()
            .any(|id| id.eq_ignore_ascii_case("memory"))
    );
    let memory = a.project_dir("work/app").join("memory.jsonl");
    fs::write(memory, a.text(ONE)).unwrap();
    let run = a.ccsync(["push"]);
    assert!(
        run.stdout.contains("memory.jsonl") || run.stderr.contains("memory.jsonl"),
        "{run}"
    );
    let list = a.ccsync(["list", "--json"]).success().json();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
}
