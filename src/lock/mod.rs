//! Leases: who is at work on a session, since when, until when.
//!
//! Owns what a lock says, when it counts as expired, which change of it is permitted, and what this machine believes to hold. Must not
//! fetch, push or decide whom to ask: `sync::locks` does that with what is decided here. `docs/dev/locking.md` describes the protocol.
//!
//! * [`record`]: `lock.json`, which comes from outside
//! * [`state`]: standing and transitions, pure
//! * [`claim`]: this machine's own locks, one file each
//! * [`observations`]: since when this machine has seen a lock as it is now

pub mod claim;
pub mod observations;
pub mod record;
pub mod state;
