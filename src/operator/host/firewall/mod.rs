//! Which firewall is active, opening ports for good, what blocks one.
//!
//! | file | what it is about |
//! |---|---|
//! | `records` | what is asked and answered: all that an operator imports |
//! | `verbs` | open, close, explain: the same for each kind of firewall |
//! | `scope` | what every kind needs: interface, deadline, root, our mark |
//! | `matching` | how a rule matches a connection, and the port notations that firewalls share |
//! | `firewalld`, `firewalld_zone`, `firewalld_bus` | firewalld: its verbs, a zone's settings, the system bus |
//! | `ufw` | ufw |
//! | `nftables`, `nft_rules`, `nft_text` | native nftables, what its rules mean, and their text |
//! | `iptables` | iptables and ip6tables |
//! | `fence`, `fence_nft`, `fence_iptables`, `fence_boot` | nothing to or from one address: the verbs, and what holds them |

pub(super) mod fence;
mod fence_boot;
mod fence_iptables;
mod fence_nft;
pub(super) mod firewalld;
pub(super) mod firewalld_bus;
pub(super) mod firewalld_zone;
pub(super) mod iptables;
pub(super) mod matching;
pub(super) mod nft_rules;
mod nft_text;
pub(super) mod nftables;
mod records;
pub(super) mod scope;
pub(super) mod ufw;
pub(super) mod verbs;

#[cfg(test)]
mod tests;

pub use records::{Fence, Firewall, FirewallPorts, FirewallReport, PortState, Verdict};
