//! Who belongs to an ensemble: the members, and the one grammar for their lines (operations §10.3), in zoo.cfg, the
//! dynamic file, `/zookeeper/config`, on the wire and in what the operator renders.
//!
//! | file | about |
//! |---|---|
//! | [`member`] | a member and its addresses, and how they are written |
//! | [`grammar`] | a member from the text of its line, or where that text is wrong |
//! | [`membership`] | all members at one version of the config |
//! | [`voters`] | who votes by anybody's config, and which two lists go together |
//!
//! Majority quorums only: `group.` and `weight.` lines are refused, not ignored. It resolves no name, and what a
//! quorum is and which membership is in force is `zab`'s to say.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod grammar;
pub mod member;
pub mod membership;
pub mod voters;

pub use grammar::Fault;
pub use member::{Address, Listen, Member, MemberRole};
pub use membership::{Membership, MembershipError};
pub use voters::Voters;

#[cfg(test)]
mod tests;
