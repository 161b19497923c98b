//! One session for one run of Claude Code: pick it, find its project, write the path notice.

pub mod path_notice;
pub mod project_here;
pub mod rename;
pub mod resume;
