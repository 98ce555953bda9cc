//! What this host says and hears on the network.
//!
//! | file | what it is about |
//! |---|---|
//! | `records` | what is asked and answered: all that an operator imports |
//! | `ports` | who listens on a port |
//! | `listen` | temporary listeners on the true ports |
//! | `connect` | reachability, as this host sees it |
//! | `four_letter` | one four-letter word, sent from this host |
//! | `names` | names as this host resolves them |
//! | `addresses` | its own addresses |

pub(super) mod addresses;
pub(super) mod connect;
pub(super) mod four_letter;
pub(super) mod listen;
pub(super) mod names;
pub(super) mod ports;
mod records;
pub(super) mod sources;

#[cfg(test)]
mod tests;

pub use records::{
    Caller, Connect, Expected, FourLetter, FourLetterReply, Listen, Listener, Listening, NamesReport,
    Outcome, PortUse, Reach, Resolved, Sources, Target, Towards, Trap,
};
