//! How a host is reached: over SSH or as this machine, with one face for both. One connection
//! per host, reused for everything; every wait has a deadline. Knows commands and files,
//! nothing about ZooKeeper, inventories or plans, and prints nothing.
//!
//! | file | about |
//! |---|---|
//! | `target` | where a host is and how it wants to be reached |
//! | `dialer` | opening connections: addresses, jump hosts, retries, bounds |
//! | `auth`, `keyring` | logging in; keys and passwords asked for once |
//! | `question` | what a human may be asked, and who asks |
//! | `known_hosts` | is it the host that it was? |
//! | `ssh_config` | what ~/.ssh/config adds |
//! | `connection` | an open connection: commands and streams |
//! | `tunnel` | TCP connections carried by an SSH connection |
//! | `session`, `local` | the two ways underneath |
//! | `exec`, `status` | command lines, their output and streams, how they end |
//! | `binary`, `bootstrap` | our own binary and how it gets onto a host |
//! | `clock` | how far a host's clock is off |
//! | `key_setup` | installing a key with a password |
//! | `patience` | deadlines that stand still while a human types |
//! | `error` | everything that can go wrong |

mod auth;
mod binary;
mod bootstrap;
mod clock;
mod connection;
mod dialer;
mod error;
mod exec;
mod key_setup;
mod keyring;
mod known_hosts;
mod local;
mod patience;
mod question;
mod session;
mod ssh_config;
mod status;
mod target;
mod tunnel;

pub use binary::{LocalBinary, Machine};
pub use bootstrap::{Bootstrapped, Install, Progress};
pub use clock::ClockOffset;
pub use connection::Connection;
pub use dialer::{Dialer, Settings};
pub use error::{Error, Fault, Tried};
pub use exec::{Ending, ExecOutput, Stream, quote};
pub use key_setup::{KeyInstalled, LocalKey};
pub use question::{Prompt, Question, Secret};
pub use status::Status;
pub use target::{Escalation, HostKeyPolicy, LocalTarget, SshTarget, Target};
pub use tunnel::Tunnel;

#[cfg(test)]
mod tests;
