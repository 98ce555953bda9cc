//! Leading: who may come in at the quorum port, and whose word about epochs counts (quorum-protocol §2.3, §2.14).
//!
//! Identity is not judged by address: the firewall's work, and later TLS's (docs/security.md). What becomes of who
//! was let in is told in `discovery`.

use super::leader::Leader;
use super::learner_link::{self, Claim, Link};
use super::wire::{Kind, LearnerInfo, PROTOCOL_VERSION};
use super::{ConnId, Core, Next, Output, Packet, Turn, bent};
use crate::wire::ids::{Epoch, ServerId};

/// The yields of this leader to one voter: the next higher claim under its id is heard only later.
#[derive(Debug)]
pub(super) struct Yielded {
    again_ms: u64,
    pause_ms: u64,
}

impl Leader {
    /// Somebody has come to the quorum port. There is always room: who said nothing for longest makes it.
    pub(super) fn connected(&mut self, t: &mut Turn, conn: ConnId) -> Next {
        if let Some(oldest) = self.silent_one_too_many() {
            self.cut(t, oldest, "said nothing, and others want to come in");
        }
        let mut link = Link::new(conn, t.now_ms, &t.core.config);
        if bent::has_no_deadline() {
            link.read_by_ms = u64::MAX;
        }
        self.links.insert(conn, link);
        Next::Stay
    }

    /// FOLLOWERINFO or OBSERVERINFO: let in, parked, or sent away.
    pub(super) fn introduce(&mut self, t: &mut Turn, conn: ConnId, packet: &Packet) {
        let claim = match read(t.core, packet).and_then(|claim| self.admit(t.core, claim)) {
            Ok(claim) => claim,
            Err(why) => return self.cut(t, conn, &why),
        };
        if self.holder(claim.sid).is_none() {
            return self.seat(t, conn, claim);
        }
        if claim.accepted > self.epoch && bent::believes_who_waits() {
            self.outbid_by = Some(claim.sid);
        }
        if self.waits_already(claim.sid) {
            return self.cut(t, conn, "calls itself a server for which another connection waits already");
        }
        // The timers of this step look whether the older link is dead.
        if let Some(link) = self.links.get_mut(&conn) {
            link.stage = learner_link::Stage::Parked(claim);
        }
    }

    /// Hears the claims whose older link has ended. Whether there was one.
    pub(super) fn unpark(&mut self, t: &mut Turn) -> bool {
        let waiting: Vec<(ConnId, Claim)> = self.parked().collect();
        let mut heard = false;
        for (conn, claim) in waiting {
            let holder = self.holder(claim.sid);
            let lives = holder.is_some_and(|link| !link.is_dead(t.now_ms, t.core.config.tick_ms));
            if lives && !bent::takes_a_living_link_for_dead() {
                continue;
            }
            if let Some(old) = holder.map(|link| link.conn) {
                self.cut(t, old, "moved no byte for a tick, and has connected anew");
            }
            self.seat(t, conn, claim);
            heard = true;
        }
        heard
    }

    /// When [`Leader::unpark`] may have something to hear.
    pub(super) fn unpark_ms(&self, core: &Core) -> u64 {
        let dead_ms = |claim: Claim| self.holder(claim.sid).map(|link| link.dead_ms(core.config.tick_ms));
        self.parked().map(|(_, claim)| dead_ms(claim).unwrap_or(0)).min().unwrap_or(u64::MAX)
    }

    /// A voter has promised an epoch after ours, and no link of it lives: the next election takes that into account.
    /// Whoever claims again and again under the id of a voter that is down gets that less and less often. Coming in
    /// would be no excuse: anybody can do that under such an id.
    pub(super) fn yield_to(&mut self, t: &mut Turn, conn: ConnId, sid: ServerId) {
        let first_ms = t.core.config.init_ms();
        let yielded = t.core.yields.entry(sid).or_insert(Yielded { again_ms: 0, pause_ms: first_ms });
        if t.now_ms < yielded.again_ms && !bent::yields_every_time() {
            return self.cut(
                t,
                conn,
                "has promised a later epoch again, shortly after an election because of that",
            );
        }
        let longest_ms = first_ms * YIELD_PAUSES_MAX;
        if t.now_ms.saturating_sub(yielded.again_ms) >= longest_ms {
            yielded.pause_ms = first_ms;
        }
        yielded.again_ms = t.now_ms + yielded.pause_ms;
        yielded.pause_ms = (yielded.pause_ms * 2).min(longest_ms);
        self.outbid_by = Some(sid);
    }

