//! Texts of another program's store, as an import found them.

use chrono::NaiveDate;

use crate::domain::path::{PortablePath, RelativeName};
use crate::store::machine::Machine;

/// What follows the name of a machine that is known from another program's store.
pub(crate) const IMPORTED: &str = " (imported)";

/// A text of another program's store.
pub(crate) struct ForeignText {
    /// Whose memory it is; none: the user's own.
    pub(crate) project: Option<ForeignProject>,
    /// Its name below the owner's directory.
    pub(crate) name: RelativeName,
    /// As it lies there: with the paths of a machine.
    pub(crate) text: String,
    /// The day on which it was written last, where that is known.
    pub(crate) day: Option<NaiveDate>,
    /// Who may have written it, the likeliest first; at least one.
    pub(crate) writers: Vec<Machine>,
}

/// A project as another program knows it.
pub(crate) struct ForeignProject {
    /// Portable path of its main checkout.
    pub(crate) path: PortablePath,
    /// Where the path is no more than a guess: the client's name of the portable path.
    pub(crate) directory: Option<String>,
}
