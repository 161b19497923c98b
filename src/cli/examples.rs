//! Examples of every command, for its help and its manual page.

/// A command line that a user may type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Example {
    pub(crate) line: &'static str,
    /// Its effect, as a phrase in lower case.
    pub(crate) effect: &'static str,
}

/// Returns the examples of a command: `lock show`; `` for the program itself.
pub(crate) fn examples(command: &str) -> Vec<Example> {
    let known = EXAMPLES.iter().filter(|(of, ..)| *of == command);
    known
        .map(|&(_, line, effect)| Example { line, effect })
        .collect()
}

/// Returns the section of the help with the examples of a command.
pub(crate) fn help_section(command: &str) -> String {
    let examples = examples(command);
    let width = examples
        .iter()
        .map(|e| e.line.len())
        .max()
        .unwrap_or_default();
    let lines = examples
        .iter()
        .map(|e| format!("\n  {:width$}  # {}", e.line, e.effect));
    format!("Examples:{}", lines.collect::<String>())
}

/// Command, line, effect.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("", "ccsync init", "once per machine: set it up"),
    (
        "",
        "ccsync resume",
        "every day: continue a session of any machine",
    ),
    ("", "ccsync help push", "explain a command"),
    ("resume", "ccsync resume", "choose from a list"),
    (
        "resume",
        "ccsync resume 1a2b",
        "the session whose id starts with 1a2b",
    ),
    (
        "resume",
        "ccsync resume --latest -- --model opus",
        "pass arguments to Claude Code",
    ),
    ("start", "ccsync start", "in the current directory"),
    ("start", "ccsync start ~/work/app", "in another directory"),
    ("push", "ccsync push", "send what is new"),
    ("push", "ccsync push --dry-run", "show what would be sent"),
    (
        "push",
        "ccsync push --project ~/work --days 7",
        "send only recent sessions of a project",
    ),
    ("pull", "ccsync pull", "get recent sessions that changed"),
    ("pull", "ccsync pull 1a2b", "get one session, however old"),
    ("pull", "ccsync pull --days 365", "get sessions of a year"),
    ("sync", "ccsync sync", "get and send what is new"),
    ("sync", "ccsync sync --dry-run", "show what would be done"),
    (
        "status",
        "ccsync status",
        "show what is to be pushed and pulled",
    ),
    ("status", "ccsync status --json", "the same for a script"),
    (
        "note",
        "ccsync note \"the tests need a database now\"",
        "for all machines",
    ),
    (
        "note",
        "ccsync note \"pull before you start\" --for desk",
        "for one machine",
    ),
    ("list", "ccsync list", "sessions on this machine"),
    (
        "list",
        "ccsync list --remote --from desk",
        "all sessions that desk wrote last",
    ),
    (
        "list",
        "ccsync list --project work/app",
        "sessions of one project",
    ),
    ("show", "ccsync show 1a2b", "the whole conversation"),
    ("show", "ccsync show 1a2b --turns 3", "its last three turns"),
    ("show", "ccsync show 1a2b --format markdown", "for a ticket"),
    ("search", "ccsync search \"login form\"", "in all sessions"),
    (
        "search",
        "ccsync search --regex \"log(in|out)\" --project work/app",
        "in one project",
    ),
    (
        "search",
        "ccsync search TODO --from desk --hits 10",
        "where desk wrote",
    ),
    ("notes", "ccsync notes", "the ten newest"),
    ("notes", "ccsync notes --all", "all notes"),
    ("lock", "ccsync lock show", "see who works on what"),
    (
        "lock",
        "ccsync lock release 1a2b",
        "release the lock of a session",
    ),
    ("lock", "ccsync lock cleanup", "remove expired locks"),
    ("lock show", "ccsync lock show", "all locks"),
    (
        "lock show",
        "ccsync lock show 1a2b",
        "the lock of one session",
    ),
    (
        "lock release",
        "ccsync lock release",
        "all locks of this machine",
    ),
    (
        "lock release",
        "ccsync lock release 1a2b",
        "the lock of one session",
    ),
    (
        "lock release",
        "ccsync lock release 1a2b --force",
        "even if its holder may be working",
    ),
    (
        "lock cleanup",
        "ccsync lock cleanup",
        "remove locks that no process needs",
    ),
    (
        "lock cleanup",
        "ccsync lock cleanup --json",
        "the same for a script",
    ),
    ("log", "ccsync log", "the newest ten entries"),
    ("log", "ccsync log 1a2b", "the states of one session"),
    ("log", "ccsync log -n 50 --remote", "fetch, then show more"),
    ("undo", "ccsync undo", "revert the last pull or restore"),
    ("undo", "ccsync undo --json", "the same for a script"),
    (
        "restore",
        "ccsync restore 1a2b --at 2h",
        "the state two hours ago",
    ),
    (
        "restore",
        "ccsync restore 1a2b --at \"2026-11-20 14:00\" --as-fork",
        "as a new session",
    ),
    (
        "restore",
        "ccsync restore --milestone before-the-move --dry-run",
        "look first",
    ),
    (
        "milestone",
        "ccsync milestone before-the-move",
        "name the current state",
    ),
    ("milestone", "ccsync milestone --list", "list the names"),
    ("doctor", "ccsync doctor", "check everything"),
    ("doctor", "ccsync doctor --quiet", "print problems only"),
    ("recover", "ccsync recover", "after a crash or a power cut"),
    ("recover", "ccsync recover --json", "the same for a script"),
    ("verify", "ccsync verify", "compare everything quickly"),
    ("verify", "ccsync verify --full", "read every byte"),
    ("verify", "ccsync verify 1a2b", "compare one session"),
    ("repair", "ccsync repair 1a2b", "add a repaired copy"),
    (
        "repair",
        "ccsync repair 1a2b --output fixed.jsonl",
        "write it to a file instead",
    ),
    ("init", "ccsync init", "answer questions"),
    (
        "init",
        "ccsync init --github",
        "use a private GitHub repository",
    ),
    (
        "init",
        "ccsync init --remote git@host:you/sessions.git --yes",
        "without questions",
    ),
    ("config", "ccsync config show", "all settings"),
    ("config", "ccsync config set name desk", "change a setting"),
    (
        "config",
        "ccsync config exclude ~/work/secret",
        "keep a project on this machine",
    ),
    ("config show", "ccsync config show", "all settings"),
    (
        "config show",
        "ccsync config show --json",
        "the same for a script",
    ),
    (
        "config get",
        "ccsync config get remote",
        "where your sessions go",
    ),
    (
        "config get",
        "ccsync config get name",
        "what this machine is called",
    ),
    (
        "config set",
        "ccsync config set name desk",
        "rename this machine",
    ),
    (
        "config set",
        "ccsync config set max_size 200MB",
        "do not sync larger sessions",
    ),
    (
        "config include",
        "ccsync config include ~/work",
        "sync only this directory",
    ),
    (
        "config include",
        "ccsync config include github.com/acme/*",
        "and clones of these remotes",
    ),
    (
        "config include",
        "ccsync config include --remove ~/work",
        "change your mind",
    ),
    (
        "config exclude",
        "ccsync config exclude ~/work/secret",
        "one directory",
    ),
    (
        "config exclude",
        "ccsync config exclude github.com/acme/*",
        "clones of these remotes",
    ),
    (
        "config exclude",
        "ccsync config exclude --remove ~/work/secret",
        "change your mind",
    ),
    (
        "config add-placeholder",
        "ccsync config add-placeholder PROJECTS=~/projects",
        "a directory in your home",
    ),
    (
        "config add-placeholder",
        "ccsync config add-placeholder DATA=/data",
        "a directory elsewhere",
    ),
    (
        "config set-path",
        "ccsync config set-path PROJECTS this /srv/work",
        "on this machine",
    ),
    (
        "config set-path",
        "ccsync config set-path PROJECTS desk /data/work",
        "on another machine",
    ),
    ("machine", "ccsync machine list", "all machines"),
    (
        "machine",
        "ccsync machine rename desk",
        "rename this machine",
    ),
    (
        "machine",
        "ccsync machine forget old-laptop",
        "remove one that you no longer use",
    ),
    ("machine list", "ccsync machine list", "all machines"),
    (
        "machine list",
        "ccsync machine list --json",
        "the same for a script",
    ),
    (
        "machine rename",
        "ccsync machine rename desk",
        "rename this machine",
    ),
    (
        "machine rename",
        "ccsync machine rename laptop desk",
        "only if it is called laptop",
    ),
    (
        "machine forget",
        "ccsync machine forget old-laptop",
        "by name",
    ),
    (
        "machine forget",
        "ccsync machine forget 6f04 --yes",
        "by id, without a question",
    ),
    ("apply", "ccsync apply", "review every file"),
    ("apply", "ccsync apply --dry-run", "show the files only"),
    ("apply", "ccsync apply settings.json", "review one file"),
    ("import", "ccsync import", "sessions of claude-session-sync"),
    (
        "import",
        "ccsync import ~/backup/.claude --dry-run",
        "show what a backup has",
    ),
    ("completions", "ccsync completions bash", "print the script"),
    (
        "completions",
        "eval \"$(ccsync completions bash)\"",
        "use it in this shell only",
    ),
    ("man", "ccsync man", "the page of ccsync"),
    ("man", "ccsync man lock show", "the page of a command"),
    ("man", "ccsync man push | man -l -", "read it"),
    (
        "install-docs",
        "ccsync install-docs",
        "manual pages, and completions of your shell",
    ),
    (
        "install-docs",
        "ccsync install-docs zsh fish --dry-run",
        "show the files for these shells",
    ),
    (
        "install-docs",
        "ccsync install-docs --uninstall",
        "remove all of it",
    ),
    ("demo", "ccsync demo", "play it"),
    ("demo", "ccsync demo | less -R", "play it, then read it"),
    ("help", "ccsync help", "all commands"),
    ("help", "ccsync help lock show", "one command"),
];
