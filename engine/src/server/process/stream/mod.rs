//! One connection, for all three ports: client, quorum, election.
//!
//! | file | what it is about |
//! |---|---|
//! | [`machine`] | a connection without its socket; pure, the simulator may run it |
//! | `outlet` | the writing end as the state thread holds it: straight into the socket while it takes bytes |
//! | `driver` | moves bytes between a byte stream and the machine, in one task per connection |
//! | `plain` | a TCP connection as two halves |
//! | `accept` | how a connection comes in: from where, and who it is |
//! | `clock` | milliseconds since a connection began |
//!
//! The driver takes any byte stream. Only `plain` and `outlet` know TCP: the first write of a batch goes past the
//! task. A stream that must be written by its own task, as TLS must, goes without.

pub(crate) mod accept;
pub(crate) mod clock;
pub(crate) mod driver;
pub mod machine;
pub(crate) mod outlet;
pub(crate) mod plain;
#[cfg(test)]
mod tests;
