//! Every state that three machines, a remote and a network that loses answers can reach,
//! within bounds: the real transitions of `ccsync::lock::state` run in all orders, and
//! each state is checked.
//!
//! A model of the remote executes pushes as git does: all references or none, each only
//! from the expected value. A push is answered at once, or its answer is lost and it
//! arrives at any later moment, or never. Time passes in steps of a lock's lifetime, and
//! the machines' clocks are an hour apart.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use ccsync::domain::id::{CommitId, SessionId};
use ccsync::lock::record::{Identity, LockRecord, Stamp, TTL};
use ccsync::lock::state::{
    self, HeldLock, LockChange, LockObserver, LockStatus, ObservedLock, PendingChange, Settlement,
    TakeOver,
};
use chrono::{DateTime, TimeDelta, Utc};

const MACHINES: usize = 3;

/// Hours by which the machines' clocks are wrong.
const CLOCKS: [i64; MACHINES] = [0, 1, -1];

/// The bounds of the exploration, and the broken rule.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) machines: usize,
    /// Number of locks that each machine may write, and of turns.
    pub(super) lock_commits: u8,
    pub(super) turns: u8,
    /// Number of crashes, of lost answers, and of steps of time, each over all machines.
    pub(super) crashes: u8,
    pub(super) losses: u8,
    pub(super) ticks: u8,
    pub(super) broken: Option<Broken>,
}

/// A rule without which a violation must be found.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Broken {
    /// The remote moves a lock whatever value was expected.
    LockExpectation,
    /// The remote moves the sessions whatever value was expected.
    DataExpectation,
    /// Turns are pushed without the renewal of the lock.
    SeparatePushes,
}

/// The content of the remote's sessions branch, by number.
type Data = u16;
/// The commit of a lock, by number.
type Commit = u16;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    lock: Option<Commit>,
    data: Data,
    machines: [Machine; MACHINES],
    /// Pushes that may still arrive.
    underway: [Option<Push>; 2],
    crashes: u8,
    losses: u8,
    tick: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Machine {
    dead: bool,
    /// The lock as last fetched, and the tick at which it was first seen.
    seen: Option<(Commit, u8)>,
    known: Data,
    /// The lease on its disk.
    lease: Option<Lease>,
    /// Lines that its transcript has in common with the session.
    base: u8,
    /// Its turns, and how many of them it counts as pushed.
    written: u8,
    safe: u8,
    /// Locks that it has written.
    made: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Lease {
    commit: Commit,
    pending: Option<Sent>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sent {
    Acquire,
    Renew(Commit),
    Release,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Push {
    by: u8,
    lock: Option<(Option<Commit>, Option<Commit>)>,
    data: Option<(Data, Data)>,
    /// Turns that its sender counts as pushed once it is answered.
    safe: u8,
}

/// The session's turns in order, and the turns in forks.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Content {
    session: Vec<u8>,
    forks: BTreeSet<u8>,
}

/// A transition from one state to the next.
#[derive(Clone, Copy)]
struct Event {
    machine: Option<u8>,
    what: &'static str,
    /// It was sent, and no answer came.
    unheard: bool,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(m) = self.machine {
            write!(f, "m{m} ")?;
        }
        f.write_str(self.what)?;
        f.write_str(if self.unheard {
            ", and hears nothing"
        } else {
            ""
        })
    }
}

/// A fast hasher: there are millions of states, and no attacker chooses them.
#[derive(Default)]
struct QuickHasher(u64);

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }
    fn write_u16(&mut self, n: u16) {
        self.write_u64(u64::from(n));
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    fn write_isize(&mut self, n: isize) {
        self.write_u64(n.unsigned_abs() as u64);
    }
}

/// A violation, and the steps that lead to it.
#[derive(Debug)]
pub(super) struct Counterexample {
    pub(super) wrong: String,
    pub(super) story: Vec<String>,
}

/// The size of the exploration.
#[derive(Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) steps: usize,
    /// The longest of the shortest ways to a state.
    pub(super) depth: usize,
}

