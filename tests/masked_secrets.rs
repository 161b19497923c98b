//! Credentials never reach the store: they become placeholders, whose values only the machine
//! that found them knows.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Machine, ONE, TWO, TestEnv, questions};

/// Returns an invented token, built here so that no scanner finds it in this file.
fn github_token(seed: u64) -> String {
    format!("{}_{}", "ghp", random_text(seed, 36))
}

/// Returns invented characters.
fn random_text(seed: u64, length: usize) -> String {
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
fn remote_has(remote: &Path, text: &str) -> bool {
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
