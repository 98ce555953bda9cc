//! One member of an ensemble, and how it is written.

use std::fmt;

use crate::wire::ids::ServerId;

/// One `server.N` line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub id: ServerId,
    /// At least one; several only with multi-address configs.
    pub addresses: Vec<Address>,
    pub role: MemberRole,
    /// Where clients connect, when the line says so.
    pub client: Option<Listen>,
    /// The same for TLS.
    pub secure_client: Option<Listen>,
}

impl Member {
    /// The address that is dialled.
    pub fn address(&self) -> &Address {
        &self.addresses[0]
    }

    pub fn votes(&self) -> bool {
        self.role == MemberRole::Participant
    }
}

/// Where a member listens for the others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address {
    /// Name, IPv4, or IPv6 without brackets.
    pub host: String,
    pub quorum_port: u16,
    pub election_port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberRole {
    /// Votes.
    Participant,
    /// Follows without a vote.
    Observer,
}

impl MemberRole {
    pub fn parse(text: &str) -> Option<MemberRole> {
        match text.to_ascii_lowercase().as_str() {
            "participant" => Some(MemberRole::Participant),
            "observer" => Some(MemberRole::Observer),
            _ => None,
        }
    }
}

/// An address to listen on; `host` `None` = all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub host: Option<String>,
    pub port: u16,
}

impl Listen {
    /// True when listening on `self` includes `other`'s address.
    pub fn covers(&self, other: &Listen) -> bool {
        match self.host.as_deref() {
            None | Some("0.0.0.0" | "::" | "[::]") => true,
            host => host == other.host.as_deref(),
        }
    }
}

/// The line as NEWLEADER, notifications, `/zookeeper/config` and rendered files carry it.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server.{}=", self.id)?;
        let mut addresses: Vec<&Address> = self.addresses.iter().collect();
        addresses.sort();
        for (index, address) in addresses.into_iter().enumerate() {
            let bar = if index == 0 { "" } else { "|" };
            write!(f, "{bar}{address}")?;
        }
        write!(f, ":{}", self.role)?;
        match (&self.client, &self.secure_client) {
            (Some(client), None) => write!(f, ";{client}"),
            (Some(client), Some(secure)) => write!(f, ";{client};{secure}"),
            (None, Some(secure)) => write!(f, ";;{secure}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", bracketed(&self.host), self.quorum_port, self.election_port)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(self.host.as_deref().unwrap_or("0.0.0.0")), self.port)
    }
}

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MemberRole::Participant => "participant",
            MemberRole::Observer => "observer",
        })
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}
