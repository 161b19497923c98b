//! The directory of the benchmark; each scene in it has its own machines and remotes.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::archive::{Extent, Shape, generate};
use super::machine::{Gc, Machine, home};
use super::os;
use super::transport::{Kind, Transport};

pub(crate) struct Place {
    root: PathBuf,
    keep: bool,
    /// Removes the root at the end, unless it was given.
    _temporary: Option<tempfile::TempDir>,
}

impl Place {
    /// Works in `directory`, where generated sessions stay for the next time, or in a
    /// temporary directory.
    pub(crate) fn new(directory: Option<&Path>, keep: bool) -> Self {
        let temporary = directory.is_none().then(|| {
            let mut builder = tempfile::Builder::new();
            builder
                .prefix("ccsync-bench-")
                .disable_cleanup(keep)
                .tempdir()
                .expect("a temporary directory can be made")
        });
        let root = directory
            .or(temporary.as_ref().map(tempfile::TempDir::path))
            .expect("it is one or the other");
        fs::create_dir_all(root).expect("the benchmark's directory can be made");
        // Transcripts name the home directory as the commands see it.
        let root = root.canonicalize().expect("the directory is there");
        if keep {
            println!("everything stays in {}", root.display());
        }
        Self {
            root,
            keep,
            _temporary: temporary,
        }
    }

    /// Opens a transport to remotes in this place.
    ///
    /// # Errors
    /// As [`Transport::open`].
    pub(crate) fn transport(&self, kind: Kind) -> Result<Rc<Transport>, String> {
        Transport::open(kind, &self.root).map(Rc::new)
    }

    /// Returns an empty scene.
    pub(crate) fn scene(&self, name: &str, transport: &Rc<Transport>) -> Scene {
        let root = self.root.join("scenes").join(name);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).expect("the benchmark's directory can be written");
        Scene {
            root,
            keep: self.keep,
            transport: Rc::clone(transport),
        }
    }

    /// Returns a scene whose machine has so many small sessions, all pushed.
    pub(crate) fn pushed_scene(
        &self,
        name: &str,
        transport: &Rc<Transport>,
        sessions: usize,
    ) -> (Scene, Machine) {
        let scene = self.scene(name, transport);
        let shape = Shape {
            sessions,
            bytes: sessions as u64 * 20_000,
            large: 0,
        };
        self.populate(&scene, "desk", shape);
        let desk = scene.machine("desk", Gc::Off);
        desk.init(&scene.remote(&desk, "remote.git"));
        desk.ccsync(["push"]);
        os::settle();
        (scene, desk)
    }

    /// Generates sessions for the machine `name` of a scene.
    pub(crate) fn populate(&self, scene: &Scene, name: &str, shape: Shape) -> Extent {
        let home = home(&scene.root.join(name));
        let generated = self
            .root
            .join("generated")
            .join(format!("{}-{}", shape.sessions, shape.bytes));
        let extent = generate(shape, &home, &generated);
        copy(&generated, &home.join(".claude/projects"));
        extent
    }
}

/// Machines and the remotes between them.
pub(crate) struct Scene {
    root: PathBuf,
    keep: bool,
    transport: Rc<Transport>,
}

/// A bare repository between machines.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// Its directory on this disk.
    pub(crate) path: PathBuf,
    /// Its address for the machines.
    pub(crate) url: String,
}

impl Scene {
    pub(crate) fn machine(&self, name: &str, gc: Gc) -> Machine {
        Machine::new(&self.root, name, gc, &self.transport)
    }

    /// Creates an empty bare repository; its automatic clean-up is off if the machine's
    /// is.
    pub(crate) fn remote(&self, machine: &Machine, name: &str) -> Remote {
        let path = self.root.join(name);
        let git_path = path
            .to_str()
            .expect("the benchmark's directory has a UTF-8 name");
        machine.git(&self.root, ["init", "--quiet", "--bare", git_path]);
        if machine.gc == Gc::Off {
            // A server does not read the settings of the machine.
            machine.git(&path, ["config", "gc.auto", "0"]);
            machine.git(&path, ["config", "maintenance.auto", "false"]);
        }
        self.remote_at(path)
    }

    /// Returns a copy of a remote.
    pub(crate) fn copy_of(&self, remote: &Remote, name: &str) -> Remote {
        let path = self.root.join(name);
        copy(&remote.path, &path);
        self.remote_at(path)
    }

    fn remote_at(&self, path: PathBuf) -> Remote {
        let url = self.transport.url(&path);
        Remote { path, url }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from)
        .into_iter()
        .map(|entry| entry.expect("a directory can be listed"))
    {
        let target = to.join(entry.path().strip_prefix(from).expect("it lies below"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).expect("a directory can be made");
        } else {
            fs::copy(entry.path(), target).expect("there is room for another copy");
        }
    }
}

/// Returns the space that a directory takes on the disk.
pub(crate) fn size_of(directory: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(directory).into_iter().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| os::disk_usage(&metadata))
        .sum()
}
