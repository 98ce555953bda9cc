//! Fast leader election (quorum-protocol §1.4, §1.5): who should lead, judged by the votes that
//! arrive. Safety does not rest on it: a wrong choice costs a round, `discovery` decides.
//!
//! It sends through `mesh` and reads `ledger`; it opens no connection and writes nothing.

use std::collections::BTreeMap;

use super::ballot::{self, NO_VOTE, NOTIFICATION_VERSION, Notification, State};
use super::mesh::Mesh;
use super::{Core, Next, Turn, bent};
use crate::wire::ids::{Epoch, ServerId, Zxid};

/// A vote as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vote {
    pub(super) leader: ServerId,
    pub(super) zxid: Zxid,
    pub(super) round: i64,
    pub(super) peer_epoch: Epoch,
    pub(super) state: State,
    /// The sender's notification version; 0 inside the running round, as the reference keeps it.
    pub(super) version: i32,
}

impl Vote {
    /// The vote for the server itself, or for nobody if it has none to give (§1.5 "enter"). Without its data a
    /// server names −1, which is counted by nobody; not even servers before 3.6, which know no such rule, find
    /// the epoch beside it worth following.
    pub(super) fn own(core: &Core) -> Vote {
        let voter = core.config.membership.is_voter(core.config.me);
        let or_none = |value: i64| if voter { value } else { NO_VOTE };
        let ledger = &core.ledger;
        let epoch = if ledger.is_unsynced() { Epoch(-1) } else { ledger.current() };
        Vote {
            leader: ServerId(or_none(core.config.me.0)),
            zxid: Zxid(or_none(ledger.claimed().0)),
            round: core.round,
            peer_epoch: Epoch(or_none(epoch.0)),
            state: State::Looking,
            version: 0,
        }
    }

    fn of(n: &Notification) -> Vote {
        Vote {
            leader: n.leader,
            zxid: n.zxid,
            round: n.round,
            peer_epoch: n.peer_epoch,
            state: n.state,
            version: n.version,
        }
    }

    /// §1.5 "order".
    fn beats(&self, other: &Vote) -> bool {
        let (mine, its) = (self.rank(), other.rank());
        bent::beats(mine, its).unwrap_or(mine > its)
    }

    /// The longer history first, the higher id among equals.
    fn rank(&self) -> (Epoch, Zxid, ServerId) {
        (self.peer_epoch, self.zxid, self.leader)
    }

    /// §1.5 "vote equality".
    fn agrees(&self, other: &Vote) -> bool {
        if self.leader != other.leader {
            return false;
        }
        if self.state == State::Looking || other.state == State::Looking {
            return (self.zxid, self.round, self.peer_epoch) == (other.zxid, other.round, other.peer_epoch);
        }
        // ZOOKEEPER-1732 and 1805.
        (self.version > 0) != (other.version > 0) || self.peer_epoch == other.peer_epoch
    }

    pub(super) fn notification(&self, core: &Core, state: State, round: i64) -> Notification {
        Notification {
            state,
            leader: self.leader,
            zxid: self.zxid,
            round,
            peer_epoch: self.peer_epoch,
            version: NOTIFICATION_VERSION,
            config: Some(core.config.membership.text()),
        }
    }
}

/// One server's search for a leader.
pub(super) struct Election {
    initial: Vote,
    proposal: Vote,
    /// Votes of this round.
    received: BTreeMap<ServerId, Vote>,
    /// Votes of servers that have found their leader, of any round.
    settled: BTreeMap<ServerId, Vote>,
    pause_ms: u64,
    ask_again_at_ms: u64,
    decide_at_ms: Option<u64>,
}

impl Election {
    pub(super) fn start(t: &mut Turn, mesh: &mut Mesh) -> (Election, Next) {
        t.core.round += 1;
        let initial = Vote::own(t.core);
        let pause_ms = t.core.config.notification_ms_min;
        let mut election = Election {
            initial,
            proposal: initial,
            received: BTreeMap::new(),
            settled: BTreeMap::new(),
            pause_ms,
            ask_again_at_ms: t.now_ms + pause_ms,
            decide_at_ms: None,
        };
        election.broadcast(t, mesh);
        let next = election.count(t, mesh);
        (election, next)
    }

    pub(super) fn proposal(&self) -> &Vote {
        &self.proposal
    }

    /// A notification of a voter (§1.5's table).
    pub(super) fn notified(
        &mut self,
        t: &mut Turn,
        mesh: &mut Mesh,
        from: ServerId,
        n: &Notification,
    ) -> Next {
        let membership = &t.core.config.membership;
        if !membership.is_voter(from) || !membership.is_voter(n.leader) {
            return Next::Stay;
        }
        // Whoever could not be followed is not voted for either, whoever proposes it.
        if t.core.rolls.why_foreign(n.leader).is_some() {
            return self.disregard(t, mesh, from);
        }
        match n.state {
            State::Looking => {
                // It has no leader any more: what it said of one is no evidence.
                self.settled.remove(&from);
                self.heard_looking(t, mesh, from, Vote::of(n));
            }
            State::Following | State::Leading => {
                if let Some(vote) = self.heard_settled(t, from, Vote::of(n)) {
                    return Next::Decided(vote);
                }
            }
            State::Observing => {}
        }
        self.count(t, mesh)
    }

    /// What a server said counts no more.
    pub(super) fn disregard(&mut self, t: &mut Turn, mesh: &Mesh, from: ServerId) -> Next {
        self.received.remove(&from);
        self.settled.remove(&from);
        self.count(t, mesh)
    }

