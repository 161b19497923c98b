//! An attacker writes to the remote what ccsync never would. Pull writes nothing outside
//! the client's directory for sessions, runs nothing, refuses and names the session, and
//! continues with the others.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Clone, Machine, ONE, TWO, TestEnv, Tree};

const THREE: &str = "33333333-0000-4000-8000-000000000003";

/// A machine that pulls, one that pushes valid sessions, and an attacker with a clone in
/// which session `ONE` is valid.
struct Scene {
    env: TestEnv,
    good: Machine,
    victim: Machine,
    attacker: Machine,
}

impl Scene {
    fn new() -> Self {
        let env = TestEnv::new();
        let remote = env.bare_remote();
        let [good, victim, attacker] = ["a", "b", "attacker"].map(|name| env.machine(name));
        good.init(&remote);
        victim.init(&remote);
        good.session(ONE).turn("hello").write();
        good.ccsync(["push"]).success();
        for secret in [".ssh/authorized_keys", ".bashrc", ".config/git/config"] {
            let path = victim.home.join(secret);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "[safe]\n").unwrap();
        }
        Self {
            env,
            good,
            victim,
            attacker,
        }
    }

    fn clone(&self) -> Clone<'_> {
        Clone::new(&self.env.remote_of_pair(), &self.attacker)
    }
}

fn session_dir(id: &str) -> String {
    format!("sessions/{}/{id}", &id[..2])
}

