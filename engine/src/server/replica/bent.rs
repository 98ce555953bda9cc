//! The rules of this room as a careless engineer would have written them, for the simulator to find
//! (`crate::server::mutants` says what each breaks). Without the feature `mutants` none of them answers, and the
//! compiler leaves nothing of them.

use bytes::Bytes;

use super::sessions::Standing;
use crate::server::mutants::{Mutant, on};
use crate::server::tree::{AclList, Change, ChangeKind, Txn, TxnBody};

/// Whether a request is answered now although others stand before it.
pub(super) fn is_turn() -> Option<bool> {
    on(Mutant::ReadOvertakesWrite).then_some(true)
}

/// What a firing uses up, of (one-shot, persistent).
pub(super) fn used_up(one_shot: u8, persistent: u8) -> Option<u8> {
    match () {
        () if on(Mutant::WatchNotUsedUp) => Some(0),
        () if on(Mutant::PersistentWatchUsedUp) => Some(one_shot | persistent),
        () => None,
    }
}

/// Whether a node's data changed while its watcher was away.
pub(super) fn is_missed() -> Option<bool> {
    on(Mutant::MissedChangeUntold).then_some(false)
}

/// Whether a client has seen more than this server knows.
pub(super) fn is_ahead() -> Option<bool> {
    on(Mutant::ClientAheadTaken).then_some(false)
}

/// How a session stands that may not write.
pub(super) fn standing(found: Standing) -> Option<Standing> {
    match found {
        Standing::Closing if on(Mutant::ClosingSessionWrites) => Some(Standing::Good),
        Standing::Moved if on(Mutant::MovedSessionWrites) => Some(Standing::Good),
        _ => None,
    }
}

/// Whether a learner answers a sync by itself.
pub(super) fn sync_stays_here() -> bool {
    on(Mutant::SyncAnsweredLocally)
}

/// Whether a learner's word about its sessions is dropped.
pub(super) fn touches_are_ignored() -> bool {
    on(Mutant::FollowerTouchesIgnored)
}

/// The change that watchers are told of although it is only proposed.
pub(super) fn told_when_proposed(txn: &Bytes) -> Option<Change> {
    if !on(Mutant::WatchBeforeCommit) {
        return None;
    }
    let Ok(Txn { body: TxnBody::SetData { path, .. }, .. }) = Txn::decode(txn.clone()) else { return None };
    Some(Change { kind: ChangeKind::DataChanged, path, acl: AclList::Open, parent_acl: AclList::Open })
}

/// Whether a write is answered before its watches fire.
pub(super) fn answers_first() -> bool {
    on(Mutant::ReplyBeforeWatch)
}

/// Whether nobody is told of what this transaction changes.
pub(super) fn tells_nobody(txn: &Txn) -> bool {
    matches!(txn.body, TxnBody::CloseSession { .. }) && on(Mutant::SessionEndFiresNoWatch)
}

/// Whether clients stay when their server does not serve any more.
pub(super) fn keeps_clients() -> bool {
    on(Mutant::ClientsKeptWhileLooking)
}

/// Whether a client that does not read is answered all the same.
pub(super) fn answers_the_deaf() -> bool {
    on(Mutant::UnreadAnsweredOn)
}

/// Whether answers gather in one batch without end.
pub(super) fn has_endless_batches() -> bool {
    on(Mutant::BatchAnswersWithoutEnd)
}

/// Whether one client's turn lasts as long as it likes.
pub(super) fn has_endless_turns() -> bool {
    on(Mutant::TurnWithoutEnd)
}

/// Whether any number of frames wait for their session.
pub(super) fn keeps_every_early_frame() -> bool {
    on(Mutant::EarlyFramesWithoutEnd)
}

/// Whether anybody may be everybody.
pub(super) fn welcomes_crowds() -> bool {
    on(Mutant::CrowdAccepted)
}

/// Whether one answer may be of any length.
pub(super) fn reads_without_end() -> bool {
    on(Mutant::MultiReadWithoutEnd)
}

/// Whether a closed connection is remembered.
pub(super) fn remembers_the_gone() -> bool {
    on(Mutant::GoneClientRemembered)
}

/// The requests that are taken from the count when a connection is closed.
pub(super) fn forgotten(requests: usize) -> usize {
    if on(Mutant::GoneRequestsCounted) { 0 } else { requests }
}

/// Whether the tree stays as it was when the log is cut.
pub(super) fn keeps_tree() -> bool {
    on(Mutant::TreeKeptAfterTrunc)
}

/// Whether the tree holds only what is decided.
pub(super) fn is_settled() -> Option<bool> {
    on(Mutant::TaintedSnapshotPublished).then_some(true)
}
