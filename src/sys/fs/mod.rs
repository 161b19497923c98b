//! Files and directories that only the user may read: 0600 and 0700 whatever the umask is, and
//! errors that name the path.
//!
//! Owns every write. A file is replaced whole ([`AtomicFile`]) or extended at its exact end
//! ([`Appender`]); nothing is ever written in place. Must not know what the files mean.

mod access;
mod append;
mod atomic;
mod directory;
mod error;
mod file;
mod links;
mod mounts;
mod replace;
mod served_disks;
mod spelling;
mod stamp;
mod umask;
mod watch;

pub(super) use access::make_private;
pub use access::{
    Access, access, free_space, has_free_inodes, is_executable, is_writable, knows_executables,
};
pub use append::{Appender, cut_file};
pub use atomic::{AtomicFile, write_atomic, write_cache};
pub(crate) use directory::sync_dir;
pub use directory::{
    create_private_dir_all, create_users_dir_all, move_dir, remove_empty_dirs, sync_with_directory,
};
pub use error::{LengthChanged, PathError, path_hints};
pub use file::{
    open_plain_file, read, read_from, read_plain_file, read_to_string, read_to_string_if_exists,
    remove_file_if_exists, set_modified,
};
pub use links::real_path;
pub use mounts::remote_mounts;
pub(super) use replace::replace_file;
pub use served_disks::{canonicalize_existing, is_dir_in_time, look_in_time, resolve_links};
pub use spelling::existing_spelling;
pub use stamp::{FileStamp, file_number, reuses_creation_times};
pub use umask::restrict_umask;
pub(super) use umask::users_umask;
pub use watch::{Changes, DirectoryWatcher};