    pub(super) fn timers(&mut self, t: &mut Turn, mesh: &mut Mesh) -> Next {
        if self.decide_at_ms.is_some_and(|at| at <= t.now_ms) {
            return Next::Decided(self.proposal);
        }
        if self.ask_again_at_ms <= t.now_ms {
            self.broadcast(t, mesh);
            let max = t.core.config.notification_ms_max;
            let max = if self.has_vote() { max } else { max.min(OBSERVER_PAUSE_MS_MAX) };
            self.pause_ms = (self.pause_ms * 2).min(max);
            self.ask_again_at_ms = t.now_ms + self.pause_ms;
        }
        Next::Stay
    }

    pub(super) fn deadline_ms(&self) -> u64 {
        self.decide_at_ms.unwrap_or(u64::MAX).min(self.ask_again_at_ms)
    }

    fn heard_looking(&mut self, t: &mut Turn, mesh: &mut Mesh, from: ServerId, vote: Vote) {
        // A server without a vote hears only the stale votes of TRAP Q9 from those who look.
        // An empty database that lost its data must not choose, nor be chosen (§1.5).
        if !self.has_vote() || vote.zxid == Zxid::NONE {
            return;
        }
        if vote.round < t.core.round || bent::ignores_round(vote.round, t.core.round) {
            return;
        }
        if !is_believable(vote.round, t.core.round) {
            return;
        }
        if vote.round > t.core.round {
            t.core.round = vote.round;
            self.received.clear();
            self.initial.round = vote.round;
            self.adopt(if vote.beats(&self.initial) { vote } else { self.initial });
            self.broadcast(t, mesh);
        } else if vote.beats(&self.proposal) {
            self.adopt(vote);
            self.broadcast(t, mesh);
        }
        self.received.insert(from, Vote { version: 0, ..vote });
    }

    fn adopt(&mut self, vote: Vote) {
        self.proposal = Vote { state: State::Looking, version: 0, ..vote };
        self.decide_at_ms = None;
    }

    /// A server that follows or leads. Returns the decision if it completes one.
    ///
    /// A server without its data has no vote among these: it joins a leader that a quorum of others has, and is
    /// not made a leader itself by those who have not noticed yet that it is gone.
    fn heard_settled(&mut self, t: &mut Turn, from: ServerId, vote: Vote) -> Option<Vote> {
        if vote.leader == t.core.config.me && t.core.ledger.is_unsynced() {
            return None;
        }
        if vote.round == t.core.round {
            self.received.insert(from, Vote { version: 0, ..vote });
            if has_quorum(t.core, &self.received, &vote) && leads(t.core, &self.received, &vote) {
                return Some(vote);
            }
        }
        // TRAP Q10: joining an established ensemble takes a quorum and the leader's own word.
        self.settled.insert(from, vote);
        if has_quorum(t.core, &self.settled, &vote) && leads(t.core, &self.settled, &vote) {
            // The leader is a leader, whatever number its round has.
            if ballot::is_believable(vote.round, t.core.round) {
                t.core.round = vote.round;
            }
            return Some(vote);
        }
        None
    }

    /// Starts, keeps or stops the wait that ends the round, and ends it at once when no server
    /// that can be heard is left to disagree.
    pub(super) fn count(&mut self, t: &mut Turn, mesh: &Mesh) -> Next {
        let core = &*t.core;
        let me = core.config.me;
        if !self.has_vote() {
            return Next::Stay;
        }
        self.received.insert(me, self.proposal);
        if !has_quorum(core, &self.received, &self.proposal) {
            self.decide_at_ms = None;
            return Next::Stay;
        }
        let agrees = |sid| self.received.get(&sid).is_some_and(|v| v.agrees(&self.proposal));
        let silent = |sid| sid != me && !mesh.is_connected(sid);
        if core.config.membership.voters().all(|sid| agrees(sid) || silent(sid)) {
            return Next::Decided(self.proposal);
        }
        self.decide_at_ms.get_or_insert(t.now_ms + FINALIZE_WAIT_MS);
        Next::Stay
    }

    /// Not an observer's, and not that of a server without its data.
    fn has_vote(&self) -> bool {
        self.initial.leader.0 != NO_VOTE && self.initial.zxid != Zxid::NONE
    }

    /// The leader that a peer has said it has.
    pub(super) fn leader_of(&self, peer: ServerId) -> Option<ServerId> {
        self.settled.get(&peer).map(|vote| vote.leader)
    }

    fn broadcast(&self, t: &mut Turn, mesh: &mut Mesh) {
        let bytes = self.proposal.notification(t.core, State::Looking, t.core.round).encode();
        for voter in t.core.config.membership.voters().filter(|v| *v != t.core.config.me) {
            mesh.send(voter, bytes.clone(), t.out);
        }
    }
}

fn has_quorum(core: &Core, votes: &BTreeMap<ServerId, Vote>, vote: &Vote) -> bool {
    core.config.is_quorum(|sid| votes.get(&sid).is_some_and(|v| vote.agrees(v)))
}

/// §1.5 `checkLeader`: the leader itself must say that it leads; if that is me, only in my round.
fn leads(core: &Core, votes: &BTreeMap<ServerId, Vote>, vote: &Vote) -> bool {
    if vote.leader == core.config.me {
        vote.round == core.round
    } else {
        votes.get(&vote.leader).is_some_and(|v| v.state == State::Leading)
    }
}

/// Whether a round that a candidate names is taken over.
fn is_believable(round: i64, mine: i64) -> bool {
    ballot::is_believable(round, mine) || bent::believes_any_round()
}

/// How long a decided round stays open for a better vote (§1.5 `finalizeWait`).
const FINALIZE_WAIT_MS: u64 = 200;
/// The longest pause between two questions of a server without a vote. Nobody notifies it of the
/// end of an election, so the reference's 60 s would be added to every start of an observer.
const OBSERVER_PAUSE_MS_MAX: u64 = 1600;
