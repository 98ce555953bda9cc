//! This room's rules as a careless engineer would have written them: the [mutants](crate::server::mutants) of
//! agreement. A rule asks here on one line of its own; what each mistake breaks, and the schedule that shows it,
//! stands in the catalogue.
//!
//! `Some`, or `true`, while the mistake is chosen. Without the cargo feature `mutants` every answer is the constant
//! `None` or `false`, and the line in the rule is gone. It imports no file that asks it.

use std::collections::BTreeMap;

use super::ConnId;
use super::learner_link::Link;
use crate::ensemble::Membership;
use crate::server::mutants::{Mutant, on};
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// [`Mutant::QuorumOffByOne`]: one voter fewer is enough.
pub(super) fn is_quorum(membership: &Membership, has: impl Fn(ServerId) -> bool) -> Option<bool> {
    on(Mutant::QuorumOffByOne).then(|| {
        let having = membership.voters().filter(|voter| has(*voter)).count();
        having + 1 > membership.voters().count() / 2
    })
}

// Election.

/// [`Mutant::HistoryNotCompared`], [`Mutant::VoteIgnoresZxid`], [`Mutant::VoteIgnoresEpoch`]: whether a vote beats
/// another one, without what tells the histories apart.
pub(super) fn beats(mine: (Epoch, Zxid, ServerId), its: (Epoch, Zxid, ServerId)) -> Option<bool> {
    let ((my_epoch, my_zxid, my_leader), (its_epoch, its_zxid, its_leader)) = (mine, its);
    if on(Mutant::HistoryNotCompared) {
        return Some(my_leader > its_leader);
    }
    if on(Mutant::VoteIgnoresZxid) {
        return Some((my_epoch, my_leader) > (its_epoch, its_leader));
    }
    on(Mutant::VoteIgnoresEpoch).then(|| (my_zxid, my_leader) > (its_zxid, its_leader))
}

/// [`Mutant::HigherRoundIgnored`]: a vote of another round is dropped, of a later one, too.
pub(super) fn ignores_round(round: i64, mine: i64) -> bool {
    round > mine && on(Mutant::HigherRoundIgnored)
}

/// [`Mutant::LookingVoterUnanswered`].
pub(super) fn leaves_unanswered() -> bool {
    on(Mutant::LookingVoterUnanswered)
}

/// [`Mutant::VoteKeepsOldEpoch`]: a follower goes on telling the epoch that it was elected with.
pub(super) fn epoch_told(elected_with: Epoch) -> Option<Epoch> {
    on(Mutant::VoteKeepsOldEpoch).then_some(elected_with)
}

/// [`Mutant::TailNotReplayed`].
pub(super) fn keeps_the_tail_back() -> bool {
    on(Mutant::TailNotReplayed)
}

// Discovery and epochs.

/// [`Mutant::HistoryNotCompared`]: an elector with a longer history is taken.
pub(super) fn leads_a_longer_history() -> bool {
    on(Mutant::HistoryNotCompared)
}

/// [`Mutant::PromiseBeforeFsync`].
pub(super) fn promises_before_fsync() -> bool {
    on(Mutant::PromiseBeforeFsync)
}

/// [`Mutant::StaleEpochAccepted`], of the learner.
pub(super) fn follows_a_stale_epoch() -> bool {
    on(Mutant::StaleEpochAccepted)
}

/// [`Mutant::OutbidLeaderStays`]; [`Mutant::StaleEpochAccepted`], of the leader.
pub(super) fn stays_although_outbid() -> bool {
    on(Mutant::OutbidLeaderStays) || on(Mutant::StaleEpochAccepted)
}

/// [`Mutant::NewleaderAckedBeforeSync`], [`Mutant::CurrentEpochBeforeSync`]: the epoch is written, and does not wait
/// for its initial history.
pub(super) fn dates_before_sync() -> bool {
    on(Mutant::NewleaderAckedBeforeSync) || on(Mutant::CurrentEpochBeforeSync)
}

/// [`Mutant::NewleaderAckedBeforeSync`]: the ack waits for the epoch neither.
pub(super) fn acks_undated() -> bool {
    on(Mutant::NewleaderAckedBeforeSync)
}

