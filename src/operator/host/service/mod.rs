//! Servers that stay up, and those that run.
//!
//! | file | what it is about |
//! |---|---|
//! | [`verbs`] | the same verbs for a systemd unit and for a daemon of ours |
//! | [`systemd`] | a unit |
//! | [`daemon`], [`supervise`] | a server without systemd, and the supervisor that keeps it |
//! | [`logs`] | the last lines of a journal or a file |
//! | [`servers`] | running ZooKeeper servers, ours or Java's |

pub mod daemon;
pub mod logs;
pub mod servers;
pub mod supervise;
pub mod systemd;
pub mod verbs;

#[cfg(test)]
mod tests;

pub use daemon::{DaemonSpec, Restart};
pub use logs::{LogSource, LogTail};
pub use servers::{FindServer, RunningServer};
pub use verbs::{
    Active, Definition, InstallService, Manager, Service, ServiceCall, ServiceReport, ServiceState, Verb,
};
