//! The bounds of the client port (client-protocol §1.10) and the numbering of its connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::server::replica::ClientId;

/// What every connection task looks up.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) frame_len_max: usize,
    /// `maxClientCnxns`; 0 is no limit.
    pub(super) clients_per_ip_max: usize,
    /// How long a connection may stay silent before its first four bytes.
    pub(super) silence_max: Duration,
    next_client: AtomicU64,
}

impl Limits {
    pub(super) fn new(frame_len_max: usize, clients_per_ip_max: usize, silence_max: Duration) -> Limits {
        Limits { frame_len_max, clients_per_ip_max, silence_max, next_client: AtomicU64::new(1) }
    }

    /// A number no connection of this process had before.
    pub(super) fn next_client(&self) -> ClientId {
        ClientId(self.next_client.fetch_add(1, Ordering::Relaxed))
    }
}
