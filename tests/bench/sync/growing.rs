//! A long conversation, pushed after every step: its cost, and the growth of the store.

use std::rc::Rc;

use super::archive::{Amount, Author};
use super::machine::Gc;
use super::measure::{Cost, Pairs};
use super::os;
use super::place::{Place, size_of};
use super::plain::Plain;
use super::table::{Results, megabytes};
use super::transport::Transport;
use super::twin::Twin;

/// The store may grow by this multiple of what was appended, compressed.
const GROWTH_BOUND: f64 = 3.0;

pub(crate) struct Growing {
    pub(crate) transcript: usize,
    pub(crate) appends: usize,
    /// Number of appends that plain git does; the rest is extrapolated.
    pub(crate) by_git: usize,
}

impl Growing {
    pub(crate) fn measure(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        let scene = place.scene("growing", transport);
        let desk = scene.machine("desk", Gc::Off);
        let (remote, plain_remote) = (
            scene.remote(&desk, "remote.git"),
            scene.remote(&desk, "plain-remote.git"),
        );
        let mut author = Author::new(&desk.home);
        let transcript = author.begin(&desk.projects(), self.transcript);
        let plain = Plain::for_client(&desk, &plain_remote);
        plain.push();
        desk.init(&remote);
        desk.ccsync(["push"]);
        let git_dir = desk.store().join(".git");
        let size_before = size_of(&git_dir);
        let (mut appended, mut by_git, mut ours) =
            (String::new(), Cost::default(), Cost::default());
        let twin = Twin::new(&scene, &remote, &desk);
        let mut beside_bare = Pairs::default();
        os::settle();
        for number in 0..self.appends {
            appended += &author.append(&transcript, Amount::Bytes(112_000));
            if number < self.by_git {
                by_git = by_git.then(plain.push());
            }
            let push = desk.ccsync(["push"]);
            ours = ours.then(push);
            beside_bare.add((twin.push(), push));
        }
        by_git.seconds *= self.appends as f64 / self.by_git as f64;
        results.row(self.name(), Pairs::one(by_git, ours), 0.05);
        let name = "one of them, beside a bare `git push` of the same commit";
        results.row(name, beside_bare, 1.25);
        let (grown, least) = (
            size_of(&git_dir) - size_before,
            compressed(appended.as_bytes()),
        );
        let times = grown as f64 / least as f64;
        let found = format!("{} MB, {times:.1} times", megabytes(grown));
        let what = format!(
            "its store grew by at most {GROWTH_BOUND} times the {} MB of the appends, compressed",
            megabytes(least)
        );
        results.check(what, found, times <= GROWTH_BOUND);
    }

    fn name(&self) -> String {
        let name = format!(
            "{} appends of 112 KB to {} MB, each pushed",
            self.appends,
            megabytes(self.transcript as u64)
        );
        if self.by_git < self.appends {
            format!("{name} (plain git: {} extrapolated)", self.by_git)
        } else {
            name
        }
    }
}

/// Returns the size after zlib at git's own level.
fn compressed(bytes: &[u8]) -> u64 {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut out = vec![0; compressor.zlib_compress_bound(bytes.len())];
    compressor
        .zlib_compress(bytes, &mut out)
        .expect("the output has the size of the bound") as u64
}
