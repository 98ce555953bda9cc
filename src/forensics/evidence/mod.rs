//! The files that a question is put to: what a path means, and reading it. Everything is opened for reading alone;
//! nothing is locked, created or changed, so that the server whose files they are never notices.
//!
//! | file | about |
//! |---|---|
//! | [`place`] | a log, a directory, a dataDir or a zoo.cfg → files in the order of their zxids |
//! | [`logs`] | the entries of one log, which may grow, or vanish, while it is read |
//! | [`snapshots`] | one snapshot from its beginning to its end; the newest that is whole |
//! | [`chop`] | the beginning of a log, copied: the one thing that writes, and never where a server reads |

pub mod chop;
pub mod logs;
pub mod place;
pub mod snapshots;

#[cfg(test)]
mod tests;
