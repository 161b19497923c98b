//! Work that the system starts: the daemon as a service, or a sync from time to time.
//!
//! systemd user units (systemd.service(5), systemd.timer(5)), launchd agent (launchd.plist(5)),
//! Windows task (`schtasks /Create`).

use std::path::{Path, PathBuf};

use crate::domain::{ErrorKind, UserError};
use crate::sys::Env;
use crate::sys::env::Dirs;
use crate::sys::fs::{PathError, remove_file_if_exists, write_atomic};
use crate::sys::own_program::lasting_program;
use crate::sys::process::{ProcessError, Program};

const UNIT: &str = "ccsync.service";
const TIMER: &str = "ccsync.timer";
const PLIST: &str = "ccsync.plist";
const LABEL: &str = "ccsync";

/// Time between two syncs of a timer, in minutes.
const MINUTES: u64 = 5;

/// The program of the system that runs services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceManager {
    /// `systemd --user`
    Systemd,
    /// launchd
    Launchd,
    /// The task scheduler of Windows.
    TaskScheduler,
}

/// The process that the system starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// `ccsync daemon`, all the time.
    Daemon,
    /// `ccsync sync`, every few minutes.
    Timer,
}

/// A service of this user.
#[derive(Debug)]
pub struct Service {
    manager: ServiceManager,
    /// Directory of its description; Windows keeps it elsewhere.
    directory: Option<PathBuf>,
    program: String,
    variables: Vec<(&'static str, String)>,
}

/// Error: the service cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its file cannot be written or removed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The service manager cannot be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The service manager refuses.
    #[error("`{command}` failed: {message}")]
    Refused {
        /// Its command line.
        command: String,
        /// Its message.
        message: String,
    },
    /// The system does not tell where this program is.
    #[error("the path of this program is unknown")]
    NoProgram,
}

impl Service {
    /// Returns the service of this user, which may not be installed.
    ///
    /// # Errors
    /// [`ServiceError::NoProgram`]
    pub fn of_this_user(env: &Env) -> Result<Self, ServiceError> {
        let manager = if cfg!(target_os = "macos") {
            ServiceManager::Launchd
        } else if cfg!(windows) {
            ServiceManager::TaskScheduler
        } else {
            ServiceManager::Systemd
        };
        let program =
            lasting_program(env).and_then(|path| path.into_os_string().into_string().ok());
        Ok(Self {
            manager,
            directory: directory(manager, env),
            program: program.ok_or(ServiceError::NoProgram)?,
            variables: variables(env),
        })
    }

    /// Writes the description and starts the service, in place of one that is installed.
    ///
    /// # Errors
    /// [`ServiceError`]. If the service manager does not run here, the files stay.
    pub fn install(&self, kind: ServiceKind) -> Result<(), ServiceError> {
        self.remove()?;
        for (file, text) in self.descriptions(kind) {
            write_atomic(&file, text.as_bytes())?;
        }
        self.start_commands(kind)
            .iter()
            .try_for_each(|command| run(command))
    }

    /// Ends the service and removes its description. Returns false if it is not installed.
    ///
    /// # Errors
    /// [`ServiceError`]
    pub fn remove(&self) -> Result<bool, ServiceError> {
        if !self.is_installed() {
            return Ok(false);
        }
        let ended = run(&self.end_command());
        // A service without its files does not start again, even if it cannot be ended.
        if self.directory.is_none() {
            ended?;
        }
        for file in self.files() {
            remove_file_if_exists(&file)?;
        }
        Ok(true)
    }

    /// Returns true if it is installed.
    pub fn is_installed(&self) -> bool {
        match self.directory {
            Some(_) => self.file().is_some(),
            None => run(&words(&["schtasks", "/Query", "/TN", LABEL])).is_ok(),
        }
    }

    /// Returns the file that starts it, if that is there.
    pub fn file(&self) -> Option<PathBuf> {
        self.files().into_iter().find(|file| file.exists())
    }

    /// Lists the files that it may have; one that starts it comes first.
    fn files(&self) -> Vec<PathBuf> {
        let names: &[&str] = match self.manager {
            ServiceManager::Systemd => &[TIMER, UNIT],
            ServiceManager::Launchd => &[PLIST],
            ServiceManager::TaskScheduler => &[],
        };
        let directory = self.directory.iter();
        directory
            .flat_map(|directory| names.iter().map(|name| directory.join(name)))
            .collect()
    }

    /// Returns its files with their text.
    fn descriptions(&self, kind: ServiceKind) -> Vec<(PathBuf, String)> {
        let texts = self.files().into_iter().map(|file| {
            let text = match file.file_name().and_then(|name| name.to_str()) {
                Some(TIMER) => (kind == ServiceKind::Timer).then(timer),
                Some(UNIT) => Some(self.unit(kind)),
                _ => Some(self.plist(kind)),
            };
            Some((file, text?))
        });
        texts.flatten().collect()
    }