/// Visits every state, nearest first.
pub(super) fn explore(rules: Rules) -> Result<Explored, Counterexample> {
    let mut model = Model::new(rules);
    let start = World {
        lock: None,
        data: 0,
        machines: Default::default(),
        underway: [None; 2],
        crashes: 0,
        losses: 0,
        tick: 0,
    };
    let nothing = Event {
        machine: None,
        what: "",
        unheard: false,
    };
    let mut states = Vec::with_capacity(1 << 20);
    states.push((start, 0, nothing, 0));
    let mut known: HashSet<World, BuildHasherDefault<QuickHasher>> =
        HashSet::with_capacity_and_hasher(1 << 20, Default::default());
    known.insert(start);
    let mut steps = 0;
    let mut at = 0;
    while at < states.len() {
        let (world, .., depth) = states[at];
        for (what, next) in model.steps(&world) {
            steps += 1;
            let wrong = match next {
                Ok(next) if !known.insert(next) => continue,
                Ok(next) => {
                    states.push((next, at, what, depth + 1));
                    match model.find_violation(&next) {
                        None => continue,
                        Some(wrong) => wrong,
                    }
                }
                Err(wrong) => wrong,
            };
            return Err(Counterexample {
                wrong,
                story: story(&states, at, what),
            });
        }
        at += 1;
    }
    Ok(Explored {
        states: states.len(),
        steps,
        depth: states.last().map_or(0, |last| last.3),
    })
}

fn story(states: &[(World, usize, Event, usize)], mut at: usize, last: Event) -> Vec<String> {
    let mut story = vec![last.to_string()];
    while at != 0 {
        story.push(states[at].2.to_string());
        at = states[at].1;
    }
    story.reverse();
    story
}

struct Model {
    rules: Rules,
    session: SessionId,
    identities: Vec<Identity>,
    /// By number; the same lock, written on two ways to one state, has one number.
    records: Vec<LockRecord>,
    ids: Vec<CommitId>,
    numbers: HashMap<RecordKey, Commit>,
    contents: Vec<Content>,
    content_numbers: HashMap<Content, Data>,
}

/// Machine, number of locks it had written, generation, `acquired` and `renewed`.
type RecordKey = (usize, u8, u64, DateTime<Utc>, DateTime<Utc>);

type Step = (Event, Result<World, String>);

impl Model {
    fn new(rules: Rules) -> Self {
        let identity = |n: usize| Identity {
            machine: format!("{n:032x}").parse().unwrap(),
            host: format!("m{n}"),
            pid: u32::try_from(n).unwrap(),
        };
        Self {
            rules,
            session: "s".parse().unwrap(),
            identities: (0..MACHINES).map(identity).collect(),
            records: Vec::new(),
            ids: Vec::new(),
            numbers: HashMap::new(),
            contents: vec![Content::default()],
            content_numbers: HashMap::from([(Content::default(), 0)]),
        }
    }

    /// Returns all possible next steps.
    fn steps(&mut self, world: &World) -> Vec<Step> {
        let mut steps = Vec::new();
        for m in 0..self.rules.machines {
            let event = |what| Event {
                machine: u8::try_from(m).ok(),
                what,
                unheard: false,
            };
            if world.machines[m].dead {
                let mut next = *world;
                next.machines[m].dead = false;
                steps.push((event("starts again"), Ok(next)));
                continue;
            }
            steps.push((event("fetches"), Ok(self.fetch(world, m))));
            if world.crashes < self.rules.crashes {
                let mut next = *world;
                next.machines[m].dead = true;
                next.crashes += 1;
                steps.push((event("dies"), Ok(next)));
            }
            if self.believes(&world.machines[m]) && world.machines[m].written < self.rules.turns {
                let mut next = *world;
                next.machines[m].written += 1;
                steps.push((event("writes a turn"), Ok(next)));
            }
            for (what, world, push) in self.pushes(world, m) {
                steps.push((event(what), self.answered(&world, push)));
                if world.losses < self.rules.losses {
                    steps.push((
                        Event {
                            unheard: true,
                            ..event(what)
                        },
                        Ok(unanswered(&world, push)),
                    ));
                }
            }
        }
        for (at, push) in world.underway.iter().enumerate() {
            let Some(push) = *push else { continue };
            let mut next = *world;
            next.underway[at] = None;
            next.underway.sort_unstable();
            let arrived = self.execute(&mut next, push).map(|_| next);
            let event = Event {
                machine: Some(push.by),
                what: "reaches the remote late",
                unheard: false,
            };
            steps.push((event, arrived));
        }
        if world.tick < self.rules.ticks {
            let event = Event {
                machine: None,
                what: "time passes",
                unheard: false,
            };
            steps.push((
                event,
                Ok(World {
                    tick: world.tick + 1,
                    ..*world
                }),
            ));
        }
        steps
    }

