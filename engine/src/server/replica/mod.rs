//! One server's mind: agreement (`zab`), the replicated tree, the request pipeline, sessions and watches,
//! as one deterministic `step(now, input, &mut outputs)`.
//!
//! | file | what it is about |
//! |---|---|
//! | `event` | what goes in, what comes out |
//! | **the wiring** | |
//! | `mind` | [`Replica`]: the parts, one step, the order of effects |
//! | `requests`, `decided`, `peers` | what clients say; what is decided; what servers ask each other |
//! | `status` | what it looks like, as plain data |
//! | **the parts**, each with its own state | |
//! | `desk` | where clients are served: `clients`, what they have `said`, their `queue`s and `bounds`, `watches` |
//! | `read`, `watching`, `identity` | reads; requests about watches; who a connection is |
//! | `duty` | leading (`leader`, `sessions`), learning (`learner`), or neither |
//! | `agreement`, `standalone` | who decides, and what was decided |
//! | `held` | the tree in its place |
//! | `session_ids`, `stats` | ids of new sessions; counters, which decide nothing |
//! | `forwarded` | a request on its way to the leader |
//! | `bent` | rules broken by hand, for the simulator to find |
//!
//! A part takes an event and returns what must happen elsewhere as plain data; it calls no other part. `Replica`
//! calls the parts and carries their effects out.
//!
//! Deliberately not here: sockets, files, clocks, threads (`process` drives this), and the protocol between
//! servers (`zab` decides; this only hands its outputs on).
//!
//! Order of things within one step: a transaction is applied, its watch events are written to their
//! connections, then its own reply — so a notification for zxid Z precedes every reply with zxid ≥ Z
//! (client-protocol §1.8 row 3).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod agreement;
mod bent;
mod bounds;
mod clients;
mod decided;
mod desk;
mod duty;
mod event;
mod forwarded;
mod held;
mod identity;
mod leader;
mod learner;
mod mind;
mod peers;
mod queue;
mod read;
mod requests;
mod said;
mod session_ids;
mod sessions;
mod standalone;
mod stats;
mod status;
mod watches;
mod watching;

pub use event::{ClientId, Input, Now, Output, Settings};
pub use mind::Replica;
pub use stats::{ClientLine, ClientStats, LatencyStats, ProposalSizes, ServerStats, Traffic};
pub use status::{Lists, ModeWord, Sessions, Status, Wanted};
pub use watches::Watched;

#[cfg(test)]
mod tests;