    fn unit(&self, kind: ServiceKind) -> String {
        let quoted = |text: &str| {
            text.replace('%', "%%")
                .replace('\\', r"\\")
                .replace('"', "\\\"")
        };
        let variables = self.variables.iter();
        let variables =
            variables.map(|(name, value)| format!("Environment=\"{name}={}\"\n", quoted(value)));
        let variables: String = variables.collect();
        let program = quoted(&self.program).replace('$', "$$");
        let start = match kind {
            ServiceKind::Daemon => {
                format!("ExecStart=\"{program}\" daemon\nRestart=on-failure\nRestartSec=30\n")
            }
            // A fork is no failure, and another ccsync that runs syncs, too.
            ServiceKind::Timer => format!(
                "Type=oneshot\nExecStart=\"{program}\" sync --quiet\nSuccessExitStatus=5 75\n"
            ),
        };
        let install = match kind {
            ServiceKind::Daemon => "\n[Install]\nWantedBy=default.target\n",
            ServiceKind::Timer => "",
        };
        format!(
            "[Unit]\n\
             Description=Keep Claude Code sessions in sync (ccsync)\n\
             \n\
             [Service]\n\
             {start}\
             {variables}\
             TimeoutStopSec=90\n\
             {install}"
        )
    }

    fn plist(&self, kind: ServiceKind) -> String {
        let escaped = |text: &str| {
            let text = text.replace('&', "&amp;");
            text.replace('<', "&lt;").replace('>', "&gt;")
        };
        let variables = self.variables.iter().map(|(name, value)| {
            format!("    <key>{name}</key><string>{}</string>\n", escaped(value))
        });
        let variables: String = variables.collect();
        let program = escaped(&self.program);
        let (args, when) = match kind {
            ServiceKind::Daemon => (
                "<string>daemon</string>",
                "<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>".to_owned(),
            ),
            ServiceKind::Timer => (
                "<string>sync</string><string>--quiet</string>",
                format!(
                    "<key>StartInterval</key><integer>{}</integer>",
                    MINUTES * 60
                ),
            ),
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
             \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
             <plist version=\"1.0\">\n\
             <dict>\n  \
             <key>Label</key><string>{LABEL}</string>\n  \
             <key>ProgramArguments</key>\n  \
             <array><string>{program}</string>{args}</array>\n  \
             <key>EnvironmentVariables</key>\n  \
             <dict>\n{variables}  </dict>\n  \
             <key>RunAtLoad</key><true/>\n  \
             {when}\n\
             </dict>\n\
             </plist>\n"
        )
    }

    fn start_commands(&self, kind: ServiceKind) -> Vec<Vec<String>> {
        match self.manager {
            ServiceManager::Systemd => {
                let unit = match kind {
                    ServiceKind::Daemon => UNIT,
                    ServiceKind::Timer => TIMER,
                };
                vec![
                    words(&["systemctl", "--user", "daemon-reload"]),
                    words(&["systemctl", "--user", "enable", "--now", unit]),
                ]
            }
            ServiceManager::Launchd => {
                let file = self.file().unwrap_or_default();
                vec![words(&["launchctl", "load", "-w", &file.to_string_lossy()])]
            }
            ServiceManager::TaskScheduler => {
                let minutes = MINUTES.to_string();
                let (args, when) = match kind {
                    ServiceKind::Daemon => ("daemon", vec!["/SC", "ONLOGON"]),
                    ServiceKind::Timer => (
                        "sync --quiet",
                        vec!["/SC", "MINUTE", "/MO", minutes.as_str()],
                    ),
                };
                let run = format!("\"{}\" {args}", self.program);
                let mut task = vec!["schtasks", "/Create", "/F", "/TN", LABEL, "/TR", &run];
                task.extend(when);
                vec![words(&task), words(&["schtasks", "/Run", "/TN", LABEL])]
            }
        }
    }

    /// Returns the command that ends the service that is installed.
    fn end_command(&self) -> Vec<String> {
        let file = self.file().unwrap_or_default();
        match self.manager {
            ServiceManager::Systemd => {
                let unit = file.file_name().unwrap_or_default().to_string_lossy();
                words(&["systemctl", "--user", "disable", "--now", &unit])
            }
            ServiceManager::Launchd => {
                words(&["launchctl", "unload", "-w", &file.to_string_lossy()])
            }
            ServiceManager::TaskScheduler => words(&["schtasks", "/Delete", "/F", "/TN", LABEL]),
        }
    }
}