/// [`Mutant::LeadsBeforeQuorumSynced`].
pub(super) fn leads_before_quorum() -> bool {
    on(Mutant::LeadsBeforeQuorumSynced)
}

/// [`Mutant::ExhaustedEpochKept`].
pub(super) fn stays_although_exhausted() -> bool {
    on(Mutant::ExhaustedEpochKept)
}

// Sync.

/// [`Mutant::DiffAcrossHole`]: any later transaction may follow in the log.
pub(super) fn follows(last: Zxid, next: Zxid) -> bool {
    on(Mutant::DiffAcrossHole) && next > last
}

/// [`Mutant::DiffKeepsForeignTail`], [`Mutant::DiffAcrossHole`]: a learner gets a DIFF although its last transaction
/// is not among those held here, of which `oldest` is the first.
pub(super) fn sends_diff(peer: Zxid, oldest: Zxid) -> bool {
    (peer >= oldest && on(Mutant::DiffKeepsForeignTail))
        || (Zxid::ZERO <= peer && peer < oldest && on(Mutant::DiffAcrossHole))
}

/// [`Mutant::TruncKeepsOneMore`]: where a learner is told to cut.
pub(super) fn cut_told(to: Zxid) -> Option<Zxid> {
    on(Mutant::TruncKeepsOneMore).then(|| Zxid(to.0 + 1))
}

/// [`Mutant::SnapshotNamedAhead`]: the name of a snapshot for a learner.
pub(super) fn snapshot_name(logged: Zxid, processed: Zxid) -> Option<Zxid> {
    on(Mutant::SnapshotNamedAhead).then(|| logged.max(processed))
}

/// [`Mutant::CommitLostBehindGate`]: what a learner behind its gate is thought to know as committed.
pub(super) fn committed_at(proposed: Zxid, committed: Zxid) -> Option<Zxid> {
    on(Mutant::CommitLostBehindGate).then(|| proposed.max(committed))
}

// Broadcast and commit.

/// [`Mutant::AckBeforeFsync`]: how far a follower acknowledges.
pub(super) fn acknowledgeable(logged: Zxid) -> Option<Zxid> {
    on(Mutant::AckBeforeFsync).then_some(logged)
}

/// [`Mutant::LeaderCountsItselfBeforeFsync`]: how far the leader counts among those that have it.
pub(super) fn own_ack(logged: Zxid) -> Option<Zxid> {
    on(Mutant::LeaderCountsItselfBeforeFsync).then_some(logged)
}

/// [`Mutant::DeliveredBeforeCommit`]: how far the log is delivered.
pub(super) fn deliverable(durable: Zxid) -> Option<Zxid> {
    on(Mutant::DeliveredBeforeCommit).then_some(durable)
}

/// [`Mutant::ObserversKeepTheLeader`]: whether an observer was heard of lately.
pub(super) fn is_followed(links: &BTreeMap<ConnId, Link>, now_ms: u64) -> bool {
    on(Mutant::ObserversKeepTheLeader)
        && links.values().any(|link| link.observer && link.synced_by_ms > now_ms)
}

/// [`Mutant::UnfollowedLeaderStays`].
pub(super) fn stays_unfollowed() -> bool {
    on(Mutant::UnfollowedLeaderStays)
}

/// [`Mutant::CommitNamesOnlyTheLast`]: a COMMIT of all up to `upto` stands for this one.
pub(super) fn leaves_commit_out(zxid: Zxid, upto: Zxid) -> bool {
    zxid < upto && on(Mutant::CommitNamesOnlyTheLast)
}

/// [`Mutant::SyncAnsweredBeforeDelivery`]: the transaction that the answer to SYNC waits for.
pub(super) fn answered_after() -> Option<Zxid> {
    on(Mutant::SyncAnsweredBeforeDelivery).then_some(Zxid::ZERO)
}

/// [`Mutant::SyncByDeposedLeader`]: the round that proves that this server leads is one of the past.
pub(super) fn confirm(confirmed: u64) -> Option<u64> {
    on(Mutant::SyncByDeposedLeader).then_some(confirmed)
}
