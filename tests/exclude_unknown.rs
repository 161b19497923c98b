//! Unknown projects stay on the machine: sessions, memory and plans of projects that the
//! settings may exclude never reach the remote.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Machine, ONE, TWO, TestEnv};
use crate::project_repository::{git, repository};

/// Returns true if any object on the remote has the text.
fn is_sent(env: &TestEnv, machine: &Machine, text: &str) -> bool {
    let remote = env.remote_of_pair();
    let mut grep = machine.program("git");
    grep.arg("-C").arg(remote);
    grep.args(["log", "--all", "--format=%h", "-S", text]);
    !machine.run(&mut grep).success().stdout.is_empty()
}

fn outcome(machine: &Machine, args: &[&str], session: &str) -> Value {
    let run = machine.ccsync(args).success().json();
    let sessions = run["sessions"].as_array().unwrap();
    let found = sessions.iter().find(|row| row["session"] == session);
    found.cloned().unwrap_or_else(|| panic!("{run}"))
}

fn push_outcome(machine: &Machine, session: &str) -> Value {
    outcome(machine, &["push", "--json"], session)
}

fn record(cwd: &Path, session: &str, text: &str) -> String {
    let record = json!({
        "type": "user", "cwd": cwd, "sessionId": session, "uuid": format!("{session}-{text}"),
        "timestamp": "2026-11-29T20:00:00.000Z", "message": {"role": "user", "content": text},
    });
    format!("{record}\n")
}

#[test]
fn exclude_by_remote_outlasts_removed_clone() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    repository(&a, "work/app", "https://github.com/acme/app.git");
    a.session(ONE).turn("first SECRET").write();
    a.ccsync(["config", "exclude", "github.com/acme/*"])
        .success();
    assert_eq!(push_outcome(&a, ONE)["outcome"], "excluded");
    fs::remove_dir_all(a.home.join("work/app")).unwrap();
    for file in ["index.json", "checkouts.json"] {
        let _ = fs::remove_file(a.home.join(".local/state/ccsync").join(file));
    }
    a.append(ONE, "second SECRET");
    let row = push_outcome(&a, ONE);
    assert_eq!(row["outcome"], "excluded");
    assert!(
        row["reason"]
            .as_str()
            .unwrap()
            .contains("github.com/acme/*"),
        "{row}"
    );
    // An empty directory in its place, or a clone of something else, changes nothing.
    repository(&a, "work/app", "https://github.com/al/other.git");
    a.append(ONE, "third SECRET");
    assert_eq!(push_outcome(&a, ONE)["outcome"], "excluded");
    a.session(TWO).turn("of the other project").write();
    assert_eq!(push_outcome(&a, TWO)["outcome"], "added");
    assert!(!is_sent(&env, &a, "SECRET"));
}

#[test]
fn exclude_by_remote_keeps_session_of_unknown_clone() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).project("gone/app").turn("unknown").write();
    a.session(TWO).project("here/app").turn("known").write();
    fs::remove_dir_all(a.home.join("gone")).unwrap();
    a.ccsync(["config", "exclude", "acme/*"]).success();
    let row = push_outcome(&a, ONE);
    assert_eq!(row["outcome"], "excluded");
    let reason = row["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("its git remote is unknown, and `acme/*` may exclude it")
            && reason.ends_with("gone/app"),
        "{reason}"
    );
    assert!(!is_sent(&env, &a, "unknown") && is_sent(&env, &a, "known"));
    // With the directory there is an answer.
    fs::create_dir_all(a.home.join("gone/app")).unwrap();
    assert_eq!(push_outcome(&a, ONE)["outcome"], "added");
}

#[test]
fn exclude_by_remote_keeps_session_of_unreadable_repository() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    repository(&a, "work/app", "https://github.com/acme/app.git");
    fs::write(a.home.join("work/app/.git/config"), "[remote \"origin\"\n").unwrap();
    a.session(ONE).turn("unreadable").write();
    a.ccsync(["config", "exclude", "acme/*"]).success();
    assert_eq!(push_outcome(&a, ONE)["outcome"], "excluded");
    assert!(!is_sent(&env, &a, "unreadable"));
}

#[test]
fn exclude_by_remote_covers_removed_worktree() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    repository(&a, "work/app", "https://github.com/acme/app.git");
    for (session, tree) in [(ONE, "work/app/.claude/worktrees/x"), (TWO, "work/side")] {
        let path = a.home.join(tree);
        git(
            &a,
            "work/app",
            &["worktree", "add", "--quiet", path.to_str().unwrap()],
        );
        a.session(session).project(tree).turn("SECRET").write();
        git(
            &a,
            "work/app",
            &["worktree", "remove", "--force", path.to_str().unwrap()],
        );
    }
    a.ccsync(["config", "exclude", "acme/app"]).success();
    assert_eq!(push_outcome(&a, ONE)["outcome"], "excluded");
    assert_eq!(push_outcome(&a, TWO)["outcome"], "excluded");
    assert!(!is_sent(&env, &a, "SECRET"));
}

