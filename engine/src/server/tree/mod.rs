//! The replicated state: znodes, access control, sessions and their ephemerals, quota, digest.
//! Requests become checked transactions ([`Outstanding::prepare`], on the leader alone), transactions
//! become changes ([`Tree::apply`], total, the same on every server), reads are answered from memory.
//!
//! Pure: no clock, no file, no socket. It decides neither the order of transactions (`zab`) nor who is
//! told about changes (`replica`).
//!
//! | file | what it is about |
//! |---|---|
//! | `state`, `settings` | [`Tree`] itself: what a server holds in memory; and its [`Settings`] |
//! | `nodes`, `node`, `stat`, `blobs` | the node store: a table, a hash index, packed bytes |
//! | `acl`, `acl_cache`, `acl_index` | who may do what; every distinct list once; by whom it is asked |
//! | `sessions` | sessions, who owns which ephemerals, containers and TTL nodes |
//! | `quota` | usage counters under `/zookeeper/quota` |
//! | `digest` | the tree digest and its history |
//! | `txn`, `txn_codec` | transactions and their bytes |
//! | `prepare`, `prepare_create`, `prepare_multi`, `outstanding` | request → transaction |
//! | `apply`, `outcome` | transaction → change, and what the client is told |
//! | `read` | exists, getData, getChildren, getACL … |
//! | `snapshot` | tree ⇄ snapshot body |
//! | `bent` | the rules as they must not be, for the simulator to find |

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod acl;
mod acl_cache;
mod acl_index;
mod apply;
mod bent;
mod blobs;
mod digest;
mod node;
mod nodes;
mod outcome;
mod outstanding;
mod prepare;
mod prepare_create;
mod prepare_multi;
mod quota;
mod read;
mod sessions;
mod settings;
pub mod snapshot;
mod stat;
mod state;
mod txn;
mod txn_codec;

pub use acl::AclList;
pub use acl_index::Acls;
pub use apply::{Applied, Change, ChangeKind};
pub use digest::VERSION as DIGEST_VERSION;
pub use outcome::Outcome;
pub use outstanding::Outstanding;
pub use prepare::PrepareContext;
pub use read::Children;
pub use settings::Settings;
pub use stat::StoredStat;
pub use state::Tree;
pub use txn::{CreateTxn, CreatedNode, SubTxn, Txn, TxnBody, TxnDigest, TxnHeader};
use txn_codec::TXN_HEADER_LEN;

#[cfg(test)]
mod tests;
