//! The loop between roles (quorum-protocol §1.6, §2.13): events to the present phase, and the
//! changes from one phase to the next. The phases themselves live in their own files.

use bytes::Bytes;

use super::ballot::State;
use super::election::{Election, Vote};
use super::leader::Leader;
use super::learner::Learner;
use super::{ConnId, Input, Next, Notification, Output, Phase, Role, Turn, Zab, bent};
use crate::wire::ids::ServerId;

impl Zab {
    pub(super) fn take(&mut self, input: Input, out: &mut Vec<Output>) -> Next {
        match input {
            Input::Tick => Next::Stay,
            Input::ElectionUp { conn } => {
                let peer = self.mesh.up(conn, self.now_ms, out);
                self.greet(peer, out)
            }
            Input::ElectionHello { conn, hello } => {
                let peer = self.mesh.hello(conn, &hello, self.now_ms, out);
                self.greet(peer, out)
            }
            Input::ElectionMessage { conn, payload } => self.heard(conn, payload, out),
            Input::Down { conn } if self.mesh.down(conn, self.now_ms) => self.unheard(out),
            Input::Persisted { id } => {
                self.core.ledger.persisted(id, out);
                self.written(out)
            }
            Input::Reloaded { id, last_zxid, tail } => {
                self.core.ledger.reloaded(id, last_zxid, tail);
                self.written(out)
            }
            other => self.quorum_port(other, out),
        }
    }

    /// Goes where a phase wants to go, until a phase stays.
    pub(super) fn turn_to(&mut self, mut next: Next, out: &mut Vec<Output>) {
        loop {
            next = match next {
                Next::Stay => return,
                Next::Leave(why) => self.leave(&why, out),
                Next::Decided(vote) => self.decided(vote, out),
                Next::Halt(reason) => {
                    self.phase = Phase::Halted;
                    out.push(Output::Halt { reason });
                    return;
                }
            }
        }
    }

    pub(super) fn timers(&mut self, out: &mut Vec<Output>) {
        if self.healing_deadline_ms() <= self.now_ms {
            let reason = self.healing_report();
            return self.turn_to(Next::Halt(reason), out);
        }
        let mut t = Turn { now_ms: self.now_ms, core: &mut self.core, out };
        let next = match &mut self.phase {
            Phase::Resting { until_ms } if *until_ms <= self.now_ms => self.look(out),
            Phase::Resting { .. } | Phase::Leaving | Phase::Halted => Next::Stay,
            Phase::Looking(election) => election.timers(&mut t, &mut self.mesh),
            Phase::Leading(leader) => leader.timers(&mut t),
            Phase::Learning(learner) => learner.timers(&mut t),
        };
        self.turn_to(next, out);
        if !matches!(self.phase, Phase::Halted) {
            self.mesh.timers(self.now_ms, &mut self.core.next_conn, out);
        }
    }

    /// Events of quorum connections; those of a connection that no phase owns any more are closed
    /// or dropped.
    fn quorum_port(&mut self, input: Input, out: &mut Vec<Output>) -> Next {
        let mut t = Turn { now_ms: self.now_ms, core: &mut self.core, out };
        match (&mut self.phase, input) {
            (Phase::Leading(leader), Input::LearnerUp { conn }) => leader.connected(&mut t, conn),
            (Phase::Leading(leader), Input::Packet { conn, packet }) => leader.packet(&mut t, conn, packet),
            (Phase::Leading(leader), Input::Progress { conn }) => leader.progress(&t, conn),
            (Phase::Leading(leader), Input::Down { conn }) => leader.down(&mut t, conn),
            (Phase::Learning(learner), Input::LeaderUp { conn }) => learner.connected(&mut t, conn),
            (Phase::Learning(learner), Input::Packet { conn, packet }) => {
                learner.packet(&mut t, conn, packet)
            }
            (Phase::Learning(learner), Input::SnapshotReceived { conn, body, config }) => {
                learner.snapshot(&mut t, conn, body, config.as_ref())
            }
            (Phase::Learning(learner), Input::Progress { conn }) => learner.progress(&t, conn),
            (Phase::Learning(learner), Input::Down { conn }) => learner.down(&t, conn),
            (_, Input::LearnerUp { conn } | Input::LeaderUp { conn }) => {
                t.out.push(Output::Close { conn });
                Next::Stay
            }
            _ => Next::Stay,
        }
    }

