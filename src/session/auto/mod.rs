//! Turning working by itself on and off: the hooks in the client's `settings.json`, or the plugin
//! beside it.
//!
//! Keeps the files as they were, so that turning it off restores them byte for byte if they have
//! not changed since. Else only this program's own parts are removed.

mod error;
mod kept;
mod paths;
mod plan;
mod plugin_plan;
mod state;

pub use error::AutoError;
pub use kept::{AutoChange, ClientFileChange};
pub use plan::{plan_off, plan_on, turn_off, turn_on};
pub use state::{AutoFault, AutoState, HookPlace, InstalledHooks, auto_state};
