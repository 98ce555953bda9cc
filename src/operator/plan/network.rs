//! What was seen of the network around a host: whom its firewall lets in, and where its packets and those
//! of the members come from. Part of [`HostFacts`](super::facts::HostFacts); it asks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::formats::opening::Opening;

/// The firewall of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FirewallFacts {
    /// `firewalld`, `ufw`, …
    pub kind: String,
    /// By port: open to all who need it.
    pub ports: BTreeMap<u16, PortRule>,
    /// The same for each who was asked about.
    pub openings: BTreeMap<Opening, PortRule>,
    /// Of these, whom another opening of ours lets in, and nothing else: for as long as that stands.
    pub leaning: BTreeSet<Opening>,
    /// What carries our mark on the ports asked about.
    pub ours: Vec<Opening>,
}

/// How a host and the members find each other, by its resolver and its routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceFacts {
    /// Where the operator's session comes from; `None`: nobody can tell there.
    pub session: Option<IpAddr>,
    pub ways: Vec<WayFacts>,
}

/// The way from a host to one address of the inventory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WayFacts {
    /// As the inventory writes it.
    pub to: String,
    /// As the host resolves it.
    pub addresses: Vec<IpAddr>,
    /// The host's own addresses that its packets carry.
    pub from: Vec<IpAddr>,
}

impl SourceFacts {
    /// What an address of the inventory means on that host.
    pub(crate) fn addresses_of<'a>(&'a self, to: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        self.ways.iter().filter(move |way| way.to == to).flat_map(|way| way.addresses.iter().copied())
    }

    /// Where the host's packets to it come from.
    pub(crate) fn towards<'a>(&'a self, to: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        self.ways.iter().filter(move |way| way.to == to).flat_map(|way| way.from.iter().copied())
    }
}

/// What the firewall does with one of our ports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortRule {
    pub open: bool,
    /// Still open after a reboot.
    pub permanent: bool,
    /// The rule that decides, as the firewall itself would show it.
    pub rule: String,
}