    /// Returns the pushes that a machine may send, each with the state that it records
    /// before.
    fn pushes(&mut self, world: &World, m: usize) -> Vec<(&'static str, World, Push)> {
        let machine = world.machines[m];
        let mut pushes = Vec::new();
        let lock_only = |change: (Option<Commit>, Option<Commit>)| Push {
            by: u8::try_from(m).unwrap(),
            lock: Some(change),
            data: None,
            safe: machine.safe,
        };
        let may_write = machine.made < self.rules.lock_commits;
        let settled = machine.lease.is_none_or(|lease| lease.pending.is_none());
        if may_write
            && settled
            && let Some((what, change)) = self.acquisition(world, m)
        {
            let mut next = *world;
            let commit = self.write(&mut next, m, change.new.unwrap());
            let lease = &mut next.machines[m].lease;
            *lease = Some(match *lease {
                Some(former) => Lease {
                    pending: Some(Sent::Renew(commit)),
                    ..former
                },
                None => Lease {
                    commit,
                    pending: Some(Sent::Acquire),
                },
            });
            pushes.push((
                what,
                next,
                lock_only((change.expected.map(|c| number(&c)), Some(commit))),
            ));
        }
        let held = machine.lease.map(|lease| self.held(lease));
        if let Some(held) = &held {
            if let Some(change) = held.renewal_change(self.stamp(world, m))
                && (may_write || held.pending.is_some())
            {
                let mut next = *world;
                let commit = match held.pending {
                    Some(PendingChange::Renew { ref commit, .. }) => number(commit),
                    _ => self.write(&mut next, m, change.new.unwrap()),
                };
                next.machines[m].lease.as_mut().unwrap().pending = Some(Sent::Renew(commit));
                let renewal = lock_only((change.expected.map(|c| number(&c)), Some(commit)));
                pushes.push(("renews", next, renewal));
                if machine.safe < machine.written {
                    let push = self.with_turns(world, m, renewal);
                    pushes.push(("renews and sends its turns", next, push));
                }
            }
            if let Some(change) = held.release_change() {
                let mut next = *world;
                next.machines[m].lease.as_mut().unwrap().pending = Some(Sent::Release);
                pushes.push((
                    "releases",
                    next,
                    lock_only((change.expected.map(|c| number(&c)), None)),
                ));
            }
        }
        if held.is_none() && machine.safe < machine.written {
            let push = Push {
                lock: None,
                ..self.with_turns(world, m, lock_only((None, None)))
            };
            let fork = self.as_fork(world, m);
            pushes.push((
                "sends its turns as a fork",
                *world,
                Push {
                    data: Some((machine.known, fork)),
                    ..push
                },
            ));
        }
        pushes
    }

    /// Returns how this machine would acquire the session, if it does not hold it
    /// already.
    fn acquisition(&self, world: &World, m: usize) -> Option<(&'static str, LockChange)> {
        let me = self.me(&world.machines[m], m);
        let seen = self.seen(world, m);
        let (what, take_over) =
            match state::lock_status(seen.as_ref(), self.now(world.tick, m), &me) {
                LockStatus::Free => ("acquires", TakeOver::No),
                LockStatus::Mine => ("acquires again", TakeOver::No),
                LockStatus::Expired { .. } => ("takes over what has expired", TakeOver::Expired),
                LockStatus::Held { .. } => ("takes over", TakeOver::Live),
            };
        let change = state::acquire(
            &self.session,
            seen.as_ref(),
            &me,
            take_over,
            self.stamp(world, m),
        );
        Some((what, change.expect("as much was permitted as is needed")))
    }

    /// Adds a machine's turns to its push: to the session if that is unchanged since they
    /// were written, else as a fork.
    fn with_turns(&mut self, world: &World, m: usize, push: Push) -> Push {
        let machine = world.machines[m];
        let mut content = self.contents[usize::from(machine.known)].clone();
        let new = if content.session.len() == usize::from(machine.base) {
            content
                .session
                .extend((machine.safe..machine.written).map(|n| turn(m, n)));
            self.number_of(content)
        } else {
            self.as_fork(world, m)
        };
        let lock = push
            .lock
            .filter(|_| self.rules.broken != Some(Broken::SeparatePushes));
        Push {
            lock,
            data: Some((machine.known, new)),
            safe: machine.written,
            ..push
        }
    }

    fn as_fork(&mut self, world: &World, m: usize) -> Data {
        let machine = world.machines[m];
        let mut content = self.contents[usize::from(machine.known)].clone();
        content
            .forks
            .extend((machine.safe..machine.written).map(|n| turn(m, n)));
        self.number_of(content)
    }

