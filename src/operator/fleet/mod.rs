//! The hosts of one ensemble in use: reached, our binary brought where a verb may do that, the agent started, and
//! always let go. It asks hosts nothing about themselves and plans nothing.
//!
//! - [`visit`]: the one way to a fleet, and back
//! - [`hosts`]: the hosts in use and the way to each
//! - [`former`]: hosts on which members were before
//! - `binary`: our binary sent, put in place, taken back; `agent`: `zkops host` started from it
//! - [`journal`]: what runs leave on every host they change
//! - [`unit`]: who keeps a server up on a host, and where that keeps its things
//! - [`ways`]: how the client ports are reached, also behind a jump host
//! - [`watch`]: what is being done on a host just now
//! - [`stop`]: whether a run is to end before it is done

mod agent;
mod binary;
pub mod former;
pub mod hosts;
pub mod journal;
pub mod stop;
pub mod unit;
pub mod visit;
pub mod watch;
pub mod ways;
