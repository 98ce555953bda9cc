//! Facts from hosts and live servers, read-only: it looks, puts what it saw into the planners'
//! words, and judges nothing.
//!
//! - `answer`: an answer as something seen
//! - [`facts`]: everybody, all at once
//! - [`look`]: one host's account of itself, in `words` that planners understand
//! - `installed`: which slot counts, what an older layout left, whose the directories are
//! - `firewall`: what becomes of connections to a member's ports
//! - [`servers`]: every member's client port from here, with a canary through each; [`on_hosts`]: the
//!   same asked on their own hosts
//! - [`canary`]: written through the leader, read back through everybody
//! - `remains`: what earlier deployments left on a host; [`former`]: where members were before; [`identity`]: who answers where, and as whom
//! - [`reach`]: who reaches whom, with real listeners
//! - [`token`]: words that must not repeat

mod answer;
pub mod canary;
pub mod facts;
mod firewall;
pub mod former;
pub mod identity;
mod installed;
pub mod look;
mod on_hosts;
pub mod reach;
mod remains;
pub mod servers;
pub mod token;
mod words;

#[cfg(test)]
mod tests;
