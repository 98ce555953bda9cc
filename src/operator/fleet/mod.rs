//! The hosts of one ensemble in use: reached, our binary brought where a verb may do that, the agent started.
//! It asks hosts nothing about themselves and plans nothing.
//!
//! - [`hosts`]: the hosts in use and the way to each
//! - [`unit`]: who keeps a server up on a host, and where that keeps its things
//! - [`ways`]: how the client ports are reached, also behind a jump host

pub mod hosts;
pub mod unit;
pub mod ways;
