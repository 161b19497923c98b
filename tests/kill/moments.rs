//! Killed at any moment, alone or with every program it has started.
