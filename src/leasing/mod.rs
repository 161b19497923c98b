//! The lock commands: acquire, take over, release, show. Lock records are defined in `crate::lock`.

pub mod acquire;
pub mod error;
pub mod lock_table;
pub mod release;
pub mod view;
