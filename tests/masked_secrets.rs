//! Credentials never reach the store: they become placeholders, whose values only the machine
//! that found them knows.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::client::Client;
use crate::harness::{Machine, ONE, TWO, TestEnv, questions};

/// Returns an invented token, built here so that no scanner finds it in this file.
pub(crate) fn github_token(seed: u64) -> String {
    format!("{}_{}", "ghp", random_text(seed, 36))
}

/// Returns invented characters.
pub(crate) fn random_text(seed: u64, length: usize) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let digit = |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        char::from(DIGITS[(random >> 20) as usize % DIGITS.len()])
    };
    (0..length).map(digit).collect()
}

fn private_key(line_end: &str) -> (String, String) {
    let body: Vec<String> = (1..=12).map(|n| random_text(n, 64)).collect();
    let kind = "RSA PRIVATE";
    let text = format!(
        "-----BEGIN {kind} KEY-----{line_end}{}{line_end}-----END {kind} KEY-----",
        body.join(line_end)
    );
    (text, body[5].clone())
}

/// Returns true if any object of any commit of a repository holds the text.
pub(crate) fn remote_has(remote: &Path, text: &str) -> bool {
    let script = "git rev-list --objects --all | cut -d' ' -f1 | git cat-file --batch";
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(remote)
        .output()
        .unwrap();
    assert!(output.status.success());
    memchr::memmem::find(&output.stdout, text.as_bytes()).is_some()
}

fn write(machine: &Machine, path: &str, text: &str) -> std::path::PathBuf {
    let path = machine.home.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// Returns a transcript line with a tool result: JSON in a string in JSON.
fn tool_result(text: &str) -> String {
    let inner = serde_json::json!({ "stdout": text, "code": 0 }).to_string();
    let twice = serde_json::json!({ "log": inner }).to_string();
    let line = serde_json::json!({
        "type": "user",
        "message": { "role": "user", "content": [{ "type": "tool_result", "content": twice }] },
        "toolUseResult": { "stdout": text },
    });
    format!("{line}\n")
}

#[test]
fn mask_secret_stays_on_its_machine_in_every_file() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    let tokens: Vec<String> = (1..=7).map(github_token).collect();
    let (key, key_line) = private_key("\n");
    let transcript = a.session(ONE).turn(&format!("use {}", tokens[0])).write();
    a.append_raw(
        ONE,
        tool_result(&format!("export GH={}\n{key}\n", tokens[1])).as_bytes(),
    );
    let dir = transcript.with_extension("");
    let result = dir.join("tool-results/result.txt");
    write(
        &a,
        result.to_str().unwrap(),
        &format!("token\n{}\n{key}\n", tokens[2]),
    );
    let agent = dir.join("subagents/agent-1.jsonl");
    write(&a, agent.to_str().unwrap(), &tool_result(&tokens[3]));
    let backup = format!(".claude/file-history/{ONE}/0123456789abcdef@v1");
    let backup = write(
        &a,
        &backup,
        &format!("TOKEN={}\nHOME=/x {{{{HOME}}}}\n", tokens[4]),
    );
    let memory = a.project_dir("work/app").join("memory/MEMORY.md");
    write(
        &a,
        memory.to_str().unwrap(),
        &format!("- the token is {}\n{key}\n", tokens[5]),
    );
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    let before = a.client_tree();

    a.ccsync(["push"]).success();
    for secret in tokens[..6].iter().chain([&key_line]) {
        assert!(!remote_has(&remote, secret), "{secret}");
    }
    a.assert_in_order("after a push");
    a.ccsync(["sync"]).success();
    a.ccsync(["verify"]).success();

    b.ccsync(["pull"]).success();
    let text = b.text(ONE);
    assert!(text.contains("use [secret: github-token "), "{text}");
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let of_b = fs::read_to_string(b.project_dir("work/app").join("memory/MEMORY.md")).unwrap();
    assert!(
        of_b.starts_with("- the token is [secret: github-token "),
        "{of_b}"
    );
    b.ccsync(["verify"]).success();

    // The other machine goes on, and repeats what it reads.
    let shown = text.lines().next().unwrap();
    let from = shown.find("[secret: ").unwrap();
    let redaction = &shown[from..=from + shown[from..].find(']').unwrap()];
    b.append(ONE, &format!("what is {redaction}?"));
    b.ccsync(["sync"]).success();
    a.ccsync(["sync"]).success();
    assert_eq!(a.sessions(), [ONE]);
    assert_eq!(
        questions(&a.text(ONE)).last().unwrap(),
        &format!("what is {}?", tokens[0])
    );
    a.append(ONE, "more");
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    assert_eq!(b.sessions(), [ONE]);
    assert_eq!(questions(&b.text(ONE)).last().unwrap(), "more");
    let after = a.client_tree();
    for (path, content) in &before {
        if !path.to_string_lossy().ends_with(&format!("{ONE}.jsonl")) {
            assert_eq!(after.get(path), Some(content), "{}", path.display());
        }
    }
    assert_eq!(
        fs::read_to_string(backup).unwrap(),
        format!("TOKEN={}\nHOME=/x {{{{HOME}}}}\n", tokens[4])
    );
    for secret in tokens[..6].iter().chain([&key_line]) {
        assert!(!remote_has(&remote, secret), "{secret}");
    }
    a.assert_in_order("in the end");
    b.assert_in_order("in the end");
}

