//! A connection without its socket: bytes in, frames out; pieces in, bytes out; deadlines as numbers.
//!
//! | file | what it is about |
//! |---|---|
//! | [`inbox`] | bytes → frames, by the framing of the port; how long an introduction may take |
//! | [`client`], [`election`], [`quorum`] | the framings: what stands first on each port, and what follows |
//! | [`outbox`] | what is owed to the other side: how much at most, and what happens beyond |
//! | [`closed`] | why a connection ends |
//!
//! A connection is an inbox and an outbox. They share nothing, since they live in different hands: frames come
//! up in the connection's own task, pieces come down from the state thread. Whoever runs them gives the time in
//! milliseconds of a clock of its own, so that a simulator can. It deliberately does not know what a frame means.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod client;
pub mod closed;
pub mod election;
pub mod inbox;
pub mod outbox;
pub mod quorum;
#[cfg(test)]
mod tests;