    /// The remote executes a push, or not, and the sender receives the answer.
    fn answered(&mut self, world: &World, push: Push) -> Result<World, String> {
        let mut next = *world;
        if !self.execute(&mut next, push)? {
            return Ok(next);
        }
        let m = usize::from(push.by);
        if push.lock.is_some() {
            let mut held = self.held(
                next.machines[m]
                    .lease
                    .expect("the sender of a lock has recorded it"),
            );
            let settlement = held.confirm();
            next.machines[m].lease = (settlement != Settlement::Released).then(|| lease(&held));
            if let Some((_, new)) = push.lock {
                next.machines[m].seen = new.map(|commit| (commit, next.tick));
            }
        }
        if let Some((_, new)) = push.data {
            let machine = &mut next.machines[m];
            (machine.known, machine.safe) = (new, push.safe);
            machine.base = u8::try_from(self.contents[usize::from(new)].session.len()).unwrap();
        }
        Ok(next)
    }

    /// Executes a push as git does. Fails if it is accepted and must not be.
    fn execute(&self, world: &mut World, push: Push) -> Result<bool, String> {
        let broken = |rule| self.rules.broken == Some(rule);
        let is_done = push.lock.is_none_or(|(_, new)| world.lock == new)
            && push.data.is_none_or(|(_, new)| world.data == new);
        let lock_fits = push.lock.is_none_or(|(expected, _)| world.lock == expected)
            || broken(Broken::LockExpectation);
        let data_fits =
            push.data.is_none_or(|(old, _)| world.data == old) || broken(Broken::DataExpectation);
        if is_done || !lock_fits || !data_fits {
            return Ok(is_done);
        }
        if let Some((_, new)) = push.data {
            let (old, new) = (
                &self.contents[usize::from(world.data)],
                &self.contents[usize::from(new)],
            );
            if !new.session.starts_with(&old.session) || !new.forks.is_superset(&old.forks) {
                return Err("turns that were safe are lost".to_owned());
            }
            if new.session != old.session && self.holder(world) != Some(push.by) {
                return Err(format!(
                    "m{} writes what {:?} holds",
                    push.by,
                    self.holder(world)
                ));
            }
        }
        if let Some((_, new)) = push.lock {
            let both = world
                .lock
                .zip(new)
                .filter(|_| !broken(Broken::LockExpectation));
            if let Some((old, new)) = both.map(|(old, new)| (self.record(old), self.record(new))) {
                let same_holder = old.machine == new.machine && old.acquired == new.acquired;
                if new.generation < old.generation
                    || !same_holder && new.generation == old.generation
                {
                    return Err("a lock was taken over and the generations do not tell".to_owned());
                }
            }
            world.lock = new;
        }
        world.data = push.data.map_or(world.data, |(_, new)| new);
        Ok(true)
    }

    /// The machine fetches from the remote, and updates its state.
    fn fetch(&self, world: &World, m: usize) -> World {
        let mut next = *world;
        let machine = &mut next.machines[m];
        let since = |commit| {
            machine
                .seen
                .filter(|seen| seen.0 == commit)
                .map_or(world.tick, |seen| seen.1)
        };
        machine.seen = world.lock.map(|commit| (commit, since(commit)));
        machine.known = world.data;
        if let Some(before) = machine.lease {
            let mut held = self.held(before);
            machine.lease = match held.settle(world.lock.map(|commit| self.id(commit)).as_ref()) {
                Settlement::Held | Settlement::Unanswered => Some(lease(&held)),
                Settlement::Released | Settlement::Lost => None,
            };
        }
        // Turns that arrived although their answer was lost.
        let content = &self.contents[usize::from(world.data)];
        let mut arrived = machine.safe;
        while arrived < machine.written
            && content.session.get(usize::from(machine.base)) == Some(&turn(m, arrived))
        {
            (arrived, machine.base) = (arrived + 1, machine.base + 1);
        }
        while arrived < machine.written && content.forks.contains(&turn(m, arrived)) {
            arrived += 1;
        }
        machine.safe = arrived;
        if machine.safe == machine.written {
            machine.base = u8::try_from(content.session.len()).unwrap();
        }
        next
    }