#[test]
fn mask_title_and_prompt_show_redaction() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let token = github_token(3);
    // The title is cut at 200 characters, within the token.
    let filler = "word ".repeat(38);
    a.session(ONE).turn(&format!("{filler}{token}")).write();
    a.session(TWO).turn(&format!("use {token}")).write();
    a.ccsync(["push"]).success();
    assert!(!remote_has(&env.remote_of_pair(), &token[..12]));
    b.ccsync(["pull"]).success();
    let list = b.ccsync(["list"]).success();
    assert!(list.stdout.contains("use [secret: github-token"), "{list}");
}

#[test]
fn mask_placeholder_lookalike_comes_back_exactly() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let token = github_token(5);
    a.session(TWO).turn(&token).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let shown = b.text(TWO);
    let from = shown.find("[secret: github-token ").unwrap();
    let redaction = shown[from..=from + shown[from..].find(']').unwrap()].to_owned();
    let placeholder = redaction
        .replace("[secret: github-token ", "{{SECRET:github-token.")
        .replace(']', "}}");
    let thinking = serde_json::json!({"type":"assistant","message":{"role":"assistant","content":[
        {"type":"thinking","thinking":format!("{placeholder} {token} {{{{~SECRET:x}}}}"),"signature":token},
        {"type":"text","text":format!("{placeholder} {redaction} {{{{SECRET:x}}}} {{{{~~SECRET}}}}")},
    ]}});
    a.session(ONE)
        .turn("hello")
        .raw(format!("{thinking}\n").as_bytes())
        .write();
    let text = a.text(ONE);
    a.ccsync(["push"]).success();
    a.ccsync(["verify"]).success();
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    a.ccsync(["pull", ONE]).success();
    assert_eq!(a.text(ONE), text);

    b.ccsync(["pull"]).success();
    let there = b.text(ONE);
    assert!(
        there.contains(&format!("{placeholder} [secret: github-token")),
        "{there}"
    );
    assert!(
        there.contains(&format!("{placeholder} {redaction} {{{{SECRET:x}}}}")),
        "{there}"
    );
}

#[test]
fn secrets_list_names_place_and_never_value() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let token = github_token(9);
    a.session(ONE)
        .turn("hello")
        .turn(&format!("use {token} now"))
        .write();
    a.ccsync(["secrets", "list"]).success();
    let run = a.ccsync(["push"]).success();
    assert!(run.stdout.contains("masked"), "{run}");
    let list = a.ccsync(["secrets", "list", "--json"]).success();
    assert!(!list.stdout.contains(&token[..10]), "{list}");
    let list = list.json();
    let row = &list["secrets"][0];
    assert_eq!(row["form"], "github-token");
    assert_eq!(row["status"], "masked");
    assert_eq!(row["session"], ONE);
    assert_eq!(row["turn"], 2);
    assert!(
        row["excerpt"]
            .as_str()
            .unwrap()
            .contains("use [secret] now"),
        "{row}"
    );
    let text = a.ccsync(["secrets", "list"]).success();
    assert!(text.stdout.contains("use [secret] now"), "{text}");
    assert!(!text.stdout.contains(&token[..10]), "{text}");
}

#[test]
fn secrets_stored_before_are_found_and_masked_from_now_on() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let token = github_token(11);
    a.ccsync(["config", "set", "secrets", "off"]).success();
    a.session(ONE).turn(&format!("use {token}")).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(b.text(ONE).contains(&token));
    a.ccsync(["config", "set", "secrets", "mask"]).success();
    let list = a
        .ccsync(["secrets", "list", "--all", "--json"])
        .success()
        .json();
    assert_eq!(list["secrets"][0]["status"], "in-store");

    a.append(ONE, &format!("again {token}"));
    a.ccsync(["push"]).success();
    b.ccsync(["sync"]).success();
    assert_eq!(b.sessions(), [ONE]);
    let asked = questions(&b.text(ONE));
    assert_eq!(asked[0], format!("use {token}"));
    assert!(
        asked[1].starts_with("again [secret: github-token"),
        "{asked:?}"
    );
    a.ccsync(["sync"]).success();
    a.assert_in_order("in the end");
}