    /// Who is let in: the members, and as many others as the settings say. The others never vote.
    fn admit(&self, core: &Core, claim: Claim) -> Result<Claim, String> {
        let listed = |sid| core.config.membership.get(sid).is_some();
        if listed(claim.sid) || self.holder(claim.sid).is_some() {
            return Ok(claim);
        }
        let unlisted = self.links.values().filter(|link| link.sid.is_some_and(|sid| !listed(sid))).count();
        if unlisted < core.config.unlisted_learners || bent::admits_strangers() {
            return Ok(claim);
        }
        Err(format!(
            "calls itself server {}, which no server line lists (zkops.unlistedLearners lets {} such in)",
            claim.sid, core.config.unlisted_learners
        ))
    }

    /// Who has said nothing for longest, once there are as many of those as may be.
    fn silent_one_too_many(&self) -> Option<ConnId> {
        let silent = || self.links.values().filter(|link| link.stage == learner_link::Stage::Accepted);
        let is_full = silent().count() >= SILENT_MAX && !bent::keeps_all_silent();
        let oldest = || silent().map(|link| (link.read_by_ms, link.conn)).min();
        is_full.then(oldest)?.map(|(_, conn)| conn)
    }

    /// Whether a connection waits for the link of this server to end.
    fn waits_already(&self, sid: ServerId) -> bool {
        self.parked().any(|(_, parked)| parked.sid == sid) && !bent::lets_all_wait()
    }

    /// The link of a server that has come in.
    fn holder(&self, sid: ServerId) -> Option<&Link> {
        self.links.values().find(|link| link.sid == Some(sid))
    }

    fn parked(&self) -> impl Iterator<Item = (ConnId, Claim)> {
        self.links.values().filter_map(|link| match link.stage {
            learner_link::Stage::Parked(claim) => Some((link.conn, claim)),
            _ => None,
        })
    }

    /// Closes a learner's connection: it misbehaved or is too slow. It may come again.
    pub(super) fn cut(&mut self, t: &mut Turn, conn: ConnId, why: &str) {
        let link = self.links.get(&conn);
        let who = match link.and_then(|link| link.sid) {
            Some(sid) => format!("learner {sid}"),
            None => "a caller at the quorum port".to_owned(),
        };
        let line = format!("{who} {why}: its connection is closed");
        // Whoever has only said who it is may be anybody, and come again at once.
        if link.is_some_and(Link::has_come_in) {
            t.note(line);
        } else {
            t.core.strangers.turned_away(t.now_ms, &line, t.out);
        }
        t.out.push(Output::Close { conn });
        self.forget(t, conn);
    }
}

/// What the packet says, if it can be true.
fn read(core: &Core, packet: &Packet) -> Result<Claim, String> {
    let accepted = packet.zxid.epoch();
    let Some(Ok(info)) = packet.data.as_ref().map(LearnerInfo::decode) else {
        return Err("introduced itself unreadably".to_owned());
    };
    if info.protocol_version < PROTOCOL_VERSION {
        return Err("speaks a protocol older than 3.4".to_owned());
    }
    // The version alone says little: members that may be reconfigured give every epoch one (§2.3).
    if info.config_version > core.config.membership.version() && !core.rolls.is_same(info.sid) {
        return Err("has a newer config than this leader".to_owned());
    }
    if let Some(why) = core.rolls.why_foreign(info.sid) {
        return Err(format!("is server {} and is not counted: {why}", info.sid));
    }
    if info.sid == core.config.me {
        return Err("uses the id of this leader: two servers have the same myid".to_owned());
    }
    // Nobody can follow beyond the last epoch that a zxid can hold.
    if accepted.0 < 0 || accepted.0 >= i64::from(i32::MAX) || !is_believable(accepted, core.ledger.accepted())
    {
        return Err(format!("has accepted an impossible epoch ({})", accepted.0));
    }
    Ok(Claim { sid: info.sid, observer: packet.kind == Kind::OBSERVERINFO, accepted })
}

/// A voter may be any distance ahead (§2.3), but the last epochs are reached by forging or damage alone, and whoever
/// went there could not go on for long. An ensemble that is there all the same goes on in small steps.
fn is_believable(accepted: Epoch, mine: Epoch) -> bool {
    bent::believes_any_epoch()
        || accepted.0 < EPOCH_STRETCH
        || (mine.0 >= EPOCH_STRETCH && accepted.0 - mine.0 <= EPOCH_STEP_MAX)
}

/// Callers that have not said who they are: more than servers that start at once, few enough to cost nothing.
const SILENT_MAX: usize = 32;
/// Init limits between two yields to one voter, at most.
const YIELD_PAUSES_MAX: u64 = 64;
/// Where the last stretch of epochs begins.
const EPOCH_STRETCH: i64 = i32::MAX as i64 - (1 << 20);
/// More than voters of one ensemble are ever apart.
const EPOCH_STEP_MAX: i64 = 1024;
