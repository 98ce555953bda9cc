//! What was seen of a host's firewall: whom it lets in. Part of [`HostFacts`](super::facts::HostFacts); it asks
//! nobody.

use std::collections::{BTreeMap, BTreeSet};

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

/// What the firewall does with one of our ports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortRule {
    pub open: bool,
    /// Still open after a reboot.
    pub permanent: bool,
    /// The rule that decides, as the firewall itself would show it.
    pub rule: String,
}
