//! Results of commands as data: the parts of the JSON documents. Must not act or print.

pub mod count;
pub mod import;
pub mod secret_counts;
pub mod totals;
pub mod transfer;
pub mod verification;

pub use import::{ImportReport, Layout};
pub use totals::Totals;
pub use transfer::{
    BundleReport, ExtraOutcome, ExtraReport, MachineName, Outcome, Refusal, RemoteState, Report,
    SessionReport, SkippedFile,
};
pub use verification::RemoteStatus;
