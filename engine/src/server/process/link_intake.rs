//! How much of what a learner forwards is held at a time, from the socket to its last holder. A link whose requests fill
//! the budget is read ever more slowly, not never: behind them on the same stream may stand the very acks that a
//! quorum needs to be done with them.
//!
//! Learners of ours hold back their clients before it comes to that; those of the reference do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::server::zab::Packet;
use crate::server::zab::wire::{AuthId, Kind};

/// One link's part.
#[derive(Debug, Clone)]
pub(super) struct LinkIntake {
    held: Arc<Held>,
    len_max: usize,
}

#[derive(Debug, Default)]
struct Held {
    len: AtomicUsize,
    /// Pauses too short for the clock, in microseconds.
    owed_us: AtomicU64,
    freed: Notify,
}

/// The data of a request with its part of the budget.
struct Counted {
    data: Bytes,
    len: usize,
    held: Arc<Held>,
}

impl LinkIntake {
    /// For transactions of up to `txn_len_max` bytes.
    pub(super) fn new(txn_len_max: usize) -> LinkIntake {
        LinkIntake { held: Arc::default(), len_max: FORWARDED_LEN_MAX.max(2 * txn_len_max) }
    }

    /// Counts a request, after a pause if there is no room for it. What was counted before must be on its way.
    pub(super) async fn admit(&self, packet: Packet) -> Packet {
        let Packet { kind: Kind::REQUEST, data: Some(data), .. } = &packet else { return packet };
        let id_len = |id: &AuthId| size_of::<AuthId>() + id.scheme.len() + id.id.len();
        if data.len() < COUNTED_LEN_MIN {
            return packet;
        }
        let len = data.len() + packet.auth.iter().flatten().map(id_len).sum::<usize>();
        self.pause_for(len).await;
        self.held.len.fetch_add(len, Ordering::AcqRel);
        let data = Counted { data: data.clone(), len, held: self.held.clone() };
        Packet { data: Some(Bytes::from_owner(data)), ..packet }
    }

    /// Whether the next request has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.held.len.load(Ordering::Acquire) > self.len_max
    }

    async fn pause_for(&self, len: usize) {
        let Some(over) = self.held.len.load(Ordering::Acquire).checked_sub(self.len_max) else { return };
        let owed_us =
            self.held.owed_us.fetch_add(pause_us(len, over), Ordering::AcqRel) + pause_us(len, over);
        if owed_us < PAUSE_US_MIN {
            return;
        }
        self.held.owed_us.store(0, Ordering::Release);
        let room = async {
            while self.is_full() {
                self.held.freed.notified().await;
            }
        };
        // Without room in time it is taken all the same: see above.
        let _ = tokio::time::timeout(Duration::from_micros(owed_us), room).await;
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.len.fetch_sub(self.len, Ordering::AcqRel);
        self.held.freed.notify_one();
    }
}

/// How long so many bytes wait at most, with `over` of them too many: 50 MiB a second where the budget ends, and ten
/// times less with 9 MiB beyond. Who has acks behind what the sockets between hold comes to them in a second or two.
fn pause_us(len: usize, over: usize) -> u64 {
    let beyond = 1 + (over >> 20) as u64;
    beyond.saturating_mul(20_000).saturating_mul(len as u64) >> 20
}

/// What one link's requests hold before it is read more slowly: twice what a learner of ours lets wait for its leader.
const FORWARDED_LEN_MAX: usize = 16 * 1024 * 1024;
/// Shorter ones cost an allocation for little: the reference's learner has a thousand under way (`globalOutstandingLimit`).
const COUNTED_LEN_MIN: usize = 4096;
/// The clock knows no shorter pauses.
const PAUSE_US_MIN: u64 = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ids::Zxid;

    fn request(len: usize) -> Packet {
        Packet::with_data(Kind::REQUEST, Zxid::NONE, vec![0; len].into())
    }

    #[tokio::test]
    async fn a_full_link_goes_on_when_there_is_room_or_after_a_pause() {
        let intake = LinkIntake::new(1 << 20);
        let mut held = Vec::new();
        while !intake.is_full() {
            held.push(intake.admit(request(1 << 20)).await);
        }
        assert_eq!(held.len(), 17);
        // Acks are not counted, and nobody waits for ever.
        intake.admit(Packet { kind: Kind::ACK, ..request(1 << 20) }).await;
        held.push(intake.admit(request(1 << 20)).await);
        // Any part of a request holds all of it.
        let parts: Vec<Bytes> = held.drain(..).filter_map(|packet| Some(packet.data?.slice(3..5))).collect();
        assert!(intake.is_full());
        let (_, ()) = tokio::join!(intake.admit(request(400 << 20)), async { drop(parts) });
        assert!(!intake.is_full(), "the last one was dropped at once");
    }

    #[test]
    fn the_more_is_held_the_longer_is_the_pause() {
        let mib = 1 << 20;
        assert_eq!([0, mib, 9 * mib].map(|over| pause_us(mib, over)), [20_000, 40_000, 200_000]);
        assert_eq!(pause_us(200, 0), 3, "small ones add up");
    }
}
