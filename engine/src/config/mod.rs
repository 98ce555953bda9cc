//! zoo.cfg → [`ServerConfig`] (operations §10): every key with its unit, default and check. All
//! problems of a file are reported at once, each with its line and what to do.
//!
//! | file | about |
//! |---|---|
//! | [`settings`] | what a zoo.cfg comes to |
//! | `read`, `sections` | which key becomes which setting, with default and bounds |
//! | `keys` | typed values with their places |
//! | `known` | what the reference has and nothing here reads |
//! | `members` | the server lines |
//! | [`identity`] | which member a server is |
//! | [`problem`] | what is wrong, or worth a word |
//!
//! It opens no file but those that the caller's reader gives it, and starts nothing. Features of
//! the reference that would silently change what is safe (TLS, SASL, hierarchical quorums) are
//! refused rather than ignored; harmless keys without effect here are named in the warnings.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod identity;
pub mod problem;
pub mod settings;

mod keys;
mod known;
mod members;
mod read;
mod sections;

pub use identity::Identity;
pub use problem::{Examined, Invalid, Named, Problem, Warning};
pub use settings::{Containers, Election, Pipeline, Quorum, Role, ServerConfig, Storage};

#[cfg(test)]
mod tests;
