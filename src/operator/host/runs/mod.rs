//! The operator's runs as they show on a host.
//!
//! | file | what it is about |
//! |---|---|
//! | `records` | what is asked and answered: all that an operator imports |
//! | `lock` | who changes this cluster now |
//! | `journal` | the append-only record of what was done |

pub(super) mod journal;
pub(super) mod lock;
mod records;

#[cfg(test)]
mod tests;

pub use records::{
    AppendJournal, Held, Holder, JournalTail, LockToken, RenewLock, StaleLock, TakeLock, Taken,
};
