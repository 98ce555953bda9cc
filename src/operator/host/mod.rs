//! What the binary does ON a host when it is started as `zkops host`: it answers typed requests,
//! framed as JSON on stdin and stdout, until stdin closes. The caller's half is [`Link`].
//!
//! Nothing here decides what a host *should* look like: a request names one desired state or one
//! question, the answer says what was found or changed and whether that survives a power-off.
//!
//! | file | what it is about |
//! |---|---|
//! | [`protocol`] | the closed enums of requests and responses, version, limits |
//! | [`failure`] | the one typed error that travels: what, where, why, kind, hint |
//! | [`frame`] | u32 length + JSON, bounded |
//! | [`link`], [`calls`] | the caller: handshake, concurrent calls with deadlines; one typed method per request |
//! | [`serve`] | the host's side: reads frames, answers concurrently |
//! | [`command`] | runs a program with a deadline, bounded output, `LC_ALL=C` |
//! | [`process`] | the process table: who is a pid, and is it still the same one |
//! | [`facts`] | what kind of machine this is |
//! | [`disk`] | room, mount flags, and whether a directory is really writable |
//! | [`files`], [`content`], [`put`], [`dirs`], [`remove`] | reading, writing, making and removing files |
//! | [`data_dir`], [`marker`] | a member's data: identity, epochs, logs, snapshots, damage |
//! | [`ports`], [`listen`], [`connect`] | who listens, temporary listeners, reachability, four-letter words |
//! | [`names`], [`addresses`] | names as this host resolves them, and its own addresses |
//! | [`firewall`], [`firewalld`], [`firewalld_bus`], [`ufw`], [`nftables`], [`nft_rules`], [`iptables`], [`verdict`] | which firewall is active, opening ports for good, what blocks one |
//! | [`service`], [`systemd`], [`daemon`], [`supervise`] | a server that stays up, with systemd or without |
//! | [`logs`] | the last lines of a journal or a file |
//! | [`lock`], [`journal`] | the operator's lock and the append-only record of runs |
//! | [`servers`] | running ZooKeeper servers, ours or Java's |

pub mod addresses;
pub mod calls;
pub mod command;
pub mod connect;
pub mod content;
pub mod daemon;
pub mod data_dir;
pub mod dirs;
pub mod disk;
pub mod facts;
pub mod failure;
pub mod files;
pub mod firewall;
pub mod firewalld;
pub mod firewalld_bus;
pub mod frame;
pub mod iptables;
pub mod journal;
pub mod link;
pub mod listen;
pub mod lock;
pub mod logs;
pub mod marker;
pub mod names;
pub mod nft_rules;
pub mod nftables;
pub mod ports;
pub mod process;
pub mod protocol;
pub mod put;
pub mod remove;
pub mod serve;
pub mod servers;
pub mod service;
pub mod supervise;
pub mod systemd;
pub mod ufw;
pub mod verdict;

#[cfg(test)]
mod tests;

pub use failure::{Failure, Kind};
pub use link::{CallError, Link};
pub use protocol::{Request, Response};
pub use serve::serve;
pub use supervise::supervise;
