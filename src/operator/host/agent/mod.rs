//! The two ends of one connection between operator and host, and what travels between them. Only
//! `answers` knows the code behind a request; everything else here sees records.
//!
//! | file | what it is about |
//! |---|---|
//! | `protocol` | the closed enums of requests and responses, version, preamble |
//! | `frame` | u32 length + JSON, bounded |
//! | `link`, `calls` | the caller: handshake, concurrent calls with deadlines; one typed method per request |
//! | `serve` | the host's side: reads frames, answers concurrently |
//! | `fence` | what changes something is looked at only under the lock as it stands |
//! | `answers` | from each request to the code that answers it |

pub(super) mod answers;
mod calls;
mod fence;
mod frame;
pub(super) mod link;
mod protocol;
pub(super) mod serve;

#[cfg(test)]
pub(super) mod tests;

pub use link::{CallError, Gone, Link};
pub use protocol::{Request, Response};
