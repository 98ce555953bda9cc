//! This room's rules as a careless engineer would have written them: the [mutants](crate::server::mutants) of
//! agreement. A rule asks here on one line of its own; what each mistake breaks, and the schedule that shows it,
//! stands in the catalogue.
//!
//! `Some`, or `true`, while the mistake is chosen. Without the cargo feature `mutants` every answer is the constant
//! `None` or `false`, inlined always, and the line in the rule is gone. It imports no file that asks it.

use std::collections::BTreeMap;

use super::ConnId;
use super::learner_link::{Link, Stage};
use crate::ensemble::Membership;
use crate::server::mutants::{Mutant, on};
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// [`Mutant::QuorumOffByOne`]: one voter fewer is enough.
#[inline(always)]
pub(super) fn is_quorum(membership: &Membership, has: impl Fn(ServerId) -> bool) -> Option<bool> {
    on(Mutant::QuorumOffByOne).then(|| {
        let having = membership.voters().filter(|voter| has(*voter)).count();
        having + 1 > membership.voters().count() / 2
    })
}

// Election.

/// [`Mutant::HistoryNotCompared`], [`Mutant::VoteIgnoresZxid`], [`Mutant::VoteIgnoresEpoch`]: whether a vote beats
/// another one, without what tells the histories apart.
#[inline(always)]
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
#[inline(always)]
pub(super) fn ignores_round(round: i64, mine: i64) -> bool {
    round > mine && on(Mutant::HigherRoundIgnored)
}

/// [`Mutant::LookingVoterUnanswered`].
#[inline(always)]
pub(super) fn leaves_unanswered() -> bool {
    on(Mutant::LookingVoterUnanswered)
}

/// [`Mutant::VoteKeepsOldEpoch`]: a follower goes on telling the epoch that it was elected with.
#[inline(always)]
pub(super) fn epoch_told(elected_with: Epoch) -> Option<Epoch> {
    on(Mutant::VoteKeepsOldEpoch).then_some(elected_with)
}

/// [`Mutant::TailNotReplayed`].
#[inline(always)]
pub(super) fn keeps_the_tail_back() -> bool {
    on(Mutant::TailNotReplayed)
}

// Strangers.

/// [`Mutant::StrangerAdmitted`].
#[inline(always)]
pub(super) fn admits_strangers() -> bool {
    on(Mutant::StrangerAdmitted)
}

/// [`Mutant::ClaimReplacesLivingLink`].
#[inline(always)]
pub(super) fn takes_a_living_link_for_dead() -> bool {
    on(Mutant::ClaimReplacesLivingLink)
}

/// [`Mutant::ParkedClaimSpeaks`]: the connection for which one that waits is taken.
#[inline(always)]
pub(super) fn speaker(links: &BTreeMap<ConnId, Link>, conn: ConnId) -> Option<ConnId> {
    let Stage::Parked(claim) = links.get(&conn)?.stage else { return None };
    let holder = links.values().find(|link| link.sid == Some(claim.sid))?.conn;
    on(Mutant::ParkedClaimSpeaks).then_some(holder)
}

/// [`Mutant::ParkedClaimOutbids`].
#[inline(always)]
pub(super) fn believes_who_waits() -> bool {
    on(Mutant::ParkedClaimOutbids)
}

/// [`Mutant::ParkedClaimsWithoutEnd`].
#[inline(always)]
pub(super) fn lets_all_wait() -> bool {
    on(Mutant::ParkedClaimsWithoutEnd)
}

/// [`Mutant::SilentCallersWithoutEnd`].
#[inline(always)]
pub(super) fn keeps_all_silent() -> bool {
    on(Mutant::SilentCallersWithoutEnd)
}

/// [`Mutant::SilentCallerStays`].
#[inline(always)]
pub(super) fn has_no_deadline() -> bool {
    on(Mutant::SilentCallerStays)
}

