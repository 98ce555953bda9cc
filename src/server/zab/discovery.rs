//! Leading: agreement on the epoch (quorum-protocol §2.3). A candidate learns which epochs are
//! taken, promises the next one to itself durably, and collects promises from a quorum whose
//! histories are not longer than its own.

use super::leader::{Leader, Stage};
use super::learner_link;
use super::wire::{self, Kind, LearnerInfo, PROTOCOL_VERSION};
use super::{ConnId, Packet, Turn, bent};
use crate::wire::ids::{Epoch, Zxid};

impl Leader {
    /// FOLLOWERINFO or OBSERVERINFO.
    pub(super) fn introduce(&mut self, t: &mut Turn, conn: ConnId, packet: &Packet) {
        let accepted = packet.zxid.epoch();
        let Some(Ok(info)) = packet.data.as_ref().map(LearnerInfo::decode) else {
            return self.cut(t, conn, "introduced itself unreadably");
        };
        if info.protocol_version < PROTOCOL_VERSION {
            return self.cut(t, conn, "speaks a protocol older than 3.4");
        }
        if info.config_version > t.core.config.membership.version() {
            return self.cut(t, conn, "has a newer config than this leader");
        }
        if info.sid == t.core.config.me {
            return self.cut(t, conn, "uses the id of this leader: two servers have the same myid");
        }
        // Nobody can follow beyond the last epoch that a zxid can hold.
        if accepted.0 < 0 || accepted.0 >= i64::from(i32::MAX) {
            return self.cut(t, conn, "has accepted an impossible epoch");
        }
        // The older connection of the same server is dead, or will be: its acks must not count
        // beside those of the new one.
        let older: Vec<ConnId> =
            self.links.values().filter(|l| l.sid == Some(info.sid)).map(|l| l.conn).collect();
        for old in older {
            self.cut(t, old, "has connected anew");
        }
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.sid = Some(info.sid);
        link.observer = packet.kind == Kind::OBSERVERINFO;
        link.stage = learner_link::Stage::Introduced;
        let elector = !link.observer && t.core.config.membership.is_voter(info.sid);
        t.core.epoch_floor = t.core.epoch_floor.max(accepted);
        match self.stage {
            Stage::Gathering => {
                self.epoch = self.epoch.max(Epoch(accepted.0 + 1));
                if elector {
                    self.heard.insert(info.sid);
                }
            }
            Stage::Accepting => {}
            // The reference leaves such a voter outside until the next election (§2.3 notes); a
            // short election now is better than a lost redundancy that nobody notices.
            Stage::Serving if elector && accepted > self.epoch && !bent::stays_although_outbid() => {
                self.outbid_by = Some(info.sid);
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
        let last = packet.zxid;
        if last < Zxid::NONE || last.epoch() > self.epoch {
            return self.cut(t, conn, &format!("claims the impossible zxid {last}"));
        }
        let electing = self.stage == Stage::Electing;
        // An epoch of −1 repeats an earlier promise, perhaps one given to another candidate of the
        // same number: it must not elect this one. A server that lost its data must not either.
        if electing && current != Epoch(-1) {
            if (current, last) > self.summary && !bent::leads_a_longer_history() {
                return self.cut(t, conn, "has a longer history than this candidate");
            }
            if last != Zxid::NONE {
                self.note_promise(t, conn);
            }
        }
        if last == Zxid::NONE && self.stage != Stage::Serving {
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