#[test]
fn hold_secret_keeps_session_until_decision() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    let token = github_token(13);
    a.ccsync(["config", "set", "secrets", "hold"]).success();
    a.session(ONE).turn(&format!("use {token}")).write();
    a.session(TWO).turn("fine").write();
    let run = a.ccsync(["push"]).code(3);
    assert!(
        run.stdout.contains("ccsync secrets mask|allow|ignore"),
        "{run}"
    );
    assert!(!run.stdout.contains(&token[..10]), "{run}");
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [TWO]);
    assert!(!remote_has(&remote, &token));
    let list = a.ccsync(["secrets", "list", "--json"]).success().json();
    assert_eq!(list["secrets"][0]["status"], "held");
    let id = list["secrets"][0]["id"].as_str().unwrap().to_owned();

    a.ccsync(["secrets", "mask", &id]).success();
    a.ccsync(["push"]).success();
    assert!(!remote_has(&remote, &token));
    b.ccsync(["pull"]).success();
    assert!(b.text(ONE).contains("[secret: github-token"));
    a.ccsync(["secrets", "allow", &id[..8]]).success();
    a.append(ONE, &format!("again {token}"));
    a.ccsync(["push"]).success();
    assert!(remote_has(&remote, &token));
    a.ccsync(["secrets", "allow", "zzzz"]).code(2);
}

#[test]
fn mask_in_session_with_signed_thinking_is_announced() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let signed = serde_json::json!({"type":"assistant","message":{"role":"assistant","content":[
        {"type":"thinking","thinking":"x","signature":"c2ln"},{"type":"text","text":"done"},
    ]}});
    a.session(ONE)
        .turn(&format!("use {}", github_token(41)))
        .raw(format!("{signed}\n").as_bytes())
        .write();
    a.session(TWO)
        .turn(&format!("use {}", github_token(42)))
        .write();
    let pushed = a.ccsync(["push", "--json"]).success().json();
    let pulled = b.ccsync(["pull", "--json"]).success().json();
    let warning = |report: &serde_json::Value, id: &str| {
        let sessions = report["sessions"].as_array().unwrap().iter();
        let mut sessions = sessions.filter(|row| row["session"] == id);
        sessions.next().unwrap()["warnings"].to_string()
    };
    for report in [&pushed, &pulled] {
        assert!(
            warning(report, ONE).contains("is signed and may be dropped"),
            "{report}"
        );
        assert!(!warning(report, TWO).contains("signed"), "{report}");
    }
    assert!(b.text(ONE).contains(&signed.to_string()));
}

#[test]
fn resume_of_masked_session_names_redaction() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let at_b = Client::install(&b);
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    a.session(ONE)
        .turn(&format!("use {}", github_token(43)))
        .write();
    a.ccsync(["push"]).success();
    let run = at_b.run(&["resume", ONE], "two").success();
    let named = "1 secret redacted: the value stays on another machine";
    assert!(run.stderr.contains(named), "{run}");
}

/// Memory, `CLAUDE.md` and notes.
#[test]
fn hold_extra_with_secret_stays_until_decided() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    let (first, second) = (github_token(21), github_token(22));
    a.session(ONE).turn("hello").write();
    let memory = a.project_dir("work/app").join("memory/MEMORY.md");
    write(&a, memory.to_str().unwrap(), "- old\n");
    a.ccsync(["push"]).success();
    a.ccsync(["config", "set", "secrets", "hold"]).success();
    write(
        &a,
        memory.to_str().unwrap(),
        &format!("- old\n- the token is {first}\n"),
    );
    let instructions = write(&a, ".claude/CLAUDE.md", &format!("use {second}\n"));
    for _ in 0..2 {
        let run = a.ccsync(["push"]).code(3);
        for named in ["MEMORY.md", "CLAUDE.md", "ccsync secrets mask|allow|ignore"] {
            assert!(run.stdout.contains(named), "{named}: {run}");
        }
        assert!(!run.stdout.contains(&first[..10]), "{run}");
    }
    b.ccsync(["pull"]).success();
    let of_b = b.project_dir("work/app").join("memory/MEMORY.md");
    assert_eq!(fs::read_to_string(&of_b).unwrap(), "- old\n");
    let list = a.ccsync(["secrets", "list", "--json"]).success().json();
    let rows = list["secrets"].as_array().unwrap();
    let row = |file: &str| {
        let mut rows = rows.iter();
        rows.find(|row| row["file"].as_str().unwrap().ends_with(file))
            .unwrap()
    };
    assert_eq!(row("MEMORY.md")["status"], "held");
    assert_eq!(row("MEMORY.md")["line"], 2);
    let id = |file: &str| row(file)["id"].as_str().unwrap().to_owned();

    a.ccsync(["secrets", "mask", &id("MEMORY.md")]).success();
    a.ccsync(["secrets", "allow", &id("CLAUDE.md")]).success();
    a.ccsync(["push"]).success();
    assert!(!remote_has(&remote, &first));
    assert!(remote_has(&remote, &second));
    b.ccsync(["pull"]).success();
    let of_b = fs::read_to_string(&of_b).unwrap();
    assert!(
        of_b.starts_with("- old\n- the token is [secret: github-token "),
        "{of_b}"
    );
    assert_eq!(
        fs::read_to_string(instructions).unwrap(),
        format!("use {second}\n")
    );
    // The store has it, so it is not held again.
    write(&a, ".claude/CLAUDE.md", &format!("use {second}\nmore\n"));
    a.ccsync(["push"]).success();
}

