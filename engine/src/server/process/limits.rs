//! The bounds of the client port (client-protocol §1.10) and the numbering of its connections.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::sync::Semaphore;

use super::intake::Intake;
use super::stream::outlet::Held;
use crate::server::replica::ClientId;

/// What every connection task looks up.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) frame_len_max: usize,
    /// `maxClientCnxns`; 0 is no limit.
    pub(super) clients_per_ip_max: usize,
    /// `maxCnxns`, over all addresses; 0 is no limit.
    pub(super) clients_max: usize,
    /// How long a connection may take to ask for a session: its whole first frame, or a four-letter word.
    pub(super) silence_max: Duration,
    /// What they may send before it is done with.
    pub(super) intake: Intake,
    /// What waits to be read by them.
    pub(super) owed: Held,
    /// What four-letter words are answered and is not read: no session makes room for it.
    pub(super) told: Held,
    /// Descriptors that they may have.
    pub(super) places: Arc<Semaphore>,
    next_client: AtomicU64,
    seats: Seats,
}

/// Connections per address, and in all.
type Seats = Arc<Mutex<(HashMap<IpAddr, usize, FixedState>, usize)>>;

/// Holds one connection's place in its address's count.
#[derive(Debug)]
pub(super) struct Seat {
    ip: IpAddr,
    seats: Seats,
}

impl Limits {
    /// `clients_max`: from one address, and from all.
    pub(super) fn new(
        frame_len_max: usize,
        clients_max: [usize; 2],
        silence_max: Duration,
        places: Arc<Semaphore>,
        owed: Held,
    ) -> Limits {
        let [clients_per_ip_max, clients_max] = clients_max;
        Limits {
            frame_len_max,
            clients_per_ip_max,
            clients_max,
            silence_max,
            intake: Intake::new(frame_len_max),
            owed,
            told: Held::new(TOLD_LEN_MAX),
            places,
            next_client: AtomicU64::new(1),
            seats: Seats::default(),
        }
    }

    /// A number no connection of this process had before.
    pub(super) fn next_client(&self) -> ClientId {
        ClientId(self.next_client.fetch_add(1, Ordering::Relaxed))
    }

    /// `None` when the address has its share already, or all seats are taken.
    pub(super) fn seat(&self, ip: IpAddr) -> Option<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let (per_ip, all) = &mut *seats;
        let count = per_ip.get(&ip).copied().unwrap_or(0);
        let is_full = |taken: usize, max: usize| max > 0 && taken >= max;
        if is_full(count, self.clients_per_ip_max) || is_full(*all, self.clients_max) {
            return None;
        }
        per_ip.insert(ip, count + 1);
        *all += 1;
        Some(Seat { ip, seats: self.seats.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let (per_ip, all) = &mut *seats;
        *all -= 1;
        if let Some(count) = per_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                per_ip.remove(&self.ip);
            }
        }
    }
}

/// Two `dump`s of the largest ensembles, or `mntr`s without number.
const TOLD_LEN_MAX: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_for_each_address_and_for_all_and_given_back() {
        let limits = Limits::new(0, [2, 3], Duration::ZERO, Arc::new(Semaphore::new(1)), Held::default());
        let [one, two] = ["10.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let seats = [limits.seat(one), limits.seat(one)];
        assert!(seats.iter().all(Option::is_some) && limits.seat(one).is_none(), "maxClientCnxns");
        let other = limits.seat(two);
        assert!(other.is_some() && limits.seat(two).is_none(), "maxCnxns, although the address has one");
        drop(seats);
        assert!(limits.seat(one).is_some() && limits.seat(two).is_some());
        assert!(limits.seats.lock().unwrap().1 == 1 && limits.seats.lock().unwrap().0.len() == 1);
        drop(other);
        let unlimited = Limits::new(0, [0, 0], Duration::ZERO, Arc::new(Semaphore::new(1)), Held::default());
        assert!((0..100).map(|_| unlimited.seat(one)).collect::<Vec<_>>().iter().all(Option::is_some));
    }
}
