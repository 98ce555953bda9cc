//! SIGSTOP and SIGCONT: a virtual machine that stands still, a long page fault. The network stays up, the server
//! knows nothing of the time that has passed.

use std::time::Duration;

use super::trial::{SYNC_LIMIT, Trial};

#[test]
fn a_leader_that_stood_still_for_too_long_leads_no_more() {
    let mut trial = Trial::start(3, 21);
    for _ in 0..2 {
        let old = trial.leader();
        trial.freeze(old);
        let new = trial.leader_among(&trial.others(&[old]));
        trial.await_answers(100);
        // It wakes up and believes itself the leader; whatever it had in hand must not count.
        trial.thaw(old);
        trial.ensemble.await_serving();
        assert_eq!(trial.leader(), new);
    }
    trial.finish();
}

#[test]
fn short_stops_of_any_member() {
    let mut trial = Trial::start(3, 22);
    for _ in 0..8 {
        let n = *trial.random.one_of(&trial.members());
        trial.freeze(n);
        let span = Duration::from_millis(50 + trial.random.below(SYNC_LIMIT.as_millis() as u64 * 5 / 4));
        trial.hold(span);
        trial.thaw(n);
        trial.await_answers(40);
    }
    trial.finish();
}
