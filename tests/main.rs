//! The one integration binary; each module is a file next to this one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests make the files, processes and variables that the program then meets"
)]

mod harness;

mod apply;
mod auto;
#[cfg(target_os = "linux")]
mod completion;
#[cfg(target_os = "linux")]
mod concurrent_commands;
mod concurrent_pushes;
#[cfg(unix)]
mod connections;
#[cfg(target_os = "linux")]
mod continued;
mod copies;
mod crash;
#[cfg(target_os = "linux")]
mod daemon;
#[cfg(target_os = "linux")]
mod daemon_stories;
mod damage;
mod delete;
mod deleted_sessions;
mod diverge;
#[cfg(target_os = "linux")]
mod docs;
#[cfg(unix)]
mod doctor;
#[cfg(target_os = "linux")]
mod encrypted_attacks;
#[cfg(target_os = "linux")]
mod encrypted_store;
mod encrypted_vectors;
mod errors;
mod exclude;
mod exclude_unknown;
mod external_files;
mod extras;
mod foreign_files;
mod full_disk;
#[cfg(target_os = "linux")]
mod hanging_remote;
mod help;
mod history;
#[cfg(target_os = "linux")]
mod hook_faults;
mod import;
mod import_extras;
mod init;
mod init_failed;
#[cfg(unix)]
mod init_github;
#[cfg(unix)]
mod init_terminal;
#[cfg(target_os = "linux")]
mod install;
#[cfg(target_os = "linux")]
mod key;
#[cfg(unix)]
mod kill_moments;
mod layers;
#[cfg(unix)]
mod linked_directories;
mod lock;
#[cfg(target_os = "linux")]
mod locked_session;
mod lookup;
mod machine;
mod masked_secrets;
mod missing_directory;
mod model;
mod moved_session;
mod note;
mod occupied_remote;
#[cfg(target_os = "linux")]
mod odd_files;
mod offline;
#[cfg(target_os = "linux")]
mod old_store;
mod one_project_directory;
mod placeholders;
mod plugin;
mod preview;
mod project_addresses;
mod project_location;
mod project_repository;
mod proposals;
mod pull_hostile_store;
mod purge;
mod push_odd_sessions;
mod push_pull;
mod push_pull_edge_cases;
mod push_pull_fixtures;
mod readme;
#[cfg(unix)]
mod refused_content;
#[cfg(target_os = "linux")]
mod remote_rules;
mod removed_records;
mod repack;
mod repair;
mod report;
#[cfg(target_os = "linux")]
mod resume;
#[cfg(target_os = "linux")]
mod resume_picker;
#[cfg(target_os = "linux")]
mod resume_relay;
mod rewrite;
mod rewritten_files;
#[cfg(unix)]
mod rewritten_history;
mod safety;
#[cfg(unix)]
mod search;
#[cfg(target_os = "linux")]
mod second_machine;
mod secret_corpus;
mod secret_forms;
mod secret_rules;
mod secrets;
#[cfg(unix)]
mod servers;
#[cfg(target_os = "linux")]
mod service;
#[cfg(target_os = "linux")]
mod shared_home;
mod source;
mod spelled_names;
mod staying_files;
mod style;
#[cfg(target_os = "linux")]
mod system_faults;
mod transcript_changed;
mod transport;
#[cfg(unix)]
mod troubleshooting;
#[cfg(unix)]
mod two_accounts;
mod undo;
mod verify;
mod wrong_types;
