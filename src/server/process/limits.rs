//! The bounds of the client port (client-protocol §1.10) and the numbering of its connections.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

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
    per_ip: PerIp,
}

/// Connections per address.
type PerIp = Arc<Mutex<HashMap<IpAddr, usize, FixedState>>>;

/// Holds one connection's place in its address's count.
#[derive(Debug)]
pub(super) struct Seat {
    ip: IpAddr,
    counts: PerIp,
}

impl Limits {
    pub(super) fn new(frame_len_max: usize, clients_per_ip_max: usize, silence_max: Duration) -> Limits {
        Limits {
            frame_len_max,
            clients_per_ip_max,
            silence_max,
            next_client: AtomicU64::new(1),
            per_ip: PerIp::default(),
        }
    }

    /// A number no connection of this process had before.
    pub(super) fn next_client(&self) -> ClientId {
        ClientId(self.next_client.fetch_add(1, Ordering::Relaxed))
    }

    /// `None` when the address has its share already.
    pub(super) fn seat(&self, ip: IpAddr) -> Option<Seat> {
        let mut counts = self.per_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(ip).or_insert(0);
        if self.clients_per_ip_max > 0 && *count >= self.clients_per_ip_max {
            return None;
        }
        *count += 1;
        Some(Seat { ip, counts: self.per_ip.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}
