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

/// Rounds of asking, one at a time: questions that come while one is under way share the next.
#[derive(Debug, Default)]
pub(super) struct Confirmation {
    /// The round begun last, the last one wanted, and the last one that a quorum has answered.
    begun: u64,
    wanted: u64,
    confirmed: u64,
}

/// The PINGs of one link, counted from UPTODATE on.
#[derive(Debug, Default)]
pub(super) struct Pings {
    sent: u64,
    answered: u64,
    /// As many answers prove that it followed after the present round had begun.
    proof: u64,
}

impl Pings {
    /// A PING has come back. One that was never sent counts for nothing.
    pub(super) fn note_answered(&mut self) {
        self.answered = (self.answered + 1).min(self.sent);
    }

    fn begin_round(&mut self) {
        self.proof = self.sent + 1;
    }

    fn is_proof(&self) -> bool {
        self.answered >= self.proof.max(1)
    }
}

impl Leader {
    /// The number of a round that proves, once it is confirmed, that this server led at the time of this call.
    pub(super) fn confirm(&mut self, t: &mut Turn) -> u64 {
        let rounds = &mut self.confirmation;
        if let Some(round) = bent::confirm(rounds.confirmed) {
            return round;
        }
        rounds.wanted = rounds.begun + 1;
        let wanted = rounds.wanted;
        self.confirm_next(t);
        wanted
    }

    /// After an answer to PING: a quorum may be complete.
    pub(super) fn confirm_next(&mut self, t: &mut Turn) {
        loop {
            let rounds = &self.confirmation;
            if rounds.confirmed < rounds.begun {
                if !self.has_proof(t) {
                    return;
                }
                self.confirmation.confirmed = self.confirmation.begun;
                t.out.push(Output::LeadershipConfirmed { round: self.confirmation.confirmed });
            } else if rounds.begun < rounds.wanted {
                self.confirmation.begun += 1;
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
                link.pings.sent += 1;
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
