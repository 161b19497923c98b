//! The lock commands: acquire, take over, release, show. `crate::lock` defines lock
//! records.

pub mod acquire;
pub mod error;
pub mod lock_table;
pub mod release;
pub mod trial;
pub mod view;

pub use view::LockView;