/// [`Mutant::ObserverRaisesEpoch`].
#[inline(always)]
pub(super) fn takes_for_elector() -> bool {
    on(Mutant::ObserverRaisesEpoch)
}

/// [`Mutant::ImpossibleEpochBelieved`].
#[inline(always)]
pub(super) fn believes_any_epoch() -> bool {
    on(Mutant::ImpossibleEpochBelieved)
}

/// [`Mutant::YieldsWithoutPause`].
#[inline(always)]
pub(super) fn yields_every_time() -> bool {
    on(Mutant::YieldsWithoutPause)
}

/// [`Mutant::ImpossibleRoundBelieved`].
#[inline(always)]
pub(super) fn believes_any_round() -> bool {
    on(Mutant::ImpossibleRoundBelieved)
}

/// [`Mutant::HelloAddressDialled`].
#[inline(always)]
pub(super) fn dials_where_told() -> bool {
    on(Mutant::HelloAddressDialled)
}

/// [`Mutant::ElectionStrangersWithoutEnd`].
#[inline(always)]
pub(super) fn keeps_all_strangers() -> bool {
    on(Mutant::ElectionStrangersWithoutEnd)
}

// Other lists of voters.

/// [`Mutant::ReconfigurationLogged`].
#[inline(always)]
pub(super) fn logs_reconfigurations() -> bool {
    on(Mutant::ReconfigurationLogged)
}

/// [`Mutant::ForeignSnapshotInstalled`].
#[inline(always)]
pub(super) fn installs_foreign_snapshots() -> bool {
    on(Mutant::ForeignSnapshotInstalled)
}

/// [`Mutant::ForeignLeaderAcknowledged`].
#[inline(always)]
pub(super) fn follows_foreign_leaders() -> bool {
    on(Mutant::ForeignLeaderAcknowledged)
}

/// [`Mutant::ForeignVotesCounted`].
#[inline(always)]
pub(super) fn counts_foreign_votes() -> bool {
    on(Mutant::ForeignVotesCounted)
}

// Discovery and epochs.

/// [`Mutant::HistoryNotCompared`]: an elector with a longer history is taken.
#[inline(always)]
pub(super) fn leads_a_longer_history() -> bool {
    on(Mutant::HistoryNotCompared)
}

/// [`Mutant::PromiseBeforeFsync`].
#[inline(always)]
pub(super) fn promises_before_fsync() -> bool {
    on(Mutant::PromiseBeforeFsync)
}

/// [`Mutant::StaleEpochAccepted`], of the learner.
#[inline(always)]
pub(super) fn follows_a_stale_epoch() -> bool {
    on(Mutant::StaleEpochAccepted)
}

/// [`Mutant::OutbidLeaderStays`]; [`Mutant::StaleEpochAccepted`], of the leader.
#[inline(always)]
pub(super) fn stays_although_outbid() -> bool {
    on(Mutant::OutbidLeaderStays) || on(Mutant::StaleEpochAccepted)
}

/// [`Mutant::NewleaderAckedBeforeSync`], [`Mutant::CurrentEpochBeforeSync`]: the epoch is written, and does not wait
/// for its initial history.
#[inline(always)]
pub(super) fn dates_before_sync() -> bool {
    on(Mutant::NewleaderAckedBeforeSync) || on(Mutant::CurrentEpochBeforeSync)
}

/// [`Mutant::NewleaderAckedBeforeSync`]: the ack waits for the epoch neither.
#[inline(always)]
pub(super) fn acks_undated() -> bool {
    on(Mutant::NewleaderAckedBeforeSync)
}

/// [`Mutant::LeadsBeforeQuorumSynced`].
#[inline(always)]
pub(super) fn leads_before_quorum() -> bool {
    on(Mutant::LeadsBeforeQuorumSynced)
}

/// [`Mutant::ExhaustedEpochKept`].
#[inline(always)]
pub(super) fn stays_although_exhausted() -> bool {
    on(Mutant::ExhaustedEpochKept)
}

// Sync.

