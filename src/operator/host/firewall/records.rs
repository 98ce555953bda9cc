//! What is asked and answered about firewalls.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::formats::opening::Opening;

/// One active kind of firewall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firewall {
    Firewalld {
        /// The zone that the node's traffic comes in by.
        zone: String,
    },
    Ufw,
    /// Base chains on the input hook that filter.
    Nftables {
        chains: Vec<String>,
    },
    Iptables,
}

/// What is opened, closed or asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallPorts {
    pub openings: Vec<Opening>,
    /// The member's address, which tells the interface and so the zone.
    pub address: Option<IpAddr>,
}

/// Nothing goes between a host and this address, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    pub address: IpAddr,
}

/// One opening's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortState {
    pub opening: Opening,
    pub verdict: Verdict,
    /// It is let in by another opening of ours alone, and kept out when that is closed.
    pub leans: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallReport {
    pub changed: bool,
    pub firewalls: Vec<Firewall>,
    /// As the rules stand now, in the order asked.
    pub ports: Vec<PortState>,
    /// What carries our mark on the ports asked about.
    pub ours: Vec<Opening>,
    /// What was done, a sentence each.
    pub done: Vec<String>,
    /// What changed something, as one would type it.
    pub commands: Vec<String>,
    /// The ports stay open after a restart of the host. True when nothing filters.
    pub survives_reboot: bool,
    pub notes: Vec<String>,
}

/// The fate of a new connection from another host to a TCP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Open {
        /// The rule that lets it in; empty where nothing would keep it out.
        by: String,
    },
    /// A rule about this very port lets in some sources only. Whoever wrote it meant it: it is
    /// never widened by us.
    Limited { by: String },
    /// The rule, zone or policy that keeps it out.
    Blocked { by: String },
    /// The rules cannot be read: this user is not root.
    Unknown { why: String },
}

impl Verdict {
    /// The stricter of two: a connection must pass both.
    pub fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Blocked { by }, _) | (_, Verdict::Blocked { by }) => Verdict::Blocked { by },
            (Verdict::Unknown { why }, _) | (_, Verdict::Unknown { why }) => Verdict::Unknown { why },
            (Verdict::Limited { by }, _) | (_, Verdict::Limited { by }) => Verdict::Limited { by },
            (Verdict::Open { by }, Verdict::Open { by: other }) => match by.is_empty() {
                true => Verdict::Open { by: other },
                false => Verdict::Open { by },
            },
        }
    }

    /// Nothing keeps it out, and no rule is about it.
    pub fn open() -> Verdict {
        Verdict::Open { by: String::new() }
    }

    pub fn blocked(&self) -> bool {
        matches!(self, Verdict::Blocked { .. })
    }
}