#[test]
fn exclude_session_that_moved_into_excluded_project() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).project("work/app").turn("harmless").write();
    let secret = a.home.join("secret/app");
    fs::create_dir_all(&secret).unwrap();
    a.ccsync(["config", "exclude", "~/secret"]).success();
    a.append_raw(ONE, &vec![b'\n'; 2 << 20]);
    a.append_raw(ONE, record(&secret, ONE, "SECRET").as_bytes());
    assert_eq!(push_outcome(&a, ONE)["outcome"], "excluded");
    assert!(!is_sent(&env, &a, "SECRET"));
}

#[test]
fn exclude_keeps_session_without_directory() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let secret = a.home.join("secret/app");
    fs::create_dir_all(&secret).unwrap();
    a.ccsync(["config", "exclude", "~/secret"]).success();
    let pasted = format!("PASTED {}", "x".repeat(2 << 20));
    let queued = json!({"type": "queue-operation", "sessionId": ONE, "content": pasted});
    let path = a
        .session(ONE)
        .project("secret/app")
        .raw(format!("{queued}\n").as_bytes())
        .write();
    // Half a record tells as little.
    let half = record(&secret, TWO, "HALF")[..12].to_owned();
    a.session(TWO)
        .project("secret/app")
        .raw(half.as_bytes())
        .write();
    for session in [ONE, TWO] {
        let row = push_outcome(&a, session);
        assert_eq!(row["outcome"], "excluded");
        assert!(
            row["reason"]
                .as_str()
                .unwrap()
                .contains("no record of it names"),
            "{row}"
        );
    }
    let known = [
        &fs::read(&path).unwrap()[..],
        record(&secret, ONE, "NEXT").as_bytes(),
    ]
    .concat();
    fs::write(&path, known).unwrap();
    assert!(
        push_outcome(&a, ONE)["reason"]
            .as_str()
            .unwrap()
            .starts_with("`~/secret` is excluded")
    );
    for text in ["PASTED", "HALF", "NEXT"] {
        assert!(!is_sent(&env, &a, text), "{text}");
    }
    a.ccsync(["config", "exclude", "--remove", "~/secret"])
        .success();
    assert_eq!(push_outcome(&a, ONE)["outcome"], "added");
}

#[test]
fn exclude_reads_records_with_blanks() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let spaced = |directory: &str, session: &str, text: &str| {
        let cwd = a.home.join(directory);
        fs::create_dir_all(&cwd).unwrap();
        let cwd = cwd.display();
        format!(
            "{{\"type\" : \"user\", \"cwd\": \"{cwd}\", \"sessionId\": \"{session}\", \"uuid\": \"u1\", \"message\": {{\"role\": \"user\", \"content\": \"{text}\"}}, \"timestamp\": \"2026-11-29T20:00:00.000Z\"}}\n\
             {{\"type\": \"assistant\", \"cwd\": \"{cwd}\", \"uuid\": \"u2\", \"message\": {{\"role\": \"assistant\", \"content\": [{{\"type\": \"thinking\", \"thinking\": \"in {cwd}\", \"signature\": \"c2lnbmVk\"}}]}}}}\n\
             {{\"customTitle\": \"Named {text}\", \"type\": \"custom-title\"}}\n"
        )
    };
    let secret = spaced("secret/app", ONE, "SECRET");
    a.session(ONE)
        .project("secret/app")
        .raw(secret.as_bytes())
        .write();
    let open = spaced("work/app", TWO, "open");
    a.session(TWO).raw(open.as_bytes()).write();
    a.ccsync(["config", "exclude", "~/secret"]).success();
    assert_eq!(push_outcome(&a, ONE)["outcome"], "excluded");
    assert!(!is_sent(&env, &a, "SECRET"));
    b.ccsync(["pull"]).success();
    // Signed text is pulled untouched, but for the working directory.
    assert!(
        b.text(TWO)
            .contains(&format!("in {}", a.home.join("work/app").display()))
    );
    let list = b.ccsync(["list", "--json"]).success().json();
    let row = &list["sessions"][0];
    assert_eq!(
        (&row["title"], &row["project"]),
        (&json!("Named open"), &json!("{{HOME}}/work/app"))
    );
}