fn manifest(clone: &Clone<'_>) -> Value {
    let path = clone.path.join(session_dir(ONE)).join("manifest.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Returns everything in a home that is neither ccsync's own nor a session's.
fn outside(machine: &Machine) -> Tree {
    let own = [".local", ".config/ccsync", ".claude/projects", ".cache"];
    let mut tree = machine.tree();
    tree.retain(|path, _| {
        !own.iter().any(|own| path.starts_with(own)) && !path.as_os_str().is_empty()
    });
    tree
}

/// Returns a manifest with a file `name` that has the lines of the transcript.
fn with_file(mut manifest: Value, name: &str) -> Value {
    let transcript = manifest["transcript"].clone();
    manifest["files"][name] = transcript;
    manifest
}

fn with(mut manifest: Value, pointer: &str, value: Value) -> Value {
    *manifest
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("no {pointer}")) = value;
    manifest
}

/// Returns manifests that are refused, each with its fault.
fn bad_manifests(good: &Value) -> Vec<(&'static str, String)> {
    let names = [
        "../../x",
        "/etc/x",
        "a/../../x",
        "CON",
        "sub/nul.txt",
        "dot.",
        "blank ",
        "C:\\x",
        "C:x",
        "a\\b",
        "new\nline",
        "\u{1b}[2J",
        "",
        ".",
        "a//b",
        "x.segments",
    ];
    let mut cases: Vec<(&str, String)> = names
        .into_iter()
        .map(|name| (name, with_file(good.clone(), name).to_string()))
        .collect();
    let changed = |pointer: &str, value: Value| with(good.clone(), pointer, value).to_string();
    let segment = |bytes: u64, lines: u64| json!({"bytes": bytes, "lines": lines, "local_bytes": bytes, "local_hash": "0".repeat(32)});
    let run = &good["transcript"]["runs"][0];
    let run_of = |lines: u64| with(run.clone(), "/lines", json!(lines));
    let transcript = |segments: Vec<Value>, runs: Vec<Value>| {
        changed("/transcript", json!({"segments": segments, "runs": runs}))
    };
    let first = good["transcript"]["segments"][0]["bytes"].as_u64().unwrap();
    let bad_project = [
        (
            "a helper",
            json!({"format": 1, "remote": "ext::sh -c touch% pwned"}),
        ),
        (
            "an option",
            json!({"format": 1, "remote": "--upload-pack=touch pwned"}),
        ),
        (
            "a host that is an option",
            json!({"format": 1, "remote": "ssh://-oProxyCommand=touch/x"}),
        ),
        (
            "a remote that is no absolute path",
            json!({"format": 1, "remote": "../../x"}),
        ),
        (
            "a remote that leads upwards",
            json!({"format": 1, "remote": "{{HOME}}/../x"}),
        ),
        (
            "a password",
            json!({"format": 1, "remote": "https://al:pw@host/x"}),
        ),
        (
            "a remote that steers",
            json!({"format": 1, "remote": "https://host/\u{1b}[2J"}),
        ),
        (
            "an endless remote",
            json!({"format": 1, "remote": format!("https://host/{}", "x".repeat(1 << 20))}),
        ),
        (
            "a directory that leads upwards",
            json!({"format": 1, "directory": "../../x"}),
        ),
        (
            "an absolute directory",
            json!({"format": 1, "directory": "/etc"}),
        ),
        (
            "a directory that steers",
            json!({"format": 1, "directory": "a\u{1b}[2J"}),
        ),
        (
            "a branch that steers",
            json!({"format": 1, "branch": "a\u{1b}[2J"}),
        ),
        (
            "a commit that is an option",
            json!({"format": 1, "commit": "--output=x"}),
        ),
        (
            "an invalid identity",
            json!({"format": 1, "identity": "../x"}),
        ),
        (
            "a project without a format",
            json!({"remote": "https://host/x"}),
        ),
        ("an invalid project", json!("https://host/x")),
    ];
    cases.extend(bad_project.into_iter().map(|(what, git)| {
        let mut manifest = good.clone();
        manifest["git"] = git;
        (what, manifest.to_string())
    }));
    cases.extend([
        ("no manifest", String::new()),
        ("not JSON", "garbage".to_owned()),
        ("deep", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        ("deep in an unknown field", format!("{{\"format\":1,\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000))),
        ("huge", format!("{good}{}", " ".repeat(17 << 20))),
        ("numbers that do not fit", good.to_string().replace("\"lines\":4", "\"lines\":99999999999999999999999")),
        ("negative", good.to_string().replace("\"lines\":4", "\"lines\":-4")),
        ("another session", changed("/session", json!(TWO))),
        ("upwards", changed("/project", json!("{{HOME}}/../../etc"))),
        ("upwards from a root", changed("/project", json!("/tmp/../etc"))),
        ("an endless project", changed("/project", json!(format!("{{{{HOME}}}}{}", "/x".repeat(1 << 20))))),
        ("an invalid placeholder", changed("/placeholders", json!({run["placeholders"].as_str().unwrap(): {"system": "linux", "placeholders": [{"name": "HOME", "directory": "../x"}]}}))),
        ("names of two formats", good.to_string().replacen("\"placeholders\":", "\"roots\":{},\"placeholders\":", 1)),
        ("no placeholders", changed("/placeholders", json!({}))),
        ("a billion lines", transcript(vec![segment(first, 1_000_000_000)], vec![run_of(1_000_000_000)])),
        ("sums that overflow", transcript(vec![segment(1, u64::MAX), segment(1, 2)], vec![run_of(u64::MAX), run_of(2)])),
        ("sizes that overflow", transcript(vec![segment(u64::MAX, 2), segment(u64::MAX, 2)], vec![run_of(4)])),
        ("a segment that is longer", transcript(vec![segment(first + 1, 4)], vec![run_of(4)])),
        ("a segment of four gigabytes", transcript(vec![segment(4 << 30, 4)], vec![run_of(4)])),
        ("more segments than there are", transcript(vec![segment(first, 4), segment(1, 0)], vec![run_of(4)])),
        ("a list of nothing", transcript(vec![segment(0, 0); 20_000], vec![])),
        ("runs of nothing", transcript(vec![segment(first, 5)], [vec![run_of(0); 20_000], vec![run_of(5)]].concat())),
        ("many runs", transcript(vec![segment(first, 20_000)], vec![run_of(1); 20_000])),
    ]);
    cases
}

#[test]
fn pull_invalid_manifest_is_refused_and_named() {
    let scene = Scene::new();
    let clone = scene.clone();
    let cases = bad_manifests(&manifest(&clone));
    let before = outside(&scene.victim);
    let id = |number: usize| format!("66666666-0000-4000-8000-0000000000{number:02}");
    let transcript = fs::read(
        clone
            .path
            .join(session_dir(ONE))
            .join("transcript/000000.jsonl"),
    )
    .unwrap();
    for (number, (_, text)) in cases.iter().enumerate() {
        let dir = session_dir(&id(number));
        clone.write(
            &format!("{dir}/manifest.json"),
            text.replace(ONE, &id(number)),
        );
        clone.write(&format!("{dir}/transcript/000000.jsonl"), &transcript);
    }
    clone.push();
    scene.good.session(TWO).turn("not held up").write();
    scene.good.ccsync(["push"]).success();
    let run = scene.victim.ccsync(["pull", "--json"]).code(3);
    let sessions = run.json()["sessions"].as_array().unwrap().clone();
    for (number, (what, _)) in cases.iter().enumerate() {
        let named = sessions
            .iter()
            .find(|s| s["session"] == id(number).as_str())
            .unwrap_or_else(|| panic!("{what}: unnamed"));
        assert!(named.to_string().contains("skipped"), "{what}: {named}");
    }
    assert_eq!(outside(&scene.victim), before);
    assert_eq!(
        scene.victim.sessions(),
        [ONE, TWO],
        "nothing of the others is written"
    );
    assert_harmless(&run.stdout);
    assert!(
        scene
            .victim
            .ccsync(["pull"])
            .code(3)
            .summary()
            .contains(&format!("{} skipped", cases.len()))
    );
    assert_eq!(scene.victim.git(&["status", "--porcelain"]), "");
}

#[test]
fn pull_odd_manifest_values_are_harmless() {
    let scene = Scene::new();
    let clone = scene.clone();
    let good = manifest(&clone);
    let times = [
        "9999-12-31T23:59:59Z",
        "+262142-12-31T23:59:59Z",
        "-262143-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1901-01-01T00:00:00Z",
        "garbage",
        "",
    ];
    let mut cases: Vec<Value> = times
        .iter()
        .map(|time| with(good.clone(), "/last_activity", json!(time)))
        .collect();
    let both = |one: &str, other: &str| with_file(with_file(good.clone(), one), other);
    cases.extend([
        both("subagents", "subagents/x"),
        both("A.txt", "a.txt"),
        both("memory", "memory/MEMORY.md"),
    ]);
    let mut forked = good.clone();
    forked["fork_of"] = json!({"session": ONE, "lines": u64::MAX});
    forked["transcript"]["runs"][0]["written_as"] = json!(TWO);
    cases.push(forked);
    for directory in [
        "../../.ssh",
        "/etc",
        "",
        ".",
        "a/b",
        "a\\b",
        "\u{1b}[2J",
        "{{HOME}}/../.ssh",
    ] {
        let mut placed = with(good.clone(), "/directory", json!(directory));
        placed.as_object_mut().unwrap().remove("project");
        cases.push(placed);
    }
    let id = |number: usize| format!("77777777-0000-4000-8000-0000000000{number:02}");
    let transcript = fs::read(
        clone
            .path
            .join(session_dir(ONE))
            .join("transcript/000000.jsonl"),
    )
    .unwrap();
    for (number, case) in cases.iter().enumerate() {
        let dir = session_dir(&id(number));
        let text = with(case.clone(), "/session", json!(id(number))).to_string();
        clone.write(&format!("{dir}/manifest.json"), text);
        for file in [
            "transcript",
            "files/subagents.segments",
            "files/subagents/x.segments",
            "files/A.txt.segments",
            "files/a.txt.segments",
        ] {
            let end = if file.contains("txt") {
                ".txt"
            } else if file == "transcript" {
                ".jsonl"
            } else {
                ""
            };
            clone.write(&format!("{dir}/{file}/000000{end}"), &transcript);
        }
    }
    clone.push();
    let before = outside(&scene.victim);
    for _ in 0..2 {
        let run = scene.victim.ccsync(["pull"]).code(3);
        assert_harmless(&format!("{}{}", run.stdout, run.stderr));
        assert_eq!(outside(&scene.victim), before, "{run}");
        let dirs = scene.victim.project_dirs();
        assert_eq!(
            dirs.len(),
            1,
            "all lie where their project is: {dirs:?}\n{run}"
        );
    }
    for command in ["list", "status", "push", "undo"] {
        let run = scene.victim.ccsync([command]);
        assert!(matches!(run.code, Some(0 | 3 | 5)), "{run}");
    }
}

/// Asserts that the printed text contains no character that controls a terminal.
fn assert_harmless(shown: &str) {
    let steers = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}')
    };
    assert!(!shown.contains(steers), "{}", shown.escape_debug());
}

/// Replaces the transcript of `ONE` by `text`, with these placeholders.
fn write_session(clone: &Clone<'_>, good: &Value, text: &[u8], placeholders: &Value) {
    let lines = text.iter().filter(|b| **b == b'\n').count();
    let key = good["transcript"]["runs"][0]["placeholders"]
        .as_str()
        .unwrap();
    let mut bad = with(good.clone(), "/placeholders", json!({ key: placeholders }));
    bad["transcript"]["segments"] = json!([{"bytes": text.len(), "lines": lines, "local_bytes": text.len(), "local_hash": "0".repeat(32)}]);
    bad["transcript"]["runs"][0]["lines"] = json!(lines);
    clone.write(
        &format!("{}/transcript/000000.jsonl", session_dir(ONE)),
        text,
    );
    clone.write(
        &format!("{}/manifest.json", session_dir(ONE)),
        bad.to_string(),
    );
    clone.push();
}

#[test]
fn pull_placeholder_bomb_is_bounded() {
    let scene = Scene::new();
    let clone = scene.clone();
    let good = manifest(&clone);
    let long = json!({"system": "linux", "placeholders": [{"name": "HOME", "directory": format!("/{}", "x".repeat(4000))}]});
    for line in [
        b"{\"x\":\"{{HOME}}\"}\n".as_slice(),
        b"{{HOME}}{{HOME}}{{HOME}}{{HOME}}\n",
    ] {
        write_session(&clone, &good, &line.repeat(200_000 / line.len()), &long);
        for mode in ["always", "never"] {
            scene
                .victim
                .ccsync(["config", "set", "localize", mode])
                .success();
            let run = scene.victim.ccsync(["pull"]);
            // With the paths of this machine the name is harmless and is not refused.
            if mode == "never" {
                assert!(run.stdout.contains("far longer"), "{run}");
                assert_eq!((run.code, scene.victim.sessions().len()), (Some(3), 0));
            }
            scene.victim.ccsync(["undo"]);
            let state = scene.victim.home.join(".local/state/ccsync");
            fs::remove_dir_all(state).unwrap();
        }
    }
    let bad = with(
        good.clone(),
        "/titles",
        json!({"custom": "{{HOME}}".repeat(500_000)}),
    );
    let bad = with(
        bad,
        "/placeholders",
        json!({good["transcript"]["runs"][0]["placeholders"].as_str().unwrap(): long}),
    );
    clone.write(
        &format!("{}/manifest.json", session_dir(ONE)),
        bad.to_string(),
    );
    clone.push();
    let run = scene.victim.ccsync(["list", "--remote"]).success();
    assert!(run.stdout.len() < 100_000);
}

#[test]
fn pull_hostile_file_names_and_filters_are_ignored() {
    let scene = Scene::new();
    let (clone, victim) = (scene.clone(), &scene.victim);
    let pwned = victim.home.join("pwned");
    let config = victim.home.join(".gitconfig");
    let filter = format!(
        "[filter \"evil\"]\n\tsmudge = touch {0}\n\tclean = touch {0}\n",
        pwned.display()
    );
    fs::write(&config, fs::read_to_string(&config).unwrap() + &filter).unwrap();
    let before = outside(victim);
    let target = clone.blob(victim.home.join(".ssh").to_str().unwrap());
    clone.write(".gitattributes", "* filter=evil diff=evil merge=evil\n");
    clone.write(
        ".gitmodules",
        "[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c touch% pwned\n\tupdate = !touch pwned\n",
    );
    clone.add("160000", clone.git(&["rev-parse", "HEAD"]).trim(), "x");
    for (mode, path) in [
        ("120000", "sessions/22"),
        ("120000", "machines/evil.json"),
        (
            "120000",
            "sessions/33/33333333-0000-4000-8000-000000000003/transcript",
        ),
        (
            "120000",
            "sessions/33/33333333-0000-4000-8000-000000000003/manifest.json",
        ),
        ("100755", "sessions/con/CON"),
        ("100644", "sessions/nu/nul.txt"),
        ("100644", "trailing dot./x"),
        ("100644", "trailing blank /x"),
        ("100644", "case/Name"),
        ("100644", "case/name"),
        ("100644", "\u{1b}[2J\u{202e}name"),
    ] {
        clone.add(mode, &target, path);
    }
    clone.push();
    let mut import = format!(
        "commit refs/heads/main\ncommitter x <x@y> 1 +0000\ndata 0\nfrom {}\n",
        clone.git(&["rev-parse", "HEAD"]).trim()
    );
    for levels in [700, 1900] {
        import += &format!("M 100644 inline {}x\ndata 1\nx\n", "d/".repeat(levels));
    }
    fast_import(&scene.attacker, &clone, &import);
    clone.git(&["push", "--quiet", "origin", "main"]);

    for command in ["pull", "status", "list", "sync", "pull"] {
        let run = victim.ccsync([command]).success();
        assert_harmless(&format!("{}{}", run.stdout, run.stderr));
        assert!(!pwned.exists(), "{command}");
        assert_eq!(outside(victim), before, "{command}");
    }
    let store = walkdir::WalkDir::new(victim.store())
        .into_iter()
        .map(Result::unwrap);
    assert!(
        !store.into_iter().any(|entry| entry.path_is_symlink()),
        "no link is written"
    );
    assert_eq!(victim.sessions(), [ONE]);
    // An older version keeps entries that it does not know, too.
    let again = Clone::new(&scene.env.remote_of_pair(), &scene.good);
    assert!(
        again
            .git(&["ls-tree", "-r", "HEAD"])
            .contains("\tcase/Name")
    );
}

fn fast_import(machine: &Machine, clone: &Clone<'_>, commands: &str) {
    let mut git = machine.program("git");
    git.arg("-C")
        .arg(&clone.path)
        .args(["fast-import", "--quiet", "--force"]);
    let mut child = git.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(commands.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn pull_tree_with_too_many_files_is_refused() {
    let scene = Scene::new();
    let clone = scene.clone();
    let mut inner = format!("100644 blob {}\tf\n", clone.blob("x"));
    for _ in 0..6 {
        fs::write(clone.path.join("tree"), &inner).unwrap();
        let mut git = scene.attacker.program("git");
        git.arg("-C")
            .arg(&clone.path)
            .arg("mktree")
            .stdin(fs::File::open(clone.path.join("tree")).unwrap());
        let tree = scene.attacker.run(&mut git).success().stdout;
        inner = (0..20)
            .map(|n| format!("040000 tree {}\td{n}\n", tree.trim()))
            .collect();
    }
    let top = inner.split_whitespace().nth(2).unwrap().to_owned();
    let head = clone.git(&["rev-parse", "HEAD"]);
    let both = format!(
        "{}040000 tree {top}\tbomb\n",
        clone.git(&["ls-tree", "HEAD"])
    );
    fs::write(clone.path.join("tree"), both).unwrap();
    let mut git = scene.attacker.program("git");
    git.arg("-C")
        .arg(&clone.path)
        .arg("mktree")
        .stdin(fs::File::open(clone.path.join("tree")).unwrap());
    let tree = scene.attacker.run(&mut git).success().stdout;
    let commit = clone.git(&["commit-tree", "-m", "bomb", "-p", head.trim(), tree.trim()]);
    clone.git(&[
        "push",
        "--quiet",
        "origin",
        &format!("{}:refs/heads/main", commit.trim()),
    ]);
    let run = scene.victim.ccsync(["pull"]).code(1);
    assert!(run.stderr.contains("too many files"), "{run}");
    scene.victim.ccsync(["status"]).success();
    clone.git(&[
        "push",
        "--quiet",
        "--force",
        "origin",
        &format!("{}:refs/heads/main", head.trim()),
    ]);
    scene.victim.ccsync(["pull"]).success();
    assert_eq!(scene.victim.sessions(), [ONE]);
}

#[test]
fn output_of_every_command_escapes_stored_text() {
    const EVIL: &str = "a\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{200b}\r\u{7}\u{8}\nb\u{85}";
    let scene = Scene::new();
    let (clone, victim) = (scene.clone(), &scene.victim);
    let good = manifest(&clone);
    let titled = with(good.clone(), "/titles", json!({ "custom": EVIL }));
    clone.write(
        &format!("{}/manifest.json", session_dir(ONE)),
        with(titled, "/project", json!(format!("{{{{HOME}}}}/{EVIL}"))).to_string(),
    );
    // A session that is refused with a text of its own, and one whose project is unknown
    // here.
    let other = |id: &str, project: &str| {
        let mut other = with(good.clone(), "/session", json!(id));
        other["project"] = json!(project);
        (format!("{}/manifest.json", session_dir(id)), other)
    };
    let (path, refused) = other(TWO, "/x");
    clone.write(&path, with_file(refused, EVIL).to_string());
    let (path, listed) = other(THREE, &format!("{{{{NOWHERE}}}}/{EVIL}"));
    clone.write(&path, listed.to_string());
    for machine in fs::read_dir(clone.path.join("machines"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
    {
        let path = format!("machines/{machine}");
        let file: Value =
            serde_json::from_slice(&fs::read(clone.path.join(&path)).unwrap()).unwrap();
        clone.write(&path, with(file, "/name", json!(EVIL)).to_string());
    }
    clone.push();
    let odd = victim.project_dir("work/odd");
    fs::create_dir_all(&odd).unwrap();
    fs::write(odd.join(format!("{EVIL}.jsonl")), "{}\n").unwrap();
    let hook = scene.env.remote_of_pair().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(
        &hook,
        "#!/bin/sh\nprintf 'no\\033[2J\\302\\233 \\342\\200\\256 way\\n' >&2\nexit 1\n",
    )
    .unwrap();
    make_executable(&hook);
    victim
        .session("44444444-0000-4000-8000-000000000004")
        .turn(EVIL)
        .write();
    for args in [
        &["pull"][..],
        &["pull", "--json"],
        &["list"],
        &["list", "--remote"],
        &["list", "--remote", "--json"],
        &["status"],
        &["status", "--json"],
        &["push"],
        &["push", "--json"],
        &["sync"],
        &["undo"],
        &["init", "--yes"],
        &["init", "--yes", "--json"],
        &["config", "set-path", "X", EVIL, "/x"],
        &["list", "--from", EVIL],
    ] {
        let run = victim.ccsync(args);
        assert_ne!(run.code, Some(70), "{run}");
        assert_harmless(&format!("{}{}", run.stdout, run.stderr));
    }
}

#[cfg(unix)]
fn make_executable(path: &std::path::Path) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

#[cfg(not(unix))]
fn make_executable(_: &std::path::Path) {}

#[test]
fn set_path_hostile_proposals_are_ignored() {
    let scene = Scene::new();
    let (clone, victim) = (scene.clone(), &scene.victim);
    let before = outside(victim);
    let files = fs::read_dir(clone.path.join("machines"))
        .unwrap()
        .map(|e| e.unwrap().path());
    let mine = |path: &std::path::PathBuf| {
        fs::read_to_string(path)
            .unwrap()
            .contains("\"name\": \"b\"")
    };
    let path = files.into_iter().find(mine).unwrap();
    let id = path.file_stem().unwrap().to_str().unwrap();
    let ssh = victim.home.join(".ssh");
    let proposals = [
        "garbage".to_owned(),
        "[".repeat(100_000),
        json!({"format": 2, "placeholders": {"../X": "/etc"}}).to_string(),
        json!({"format": 2, "placeholders": {"HOME": "/etc", "WORK": ssh, "ETC": "/etc", "REL": "x", "TOP": "/", "NL": "/a\nb"}}).to_string(),
    ];
    for (turn, proposal) in proposals.into_iter().enumerate() {
        clone.write(&format!("machines/{id}.placeholders.json"), proposal);
        let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        file["placeholders"]["placeholders"] =
            json!([{"name": "HOME", "directory": "/etc"}, {"name": "WORK", "directory": ssh}]);
        clone.write(&format!("machines/{id}.json"), file.to_string());
        let project = ["{{WORK}}", "{{WORK}}/x", "{{ETC}}", "{{ETC}}/ssh"][turn];
        clone.write(
            &format!("{}/manifest.json", session_dir(ONE)),
            with(manifest(&clone), "/project", json!(project)).to_string(),
        );
        clone.push();
        let run = victim.ccsync(["sync"]).success();
        assert_eq!(outside(victim), before, "{run}");
        assert!(
            !fs::read_to_string(victim.home.join(".config/ccsync/config.toml"))
                .unwrap()
                .contains("HOME"),
            "{run}"
        );
        clone.pull();
    }
}
