//! Facts from hosts and live servers, read-only: it looks, puts what it saw into the planners'
//! words, and judges nothing.
//!
//! - [`facts`]: everybody, all at once
//! - [`look`]: one host's account of itself, in `words` that planners understand
//! - `firewall`: what becomes of connections to a member's ports
//! - [`servers`]: every member's client port, with a canary through each
//! - [`canary`]: written through the leader, read back through everybody
//! - [`reach`]: who reaches whom, with real listeners
//! - [`token`]: words that must not repeat

pub mod canary;
pub mod facts;
mod firewall;
pub mod look;
pub mod reach;
pub mod servers;
pub mod token;
mod words;

#[cfg(test)]
mod tests;
