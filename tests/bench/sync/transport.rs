//! The transport between the machines: a disk, an ssh server or a web server, all of them
//! here.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::os;
use super::servers::http::{Manner, Server};
use super::servers::sshd::Sshd;

/// The kind of transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// `file://`
    Disk,
    /// An sshd on the loopback
    Ssh,
    /// `git http-backend` on the loopback
    Http,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Ssh => "ssh",
            Self::Http => "http",
        }
    }
}

enum Way {
    Disk,
    Ssh(Sshd),
    Http(Server),
}

/// An open transport to remotes.
pub(crate) struct Transport {
    way: Way,
    /// Holds the `ssh` that knows the server.
    bin: PathBuf,
    root: PathBuf,
}

impl Transport {
    /// Opens a transport to the remotes below `root`; its own files are there, too.
    ///
    /// # Errors
    /// The reason why it is not available, for the message that it is skipped.
    pub(crate) fn open(kind: Kind, root: &Path) -> Result<Self, String> {
        let own = root.join("transport").join(kind.name());
        let _ = fs::remove_dir_all(&own);
        let bin = own.join("bin");
        fs::create_dir_all(&bin).expect("the benchmark's directory can be written");
        let way = match kind {
            Kind::Disk => Way::Disk,
            Kind::Ssh => Way::Ssh(open_ssh(&own, &bin)?),
            Kind::Http => Way::Http(Server::start(Manner::Serves(root.to_owned()))),
        };
        Ok(Self {
            way,
            bin,
            root: root.to_owned(),
        })
    }

    /// Returns the directory of programs that precede those of the system.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// Returns the address of a repository.
    pub(crate) fn url(&self, path: &Path) -> String {
        match &self.way {
            Way::Disk => format!("file://{}", path.display()),
            Way::Ssh(_) => format!("ssh://bench-host{}", path.display()),
            Way::Http(server) => {
                let path = path.strip_prefix(&self.root).expect("remotes lie below");
                server.url_of("al:right@", &path.to_string_lossy())
            }
        }
    }

    /// Returns the number of connections so far; a disk needs none.
    pub(crate) fn connections(&self) -> usize {
        match &self.way {
            Way::Disk => 0,
            Way::Ssh(server) => server.connections(),
            Way::Http(server) => server.connections(),
        }
    }
}

/// Starts the server. ssh finds the user's own configuration through the password file,
/// not through `HOME`, so an `ssh` on the PATH passes it.
fn open_ssh(own: &Path, bin: &Path) -> Result<Sshd, String> {
    let server = Sshd::start(own)?;
    let config = own.join("ssh_config");
    let text = server.client_config("bench-host", "client_key", "known_hosts");
    fs::write(&config, text).expect("the benchmark's directory can be written");
    let real = os::program("ssh");
    let script = format!(
        "#!/bin/sh\nexec '{}' -F '{}' \"$@\"\n",
        real.display(),
        config.display()
    );
    let program = bin.join("ssh");
    fs::write(&program, script).expect("the benchmark's directory can be written");
    os::make_executable(&program);
    Ok(server)
}
