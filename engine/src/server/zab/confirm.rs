//! Leading: proof that this server still leads. A leader that was frozen or cut off may have been replaced
//! without knowing; what it would say of "now" is then of the past.
//!
//! The reference answers SYNC without asking anybody (quorum-protocol §2.9 "no quorum round trip is made"), so its
//! `sync` may miss acknowledged writes. Here a quorum must have answered a PING that was sent after the question
//! came: whoever answers still follows, so no later leader had a quorum, let alone a commit, when the question
//! came. Every learner of any version answers each PING once and in order, as soon as it was told UPTODATE (§2.5), so
//! counting is enough.

use super::leader::Leader;
use super::learner_link::{Link, Stage};
use super::wire::{Kind, Packet};
use super::{Output, Turn, bent};

impl Leader {
    /// The number of a round that proves, once it is confirmed, that this server led at the time of this call.
    pub(super) fn confirm(&mut self, t: &mut Turn) -> u64 {
        if let Some(round) = bent::confirm(self.rounds.confirmed()) {
            return round;
        }
        let wanted = self.rounds.want();
        self.confirm_next(t);
        wanted
    }

    /// After an answer to PING: a quorum may be complete.
    pub(super) fn confirm_next(&mut self, t: &mut Turn) {
        loop {
            if self.rounds.is_under_way() {
                if !self.has_proof(t) {
                    return;
                }
                t.out.push(Output::LeadershipConfirmed { round: self.rounds.end() });
            } else if self.rounds.begin() {
                self.links.values_mut().for_each(|link| link.pings.begin_round());
                self.send_pings(t, |link| link.stage == Stage::Live && !link.observer);
            } else {
                return;
            }
        }
    }

    pub(super) fn send_pings(&mut self, t: &mut Turn, to: impl Fn(&Link) -> bool) {
        let zxid = self.last_proposed.max(self.epoch.start());
        let bytes = Packet::new(Kind::PING, zxid).encode();
        for link in self.links.values_mut().filter(|link| to(link)) {
            if link.stage == Stage::Live {
                link.pings.note_sent();
            }
            t.out.push(Output::Send { conn: link.conn, bytes: bytes.clone() });
        }
    }

    fn has_proof(&self, t: &Turn) -> bool {
        let config = &t.core.config;
        config.is_quorum(|sid| {
            let follows = |link: &Link| link.is_voter(sid) && link.pings.is_proof();
            sid == config.me || self.links.values().any(follows)
        })
    }
}
