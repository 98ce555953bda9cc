//! The operator's runs as they show on a host.
//!
//! | file | what it is about |
//! |---|---|
//! | [`lock`] | who changes this cluster now |
//! | [`journal`] | the append-only record of what was done |

pub mod journal;
pub mod lock;

#[cfg(test)]
mod tests;

pub use journal::{AppendJournal, JournalTail};
pub use lock::{Held, Holder, TakeLock, Taken};