#[test]
fn warn_about_secret_in_extra_stores_and_names_it() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let remote = env.remote_of_pair();
    let (memory_token, note_token) = (github_token(23), github_token(24));
    a.ccsync(["config", "set", "secrets", "warn"]).success();
    a.session(ONE).turn("hello").write();
    let memory = a.project_dir("work/app").join("memory/MEMORY.md");
    write(&a, memory.to_str().unwrap(), &format!("- {memory_token}\n"));
    let run = a.ccsync(["push"]).success();
    let line = "MEMORY.md: 1 secret stored unmasked";
    assert!(run.stdout.contains(line), "{run}");
    assert!(remote_has(&remote, &memory_token));
    a.ccsync(["note", &format!("try {note_token}")]).success();
    let list = a.ccsync(["secrets", "list", "--all", "--json"]).success();
    assert!(!list.stdout.contains(&memory_token[..10]), "{list}");
    let list = list.json();
    let rows = list["secrets"].as_array().unwrap().iter();
    let in_store = rows.filter(|row| row["status"] == "in-store");
    let files: Vec<&str> = in_store.map(|row| row["file"].as_str().unwrap()).collect();
    assert!(
        files.iter().any(|file| file.ends_with(": MEMORY.md")),
        "{files:?}"
    );
    assert!(
        files.iter().any(|file| file.starts_with("note ")),
        "{files:?}"
    );
}

#[test]
fn warn_about_secret_stores_and_names_it() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let token = github_token(15);
    a.ccsync(["config", "set", "secrets", "warn"]).success();
    a.session(ONE).turn(&format!("use {token}")).write();
    let run = a.ccsync(["push"]).success();
    assert!(run.stdout.contains("1 secret stored unmasked"), "{run}");
    assert!(remote_has(&env.remote_of_pair(), &token));
}

