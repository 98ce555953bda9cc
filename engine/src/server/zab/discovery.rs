//! Leading: agreement on the epoch (quorum-protocol §2.3). A candidate learns which epochs are
//! taken, promises the next one to itself durably, and collects promises from a quorum whose
//! histories are not longer than its own.

use super::leader::{Leader, Stage};
use super::learner_link::{self, Claim};
use super::wire;
use super::{ConnId, Packet, Turn, bent};
use crate::wire::ids::{Epoch, Zxid};

impl Leader {
    /// A learner is let in. What an observer or a server outside the config has accepted raises no epoch: anybody can
    /// say that of himself, and nobody needs their promise.
    pub(super) fn seat(&mut self, t: &mut Turn, conn: ConnId, claim: Claim) {
        let Claim { sid, observer, accepted } = claim;
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.sid = Some(sid);
        link.observer = observer;
        link.stage = learner_link::Stage::Introduced;
        link.touch(t.now_ms, &t.core.config);
        let elector = counts(observer) && t.core.config.membership.is_voter(sid);
        if elector {
            t.core.epoch_floor = t.core.epoch_floor.max(accepted);
        }
        match self.stage {
            Stage::Gathering if elector => {
                self.epoch = self.epoch.max(Epoch(accepted.0 + 1));
                self.heard.insert(sid);
            }
            Stage::Gathering | Stage::Accepting => {}
            // The reference leaves such a voter outside until the next election (§2.3 notes); a
            // short election now is better than a lost redundancy that nobody notices.
            Stage::Serving if elector && accepted > self.epoch && !bent::stays_although_outbid() => {
                self.yield_to(t, conn, sid);
            }
            Stage::Electing | Stage::Syncing | Stage::Serving => self.inform(t, conn),
        }
    }

    /// A quorum is heard: the epoch is fixed, and accepted durably before anybody is told (I1).
    pub(super) fn take_epoch(&mut self, t: &mut Turn) {
        self.stage = Stage::Accepting;
        t.core.ledger.write_accepted(self.epoch, t.out);
    }

    /// The epoch is accepted here: LEADERINFO to all who wait.
    pub(super) fn announce(&mut self, t: &mut Turn) {
        self.stage = Stage::Electing;
        self.give_up_ms = t.now_ms + t.core.config.init_ms();
        self.promised.insert(t.core.config.me);
        for conn in self.conns() {
            if self.links[&conn].stage == learner_link::Stage::Introduced {
                self.inform(t, conn);
            }
        }
    }

    /// ACKEPOCH.
    pub(super) fn promise(&mut self, t: &mut Turn, conn: ConnId, packet: &Packet) {
        let Some(current) = wire::int_of(packet).map(|epoch| Epoch(epoch.into())) else {
            return self.cut(t, conn, "promised unreadably");
        };
        // Not the same where a server that is whole must have a snapshot.
        let (last, has) = (packet.zxid, wire::history_end(packet));
        if has < Zxid::NONE || has.epoch() > self.epoch {
            return self.cut(t, conn, &format!("claims the impossible zxid {has}"));
        }
        let electing = self.stage == Stage::Electing;
        // An epoch of −1 repeats an earlier promise, perhaps one given to another candidate of the
        // same number: it must not elect this one. A server that lost its data must not either.
        if electing && current != Epoch(-1) {
            if (current, has) > self.summary && !bent::leads_a_longer_history() {
                return self.cut(t, conn, "has a longer history than this candidate");
            }
            if has != Zxid::NONE {
                self.note_promise(t, conn);
            }
        }
        if has == Zxid::NONE && self.stage != Stage::Serving {
            self.disregard(conn);
        }
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.stage = learner_link::Stage::Promised { last };
        if !electing {
            self.sync(t, conn, last);
        }
    }

    /// A quorum has promised: this epoch is ours, and nobody of that quorum takes anything from an
    /// older leader any more. The current epoch is written beside the first syncs (§2.3 step 5).
    pub(super) fn begin_sync(&mut self, t: &mut Turn) {
        self.stage = Stage::Syncing;
        self.give_up_ms = t.now_ms + t.core.config.init_ms();
        t.core.ledger.write_current(self.epoch, t.out);
        for conn in self.conns() {
            if let learner_link::Stage::Promised { last } = self.links[&conn].stage {
                self.sync(t, conn, last);
            }
        }
    }

    /// A server that lost its data does not help to establish this leader, neither now nor by what it said before
    /// it lost it: whoever needs it for the quorum cannot know what was acknowledged.
    fn disregard(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.forgetful = true;
        if let Some(sid) = link.sid {
            self.promised.remove(&sid);
            self.synced.remove(&sid);
        }
    }

    fn note_promise(&mut self, t: &Turn, conn: ConnId) {
        let link = &self.links[&conn];
        if let Some(sid) = link.sid.filter(|sid| !link.observer && t.core.config.membership.is_voter(*sid)) {
            self.promised.insert(sid);
        }
    }

    fn inform(&mut self, t: &mut Turn, conn: ConnId) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.stage = learner_link::Stage::Informed;
            link.send(&wire::leader_info(self.epoch), t.out);
        }
    }
}

/// Whether the epoch that it has accepted is heard of who is an observer, or not.
fn counts(observer: bool) -> bool {
    !observer || bent::takes_for_elector()
}
