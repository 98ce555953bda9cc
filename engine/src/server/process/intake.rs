//! How much of what clients have sent is held at a time: frames on their way to the state thread, and those of
//! requests that are not done with. Whoever fills a budget waits: its connection is not read further.
//!
//! It knows no request: a frame counts for as long as anything holds a part of it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Intake {
    units: Arc<Semaphore>,
    own_units: usize,
}

/// One connection's part.
#[derive(Debug)]
pub(super) struct Share {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    own_units: usize,
    /// Messages that the state thread has not taken.
    messages: Arc<Semaphore>,
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
        Intake { units: Arc::new(Semaphore::new(ALL_UNITS.max(2 * own_units))), own_units }
    }

    pub(super) fn share(&self) -> Share {
        Share {
            all: self.units.clone(),
            own: Arc::new(Semaphore::new(self.own_units)),
            own_units: self.own_units,
            messages: Arc::new(Semaphore::new(MESSAGES_MAX)),
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

    /// A frame that is longer than the budget takes all of it.
    fn wanted(&self, frame: &Bytes) -> u32 {
        u32::try_from(frame.len().div_ceil(UNIT_LEN).min(self.own_units)).expect("a small number")
    }

    /// Whoever has nothing under way may always send a little: those who fill everybody's budget keep nobody out.
    fn is_first(&self, frame: &Bytes) -> bool {
        self.own.available_permits() == self.own_units && frame.len() <= FIRST_LEN_MAX
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
