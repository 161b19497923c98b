//! A home directory that containers or hosts share: a client that cannot be looked up
//! counts as running while it shows signs of life, and so does a ccsync.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::{Machine, ONE, TestEnv, questions};
use crate::resume::locked_sessions;

/// Another host, with the same number of its first namespace.
const OTHER_HOST: &str = "linux:00000000000000000000000000000000:pid:[4026531836]";

/// Writes the file of a client that runs elsewhere. Returns its path.
fn mark_running_elsewhere(machine: &Machine, more: &Value) -> PathBuf {
    let mut record = json!({
        "pid": 7, "sessionId": ONE, "cwd": machine.home, "procStart": "1", "version": "2.1.332",
        "kind": "interactive", "pidDomain": OTHER_HOST,
    });
    let fields = more.as_object().unwrap().clone();
    record.as_object_mut().unwrap().extend(fields);
    let path = machine.home.join(".claude/sessions/7.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, record.to_string()).unwrap();
    path
}

fn set_age(path: &std::path::Path, age: &str) {
    let status = Command::new("touch").args(["-d", age]).arg(path).status();
    assert!(status.unwrap().success());
}

fn milliseconds_ago(hours: i64) -> i64 {
    (chrono::Utc::now() - chrono::TimeDelta::hours(hours)).timestamp_millis()
}

#[test]
fn shared_home_session_of_other_host_is_not_written() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let before = b.transcript(ONE);
    let pid_file = mark_running_elsewhere(&b, &json!({}));
    a.append(ONE, "two");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).code(3);
    assert!(run.stdout.contains("container or host"), "{run}");
    assert_eq!(b.transcript(ONE), before);
    let refused = Client::install(&b)
        .run(&["resume", ONE], "never said")
        .code(4);
    assert!(refused.stderr.contains("sessions/7.json"), "{refused}");

    // Fresh by its own time, then by the transcript's.
    set_age(&pid_file, "9 days ago");
    mark_running_elsewhere(&b, &json!({"updatedAt": milliseconds_ago(1)}));
    set_age(&pid_file, "9 days ago");
    set_age(&b.transcript_path(ONE), "9 days ago");
    b.ccsync(["pull"]).code(3);
    mark_running_elsewhere(&b, &json!({"updatedAt": milliseconds_ago(99)}));
    set_age(&pid_file, "9 days ago");
    set_age(&b.transcript_path(ONE), "10 minutes ago");
    b.ccsync(["pull"]).code(3);
    assert_eq!(b.transcript(ONE), before);

    // Without a sign of life it has ended.
    set_age(&b.transcript_path(ONE), "9 days ago");
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "two"]);
}

/// A process of this host with the same number does not count.
#[test]
fn shared_home_dead_client_of_this_host_is_not_running() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    let host = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let domain = format!("linux:{}:{}", host.trim(), own.display());
    let pid_file = mark_running_elsewhere(&b, &json!({"pidDomain": domain, "pid": 3_999_999}));
    assert!(pid_file.exists());
    a.append(ONE, "two");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "two"]);
}

#[test]
fn shared_home_lock_of_other_container_is_kept_until_it_expires() {
    let env = TestEnv::new();
    let (_, b) = env.pair_with_session();
    let at_b = Client::install(&b);
    let child = at_b.start_late(&["resume", ONE], "from b");
    let lease = b.home.join(format!(".local/state/ccsync/locks/{ONE}.json"));
    let text = fs::read_to_string(&lease).unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    at_b.finish();
    b.ended(child);
    let _ = fs::remove_dir_all(b.home.join(".claude/sessions"));

    // Its holder is in another container, with a number that no process has here.
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["holder"]["domain"] = OTHER_HOST.into();
    record["holder"]["pid"] = 3_999_999.into();
    fs::write(&lease, record.to_string()).unwrap();
    b.ccsync(["push"]).success();
    assert_eq!(locked_sessions(&env.remote_of_pair(), &b), [ONE]);
    at_b.run(&["resume", ONE], "never said").code(4);

    let mut record: Value = serde_json::from_slice(&fs::read(&lease).unwrap()).unwrap();
    let long_ago = chrono::Utc::now() - chrono::TimeDelta::minutes(13);
    record["record"]["renewed"] = long_ago.to_rfc3339().into();
    fs::write(&lease, record.to_string()).unwrap();
    b.ccsync(["push"]).success();
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &b),
        Vec::<String>::new()
    );
}