    /// Something has become durable.
    fn written(&mut self, out: &mut Vec<Output>) -> Next {
        let mut t = Turn { now_ms: self.now_ms, core: &mut self.core, out };
        match &mut self.phase {
            Phase::Leading(leader) => leader.written(&mut t),
            Phase::Learning(learner) => learner.written(&mut t),
            Phase::Leaving => self.rest(out),
            Phase::Resting { .. } | Phase::Looking(_) | Phase::Halted => Next::Stay,
        }
    }

    /// A notification (§1.4).
    fn heard(&mut self, conn: ConnId, payload: Bytes, out: &mut Vec<Output>) -> Next {
        let Some(from) = self.mesh.peer_of(conn) else {
            return Next::Stay;
        };
        // A malformed notification is dropped, the connection stays (lesson 3769).
        let Ok(n) = Notification::decode(payload) else {
            return Next::Stay;
        };
        let listed = self.core.config.membership.get(from).is_some();
        if listed && !self.core.rolls.hear(self.now_ms, from, n.config.as_ref(), out) {
            return self.heard_foreign(from, n.state, out);
        }
        if !self.core.config.membership.is_voter(from) {
            self.tell(from, out);
            return Next::Stay;
        }
        let looking = n.state == State::Looking;
        match &mut self.phase {
            Phase::Looking(election) => {
                let round = self.core.round;
                let mut t = Turn { now_ms: self.now_ms, core: &mut self.core, out };
                let next = election.notified(&mut t, &mut self.mesh, from, &n);
                if looking && n.round < round {
                    self.tell(from, out);
                }
                next
            }
            Phase::Leading(_) | Phase::Learning(_) => {
                if looking && !bent::leaves_unanswered() {
                    self.tell(from, out);
                }
                Next::Stay
            }
            Phase::Resting { .. } if looking => {
                self.early.insert(from, n);
                self.look(out) // an election has begun: no pause is worth missing it
            }
            Phase::Resting { .. } | Phase::Leaving | Phase::Halted => {
                self.early.insert(from, n);
                Next::Stay
            }
        }
    }

    /// A member that goes by another list of voters: it hears how things stand here, and what it says counts for
    /// nothing, nor what it said before.
    fn heard_foreign(&mut self, from: ServerId, state: State, out: &mut Vec<Output>) -> Next {
        if state == State::Looking && self.core.rolls.may_answer(self.now_ms, from) {
            self.tell(from, out);
        }
        self.early.remove(&from);
        let mut t = Turn { now_ms: self.now_ms, core: &mut self.core, out };
        match &mut self.phase {
            Phase::Looking(election) => election.disregard(&mut t, &self.mesh, from),
            _ => Next::Stay,
        }
    }

    /// A peer can no longer be heard: an election that waited for it may be over.
    fn unheard(&mut self, out: &mut Vec<Output>) -> Next {
        let mut t = Turn { now_ms: self.now_ms, core: &mut self.core, out };
        match &mut self.phase {
            Phase::Looking(election) => election.count(&mut t, &self.mesh),
            _ => Next::Stay,
        }
    }

    /// A peer's connection has come up: it hears the state of this moment.
    fn greet(&mut self, peer: Option<ServerId>, out: &mut Vec<Output>) -> Next {
        if let Some(peer) = peer {
            self.tell(peer, out);
        }
        Next::Stay
    }

    /// Sends a peer what §1.4 lets it know: the running proposal to a voter, the settled vote
    /// otherwise, with this server's round for those that have no vote.
    fn tell(&mut self, peer: ServerId, out: &mut Vec<Output>) {
        let voter = self.core.config.membership.is_voter(peer);
        let (vote, state) = match &self.phase {
            Phase::Looking(election) if voter => (*election.proposal(), State::Looking),
            Phase::Looking(_) => (self.core.vote, State::Looking),
            Phase::Leading(_) => (self.core.vote, State::Leading),
            Phase::Learning(_) if self.core.config.is_observer() => (self.core.vote, State::Observing),
            Phase::Learning(_) => (self.core.vote, State::Following),
            Phase::Resting { .. } | Phase::Leaving | Phase::Halted => return,
        };
        let round = match (voter, state) {
            (true, State::Looking) | (false, _) => self.core.round,
            (true, _) => vote.round,
        };
        let bytes = vote.notification(&self.core, state, round).encode();
        self.mesh.send(peer, bytes, out);
    }

