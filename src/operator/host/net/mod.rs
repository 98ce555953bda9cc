//! What this host says and hears on the network.
//!
//! | file | what it is about |
//! |---|---|
//! | [`ports`] | who listens on a port |
//! | [`listen`] | temporary listeners on the true ports |
//! | [`connect`] | reachability, four-letter words |
//! | [`names`] | names as this host resolves them |
//! | [`addresses`] | its own addresses |

pub mod addresses;
pub mod connect;
pub mod listen;
pub mod names;
pub mod ports;

#[cfg(test)]
mod tests;

pub use connect::{Connect, FourLetter, FourLetterReply, Outcome, Reach, Target};
pub use listen::{Listen, Listening};
pub use names::{Expected, NamesReport, Resolved, Trap};
pub use ports::{Listener, PortUse};
