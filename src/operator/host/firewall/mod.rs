//! Which firewall is active, opening ports for good, what blocks one.
//!
//! | file | what it is about |
//! |---|---|
//! | [`verbs`] | the same few verbs for each kind of firewall |
//! | [`verdict`] | what becomes of a connection, and the port notations that firewalls share |
//! | [`firewalld`], [`firewalld_bus`] | firewalld, through the system bus where it can be |
//! | [`ufw`] | ufw |
//! | [`nftables`], [`nft_rules`] | native nftables, and its rules as text |
//! | [`iptables`] | iptables and ip6tables |

pub mod firewalld;
pub mod firewalld_bus;
pub mod iptables;
pub mod nft_rules;
pub mod nftables;
pub mod ufw;
pub mod verbs;
pub mod verdict;

#[cfg(test)]
mod tests;

pub use verbs::{Firewall, FirewallPorts, FirewallReport, PortState};
pub use verdict::Verdict;
