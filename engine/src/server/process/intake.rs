//! How much of what clients have sent is held at a time: frames on their way to the state thread, and those of
//! requests that are not done with. Whoever fills a budget waits: its connection is not read further.
//!
//! It knows no request: a frame counts for as long as anything holds a part of it, also before it is whole.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Intake {
    units: Arc<Semaphore>,
    own_units: usize,
    /// Bytes of long frames that are not whole, and how many may be.
    begun: Arc<AtomicUsize>,
    begun_len_max: usize,
}

/// One connection's part.
#[derive(Debug)]
pub(super) struct Share {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    own_units: usize,
    /// Messages that the state thread has not taken.
    messages: Arc<Semaphore>,
    begun_by_all: Arc<AtomicUsize>,
    begun_len_max: usize,
    /// What has come of the frame at hand, and since when it comes, once that is long.
    begun: Mutex<Option<(usize, Instant)>>,
}

/// Given back when the state thread has taken a message.
pub(super) type Slot = Option<OwnedSemaphorePermit>;

/// A frame with its part of the budgets.
struct Counted {
    frame: Bytes,
    _own: OwnedSemaphorePermit,
    _all: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Intake {
    /// For frames of up to `frame_len_max` bytes (`jute.maxbuffer`), of which two have room in any share.
    pub(super) fn new(frame_len_max: usize) -> Intake {
        let own_units = OWN_UNITS.max(2 * frame_len_max.div_ceil(UNIT_LEN));
        let all_units = ALL_UNITS.max(2 * own_units);
        Intake {
            units: Arc::new(Semaphore::new(all_units)),
            own_units,
            begun: Arc::default(),
            begun_len_max: all_units * UNIT_LEN,
        }
    }

    pub(super) fn share(&self) -> Share {
        Share {
            all: self.units.clone(),
            own: Arc::new(Semaphore::new(self.own_units)),
            own_units: self.own_units,
            messages: Arc::new(Semaphore::new(MESSAGES_MAX)),
            begun_by_all: self.begun.clone(),
            begun_len_max: self.begun_len_max,
            begun: Mutex::default(),
        }
    }
}

impl Share {
    /// Counts a frame, if there is room for it now; otherwise it comes back.
    pub(super) fn try_count(&self, frame: Bytes) -> Result<Bytes, Bytes> {
        if frame.len() < COUNTED_LEN_MIN {
            return Ok(frame);
        }
        let wanted = self.wanted(&frame);
        let is_first = self.is_first(&frame);
        let Ok(own) = self.own.clone().try_acquire_many_owned(wanted) else { return Err(frame) };
        if is_first {
            return Ok(counted(frame, own, None));
        }
        match self.all.clone().try_acquire_many_owned(wanted) {
            Ok(all) => Ok(counted(frame, own, Some(all))),
            Err(_) => Err(frame),
        }
    }

    /// Counts a frame once there is room for it. What was counted before must be on its way: it makes the room.
    pub(super) async fn count(&self, frame: Bytes) -> Bytes {
        let wanted = self.wanted(&frame);
        let closed = "nobody closes the budgets";
        let own = self.own.clone().acquire_many_owned(wanted).await.expect(closed);
        if self.own.available_permits() + wanted as usize == self.own_units && frame.len() <= FIRST_LEN_MAX {
            return counted(frame, own, None);
        }
        let all = self.all.clone().acquire_many_owned(wanted).await.expect(closed);
        counted(frame, own, Some(all))
    }

    /// Comes when one more message may be on its way to the state thread.
    pub(super) async fn slot(&self) -> Slot {
        self.messages.clone().acquire_owned().await.ok()
    }

    /// So much of a frame has come. Comes when there is room for more: whoever has begun little is never kept waiting.
    pub(super) async fn begun(&self, len: usize) {
        self.note_begun(len);
        while len >= BEGUN_LEN_MIN && self.is_crowded() {
            sleep(BEGUN_PAUSE).await;
        }
    }

    /// Comes when a frame of which `len` bytes have come has had its time, and others wait for its room.
    pub(super) async fn stalled(&self, len: usize) {
        let since = self.note_begun(len);
        let Some(since) = since else { return std::future::pending().await };
        sleep_until(since + BEGUN_TIME).await;
        while !self.is_crowded() {
            sleep(BEGUN_PAUSE).await;
        }
    }

    /// Since when the frame at hand has been coming, if it is a long one.
    fn note_begun(&self, len: usize) -> Option<Instant> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let before = begun.map_or(0, |(len, _)| len);
        let now = if len < BEGUN_LEN_MIN { 0 } else { len };
        self.begun_by_all.fetch_add(now, Ordering::AcqRel);
        self.begun_by_all.fetch_sub(before, Ordering::AcqRel);
        *begun = (now > 0).then(|| {
            // Fewer than before are those of another frame.
            let since = begun.filter(|_| now >= before).map_or_else(Instant::now, |(_, since)| since);
            (now, since)
        });
        begun.map(|(_, since)| since)
    }

    fn is_crowded(&self) -> bool {
        self.begun_by_all.load(Ordering::Acquire) > self.begun_len_max
    }

    /// A frame that is longer than the budget takes all of it.
    fn wanted(&self, frame: &Bytes) -> u32 {
        u32::try_from(frame.len().div_ceil(UNIT_LEN).min(self.own_units)).expect("a small number")
    }

