//! Tells whether everything is healthy, and repairs sessions.

pub mod doctor;
pub mod repair;
pub mod verify;
