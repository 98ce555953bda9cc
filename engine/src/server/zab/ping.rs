//! Leading: the clock (quorum-protocol §2.8). Pings every half tick, read timeouts, slow ackers,
//! and once per tick the question whether a quorum still follows.

use super::leader::{Leader, Stage, ping_pause_ms};
use super::learner_link;
use super::{ConnId, Core, Next, Turn, bent};

impl Leader {
    pub(super) fn timers(&mut self, t: &mut Turn) -> Next {
        if self.give_up_ms <= t.now_ms {
            let what = match self.stage {
                Stage::Gathering => "said which epoch it accepts",
                Stage::Accepting | Stage::Electing => "promised to follow",
                Stage::Syncing | Stage::Serving => "synced",
            };
            return Next::Leave(format!("no quorum of servers {what} within the init limit"));
        }
        let silent: Vec<ConnId> =
            self.links.values().filter(|link| link.read_by_ms <= t.now_ms).map(|link| link.conn).collect();
        for conn in silent {
            self.cut(t, conn, "was silent for too long");
        }
        if self.unpark(t) {
            let next = self.advance(t);
            if !matches!(next, Next::Stay) {
                return next;
            }
        }
        if self.next_ping_ms > t.now_ms {
            return Next::Stay;
        }
        self.next_ping_ms = t.now_ms + ping_pause_ms(t.core);
        self.full_tick = !self.full_tick;
        self.ping(t);
        if self.stage == Stage::Serving {
            if !self.full_tick && !self.is_followed(t) && !bent::stays_unfollowed() {
                return Next::Leave(format!("a quorum no longer follows: nothing from {}", self.missed(t)));
            }
        } else if self.is_followed(t) {
            self.lonely_since_ms = t.now_ms;
        } else if self.lonely_since_ms + LONELY_TICKS_MAX * t.core.config.tick_ms <= t.now_ms {
            return Next::Leave(format!(
                "no quorum of servers is connected: nothing from {}",
                self.missed(t)
            ));
        }
        Next::Stay
    }

    pub(super) fn deadline_ms(&self, core: &Core) -> u64 {
        let reads = self.links.values().map(|link| link.read_by_ms);
        reads.chain([self.give_up_ms, self.next_ping_ms, self.unpark_ms(core)]).min().unwrap_or(u64::MAX)
    }

    fn ping(&mut self, t: &mut Turn) {
        let limit_ms = t.core.config.sync_ms();
        let slow: Vec<ConnId> = self
            .links
            .values()
            .filter(|link| link.is_slow(t.now_ms, limit_ms))
            .map(|link| link.conn)
            .collect();
        for conn in slow {
            self.cut(t, conn, "does not acknowledge proposals in time");
        }
        // From NEWLEADER on: a learner that waits there for the quorum must not time out.
        self.send_pings(t, |link| link.is_gated() || link.stage == learner_link::Stage::Live);
    }

    /// The voters that were not heard of lately: "the servers 1, 3".
    fn missed(&self, t: &Turn) -> String {
        let alive = |sid| self.links.values().any(|link| link.is_voter(sid) && link.synced_by_ms > t.now_ms);
        let voters = t.core.config.membership.in_force().voters();
        let missed: Vec<String> = voters
            .filter(|sid| *sid != t.core.config.me && !alive(*sid))
            .map(|sid| sid.to_string())
            .collect();
        format!("the servers {}", missed.join(", "))
    }

    /// Whether this server and the learners heard of lately are a quorum.
    fn is_followed(&self, t: &Turn) -> bool {
        let config = &t.core.config;
        let followed = config.is_quorum(|sid| {
            let alive = |link: &learner_link::Link| link.is_voter(sid) && link.synced_by_ms > t.now_ms;
            sid == config.me || self.links.values().any(alive)
        });
        followed || bent::is_followed(&self.links, t.now_ms)
    }
}

/// A candidate without enough connected voters gives up after this many ticks: the whole init
/// limit would be waited for servers that have died since they voted.
const LONELY_TICKS_MAX: u64 = 2;
