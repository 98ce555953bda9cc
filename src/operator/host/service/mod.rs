//! Servers that stay up, and those that run.
//!
//! | file | what it is about |
//! |---|---|
//! | `records` | what is asked and answered: all that an operator imports |
//! | `verbs` | the same verbs for a systemd unit and for a daemon of ours |
//! | `systemd` | a unit |
//! | `daemon`, `supervise` | a server without systemd, and the supervisor that keeps it |
//! | `description`, `pid_file` | what the two tell each other through files |
//! | `logs` | the last lines of a journal or a file |
//! | `servers` | running ZooKeeper servers, ours or Java's |

pub(super) mod daemon;
mod description;
pub(super) mod logs;
mod pid_file;
mod records;
pub(super) mod servers;
pub(super) mod supervise;
pub(super) mod systemd;
pub(super) mod verbs;

#[cfg(test)]
mod tests;

pub use records::{
    Active, DaemonSpec, Definition, FindServer, InstallService, LogSource, LogTail, Manager, Restart,
    RunningServer, ServerKind, Service, ServiceCall, ServiceReport, ServiceState, Verb,
};
