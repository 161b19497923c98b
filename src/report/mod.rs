//! What a command did, as data: every JSON document. Must not do anything but describe.

pub mod count;
pub mod import;
pub mod transfer;
pub mod verification;
