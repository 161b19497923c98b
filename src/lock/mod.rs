//! Locks and leases: who works on a session, since when, until when.
//!
//! Owns the lock record, its expiry, its permitted changes, and the lease files of this
//! machine. Must not fetch, push or prompt; `leasing` does that. `docs/dev/locking.md`
//! describes the protocol.
//!
//! * [`record`]: `lock.json`, which is untrusted
//! * [`state`]: status and transitions, pure
//! * [`lease`]: this machine's own locks, one file each
//! * [`observations`]: when this machine first saw each lock commit

pub mod lease;
pub mod observations;
pub mod record;
pub mod state;

pub use record::LockRecord;
pub use state::{LockStatus, TakeOver};

pub use record::Stamp;
pub use state::ObservedLock;
