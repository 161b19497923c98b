//! The daemon as a service of the system: its description, and the commands that start it.
//!
//! systemd user unit (systemd.service(5)), launchd agent (launchd.plist(5)), Windows task
//! (`schtasks /Create`).

use std::path::{Path, PathBuf};

use crate::domain::{ErrorKind, UserError};
use crate::sys::Env;
use crate::sys::env::Dirs;
use crate::sys::fs::{PathError, remove_file_if_exists, write_atomic};
use crate::sys::process::{ProcessError, Program};

const UNIT: &str = "ccsync.service";
const LABEL: &str = "ccsync";

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

/// A service of this user.
#[derive(Debug)]
pub struct Service {
    manager: ServiceManager,
    /// File with its description; Windows keeps it elsewhere.
    pub file: Option<PathBuf>,
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
        let program = env.program.as_deref().and_then(Path::to_str);
        Ok(Self {
            manager,
            file: file(manager, env),
            program: program.ok_or(ServiceError::NoProgram)?.to_owned(),
            variables: variables(env),
        })
    }

    /// Writes the description and starts the service.
    ///
    /// # Errors
    /// [`ServiceError`]. If the service manager does not run here, the file stays.
    pub fn install(&self) -> Result<(), ServiceError> {
        if let Some(file) = &self.file {
            write_atomic(file, self.description().as_bytes())?;
        }
        self.start_commands()
            .iter()
            .try_for_each(|command| run(command))
    }

    /// Ends the service and removes its description. Returns false if it is not installed.
    ///
    /// # Errors
    /// [`ServiceError`]
    pub fn remove(&self) -> Result<bool, ServiceError> {
        if self.file.as_ref().is_some_and(|file| !file.exists()) {
            return Ok(false);
        }
        let ended = self
            .end_commands()
            .iter()
            .try_for_each(|command| run(command));
        match &self.file {
            // A service without its file does not start again, even if it could not be ended.
            Some(file) => drop(remove_file_if_exists(file)?),
            None => ended?,
        }
        Ok(true)
    }

    /// Returns true if it is installed.
    pub fn is_installed(&self) -> bool {
        match &self.file {
            Some(file) => file.exists(),
            None => run(&words(&["schtasks", "/Query", "/TN", LABEL])).is_ok(),
        }
    }

    /// Returns the text of its file.
    fn description(&self) -> String {
        match self.manager {
            ServiceManager::Systemd => self.unit(),
            ServiceManager::Launchd | ServiceManager::TaskScheduler => self.plist(),
        }
    }

    fn unit(&self) -> String {
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
        format!(
            "[Unit]\n\
             Description=Keep Claude Code sessions in sync (ccsync)\n\
             \n\
             [Service]\n\
             ExecStart=\"{program}\" daemon\n\
             {variables}\
             Restart=on-failure\n\
             RestartSec=30\n\
             TimeoutStopSec=90\n\
             \n\
             [Install]\n\
             WantedBy=default.target\n"
        )
    }

    fn plist(&self) -> String {
        let escaped = |text: &str| {
            let text = text.replace('&', "&amp;");
            text.replace('<', "&lt;").replace('>', "&gt;")
        };
        let variables = self.variables.iter().map(|(name, value)| {
            format!("    <key>{name}</key><string>{}</string>\n", escaped(value))
        });
        let variables: String = variables.collect();
        let program = escaped(&self.program);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
             \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
             <plist version=\"1.0\">\n\
             <dict>\n  \
             <key>Label</key><string>{LABEL}</string>\n  \
             <key>ProgramArguments</key>\n  \
             <array><string>{program}</string><string>daemon</string></array>\n  \
             <key>EnvironmentVariables</key>\n  \
             <dict>\n{variables}  </dict>\n  \
             <key>RunAtLoad</key><true/>\n  \
             <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>\n\
             </dict>\n\
             </plist>\n"
        )
    }

    fn start_commands(&self) -> Vec<Vec<String>> {
        match self.manager {
            ServiceManager::Systemd => vec![
                words(&["systemctl", "--user", "daemon-reload"]),
                words(&["systemctl", "--user", "enable", "--now", UNIT]),
            ],
            ServiceManager::Launchd => vec![words(&["launchctl", "load", "-w", self.file_text()])],
            ServiceManager::TaskScheduler => {
                let daemon = format!("\"{}\" daemon", self.program);
                let task = [
                    "schtasks", "/Create", "/F", "/SC", "ONLOGON", "/TN", LABEL, "/TR", &daemon,
                ];
                vec![words(&task), words(&["schtasks", "/Run", "/TN", LABEL])]
            }
        }
    }

    fn end_commands(&self) -> Vec<Vec<String>> {
        match self.manager {
            ServiceManager::Systemd => {
                vec![words(&["systemctl", "--user", "disable", "--now", UNIT])]
            }
            ServiceManager::Launchd => {
                vec![words(&["launchctl", "unload", "-w", self.file_text()])]
            }
            ServiceManager::TaskScheduler => {
                vec![words(&["schtasks", "/Delete", "/F", "/TN", LABEL])]
            }
        }
    }

    fn file_text(&self) -> &str {
        self.file
            .as_deref()
            .and_then(Path::to_str)
            .unwrap_or_default()
    }
}

fn file(manager: ServiceManager, env: &Env) -> Option<PathBuf> {
    match manager {
        ServiceManager::Systemd => {
            let own_base = env
                .dirs
                .config
                .parent()
                .filter(|_| base(&env.dirs).is_none());
            let config = own_base.map_or_else(|| env.home.join(".config"), Path::to_owned);
            Some(config.join("systemd/user").join(UNIT))
        }
        ServiceManager::Launchd => {
            let agents = env.home.join("Library/LaunchAgents");
            Some(agents.join(format!("{LABEL}.plist")))
        }
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

    fn service(manager: ServiceManager) -> Service {
        Service {
            manager,
            file: None,
            program: "/opt/a b/50% & <new>/ccsync".to_owned(),
            variables: vec![("CCSYNC_HOME", "/data/\"x\" & y".to_owned())],
        }
    }

    #[test]
    fn service_unit_quotes_what_systemd_would_expand() {
        let unit = service(ServiceManager::Systemd).description();
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
    fn service_plist_is_escaped() {
        let plist = service(ServiceManager::Launchd).description();
        assert!(
            plist.contains("<string>/opt/a b/50% &amp; &lt;new&gt;/ccsync</string>"),
            "{plist}"
        );
    }
}
