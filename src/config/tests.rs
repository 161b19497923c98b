//! Tests of the configuration as a whole.

use std::path::{Path, PathBuf};

use super::*;
use crate::domain::{System, error::error_chain};
use crate::sys::{Env, GitEnv, env::Dirs, fs::real_path};

const MACHINE: &str = "machine = { id = \"0123456789abcdef0123456789abcdef\", name = \"desk\" }\n";

fn env(home: &Path) -> Env {
    Env {
        home: home.to_owned(),
        system: System::current(),
        host_name: "desk".to_owned(),
        directory: None,
        host_mark: None,
        client: "claude".into(),
        claude_dir: home.join(".claude"),
        project_dir_name: None,
        program: None,
        search_path: Vec::new(),
        shell: None,
        data_home: PathBuf::new(),
        dirs: Dirs::below(home),
        stdin_is_terminal: false,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        no_color: true,
        no_client_hooks: None,
        store_key: None,
        only_lines: true,
        columns: None,
        rows: None,
        git: GitEnv::default(),
        committer: None,
        hook: crate::sys::hook_env::HookEnv::default(),
    }
}

fn parse(rest: &str) -> Result<Config, ConfigError> {
    Config::parse(&format!("{MACHINE}{rest}"), Path::new("/c/config.toml"))
}

#[test]
fn config_saved_file_loads_equal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c").join(FILE_NAME);
    assert!(Config::load(&path).unwrap().is_none());
    let mut config = parse("").unwrap();
    for (key, value) in [
        ("remote", "git@host:al/s.git"),
        ("name", "lap\"top"),
        ("localize", "always"),
        ("extras", "memory,skills"),
        ("pull_max_age", "7"),
        ("key_command", "pass show ccsync | head -1"),
        ("max_size", "200MB"),
        ("push_max_age", "90"),
    ] {
        config.set(key.parse().unwrap(), value).unwrap();
        assert_eq!(config.get(key.parse().unwrap()).as_deref(), Some(value));
    }
    config
        .set_placeholder("PROJECTS".parse().unwrap(), "~/work", &env(dir.path()))
        .unwrap();
    config.sync.exclude = vec![
        "~/secret/**".parse().unwrap(),
        "github.com/acme/*".parse().unwrap(),
    ];
    config.save(&path).unwrap();
    assert_eq!(Config::load(&path).unwrap().unwrap(), config);
}

#[test]
fn config_save_through_symlink_keeps_link() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("dotfile"), dir.path().join("link"));
    parse("").unwrap().save(&file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    parse("[sync]\npull_max_age = 3")
        .unwrap()
        .save(&link)
        .unwrap();
    assert!(link.is_symlink());
    assert_eq!(Config::load(&file).unwrap().unwrap().sync.pull_max_age, 3);
}

#[test]
fn config_unknown_key_error_names_line_and_known_keys() {
    let shown = |rest: &str| error_chain(&parse(rest).unwrap_err());
    insta::assert_snapshot!(
        shown("day = 3\n"),
        @"invalid configuration `/c/config.toml`, line 2: unknown setting `day` (one of: remote, name, author, client_dir, localize, extras, secrets, key_command, max_size, pull_max_age, push_max_age)"
    );
    insta::assert_snapshot!(
        shown("\nlocalize = \"nowhere\"\n"),
        @"invalid configuration `/c/config.toml`, line 3: cannot set localize to `nowhere`: give auto, always or never"
    );
    insta::assert_snapshot!(
        shown("[synk]\n"),
        @"invalid configuration `/c/config.toml`, line 2: unknown table `synk` (one of: machine, sync, placeholders, project_secrets)"
    );
    insta::assert_snapshot!(
        "colour".parse::<SettingKey>().unwrap_err(),
        @"unknown setting `colour` (one of: remote, name, author, client_dir, localize, extras, secrets, key_command, max_size, pull_max_age, push_max_age)"
    );
}

/// A file with every setting of format 1.
const FORMER: &str = r#"
remote = "git@host:al/s.git"
paths = "original"
days = 36_000
beside = ["memory", "claude-md"]

[machine]
id = "0123456789abcdef0123456789abcdef"
name = "desk"
host = "8f14e45fceea167a"

[sync]
include = ["~/work"]
exclude = ["github.com/acme/*"]
max_size = "200MB"
max_age = 90

[placeholders]
WORK = "~/work"
"#;

#[test]
fn config_of_format_1_is_read_and_saved_in_format_2() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let config = Config::parse(FORMER, &path).unwrap();
    config.save(&path).unwrap();
    assert_eq!(Config::load(&path).unwrap().unwrap(), config);
    insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap(), @r#"
    # ccsync configuration; `ccsync config set` rewrites this file and drops comments.

    format = 2
    remote = "git@host:al/s.git"
    localize = "never"
    extras = ["memory", "claude-md"]

    [machine]
    id = "0123456789abcdef0123456789abcdef"
    name = "desk"
    host = "8f14e45fceea167a"

    [sync]
    include = ["~/work"]
    exclude = ["github.com/acme/*"]
    max_size = "200MB"
    pull_max_age = 36000
    push_max_age = 90

    [placeholders]
    WORK = "~/work"
    "#);
}