    /// Finds a violation of the conditions of every state.
    fn find_violation(&self, world: &World) -> Option<String> {
        let machines = || world.machines.iter().enumerate();
        let can_write = |machine: &&Machine| {
            let commit = machine.lease.map(|lease| lease.commit);
            let fits = self.rules.broken == Some(Broken::LockExpectation) || commit == world.lock;
            self.believes(machine) && fits
        };
        let writers = world.machines.iter().filter(can_write).count();
        if writers > 1 {
            return Some(format!("{writers} machines can write at the same time"));
        }
        let content = &self.contents[usize::from(world.data)];
        for (m, machine) in machines() {
            let lost = |n: &u8| {
                !content.session.contains(&turn(m, *n)) && !content.forks.contains(&turn(m, *n))
            };
            if let Some(n) = (0..machine.safe).find(lost) {
                return Some(format!(
                    "turn {n} of m{m} is neither in the session nor in a fork nor waiting"
                ));
            }
        }
        None
    }

    /// Returns true if a process on the machine counts the session as its own.
    fn believes(&self, machine: &Machine) -> bool {
        let is_held = |lease: Lease| matches!(lease.pending, None | Some(Sent::Renew(_)));
        !machine.dead && machine.lease.is_some_and(is_held)
    }

    /// Returns the machine whose commit the branch is.
    fn holder(&self, world: &World) -> Option<u8> {
        let record = self.record(world.lock?);
        let at = self
            .identities
            .iter()
            .position(|identity| identity.machine == record.machine);
        at.map(|at| u8::try_from(at).unwrap())
    }

    fn now(&self, tick: u8, m: usize) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
            + TimeDelta::days(9000)
            + TTL * i32::from(tick)
            + TimeDelta::hours(CLOCKS[m])
    }

    fn stamp(&self, world: &World, m: usize) -> Stamp {
        Stamp {
            now: self.now(world.tick, m),
            nonce: format!("{}", world.machines[m].made),
        }
    }

    fn seen(&self, world: &World, m: usize) -> Option<ObservedLock> {
        let (commit, tick) = world.machines[m].seen?;
        Some(ObservedLock {
            commit: self.id(commit),
            record: self.record(commit).clone(),
            first_seen: self.now(tick, m),
        })
    }

    fn me(&self, machine: &Machine, m: usize) -> LockObserver {
        LockObserver::new(
            self.identities[m].clone(),
            machine.lease.map(|lease| self.held(lease)).as_ref(),
        )
    }

    fn record(&self, commit: Commit) -> &LockRecord {
        &self.records[usize::from(commit)]
    }

    fn id(&self, commit: Commit) -> CommitId {
        self.ids[usize::from(commit)].clone()
    }

    fn write(&mut self, world: &mut World, m: usize, record: LockRecord) -> Commit {
        world.machines[m].made += 1;
        let next = Commit::try_from(self.records.len()).unwrap();
        let key = (
            m,
            world.machines[m].made,
            record.generation,
            record.acquired,
            record.renewed,
        );
        *self.numbers.entry(key).or_insert_with(|| {
            self.ids.push(format!("{next:040x}").parse().unwrap());
            self.records.push(record);
            next
        })
    }

    fn held(&self, lease: Lease) -> HeldLock {
        let pending = lease.pending.map(|sent| match sent {
            Sent::Acquire => PendingChange::Acquire,
            Sent::Renew(commit) => PendingChange::Renew {
                commit: self.id(commit),
                record: self.record(commit).clone(),
            },
            Sent::Release => PendingChange::Release,
        });
        HeldLock {
            record: self.record(lease.commit).clone(),
            commit: self.id(lease.commit),
            pending,
        }
    }

    fn number_of(&mut self, content: Content) -> Data {
        let next = Data::try_from(self.contents.len()).unwrap();
        *self
            .content_numbers
            .entry(content.clone())
            .or_insert_with(|| {
                self.contents.push(content);
                next
            })
    }
}

/// The sender receives no answer; its push may arrive at any time.
fn unanswered(world: &World, push: Push) -> World {
    let mut next = *world;
    next.losses += 1;
    // The rules permit no more losses than there is room.
    *next
        .underway
        .iter_mut()
        .find(|place| place.is_none())
        .unwrap() = Some(push);
    next.underway.sort_unstable();
    next
}

fn lease(held: &HeldLock) -> Lease {
    let pending = held.pending.as_ref().map(|pending| match pending {
        PendingChange::Acquire => Sent::Acquire,
        PendingChange::Renew { commit, .. } => Sent::Renew(number(commit)),
        PendingChange::Release => Sent::Release,
    });
    Lease {
        commit: number(&held.commit),
        pending,
    }
}

fn turn(m: usize, n: u8) -> u8 {
    u8::try_from(m).unwrap() * 16 + n
}

fn number(commit: &CommitId) -> Commit {
    Commit::from_str_radix(&commit.as_str()[24..], 16).unwrap()
}
