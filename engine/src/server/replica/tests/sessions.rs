//! The session table alone: buckets, owners, ends.

use crate::server::replica::sessions::{SessionOwner, SessionTracker, Standing};
use crate::server::zab::ConnId;
use crate::wire::ids::SessionId;

fn tracker() -> SessionTracker {
    SessionTracker::new(0, 1000, [(ID, 4000)].into_iter())
}

#[test]
fn a_known_session_starts_with_a_full_timeout_and_expires_in_its_bucket() {
    let mut tracker = tracker();
    assert_eq!(tracker.deadline_ms(), Some(5000));
    assert!(tracker.touch(1500, ID), "pushes it on");
    assert_eq!(tracker.deadline_ms(), Some(6000));
    assert!(tracker.touch(1000, ID), "an older word does not pull it back");
    assert_eq!(tracker.deadline_ms(), Some(6000));
    assert!(tracker.expired(5999).is_empty());
    assert_eq!(tracker.expired(6000), [ID]);
    assert_eq!(tracker.deadline_ms(), None);
}

#[test]
fn a_learner_is_asked_about_before_it_writes_and_this_server_is_not() {
    let mut tracker = tracker();
    assert_eq!(tracker.standing(ID, THERE), Standing::Moved, "nobody has spoken for it");
    tracker.move_to(ID, THERE);
    assert_eq!((tracker.standing(ID, THERE), tracker.standing(ID, LOCAL)), (Standing::Good, Standing::Moved));
    tracker.move_to(ID, LOCAL);
    assert_eq!((tracker.standing(ID, LOCAL), tracker.standing(ID, THERE)), (Standing::Good, Standing::Moved));
    assert_eq!(tracker.standing(SessionId(8), LOCAL), Standing::Unknown);
    let mut tracker = self::tracker();
    assert_eq!(tracker.standing(ID, LOCAL), Standing::Good, "an expiry");
}

#[test]
fn a_session_whose_end_is_proposed_is_closing_until_it_is_gone() {
    let mut tracker = tracker();
    tracker.set_closing(ID);
    assert_eq!((tracker.standing(ID, LOCAL), tracker.touch(0, ID)), (Standing::Closing, false));
    assert_eq!(tracker.deadline_ms(), None, "it cannot expire once more");
    tracker.remove(ID);
    assert_eq!(tracker.standing(ID, LOCAL), Standing::Unknown);
}

const ID: SessionId = SessionId(7);
const LOCAL: SessionOwner = SessionOwner::Local;
const THERE: SessionOwner = SessionOwner::Learner(ConnId(10));
