//! Rules of the user for secrets: `secrets.toml`, and files in the format of gitleaks.

use std::fs;

use crate::harness::{Machine, ONE, TestEnv, questions};
use crate::masked_secrets::remote_has;

/// Writes a file in the configuration directory.
fn write_rules(machine: &Machine, name: &str, text: &str) {
    let path = machine.home.join(".config/ccsync").join(name);
    fs::write(path, text).unwrap();
}

const OWN: &str = r#"
[[rules]]
id = "Acme Token"
regex = '''(?i)acme[ _-]?token["' =:]{1,5}(tk-[0-9a-z]{12})'''
keywords = ["acme"]
entropy = 2.5

[[rules]]
id = "ticket"
regex = '''TICKET-[0-9]{6}-[A-Z]{4}'''
allowlists = [{ regexes = ['''-000000-'''], stopwords = ["demo"] }]
"#;

#[test]
fn rule_of_user_masks_at_every_depth() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    write_rules(&a, "secrets.toml", OWN);
    let inner = serde_json::json!({ "acme_token": "tk-a1b2c3d4e5f6" }).to_string();
    let twice = serde_json::json!({ "stdout": inner }).to_string();
    a.session(ONE)
        .turn(&format!("see {twice} and TICKET-123456-ABCD"))
        .turn("acme token: tk-000000000000 and TICKET-000000-ABCD and TICKET-123456-DEMO")
        .write();
    let before = a.text(ONE);
    a.ccsync(["push"]).success();
    assert!(!remote_has(&remote, "tk-a1b2c3d4e5f6"));
    assert!(!remote_has(&remote, "TICKET-123456-ABCD"));
    for allowed in [
        "tk-000000000000",
        "TICKET-000000-ABCD",
        "TICKET-123456-DEMO",
    ] {
        assert!(remote_has(&remote, allowed), "{allowed}");
    }
    b.ccsync(["pull"]).success();
    let there = b.text(ONE);
    assert!(there.contains("[secret: acme-token "), "{there}");
    assert!(there.contains("[secret: ticket "), "{there}");
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    a.ccsync(["pull", ONE]).success();
    assert_eq!(a.text(ONE), before);
    a.ccsync(["verify"]).success();
}

#[test]
fn rule_file_of_gitleaks_is_read_and_bad_rules_are_named() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let remote = env.remote_of_pair();
    write_rules(&a, "secrets.toml", "include = [\"team/gitleaks.toml\"]\n");
    fs::create_dir_all(a.home.join(".config/ccsync/team")).unwrap();
    let team = r#"
title = "rules of a team"
[extend]
useDefault = true
[[rules]]
id = "look-around"
regex = '''(?<=x)abc'''
[[rules]]
id = "huge"
regex = '''((a{1000}){1000}){1000}'''
[[rules]]
id = "only-a-path"
path = '''\.pem$'''
[[rules]]
description = "an address of Acme"
id = "acme-address"
regex = '''(?P<host>[a-z]+)\.acme\.internal/key/([0-9a-f]{8})\b'''
secretGroup = 2
keywords = ["ACME.internal"]
path = '''.*\.txt'''
tags = ["acme"]
[allowlist]
paths = ['''vendor''']
regexes = ['''ffff''']
"#;
    write_rules(&a, "team/gitleaks.toml", team);
    a.session(ONE)
        .turn("get db.acme.internal/key/0a1b2c3d or db.acme.internal/key/ffff2c3d")
        .write();
    let run = a.ccsync(["push"]).success();
    for named in [
        "rule `look-around`",
        "look-ahead",
        "rule `huge`",
        "too large",
        "rule `only-a-path`",
        "`extend`",
        "gitleaks.toml",
    ] {
        let output = format!("{}{}", run.stdout, run.stderr);
        assert!(output.contains(named), "{named}: {run}");
    }
    assert!(!remote_has(&remote, "0a1b2c3d"));
    assert!(remote_has(&remote, "db.acme.internal/key/"));
    assert!(remote_has(&remote, "ffff2c3d"));
}

#[test]
fn rule_file_that_is_invalid_keeps_everything_here() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    for (text, reason) in [
        ("[[rules]\n", "secrets.toml"),
        ("include = [\"missing.toml\"]\n", "missing.toml"),
    ] {
        write_rules(&a, "secrets.toml", text);
        let run = a.ccsync(["push"]);
        assert_ne!(run.code, Some(0), "{run}");
        assert!(run.stderr.contains(reason), "{run}");
        b.ccsync(["pull"]).success();
        assert!(b.sessions().is_empty());
    }
    write_rules(&a, "secrets.toml", "[allowlist]\nregexes = ['''ghp_''']\n");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
}
