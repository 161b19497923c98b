//! An ssh server of the user's own, with keys made for it.

use std::fs::{File, read_to_string};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ccsync::sys::fs::write_atomic;
use ccsync::sys::process::Program;

/// Possible places of the server, which must be started by its full path.
const PROGRAMS: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd"];

/// Time limit of the server's start.
const MAX_START: Duration = Duration::from_secs(10);

/// A running server. It ends when this is dropped.
pub(crate) struct Sshd {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sshd {
    /// Starts a server that accepts the key `client_key`. Its files are in `directory`,
    /// with a key `refused_key` that it refuses.
    ///
    /// # Errors
    /// The reason for which there is no server, to be shown where a test is skipped.
    pub(crate) fn start(directory: &Path) -> Result<Self, String> {
        let program = PROGRAMS.iter().find(|path| Path::new(path).exists());
        let program = program.ok_or("no sshd found (apt-get install openssh-server)")?;
        for key in ["host_key", "client_key", "refused_key"] {
            let keygen = Program::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(directory.join(key));
            assert!(keygen.run().unwrap().status.success());
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let config = write_configuration(directory, port);

        let mut server = Self {
            child: spawn(program, &config, &directory.join("sshd.log")),
            port,
            directory: directory.to_owned(),
        };
        if server.wait_until_up() {
            return Ok(server);
        }
        let reason = server.log().lines().last().unwrap_or_default().to_owned();
        Err(format!("sshd does not start here: {reason}"))
    }

    /// Returns a client configuration in which `host` is this server.
    pub(crate) fn client_config(&self, host: &str, key: &str, known_hosts: &str) -> String {
        let user = String::from_utf8(Program::new("id").arg("-un").run().unwrap().stdout).unwrap();
        format!(
            "Host {host}\nHostName 127.0.0.1\nPort {}\nUser {}\nIdentityFile {}\nIdentitiesOnly yes\n\
             IdentityAgent none\nUserKnownHostsFile {}\nGlobalKnownHostsFile none\n\
             StrictHostKeyChecking yes\nBatchMode yes\n",
            self.port,
            user.trim(),
            self.directory.join(key).display(),
            self.directory.join(known_hosts).display(),
        )
    }

    /// Returns the number of logins so far.
    pub(crate) fn connections(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    fn log(&self) -> String {
        read_to_string(self.directory.join("sshd.log")).unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "waits for a real server")]
    fn wait_until_up(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < MAX_START {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

fn write_configuration(directory: &Path, port: u16) -> PathBuf {
    let public = |key: &str| read_to_string(directory.join(format!("{key}.pub"))).unwrap();
    let keys = public("client_key");
    write_atomic(&directory.join("authorized_keys"), keys.as_bytes()).unwrap();
    let known = format!("[127.0.0.1]:{port} {}", public("host_key"));
    write_atomic(&directory.join("known_hosts"), known.as_bytes()).unwrap();
    let path = Program::new("sh").args(["-c", "printf %s \"$PATH\""]);
    let path = String::from_utf8(path.run().unwrap().stdout).unwrap();
    let text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
         StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin yes\nSetEnv PATH={path}\n",
        directory.join("host_key").display(),
        directory.join("authorized_keys").display(),
    );
    let config = directory.join("sshd_config");
    write_atomic(&config, text.as_bytes()).unwrap();
    config
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server in the background, not a command to wait for"
)]
fn spawn(program: &str, config: &Path, log: &Path) -> Child {
    let mut command = Command::new(program);
    command
        .args(["-D", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log).unwrap());
    command.spawn().unwrap()
}