    /// Whoever has nothing under way may always send a little: those who fill everybody's budget keep nobody out.
    fn is_first(&self, frame: &Bytes) -> bool {
        self.own.available_permits() == self.own_units && frame.len() <= FIRST_LEN_MAX
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.note_begun(0);
    }
}

fn counted(frame: Bytes, own: OwnedSemaphorePermit, all: Option<OwnedSemaphorePermit>) -> Bytes {
    Bytes::from_owner(Counted { frame, _own: own, _all: all })
}

const UNIT_LEN: usize = 1024;
/// Shorter frames are bounded by the number of requests that may be under way.
const COUNTED_LEN_MIN: usize = 16 * 1024;
/// 2 MiB: one write of the largest usual size is under way while the next is read. Where larger ones are allowed it is
/// two of those.
const OWN_UNITS: usize = 2048;
/// 32 MiB: more than a second's worth of the fastest disk's commits at that size, and less than anybody notices. Every
/// write is in memory some three times, here, in the log and on its way to each learner.
const ALL_UNITS: usize = 32 * 1024;
/// What a connection may send past the budget of all when it has nothing under way.
const FIRST_LEN_MAX: usize = 128 * 1024;
/// Of a frame that is not whole fewer bytes are not counted: a read or two.
const BEGUN_LEN_MIN: usize = 128 * 1024;
/// How long a frame may take to come in when all that have begun are too many: a megabyte over a slow line.
const BEGUN_TIME: Duration = Duration::from_secs(3);
/// How soon whoever waits for room looks again.
const BEGUN_PAUSE: Duration = Duration::from_millis(50);
/// Messages of one connection on their way: one is taken while the next comes. Everybody has a turn in each batch.
const MESSAGES_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize) -> Bytes {
        vec![0; len].into()
    }

    #[test]
    fn a_connection_holds_no_more_than_its_share_and_all_no_more_than_theirs() {
        let intake = Intake::new(1 << 20);
        let shares: Vec<Share> = (0..40).map(|_| intake.share()).collect();
        let mut held: Vec<Vec<Bytes>> = Vec::new();
        for share in &shares {
            held.push((0..10).map_while(|_| share.try_count(frame(1 << 20)).ok()).collect());
        }
        let all: usize = held.iter().map(Vec::len).sum();
        assert_eq!((held[0].len(), all), (2, 32), "2 MiB each, 32 MiB in all");
        // Who has nothing under way may still send a little, once; and small frames are not counted.
        let small = shares[39].try_count(frame(100_000)).unwrap();
        assert!(shares[39].try_count(frame(100_000)).is_err());
        assert!(shares[39].try_count(frame(COUNTED_LEN_MIN - 1)).is_ok());
        // Any part of a frame holds all of it, and the last one gives it back.
        let part = held[0].remove(0).slice(5..9);
        assert!(shares[0].try_count(frame(1 << 20)).is_err());
        drop((part, small));
        assert!(shares[0].try_count(frame(1 << 20)).is_ok());
        drop(held);
        assert!(shares.iter().all(|share| share.try_count(frame(8 << 20)).is_ok()), "longer than a share");
    }

    #[test]
    fn long_frames_widen_the_shares_and_are_counted_in_full() {
        let intake = Intake::new(32 << 20);
        let shares: Vec<Share> = (0..3).map(|_| intake.share()).collect();
        let held: Vec<_> =
            shares.iter().flat_map(|share| [0; 3].map(|_| share.try_count(frame(32 << 20)))).collect();
        assert_eq!(
            held.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, true, false, true, true, false, false, false, false]
        );
    }

    /// A frame that never becomes whole would hold its bytes for ever otherwise, and as many as there are connections.
    #[tokio::test]
    async fn frames_that_do_not_go_on_give_way_to_those_that_do() {
        let intake = Intake::new(1 << 20);
        let shares: Vec<Share> = (0..40).map(|_| intake.share()).collect();
        for share in &shares[..33] {
            share.begun(1_000_000).await;
        }
        // There is room; then there is none, for whoever has begun much.
        let soon = Duration::from_millis(100);
        assert!(tokio::time::timeout(soon, shares[0].stalled(1_000_000)).await.is_err());
        for share in &shares[33..35] {
            assert!(tokio::time::timeout(soon, share.begun(1_000_000)).await.is_err());
        }
        shares[35].begun(BEGUN_LEN_MIN - 1).await;
        shares[0].stalled(1_000_000).await;
        drop(shares);
        assert_eq!(intake.begun.load(Ordering::Acquire), 0);
        // One that has come in whole is not counted here any more, and the next has its own time.
        let share = intake.share();
        share.begun(900_000).await;
        share.begun(10).await;
        assert_eq!(intake.begun.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_there_is_room() {
        let intake = Intake::new(1 << 20);
        let share = intake.share();
        let first = share.try_count(frame(2 << 20)).unwrap();
        assert!(share.try_count(frame(20_000)).is_err());
        let (frame, ()) = tokio::join!(share.count(frame(20_000)), async { drop(first) });
        assert_eq!(frame.len(), 20_000);
        let slots = (share.slot().await, share.slot().await);
        assert!(share.messages.try_acquire().is_err());
        drop(slots);
        assert!(share.slot().await.is_some());
    }
}
