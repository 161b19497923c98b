//! The opened state of one run: store, index, filter, leases and caches. Must not contact a remote.

pub mod context;
pub(crate) mod deleted_sessions;
pub mod error;
pub mod exclusion;
pub mod extras_filter;
pub(crate) mod fetched_locks;
pub mod filter;
pub mod index;
pub(crate) mod last_fetch;
pub mod leases;
pub mod lookup;
pub mod open;
pub mod paths;
pub mod pinned;
pub mod proposed_paths;
pub mod read_only;
pub mod received_notes;
pub mod recorded_filter;
pub mod records;
pub mod recovery;
pub mod remote_rules;
pub mod secret_decision;
pub mod secrets_filter;
pub mod session_map;
pub mod session_project;
pub mod setup_error;
pub(crate) mod shown_notices;
pub mod store_key;
pub mod store_remote;
pub mod stored_copies;

pub use context::{Context, HistoryChoice};
pub use error::SyncError;
pub use exclusion::ExcludeReason;
pub use filter::Selection;
pub use lookup::LookupScope;
pub(crate) use lookup::MachineNames;
pub(crate) use open::Workspace;
pub(crate) use read_only::ReadOnlyStore;
pub use setup_error::SetupError;

pub use remote_rules::RemoteStep;
