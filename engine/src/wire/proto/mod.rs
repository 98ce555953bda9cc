//! The client protocol's vocabulary (spec `client-protocol.md` §1–§3): headers, op codes, requests,
//! replies, ACL, Stat, paths, multi, error codes. It encodes and decodes; it decides nothing.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod acl;
mod connect;
mod error_code;
mod mode;
mod multi;
mod op;
pub mod path;
mod reply;
mod request;
mod stat;
mod watch;

pub use acl::{Acl, Id, Perms, digest_id};
pub use connect::{ConnectRequest, ConnectResponse, session_password};
pub use error_code::ErrorCode;
pub use mode::{CreateMode, Owner, TTL_MS_MAX};
pub use multi::MultiResult;
pub use op::OpCode;
pub use reply::{ReplyHeader, Response};
pub use request::{CreateRequest, Request, RequestHeader, SetWatches};
pub use stat::Stat;
pub use watch::{AddWatchMode, EventState, EventType, WatcherEvent, WatcherType};

/// Reserved xids (§1.6).
pub mod xid {
    pub const NOTIFICATION: i32 = -1;
    pub const PING: i32 = -2;
    pub const AUTH: i32 = -4;
    pub const SET_WATCHES: i32 = -8;
}

#[cfg(test)]
mod tests;