/// Sub-agents and memory follow the project of their session.
#[test]
fn setting_of_project_wins_over_general_one() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let remote = env.remote_of_pair();
    let tokens: Vec<String> = (31..=38).map(github_token).collect();
    let off = [
        "config",
        "set",
        "secrets",
        "off",
        "--project",
        "~/work/open",
    ];
    a.ccsync(off).success();
    let hold = [
        "config",
        "set",
        "secrets",
        "hold",
        "--project",
        "~/work/closed",
    ];
    a.ccsync(hold).success();
    let shown = a.ccsync(["config", "show", "--json"]).success().json();
    assert_eq!(shown["project_secrets"]["~/work/open"], "off");
    let three = "33333333-3333-4333-8333-333333333333";
    for (id, project, n) in [
        (ONE, "work/open", 0),
        (TWO, "work/closed", 2),
        (three, "work/app", 4),
    ] {
        fs::create_dir_all(a.home.join(project)).unwrap();
        let turn = format!("use {}", tokens[n]);
        let transcript = a.session(id).project(project).turn(&turn).write();
        let agent = transcript
            .with_extension("")
            .join("subagents/agent-1.jsonl");
        write(&a, agent.to_str().unwrap(), &tool_result(&tokens[n + 1]));
    }
    for (project, n) in [("work/open", 6), ("work/app", 7)] {
        let memory = a.project_dir(project).join("memory/MEMORY.md");
        write(&a, memory.to_str().unwrap(), &format!("- {}\n", tokens[n]));
    }
    a.ccsync(["push"]).code(3);
    let stored: Vec<bool> = tokens
        .iter()
        .map(|token| remote_has(&remote, token))
        .collect();
    let expected = [true, true, false, false, false, false, true, false];
    assert_eq!(stored, expected);
    let list = a.ccsync(["secrets", "list", "--json"]).success().json();
    let of = |id: &str| {
        let rows = list["secrets"].as_array().unwrap().iter();
        let mut rows = rows.filter(|row| row["session"] == id);
        rows.next()
            .map(|row| row["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(of(TWO).as_deref(), Some("held"));
    assert_eq!(of(three).as_deref(), Some("masked"));

    a.ccsync([
        "config",
        "set",
        "secrets",
        "none",
        "--project",
        "~/work/closed",
    ])
    .success();
    a.ccsync(["push"]).success();
    assert!(!remote_has(&remote, &tokens[2]));
    a.ccsync(["config", "set", "secrets", "none", "--project", "~/x"])
        .code(1);
    a.ccsync(["config", "set", "localize", "never", "--project", "~/x"])
        .code(1);
    a.ccsync(["verify"]).success();
}

/// The host refuses a push with a credential; masked, it has none.
#[test]
fn mask_secret_passes_push_protection() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    let token = github_token(17);
    let hook = remote.join("hooks/pre-receive");
    let script = format!(
        "#!/bin/sh\nwhile read old new ref; do\n  case $ref in refs/heads/main) ;; *) continue;; esac\n  \
         for c in $(git rev-list $new --not --all); do\n    if git grep -q {} $c --; then\n      \
         echo 'GH013: Push cannot contain secrets' >&2\n      exit 1\n    fi\n  done\ndone\n",
        &token[..12]
    );
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    a.ccsync(["config", "set", "secrets", "off"]).success();
    a.session(ONE).turn(&format!("use {token}")).write();
    a.ccsync(["push"]).code(3);
    a.ccsync(["config", "set", "secrets", "mask"]).success();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(b.text(ONE).contains("use [secret: github-token"));
    a.assert_in_order("in the end");
}

/// The vault and the index are lost: the values are learned again from the files.
#[test]
fn lost_state_of_masked_session_makes_no_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    let tokens: Vec<String> = (51..=54).map(github_token).collect();
    let (key, key_line) = private_key("\n");
    let transcript = a
        .session(ONE)
        .turn(&format!("use {} and {}, or {0}", tokens[0], tokens[1]))
        .write();
    a.append_raw(
        ONE,
        tool_result(&format!("x\n{}\n{key}\n", tokens[2])).as_bytes(),
    );
    let result = transcript
        .with_extension("")
        .join("tool-results/result.txt");
    write(
        &a,
        result.to_str().unwrap(),
        &format!("token\n{}\n{key}\n", tokens[2]),
    );
    let memory = a.project_dir("work/app").join("memory/MEMORY.md");
    let text_of_memory = format!("- one\n- the token is {}\n- two\n", tokens[3]);
    write(&a, memory.to_str().unwrap(), &text_of_memory);
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let before = a.client_tree();
    fs::remove_dir_all(a.home.join(".local/state/ccsync")).unwrap();

    a.ccsync(["sync"]).success();
    a.append(ONE, "and more");
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    assert_eq!(a.sessions(), [ONE]);
    assert_eq!(questions(&b.text(ONE)).last().unwrap(), "and more");
    a.ccsync(["verify"]).success();
    assert_eq!(fs::read_to_string(&memory).unwrap(), text_of_memory);
    // The values are known again.
    let text = a.text(ONE);
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    fs::remove_file(&result).unwrap();
    a.ccsync(["pull", ONE]).success();
    assert_eq!(a.text(ONE), text);
    assert_eq!(a.client_tree().get(&result), before.get(&result));
    for secret in tokens.iter().chain([&key_line]) {
        assert!(!remote_has(&remote, secret), "{secret}");
    }
}

/// The vault is lost: sessions stay whole, and the other machine's too.
#[test]
fn lost_vault_loses_values_but_no_turn() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let token = github_token(19);
    a.session(ONE).turn(&format!("use {token}")).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let vault = a.home.join(".local/state/ccsync/secrets.json");
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&vault).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    fs::remove_file(&vault).unwrap();
    a.append(ONE, "more");
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    assert_eq!(a.sessions(), [ONE]);
    assert_eq!(b.sessions(), [ONE]);
    assert_eq!(
        questions(&a.text(ONE)),
        [format!("use {token}"), "more".to_owned()]
    );
    assert_eq!(questions(&b.text(ONE)).last().unwrap(), "more");
    assert!(!remote_has(&env.remote_of_pair(), &token));
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    a.ccsync(["pull", ONE]).success();
}