#[test]
fn config_set_accepts_keys_and_values_of_format_1() {
    let mut config = parse("").unwrap();
    for (former, name, value, shown) in [
        ("paths", "localize", "local", "always"),
        ("beside", "extras", "none", "none"),
        ("days", "pull_max_age", "7", "7"),
        ("max_age", "push_max_age", "8", "8"),
    ] {
        let key: SettingKey = former.parse().unwrap();
        config.set(key, value).unwrap();
        assert_eq!(
            (key.name(), config.get(key).as_deref()),
            (name, Some(shown))
        );
    }
}

#[test]
fn config_former_and_present_name_together_are_refused() {
    for (rest, name, former) in [
        ("paths = \"auto\"\nlocalize = \"auto\"", "localize", "paths"),
        ("beside = []\nextras = []", "extras", "beside"),
        ("days = 3\n[sync]\npull_max_age = 3", "pull_max_age", "days"),
        (
            "[sync]\nmax_age = 3\npush_max_age = 3",
            "push_max_age",
            "max_age",
        ),
    ] {
        let error = error_chain(&parse(rest).unwrap_err());
        let expected = format!("`{former}` is the former name of `{name}`: remove one of them");
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[test]
fn config_newer_format_is_refused_before_unknown_keys() {
    let error = parse("format = 3\ncolour = \"red\"").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the configuration `/c/config.toml` has format 3; this ccsync reads up to 2"
    );
    for format in [1, 2] {
        parse(&format!("format = {format}")).unwrap();
    }
}

#[test]
fn config_invalid_value_is_refused_in_file_and_on_set() {
    for bad in [
        "push_max_age = 0",
        "pull_max_age = 0",
        "pull_max_age = \"many\"",
        "max_size = 7",
        "max_size = \"x\"",
        "exclude = [\"[\"]",
        "include = \"x\"",
        "x = 1",
    ] {
        assert!(parse(&format!("[sync]\n{bad}")).is_err(), "{bad}");
    }
    assert!(parse("remote = \"-u\"").is_err());
    assert!(parse("[placeholders]\nHOME = \"/x\"").is_err());
    assert!(parse("[placeholders]\nREPO = \"/x\"").is_err());
    assert!(parse("[placeholders]\nlower = \"/x\"").is_err());
    assert!(parse("localize = true").is_err());
    assert!(parse("extras = [1]").is_err());
    assert!(parse("sync = 1").is_err());
    let no_machine = Config::parse("remote = \"r\"", Path::new("/c")).unwrap_err();
    assert!(error_chain(&no_machine).contains("missing setting `id`"));
    let mut config = parse("").unwrap();
    let before = config.clone();
    for (key, value) in [
        (SettingKey::PullMaxAge, "0"),
        (SettingKey::PullMaxAge, "many"),
        (SettingKey::Localize, "x"),
        (SettingKey::Name, ""),
        (SettingKey::Name, "a\u{1b}b"),
        (SettingKey::Remote, ""),
        (SettingKey::Remote, "-x"),
        (SettingKey::MaxSize, "much"),
        (SettingKey::PushMaxAge, "0"),
    ] {
        assert!(config.set(key, value).is_err(), "{key:?} {value:?}");
    }
    assert_eq!(config, before);
}

#[test]
fn config_debug_and_errors_hide_remote_secret() {
    let mut config = parse("remote = \"https://al:hunter2@host/x\"").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let error = config
        .set(SettingKey::Remote, "https://al:hunter2@host/x\n")
        .unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn config_placeholders_have_resolved_path() {
    let dir = tempfile::tempdir().unwrap();
    let base = real_path(dir.path()).unwrap();
    let (real, link) = (base.join("real"), base.join("link"));
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let config = parse("[placeholders]\nPROJECTS = \"~/work/\"").unwrap();
    let placeholders = config.placeholder_set(&env(&link)).unwrap();
    let home = placeholders.get("HOME").unwrap();
    assert_eq!(
        (home.directory.as_str(), home.resolved.as_deref()),
        (link.to_str().unwrap(), real.to_str())
    );
    let projects = placeholders.get("PROJECTS").unwrap();
    assert_eq!(
        (projects.directory.as_str(), projects.resolved.as_deref()),
        (link.join("work").to_str().unwrap(), None)
    );
}

#[test]
fn config_file_wins_over_defaults() {
    let config = parse("remote = \"r\"\n[sync]\npull_max_age = 9").unwrap();
    let settings = Settings::resolve(&config, &env(Path::new("/home/al"))).unwrap();
    assert_eq!(
        (settings.sync.pull_max_age, settings.remote.as_deref()),
        (9, Some("r"))
    );
    assert_eq!(settings.localize, LocalizeMode::Auto);
}
