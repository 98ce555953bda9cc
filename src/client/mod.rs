//! An async ZooKeeper client (client-protocol §1, §2.1, §5, §12): one session, kept over reconnects,
//! behind a typed API, and the four-letter probe beside it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`connect_string`] | `host:port,…[/chroot]` → [`ConnectString`] |
//! | [`session`] | the pure machine: (state, input, now) → actions. It decides; nothing else does |
//! | [`Route`] | how bytes get to a server: TCP, or carried by somebody else |
//! | `connection` | the loop around the machine: one task per client, sockets and timers |
//! | `api`, `transaction` | [`Client`]: one method per operation, chroot applied and stripped |
//! | [`four_letter`] | `srvr`, `mntr` and the like: asked and parsed |
//!
//! Not here: SASL and TLS, per-watch callbacks (one stream of events per client), retries of a write
//! whose outcome is unknown ([`Error::ConnectionLoss`] says so, the caller knows whether it may repeat).

mod api;
mod connect_string;
mod connection;
mod error;
mod event;
pub mod four_letter;
mod options;
mod random;
mod route;
pub mod session;
mod transaction;

pub use api::{Client, Created, Node};
pub use connect_string::{ConnectString, ConnectStringError, Server};
pub use error::{Error, Result};
pub use event::{Event, Events, Noticed, State, Status};
pub use options::Options;
pub use route::{Link, Opening, Route};
pub use transaction::MultiOp;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
