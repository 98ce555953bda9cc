//! Tests of the room as a whole, one file a subject.

mod config;
mod host_keys;
mod known_hosts;
mod lab;
mod local;
mod push;
mod setup;
mod ssh;