/// [`Mutant::DiffAcrossHole`]: any later transaction may follow in the log.
#[inline(always)]
pub(super) fn follows(last: Zxid, next: Zxid) -> bool {
    on(Mutant::DiffAcrossHole) && next > last
}

/// [`Mutant::DiffKeepsForeignTail`], [`Mutant::DiffAcrossHole`]: a learner gets a DIFF although its last transaction
/// is not among those held here, of which `oldest` is the first.
#[inline(always)]
pub(super) fn sends_diff(peer: Zxid, oldest: Zxid) -> bool {
    (peer >= oldest && on(Mutant::DiffKeepsForeignTail))
        || (Zxid::ZERO <= peer && peer < oldest && on(Mutant::DiffAcrossHole))
}

/// [`Mutant::TruncKeepsOneMore`]: where a learner is told to cut.
#[inline(always)]
pub(super) fn cut_told(to: Zxid) -> Option<Zxid> {
    on(Mutant::TruncKeepsOneMore).then(|| Zxid(to.0 + 1))
}

/// [`Mutant::SnapshotNamedAhead`]: the name of a snapshot for a learner.
#[inline(always)]
pub(super) fn snapshot_name(logged: Zxid, processed: Zxid) -> Option<Zxid> {
    on(Mutant::SnapshotNamedAhead).then(|| logged.max(processed))
}

/// [`Mutant::CommitLostBehindGate`]: what a learner behind its gate is thought to know as committed.
#[inline(always)]
pub(super) fn committed_at(proposed: Zxid, committed: Zxid) -> Option<Zxid> {
    on(Mutant::CommitLostBehindGate).then(|| proposed.max(committed))
}

// Broadcast and commit.

/// [`Mutant::AckBeforeFsync`]: how far a follower acknowledges.
#[inline(always)]
pub(super) fn acknowledgeable(logged: Zxid) -> Option<Zxid> {
    on(Mutant::AckBeforeFsync).then_some(logged)
}

/// [`Mutant::LeaderCountsItselfBeforeFsync`]: how far the leader counts among those that have it.
#[inline(always)]
pub(super) fn own_ack(logged: Zxid) -> Option<Zxid> {
    on(Mutant::LeaderCountsItselfBeforeFsync).then_some(logged)
}

/// [`Mutant::DeliveredBeforeCommit`]: how far the log is delivered.
#[inline(always)]
pub(super) fn deliverable(durable: Zxid) -> Option<Zxid> {
    on(Mutant::DeliveredBeforeCommit).then_some(durable)
}

/// [`Mutant::ObserversKeepTheLeader`]: whether an observer was heard of lately.
#[inline(always)]
pub(super) fn is_followed(links: &BTreeMap<ConnId, Link>, now_ms: u64) -> bool {
    on(Mutant::ObserversKeepTheLeader)
        && links.values().any(|link| link.observer && link.synced_by_ms > now_ms)
}

/// [`Mutant::UnfollowedLeaderStays`].
#[inline(always)]
pub(super) fn stays_unfollowed() -> bool {
    on(Mutant::UnfollowedLeaderStays)
}

/// [`Mutant::CommitNamesOnlyTheLast`]: a COMMIT of all up to `upto` stands for this one.
#[inline(always)]
pub(super) fn leaves_commit_out(zxid: Zxid, upto: Zxid) -> bool {
    zxid < upto && on(Mutant::CommitNamesOnlyTheLast)
}

/// [`Mutant::SyncAnsweredBeforeDelivery`]: the transaction that the answer to SYNC waits for.
#[inline(always)]
pub(super) fn answered_after() -> Option<Zxid> {
    on(Mutant::SyncAnsweredBeforeDelivery).then_some(Zxid::ZERO)
}

/// [`Mutant::SyncByDeposedLeader`]: the round that proves that this server leads is one of the past.
#[inline(always)]
pub(super) fn confirm(confirmed: u64) -> Option<u64> {
    on(Mutant::SyncByDeposedLeader).then_some(confirmed)
}
