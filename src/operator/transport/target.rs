//! Where a host is and how it wants to be reached: plain data, given by the caller.
//! What the caller leaves open is filled from ssh's own configuration when it is dialled.

use std::path::PathBuf;

/// One host.
#[derive(Debug, Clone)]
pub enum Target {
    /// This machine: commands are child processes.
    Local(LocalTarget),
    Ssh(Box<SshTarget>),
}

#[derive(Debug, Clone)]
pub struct LocalTarget {
    pub name: String,
    pub escalation: Escalation,
}

/// A host behind SSH. `None` and empty mean "as ~/.ssh/config says, else ssh's default";
/// what is set here wins over the configuration file.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// The member's name in the inventory, for messages.
    pub name: String,
    /// Host name or address, also what `Host` patterns of ~/.ssh/config are matched with.
    pub host: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    /// Private key files; `~`, `%h` and `%r` are expanded.
    pub keys: Vec<PathBuf>,
    /// A known_hosts file of the inventory: read beside the user's and the global one,
    /// and the one that newly accepted keys are written to.
    pub known_hosts: Option<PathBuf>,
    pub jump: Option<Box<SshTarget>>,
    /// Others go through it: beside `keys` it is shown those that ~/.ssh/config or ssh's defaults have for it, and a
    /// person is asked for its password where it takes none of them.
    pub is_jump: bool,
    pub host_key_policy: HostKeyPolicy,
    pub escalation: Escalation,
}

impl SshTarget {
    /// A target with every setting left to ~/.ssh/config and the defaults.
    pub fn new(name: impl Into<String>, host: impl Into<String>) -> SshTarget {
        SshTarget {
            name: name.into(),
            host: host.into(),
            port: None,
            user: None,
            keys: Vec::new(),
            known_hosts: None,
            jump: None,
            is_jump: false,
            host_key_policy: HostKeyPolicy::Strict,
            escalation: Escalation::None,
        }
    }
}

/// What to do about a host key that no known_hosts file has an opinion on.
/// A changed or revoked key always stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostKeyPolicy {
    /// Refuse, and show the key.
    #[default]
    Strict,
    /// Show it to a person and record it after a yes; refuse where nobody is there.
    Ask,
    /// Record it and go on (`--accept-new-host-keys`).
    AcceptNew,
}

/// How commands get the rights they need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Escalation {
    /// As the login user.
    #[default]
    None,
    /// Through this sudo; a person is asked for the password that it may want.
    Sudo { path: String },
}