#[cfg(unix)]
#[test]
fn exclude_through_link_whose_disk_is_away() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let disk = a.home.join("disk");
    fs::create_dir_all(disk.join("work/app")).unwrap();
    std::os::unix::fs::symlink(disk.join("work"), a.home.join("link")).unwrap();
    a.session(ONE)
        .project("disk/work/app")
        .turn("on the disk")
        .write();
    fs::rename(&disk, a.home.join("unplugged")).unwrap();
    a.ccsync(["config", "exclude", "~/link"]).success();
    assert_eq!(push_outcome(&a, ONE)["outcome"], "excluded");
    // Nor if the link is gone, too.
    fs::remove_file(a.home.join("link")).unwrap();
    a.append(ONE, "again");
    assert_eq!(push_outcome(&a, ONE)["outcome"], "excluded");
    assert!(!is_sent(&env, &a, "on the disk"));
}

/// Writes the memory of a project.
fn write_memory(machine: &Machine, project: &str, text: &str) {
    let memory = machine.project_dir(project).join("memory");
    fs::create_dir_all(&memory).unwrap();
    fs::write(memory.join("MEMORY.md"), text).unwrap();
}

#[test]
fn exclude_memory_with_its_project() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).project("secret/app").turn("SECRET").write();
    a.session(TWO).turn("open").write();
    write_memory(&a, "secret/app", "SECRET NOTE\n");
    write_memory(&a, "work/app", "OPEN NOTE\n");
    a.ccsync(["config", "exclude", "~/secret"]).success();
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout.contains("memory") && run.stdout.contains("`~/secret` is excluded"),
        "{run}"
    );
    assert!(!is_sent(&env, &a, "SECRET NOTE") && is_sent(&env, &a, "OPEN NOTE"));
    // It does not arrive where its project is excluded, either.
    b.session(TWO).turn("open").write();
    b.ccsync(["config", "exclude", "app"]).success();
    b.ccsync(["pull"]).success();
    assert!(!b.project_dir("work/app").join("memory").exists());
}

#[test]
fn exclude_memory_of_removed_clone() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    repository(&a, "work/app", "https://github.com/acme/app.git");
    a.session(ONE).turn("SECRET").write();
    write_memory(&a, "work/app", "SECRET NOTE\n");
    fs::remove_dir_all(a.home.join("work/app")).unwrap();
    a.ccsync(["config", "exclude", "acme/*"]).success();
    a.ccsync(["push"]).success();
    assert!(!is_sent(&env, &a, "SECRET NOTE"));
}

#[test]
fn exclude_plan_with_its_session() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let plans = a.home.join(".claude/plans");
    fs::create_dir_all(&plans).unwrap();
    for (name, text) in [
        ("red-owl", "SECRET PLAN"),
        ("calm-fox", "OPEN PLAN"),
        ("big-cat", "ODD PLAN"),
    ] {
        fs::write(plans.join(format!("{name}.md")), text).unwrap();
    }
    let mention = |name: &str| {
        let path = plans.join(format!("{name}.md"));
        format!(
            "{}\n",
            json!({"type": "attachment", "attachment": {"planFilePath": path}})
        )
    };
    a.session(ONE)
        .project("secret/app")
        .turn("SECRET")
        .raw(mention("red-owl").as_bytes())
        .write();
    a.session(TWO)
        .turn("open")
        .raw(b"{\"type\":\"user\",\"slug\":\"calm-fox\"}\n")
        .write();
    a.ccsync(["config", "exclude", "~/secret"]).success();
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout.contains("red-owl.md") && run.stdout.contains("big-cat.md"),
        "{run}"
    );
    assert!(is_sent(&env, &a, "OPEN PLAN"));
    assert!(!is_sent(&env, &a, "SECRET PLAN") && !is_sent(&env, &a, "ODD PLAN"));
    a.ccsync(["config", "exclude", "--remove", "~/secret"])
        .success();
    a.ccsync(["push"]).success();
    assert!(is_sent(&env, &a, "ODD PLAN"));
}

#[test]
fn push_project_option_limits_memory_and_user_files() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE)
        .project("other/app")
        .turn("other words")
        .write();
    a.session(TWO).turn("chosen words").write();
    write_memory(&a, "other/app", "OTHER NOTE\n");
    write_memory(&a, "work/app", "CHOSEN NOTE\n");
    fs::write(a.home.join(".claude/CLAUDE.md"), "USER TEXT\n").unwrap();
    a.ccsync(["push", "--project", "~/work"]).success();
    assert!(is_sent(&env, &a, "chosen words") && is_sent(&env, &a, "CHOSEN NOTE"));
    for text in ["other words", "OTHER NOTE", "USER TEXT"] {
        assert!(!is_sent(&env, &a, text), "{text}");
    }
    a.ccsync(["push"]).success();
    for text in ["other words", "OTHER NOTE", "USER TEXT"] {
        assert!(is_sent(&env, &a, text), "{text}");
    }
}