fn timer() -> String {
    format!(
        "[Unit]\n\
         Description=Sync Claude Code sessions every {MINUTES} minutes (ccsync)\n\
         \n\
         [Timer]\n\
         OnActiveSec=1s\n\
         AccuracySec=2s\n\
         OnUnitInactiveSec={MINUTES}min\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n"
    )
}

fn directory(manager: ServiceManager, env: &Env) -> Option<PathBuf> {
    match manager {
        ServiceManager::Systemd => {
            let own_base = env
                .dirs
                .config
                .parent()
                .filter(|_| base(&env.dirs).is_none());
            let config = own_base.map_or_else(|| env.home.join(".config"), Path::to_owned);
            Some(config.join("systemd/user"))
        }
        ServiceManager::Launchd => Some(env.home.join("Library/LaunchAgents")),
        ServiceManager::TaskScheduler => None,
    }
}

/// Returns the value of `CCSYNC_HOME`, if the directories come from it.
fn base(dirs: &Dirs) -> Option<PathBuf> {
    let base = dirs.config.parent()?;
    (Dirs::below(base) == *dirs).then(|| base.to_owned())
}

/// Returns the variables that the service needs: those by which this process found its files.
fn variables(env: &Env) -> Vec<(&'static str, String)> {
    let path = std::env::join_paths(&env.search_path).unwrap_or_default();
    let own_client_dir =
        (env.claude_dir != env.home.join(".claude")).then(|| env.claude_dir.clone());
    let all = [
        ("PATH", Some(PathBuf::from(path))),
        ("CCSYNC_HOME", base(&env.dirs)),
        ("CLAUDE_CONFIG_DIR", own_client_dir),
    ];
    let text = |path: PathBuf| path.to_str().map(str::to_owned);
    all.into_iter()
        .filter_map(|(name, value)| Some((name, text(value?)?)))
        .collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn run(command: &[String]) -> Result<(), ServiceError> {
    let output = Program::new(&command[0]).args(&command[1..]).run()?;
    if output.status.success() {
        return Ok(());
    }
    Err(ServiceError::Refused {
        command: command.join(" "),
        message: output.stderr.trim().to_owned(),
    })
}

impl UserError for ServiceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Path(e) => e.kind(),
            Self::Process(e) => e.kind(),
            Self::Refused { .. } | Self::NoProgram => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Path(e) => e.hints(),
            Self::Process(e) => e.hints(),
            Self::Refused { .. } => vec![
                "without a service, `ccsync auto on` starts the daemon when Claude Code runs"
                    .to_owned(),
            ],
            Self::NoProgram => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(manager: ServiceManager, kind: ServiceKind) -> String {
        let service = Service {
            manager,
            directory: Some(PathBuf::from("/d")),
            program: "/opt/a b/50% & <new>/ccsync".to_owned(),
            variables: vec![("CCSYNC_HOME", "/data/\"x\" & y".to_owned())],
        };
        let mut descriptions = service.descriptions(kind);
        descriptions.pop().unwrap().1
    }

    #[test]
    fn service_unit_quotes_what_systemd_would_expand() {
        let unit = description(ServiceManager::Systemd, ServiceKind::Daemon);
        assert!(
            unit.contains("ExecStart=\"/opt/a b/50%% & <new>/ccsync\" daemon\n"),
            "{unit}"
        );
        assert!(
            unit.contains(r#"Environment="CCSYNC_HOME=/data/\"x\" & y""#),
            "{unit}"
        );
    }

    #[test]
    fn service_plist_is_read_by_another_program() {
        for (kind, expected) in [
            (ServiceKind::Daemon, "daemon None"),
            (ServiceKind::Timer, "sync,--quiet 300"),
        ] {
            let plist = description(ServiceManager::Launchd, kind);
            assert!(
                plist.contains("<string>/opt/a b/50% &amp; &lt;new&gt;/ccsync</string>"),
                "{plist}"
            );
            const READ: &str = "import plistlib, sys; p = plistlib.loads(sys.argv[1].encode()); \
                                a = p['ProgramArguments']; assert a[0] == sys.argv[2]; \
                                assert p['EnvironmentVariables']['CCSYNC_HOME'] == sys.argv[3]; \
                                print(','.join(a[1:]), p.get('StartInterval'))";
            let program = "/opt/a b/50% & <new>/ccsync";
            let python = Program::new("python3");
            let args = ["-c", READ, &plist, program, "/data/\"x\" & y"];
            if let Ok(read) = python.args(args).run() {
                let printed = String::from_utf8(read.stdout).unwrap();
                assert_eq!(printed.trim(), expected, "{}", read.stderr);
            }
        }
    }
}
