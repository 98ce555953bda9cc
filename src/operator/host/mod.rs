//! What the binary does ON a host when it is started as `zkops host`: it answers typed requests,
//! framed as JSON on stdin and stdout, until stdin closes. The caller's half is [`Link`].
//!
//! Nothing here decides what a host *should* look like: a request names one desired state or one
//! question, the answer says what was found or changed and whether that survives a power-off.
//!
//! Each room has `records`: what is asked and what is answered, as plain data. They are all that the
//! rest of the operator, and the protocol, see of a room; what answers is visible here only.
//!
//! | room | what it is about | stands on |
//! |---|---|---|
//! | [`failure`] | the one typed error that travels: what, where, why, kind, hint | |
//! | [`files`] | reading, writing, making and removing files; room on the disks | |
//! | [`machine`] | what kind of machine this is, its processes, running a program of it | files |
//! | [`data`] | a member's data: identity, epochs, logs, snapshots, damage | files |
//! | [`runs`] | the operator's lock and the append-only record of runs | files, machine |
//! | [`service`] | a server that stays up, with systemd or without; its log; running servers | files, machine |
//! | [`net`] | who listens, temporary listeners, reachability, names and addresses | files, machine, service |
//! | [`firewall`] | which firewall is active, opening ports for good, what blocks one | files, machine, net |
//! | [`agent`] | the connection: protocol, frames, the caller's link, the serving side | all |

pub mod agent;
pub mod data;
pub mod failure;
pub mod files;
pub mod firewall;
pub mod machine;
pub mod net;
pub mod runs;
pub mod service;

pub use agent::serve::serve;
pub use agent::{CallError, Link};
pub use failure::{Failure, Kind};
pub use service::supervise::supervise;
