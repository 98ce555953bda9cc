//! Facts from hosts and live servers, read-only: it looks, converts what it saw into the
//! planners' words, and judges nothing.
//!
//! - [`servers`]: every member's client port, with a canary through each
//! - [`canary`]: written through the leader, read back through everybody

pub mod canary;
pub mod servers;