    /// Leaves a role: no more intake, then everything written becomes durable, and only then a new
    /// election names the log's end (§2.13).
    fn leave(&mut self, why: &str, out: &mut Vec<Output>) -> Next {
        self.core.parted.tell(self.now_ms, &format!("looking for a leader: {why}"), out);
        match std::mem::replace(&mut self.phase, Phase::Leaving) {
            Phase::Leading(leader) => {
                out.push(Output::ListenQuorum(false));
                leader.close_all(out);
            }
            Phase::Learning(learner) => {
                learner.close(out);
                if let Some(healing) = &mut self.core.healing {
                    healing.attempt_failed(&self.core.config, self.now_ms);
                }
            }
            Phase::Resting { .. } | Phase::Looking(_) | Phase::Leaving | Phase::Halted => {}
        }
        Turn { now_ms: self.now_ms, core: &mut self.core, out }.set_role(Role::Looking);
        self.rest(out)
    }

    /// Out of a role: once all is durable, the next election (an observer pauses first).
    fn rest(&mut self, out: &mut Vec<Output>) -> Next {
        if !self.core.ledger.is_quiescent() {
            return Next::Stay;
        }
        self.core.ledger.settle(out);
        let mut until_ms = self.core.role_since_ms + futile_pause_ms(self.core.futile_roles);
        if self.core.config.is_observer() {
            until_ms = until_ms.max(self.now_ms + self.core.random_below(OBSERVER_DELAY_MS_MAX));
        }
        if until_ms <= self.now_ms {
            return self.look(out);
        }
        self.phase = Phase::Resting { until_ms };
        Next::Stay
    }

    fn look(&mut self, out: &mut Vec<Output>) -> Next {
        self.mesh.set_eager(true);
        if self.core.round == 0 {
            out.push(Output::Note("looking for a leader: this server has just started".to_owned()));
        }
        let mut t = Turn { now_ms: self.now_ms, core: &mut self.core, out };
        let (mut election, mut next) = Election::start(&mut t, &mut self.mesh);
        for (from, n) in std::mem::take(&mut self.early) {
            if matches!(next, Next::Stay) {
                next = election.notified(&mut t, &mut self.mesh, from, &n);
            }
        }
        self.phase = Phase::Looking(election);
        next
    }

    fn decided(&mut self, vote: Vote, out: &mut Vec<Output>) -> Next {
        self.mesh.set_eager(false);
        self.core.vote = vote;
        self.core.role_since_ms = self.now_ms;
        self.core.futile_roles += 1; // until it serves
        let leader = vote.leader;
        let mut t = Turn { now_ms: self.now_ms, core: &mut self.core, out };
        if leader == t.core.config.me {
            t.set_role(Role::Leading { serving: false });
            t.out.push(Output::ListenQuorum(true));
            let (leader, next) = Leader::start(&mut t);
            self.phase = Phase::Leading(Box::new(leader));
            return next;
        }
        let observer = t.core.config.is_observer();
        let role = if observer {
            Role::Observing { leader, serving: false }
        } else {
            Role::Following { leader, serving: false }
        };
        t.set_role(role);
        if t.core.healing.is_some() && t.core.ledger.is_unsynced() {
            t.note(format!(
                "server {leader} leads with a quorum of the others: asking it for a snapshot in place of the damaged data"
            ));
        }
        self.phase = Phase::Learning(Box::new(Learner::start(&mut t, leader, observer)));
        Next::Stay
    }
}

fn futile_pause_ms(futile_roles: u32) -> u64 {
    match futile_roles.checked_sub(FUTILE_ROLES_FREE) {
        None | Some(0) => 0,
        Some(more) => (FUTILE_PAUSE_MS_MIN << more.min(16)).min(FUTILE_PAUSE_MS_MAX),
    }
}

/// A role that ends before it served is tried again at once a few times: the leader may need a
/// moment. Then the pause doubles up to the maximum, or a server that this leader cannot take
/// (§2.3: it has promised a later epoch) would call it a hundred times a second.
const FUTILE_ROLES_FREE: u32 = 3;
const FUTILE_PAUSE_MS_MIN: u64 = 20;
const FUTILE_PAUSE_MS_MAX: u64 = 1000;
/// An observer waits up to this long before it looks again, so that not all of them ask at
/// once (`zookeeper.observer.election.DelayMs`).
const OBSERVER_DELAY_MS_MAX: u64 = 200;
