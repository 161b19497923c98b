//! An encrypted store beside a plain one: the time of the first push, in turns, and the bytes of
//! pushed appends.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;

use super::MEMORY_BOUND;
use super::archive::{Amount, Author, Shape};
use super::machine::{Gc, Machine};
use super::measure::{Cost, Pairs};
use super::os;
use super::place::{Place, Remote, Scene};
use super::table::{Results, megabytes};
use super::transport::Transport;

/// The first push may take this multiple of a plain one.
const FIRST_PUSH: f64 = 1.2;

/// The appends may send this multiple of the bytes of plain ones.
const BYTES: f64 = 4.0;

pub(crate) struct Encrypted {
    pub(crate) shape: Shape,
    /// Number of first pushes of each kind.
    pub(crate) repeat: usize,
    pub(crate) appends: usize,
}

impl Encrypted {
    pub(crate) fn measure(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        self.first_pushes(place, transport, results);
        self.short_appends(place, transport, results);
    }

    fn first_pushes(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        let mut pairs = Pairs::default();
        for round in 0..self.repeat {
            let scene = place.scene(&format!("first-push-{round}"), transport);
            let cost = |name: &str, encrypt: bool| {
                place.populate(&scene, name, self.shape);
                let (desk, _) = set_up(&scene, name, encrypt);
                os::settle();
                desk.ccsync(["push"])
            };
            pairs.add((cost("plain", false), cost("sealed", true)));
        }
        results.row(
            "first push: plain store, encrypted store",
            pairs,
            FIRST_PUSH,
        );
        let memory = results.memory().own.resident;
        results.check(
            format!("ccsync needs at most {} MB", megabytes(MEMORY_BOUND)),
            format!("{} MB", megabytes(memory)),
            memory <= MEMORY_BOUND,
        );
    }

    fn short_appends(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        let scene = place.scene("appends", transport);
        let [plain, sealed] = [("plain", false), ("sealed", true)]
            .map(|(name, encrypt)| self.sent_bytes(&scene, name, encrypt));
        let times = sealed as f64 / plain as f64;
        let what = format!(
            "{} appends of 3 KB send at most {BYTES} times the {plain} bytes of a plain store",
            self.appends
        );
        results.check(
            what,
            format!("{sealed} bytes, {times:.2} times"),
            times <= BYTES,
        );
    }

    /// Pushes appends to one session, and returns the bytes of the packs that git sends.
    fn sent_bytes(&self, scene: &Scene, name: &str, encrypt: bool) -> u64 {
        let (desk, remote) = set_up(scene, name, encrypt);
        let mut author = Author::new(&desk.home);
        let transcript = author.begin(&desk.projects(), 300_000);
        desk.ccsync(["push"]);
        let git_dir = match encrypt {
            true => desk.store().with_file_name("sealed.git"),
            false => desk.store().join(".git"),
        };
        let head = || {
            desk.git_says(&remote.path, &["rev-parse", "main"])
                .trim()
                .to_owned()
        };
        let mut before = head();
        let mut bytes = 0;
        for _ in 0..self.appends {
            author.append(&transcript, Amount::Bytes(3_000));
            desk.ccsync(["push"]);
            let now = head();
            bytes += pack_bytes(&desk, &git_dir, &before, &now);
            before = now;
        }
        bytes
    }
}

fn set_up(scene: &Scene, name: &str, encrypt: bool) -> (Machine, Remote) {
    let desk = scene.machine(name, Gc::Off);
    let remote = scene.remote(&desk, &format!("{name}.git"));
    let _: Cost = match encrypt {
        true => desk.ccsync(["init", "--yes", "--encrypt", "--remote", &remote.url]),
        false => desk.init(&remote),
    };
    (desk, remote)
}

/// Returns the size of the pack that a push of `now` sends to a remote that has `before`.
fn pack_bytes(desk: &Machine, git_dir: &Path, before: &str, now: &str) -> u64 {
    let mut command = desk.command("git");
    command.arg("--git-dir").arg(git_dir);
    command.args(["pack-objects", "--revs", "--thin", "--stdout", "-q"]);
    command.args(["--delta-base-offset"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("git can be started");
    let mut input = child.stdin.take().expect("the input is a pipe");
    write!(input, "{now}\n^{before}\n").expect("git reads revisions");
    drop(input);
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "git packs the new objects");
    output.stdout.len() as u64
}
