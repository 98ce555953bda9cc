//! Bytes and words that everything here shares: what both sides of a socket agree on. Pure, and below all else.
//!
//! | room | what it is |
//! |---|---|
//! | [`ids`] | zxid, epoch, server id, session id: one newtype each |
//! | [`jute`] | bytes ⇄ primitives, bounded and total |
//! | [`proto`] | the client protocol's vocabulary: requests, replies, ACL, Stat, paths, multi, error codes |

pub mod ids;
pub mod jute;
pub mod proto;
