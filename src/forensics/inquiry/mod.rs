//! Questions to what stands in logs and snapshots, and answers as text and documents. Pure: it is handed transactions
//! and znodes one after the other and keeps no more than the answer needs.
//!
//! | file | about |
//! |---|---|
//! | [`op`] | the kinds of transactions by name |
//! | [`question`] | which transactions are asked for |
//! | [`owners`] | ephemerals that end with a session whose closing does not list them |
//! | [`entry`], [`line`], [`text`] | one transaction: for machines, for people; how what others wrote is shown |
//! | [`life`] | what became of one znode, and by whose hand |
//! | [`session`] | the session that did it |
//! | [`audit`] | whether the logs of a server are whole |
//! | [`znode`] | one znode of a snapshot, and which ones are asked for |
//! | [`sizes`], [`census`], [`compare`] | the largest subtrees; whether a snapshot holds together; what differs between two |
//! | `fingerprint` | what stands for texts that are too many to keep |
//! | [`seen`], [`coverage`] | what reading a file comes upon; how far what was read reaches |

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod audit;
pub mod census;
pub mod compare;
pub mod coverage;
pub mod entry;
pub mod life;
pub mod line;
pub mod op;
pub mod owners;
pub mod question;
pub mod seen;
pub mod session;
pub mod sizes;
pub mod text;
pub mod znode;

mod fingerprint;

#[cfg(test)]
mod tests;
