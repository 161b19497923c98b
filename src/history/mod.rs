//! Earlier states of the store, milestones, and the way back to them.

pub mod error;
pub mod log;
pub mod milestones;
pub mod restore;
pub mod restore_as_fork;
pub mod restore_in_place;
pub mod restore_request;
pub mod stats;
pub mod undo;
